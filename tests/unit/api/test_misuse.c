/* Calls that a program gets wrong, function by function: each ends with AGON_EINVAL (or the status its case names) and a sentence, none in a crash.
 *
 * NULL: in `call`, V(x) stands around each pointer that must be given. A call is made once for each of them with NULL in its place, and a last time as
 * it stands, which shows that nothing else was wrong. Then arrays and structs that hold a NULL, or a number that is none. */
#include "weights_fixtures.h"
#include <limits.h>
#include <math.h>

typedef struct fixture {
    agon_ctx *ctx;
    agon_model *m;
    agon_dataset *sft, *dpo;
    agon_adapter *panacea, *head;
    agon_contexts *contexts;
    fixture_folder folder;
    char rows[128], pairs[128], votes[128], new_file[128], new_folder[128], experiment[128], run[128], prompts[128], nowhere[128], context_file[128], empty[128];
    size_t at, left_out; /* V(x) number `left_out` becomes NULL */
} fixture;

static const void *value(fixture *f, const void *x) {
    return f->at++ == f->left_out ? NULL : x;
}
#define V(x) ((void *)(uintptr_t)value(f, x))

static void write_text(const char *path, const char *text) {
    FILE *to = fopen(path, "w");
    assert_non_null(to);
    fputs(text, to);
    fclose(to);
}

static void name_file(fixture *f, char out[128], const char *name) {
    snprintf(out, 128, "%s/%s", f->folder.path, name);
}

/* An adapter of a training of one step. */
static agon_adapter *train_one(fixture *f, const agon_dataset *d, const char *name, size_t batch) {
    char output[128];
    agon_adapter *a = NULL;
    agon_train_options t = agon_train_options_default();
    name_file(f, output, name);
    t.lora_rank = 2;
    t.max_steps = 1;
    t.batch_rows = batch;
    t.vectors = 1;
    assert_ok(f->ctx, agon_train(f->ctx, f->m, d, output, &t, NULL));
    assert_ok(f->ctx, agon_adapter_open(f->ctx, f->m, output, &a));
    return a;
}

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    char model[2048];
    const agon_tokenizer *t;
    f->ctx = test_ctx(1, NULL);
    golden_path(model, "tiny-text.gguf");
    assert_ok(f->ctx, agon_model_open(f->ctx, model, NULL, &f->m));
    t = agon_model_tokenizer(f->m);
    f->folder = fixture_folder_new();
    name_file(f, f->rows, "rows.jsonl");
    name_file(f, f->pairs, "pairs.jsonl");
    name_file(f, f->votes, "votes.jsonl");
    name_file(f, f->new_file, "new.jsonl");
    name_file(f, f->new_folder, "new");
    name_file(f, f->experiment, "experiment.yaml");
    name_file(f, f->run, "run.yaml");
    name_file(f, f->prompts, "prompts.jsonl");
    name_file(f, f->nowhere, "nowhere");
    name_file(f, f->context_file, "contexts.json");
    name_file(f, f->empty, "empty.jsonl");
    write_text(f->rows, "{\"prompt\":\"one\",\"completion\":\"two\"}\n{\"prompt\":\"two\",\"completion\":\"three\"}\n");
    write_text(f->pairs, "{\"prompt\":\"one\",\"chosen\":\"two\",\"rejected\":\"three\",\"dimension\":\"help\"}\n"
                         "{\"prompt\":\"two\",\"chosen\":\"three\",\"rejected\":\"four\",\"dimension\":\"harm\"}\n");
    write_text(f->votes, "{\"context\":\"a\",\"chosen_rewards\":[1,0],\"rejected_rewards\":[0,1]}\n{\"context\":\"a\",\"chosen_rewards\":[1,1],\"rejected_rewards\":[0,0]}\n");
    write_text(f->experiment, "experiment: nothing\n");
    write_text(f->run, "name: x\nrecipe: nothing\n");
    write_text(f->prompts, "{\"prompt\":\"one\",\"answer\":\"two\"}\n");
    write_text(f->empty, "");
    assert_ok(f->ctx, agon_dataset_open(f->ctx, t, f->rows, "sft", 0, &f->sft));
    assert_ok(f->ctx, agon_dataset_open(f->ctx, t, f->pairs, "dpo", 0, &f->dpo));
    static const char *const dimensions[] = {"help", "harm"};
    agon_dataset_options o = agon_dataset_options_default();
    agon_dataset *d = NULL;
    o.dimensions = dimensions;
    o.n_dimensions = 2;
    assert_ok(f->ctx, agon_dataset_open_with(f->ctx, t, f->pairs, "dpo", &o, &d));
    f->panacea = train_one(f, d, "panacea", 2);
    agon_dataset_free(d);
    assert_ok(f->ctx, agon_dataset_open(f->ctx, t, f->pairs, "bt", 0, &d));
    f->head = train_one(f, d, "head", 2);
    agon_dataset_free(d);
    char *json = NULL;
    assert_ok(f->ctx, agon_contexts_fit(f->ctx, f->votes, NULL, f->context_file, &json));
    agon_text_free(json);
    assert_ok(f->ctx, agon_contexts_open(f->ctx, f->context_file, &f->contexts));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    agon_contexts_free(f->contexts);
    agon_adapter_free(f->panacea);
    agon_adapter_free(f->head);
    agon_dataset_free(f->sft);
    agon_dataset_free(f->dpo);
    agon_model_free(f->m);
    agon_ctx_free(f->ctx);
    fixture_remove(&f->folder);
    free(f);
    return 0;
}

/* What calls made, freed after each. */
typedef struct made {
    char *text, *mask;
    int32_t *ids;
    size_t n;
    agon_tokenizer *t;
    agon_model *m;
    agon_adapter *a;
    agon_contexts *c;
    agon_dataset *d;
    agon_ctx *ctx;
    agon_completion answers[2];
    agon_score_result score;
    agon_reward_result reward;
    agon_memory memory;
    double numbers[4];
} made;

static void made_free(made *x) {
    agon_text_free(x->text);
    agon_text_free(x->mask);
    agon_tokens_free(x->ids);
    agon_tokenizer_free(x->t);
    agon_adapter_free(x->a);
    agon_model_free(x->m);
    agon_contexts_free(x->c);
    agon_dataset_free(x->d);
    agon_ctx_free(x->ctx);
    agon_completions_free(x->answers, 2);
    agon_score_result_free(&x->score);
    agon_reward_result_free(&x->reward);
    *x = (made){0};
}

#define CASE_OF(first, text, expression)                                                                                  \
    case __COUNTER__ - (first) - 1:                                                                                      \
        *what = text;                                                                                                    \
        return expression;

/* ---- NULL -------------------------------------------------------------------------------------------------- */

enum { FIRST_CALL = __COUNTER__ };
#define CALL(expression) CASE_OF(FIRST_CALL, #expression, expression)

/* The k-th call; *what NULL after the last. */
static agon_status call(fixture *f, int k, made *x, const char **what) {
    static const int32_t ids[] = {1, 2};
    static const agon_message message = {"user", "one"};
    static const double even[] = {0.5, 0.5};
    static const char *const setting = "beta=0.1";
    static const char *const part[] = {"/proc/nowhere/a", "/proc/nowhere/b"};
    static const agon_score_request asked = {ids, 1, ids + 1, 1};
    static int32_t two[] = {2}, three[] = {3};
    static const agon_completion answers[] = {{.tokens = two, .n_tokens = 1}, {.tokens = three, .n_tokens = 1}};
    static const agon_pair pair = {ids, 1, &answers[0], &answers[1]};
    static const agon_generate_request request = {.prompt = ids, .n_prompt = 1, .n_samples = 2};
    const agon_adapter *const both[] = {f->head, f->head};
    const agon_tokenizer *t = agon_model_tokenizer(f->m);
    agon_train_options train = agon_train_options_default();
    agon_online_options online = agon_online_options_default();
    agon_eval_options eval = agon_eval_options_default();
    agon_noise_options noise = agon_noise_options_default();
    agon_clean_options clean = agon_clean_options_default();
    agon_review_answer answer = agon_review_answer_default();
    train.lora_rank = 2;
    train.max_steps = 1;
    train.overwrite = true;
    online.rounds = online.prompts = 0;
    eval.suite = "no such suite";
    noise.objective = clean.objective = "no such objective";
    switch (k) {
        CALL(agon_model_find(V(f->ctx), f->rows, V(&x->text)))
        CALL(agon_tokenizer_open(V(f->ctx), V(f->nowhere), NULL, V(&x->t)))
        CALL(agon_tokenize(V(f->ctx), V(t), V("one"), 3, true, true, V(&x->ids), V(&x->n)))
        CALL(agon_tokenize_answer(V(f->ctx), V(t), V(ids), 1, V("one"), 3, true, false, V(&x->ids), V(&x->n)))
        CALL(agon_tokenize_answer(V(f->ctx), V(t), NULL, 0, V("one"), 3, true, true, V(&x->ids), V(&x->n)))
        CALL(agon_detokenize(V(f->ctx), V(t), V(ids), 2, true, V(&x->text), V(&x->n)))
        CALL(agon_chat_tokenize(V(f->ctx), V(t), V(&message), 1, true, V(&x->ids), V(&x->n), NULL))
        CALL(agon_model_open(V(f->ctx), V(f->nowhere), NULL, V(&x->m)))
        CALL(agon_model_describe(V(f->ctx), V(f->m), V(&x->text)))
        CALL(agon_adapter_open(V(f->ctx), V(f->m), f->nowhere, V(&x->a)))
        CALL(agon_adapter_open(V(f->ctx), f->m, NULL, V(&x->a)))
        CALL(agon_adapter_at(V(f->ctx), V(f->panacea), V(even), 2, V(&x->a)))
        CALL(agon_contexts_fit(V(f->ctx), V(f->votes), NULL, V("/proc/nowhere"), V(&x->text)))
        CALL(agon_contexts_open(V(f->ctx), V(f->context_file), V(&x->c)))
        CALL(agon_contexts_vector(V(f->ctx), V(f->contexts), NULL, NULL, V(even), 2, V(x->numbers)))
        CALL(agon_soup(V(f->ctx), V(f->m), V(both), V(even), 2, V("/proc/nowhere"), V(&x->text)))
        CALL(agon_score(V(f->ctx), V(f->m), NULL, V(&asked), 1, 0, 2, V(&x->score)))
        CALL(agon_reward(V(f->ctx), V(f->m), f->head, V(&asked), 1, V(&x->reward)))
        CALL(agon_reward_ensemble(V(f->ctx), V(f->m), V(both), 2, NULL, -1, V(&asked), 1, V(x->numbers), NULL))
        CALL(agon_critique_join(V(f->ctx), V("a"), V("b"), V(&x->text)))
        CALL(agon_generate(V(f->ctx), V(f->m), V(&request), 1, NULL, V(x->answers)))
        CALL(agon_loss_json(V(f->ctx), V("dpo"), V(&setting), 1, V("{}"), 2, V(&x->text)))
        CALL(agon_objectives(V(f->ctx), V(&x->text)))
        CALL(agon_dataset_open(V(f->ctx), V(t), V(f->rows), V("sft"), 0, V(&x->d)))
        CALL(agon_dataset_open_with(V(f->ctx), V(t), V(f->rows), V("sft"), NULL, V(&x->d)))
        CALL(agon_dataset_from_pairs(V(f->ctx), V(t), V(&pair), 1, V("dpo"), V(&x->d)))
        CALL(agon_dataset_from_samples(V(f->ctx), V(t), V(&request), 1, V(answers), V(even), V("grpo"), V(&x->d)))
        CALL(agon_dataset_report(V(f->ctx), V(f->sft), V(&x->text)))
        CALL(agon_dataset_unused(V(f->ctx), V(f->sft), V(&x->text)))
        CALL(agon_dataset_n_shared(V(f->ctx), V(f->sft), V(f->sft), V(&x->n)))
        CALL(agon_dataset_preview(V(f->ctx), V(f->sft), 0, false, V(&x->text)))
        CALL(agon_reward_pairs(V(f->ctx), V(f->m), V(both), 2, NULL, -1, V(f->dpo), V(&x->text)))
        CALL(agon_policy_pairs(V(f->ctx), V(f->m), f->head, NULL, NULL, 0.1, V(f->dpo), V(&x->text)))
        CALL(agon_policy_pairs_paired(V(f->ctx), V(f->m), f->head, NULL, f->panacea, NULL, NULL, 0.1, V(f->dpo), V(&x->text)))
        CALL(agon_reward_pairs_paired(V(f->ctx), V(f->m), f->head, NULL, f->panacea, V(f->dpo), V(&x->text)))
        CALL(agon_data_convert(V(f->ctx), V(f->nowhere), NULL, V(f->new_file), false, V(&x->text)))
        CALL(agon_data_split(V(f->ctx), V(f->rows), 0, V(part), V(even), 2, V(&x->text)))
        CALL(agon_data_fuse(V(f->ctx), V(f->nowhere), V(f->new_file), NULL, V(&x->text)))
        CALL(agon_data_noise(V(f->ctx), V(f->nowhere), V(f->new_file), &noise, V(&x->text)))
        CALL(agon_data_clean(V(f->ctx), V(f->m), V(f->nowhere), V(f->new_file), &clean, V(&x->text)))
        CALL(agon_train(V(f->ctx), V(f->m), V(f->sft), V(f->new_folder), &train, NULL))
        CALL(agon_train_memory(V(f->ctx), V(f->m), V(f->sft), &train, V(&x->memory)))
        CALL(agon_train_online(V(f->ctx), V(f->m), V("grpo"), V(f->new_folder), &train, &online, NULL))
        CALL(agon_experiment(V(f->ctx), V(f->experiment), NULL, V(&x->text)))
        CALL(agon_import(V(f->ctx), V(f->nowhere), NULL, V(&x->text)))
        CALL(agon_import_linked(V(f->ctx), V(f->nowhere), NULL, V(&x->text)))
        CALL(agon_export(V(f->ctx), V(f->m), NULL, V("gguf"), "f3", V(f->new_folder), V(&x->text)))
        CALL(agon_export_named(V(f->ctx), V(f->m), f->head, V("peft"), NULL, "", V(f->new_folder), V(&x->text)))
        CALL(agon_bench(V(f->ctx), V("nothing"), NULL, V(&x->text)))
        CALL(agon_workspace_find(V(f->ctx), f->nowhere, V(&x->text)))
        CALL(agon_status_json(V(f->ctx), f->nowhere, NULL, V(&x->text)))
        CALL(agon_log_json(V(f->ctx), f->nowhere, NULL, 0, 0, V(&x->text)))
        CALL(agon_show_json(V(f->ctx), f->nowhere, V("1234"), V(&x->text)))
        CALL(agon_why_json(V(f->ctx), f->nowhere, V("1234"), V(&x->text)))
        CALL(agon_verify_json(V(f->ctx), f->nowhere, 0, 0, V(&x->text)))
        CALL(agon_unseal_json(V(f->ctx), f->nowhere, NULL, V(&x->text)))
        CALL(agon_run(V(f->ctx), V(f->run), NULL, V(&x->text)))
        CALL(agon_run_workspace(V(f->ctx), V(f->run), V(&x->text)))
        CALL(agon_init_run_file(V(f->ctx), f->nowhere, V(f->new_file), V(&x->text)))
        CALL(agon_reviews_json(V(f->ctx), f->nowhere, V(&x->text)))
        CALL(agon_review(V(f->ctx), f->nowhere, V(&answer)))
        CALL(agon_eval(V(f->ctx), V(f->m), NULL, NULL, NULL, &eval, V(&x->text)))
        CALL(agon_suites(V(f->ctx), V(&x->text)))
        CALL(agon_ctx_new(NULL, V(&x->ctx), NULL, 0))
        CALL(agon_doctor(V(f->ctx), f->nowhere, V(&x->text)))
    default:
        *what = NULL;
        return AGON_OK;
    }
}

static void calls__without_what_must_be_given_are_refused(void **state) {
    fixture *f = *state;
    made x = {0};
    const char *what = NULL;
    for (int k = 0;; k++)
        for (f->left_out = 0;; f->left_out++) {
            f->at = 0;
            agon_status s = call(f, k, &x, &what);
            made_free(&x);
            if (!what)
                return;
            const bool whole = f->left_out >= f->at;
            if (whole && s == AGON_EINVAL && strstr(agon_error(f->ctx), "NULL"))
                fail_msg("%s as it stands: %s", what, agon_error(f->ctx));
            if (whole)
                break;
            if (s != AGON_EINVAL)
                fail_msg("%s with NULL for its pointer %zu: %s", what, f->left_out + 1, agon_status_name(s));
        }
}

/* The call was refused with a sentence that has the words. */
static void refused_saying(fixture *f, agon_status s, const char *words) {
    if (s != AGON_EINVAL || !strstr(agon_error(f->ctx), words))
        fail_msg("%s: '%s' does not say '%s'", agon_status_name(s), agon_error(f->ctx), words);
}

static void texts__that_are_null_inside_an_array_are_named(void **state) {
    fixture *f = *state;
    static const char *const texts[] = {"help", NULL};
    const agon_tokenizer *t = agon_model_tokenizer(f->m);
    agon_dataset *d = NULL;
    char *json = NULL;
    agon_dataset_options o = agon_dataset_options_default();
    o.dimensions = texts, o.n_dimensions = 2;
    refused_saying(f, agon_dataset_open_with(f->ctx, t, f->pairs, "dpo", &o, &d), "dimensions: number 2 of 2 is NULL");
    o = agon_dataset_options_default();
    o.adapters = texts, o.n_adapters = 2;
    refused_saying(f, agon_dataset_open_with(f->ctx, t, f->rows, "sft", &o, &d), "adapters: number 2 of 2 is NULL");
    agon_eval_options e = agon_eval_options_default();
    e.cells = texts, e.n_cells = 2;
    refused_saying(f, agon_eval(f->ctx, f->m, NULL, NULL, NULL, &e, &json), "cells: number 2 of 2 is NULL");
    agon_online_options online = agon_online_options_default();
    online.reward_models = texts, online.n_reward_models = 2;
    refused_saying(f, agon_train_online(f->ctx, f->m, "grpo", f->new_folder, NULL, &online, NULL), "reward_models: number 2 of 2 is NULL");
    online = agon_online_options_default();
    online.cells = texts, online.n_cells = 2;
    refused_saying(f, agon_train_online(f->ctx, f->m, "grpo", f->new_folder, NULL, &online, NULL), "cells: number 2 of 2 is NULL");
    static const double shares[] = {0.5, 0.5};
    refused_saying(f, agon_data_split(f->ctx, f->rows, 0, texts, shares, 2, &json), "the files to write: number 2 of 2 is NULL");
    assert_null(d);
    assert_null(json);
}

static void structs__that_hold_a_null_are_refused(void **state) {
    fixture *f = *state;
    const agon_tokenizer *t = agon_model_tokenizer(f->m);
    const int32_t token = 5;
    int32_t *ids = NULL;
    size_t n_ids = 0;
    const agon_message message = {.role = "user"};
    refused_saying(f, agon_chat_tokenize(f->ctx, t, &message, 1, true, &ids, &n_ids, NULL), "message 1 of 1: its content is NULL");
    agon_score_request request = {.n_prompt = 1, .completion = &token, .n_completion = 1};
    agon_score_result result = {0};
    refused_saying(f, agon_score(f->ctx, f->m, NULL, &request, 1, 1.0, 0, &result), "the prompt is NULL; it must be given");
    agon_pair pair = {.prompt = &token, .n_prompt = 1};
    agon_dataset *d = NULL;
    refused_saying(f, agon_dataset_from_pairs(f->ctx, t, &pair, 1, "dpo", &d), "pair 1: its prompt, chosen or rejected is NULL");
    const agon_adapter *adapters[] = {f->panacea, NULL};
    static const double halves[] = {0.5, 0.5};
    char *json = NULL;
    refused_saying(f, agon_soup(f->ctx, f->m, adapters, halves, 2, f->new_folder, &json), "adapter 2 of 2 is NULL");
    assert_true(!ids && !d && !json);
}

static void a_review__takes_seconds_that_are_a_time(void **state) {
    fixture *f = *state;
    const double seconds[] = {NAN, INFINITY, -1};
    for (int i = 0; i < 3; i++) {
        agon_review_answer a = agon_review_answer_default();
        a.review = "1234", a.verdict = "accept", a.seconds = seconds[i];
        refused_saying(f, agon_review(f->ctx, f->nowhere, &a), "seconds is");
    }
}

static void an_ensemble__takes_a_strength_that_is_a_number(void **state) {
    fixture *f = *state;
    const agon_adapter *members[] = {f->head, f->head};
    const int32_t token = 5;
    const agon_score_request request = {&token, 1, &token, 1};
    double reward = 7;
    refused_saying(f, agon_reward_ensemble(f->ctx, f->m, members, 2, "lcb", NAN, &request, 1, &reward, NULL), "the strength of an ensemble is nan");
    refused_saying(f, agon_reward_ensemble(f->ctx, f->m, members, 2, NULL, NAN, &request, 1, &reward, NULL), "the strength of an ensemble is nan");
    assert_true(reward == 7);
}

/* Those of agon_train's options that have no status. */
static void options__of_another_size_are_not_read(void **state) {
    fixture *f = *state;
    const size_t sizes[] = {0, 4, sizeof(agon_train_options) + 8, SIZE_MAX};
    agon_train_options o = agon_train_options_default();
    o.lora_rank = 2, o.validate_every = 3;
    assert_int_equal(agon_train_validate_every(f->sft, &o), 3);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        o.struct_size = sizes[i];
        assert_int_equal(agon_train_n_steps(f->sft, &o), 0);
        assert_int_equal(agon_train_validate_every(f->sft, &o), 0);
        assert_true(isnan(agon_train_learning_rate(f->sft, &o)));
    }
    o.struct_size = offsetof(agon_train_options, epochs); /* of an older program: what it does not have are the defaults */
    o.epochs = 50, o.batch_rows = 0, o.max_steps = 7;
    assert_int_equal(agon_train_n_steps(f->sft, &o), agon_train_n_steps(f->sft, NULL));
    assert_true(agon_train_learning_rate(f->sft, &o) == 1e-4);
}

/* More tokens than any context has are refused before one is read. */
static void counts__that_no_context_holds_are_refused(void **state) {
    fixture *f = *state;
    const int32_t token = 5;
    agon_score_request asked = {&token, 1, &token, SIZE_MAX};
    agon_score_result result = {0};
    refused_saying(f, agon_score(f->ctx, f->m, NULL, &asked, 1, 1, 0, &result), "there are 18446744073709551615 tokens; the model's context is");
    agon_generate_request wanted = {.prompt = &token, .n_prompt = SIZE_MAX, .n_samples = 1};
    agon_completion answer = {0};
    refused_saying(f, agon_generate(f->ctx, f->m, &wanted, 1, NULL, &answer), "the tokens of the prompt: their number is 18446744073709551615");
    wanted.n_prompt = 1 << 20;
    refused_saying(f, agon_generate(f->ctx, f->m, &wanted, 1, NULL, &answer), "the prompt of 1048576 tokens is longer than the model's context");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts__that_are_null_inside_an_array_are_named),
        cmocka_unit_test(structs__that_hold_a_null_are_refused),
        cmocka_unit_test(a_review__takes_seconds_that_are_a_time),
        cmocka_unit_test(counts__that_no_context_holds_are_refused),
        cmocka_unit_test(an_ensemble__takes_a_strength_that_is_a_number),
        cmocka_unit_test(options__of_another_size_are_not_read),
        cmocka_unit_test(calls__without_what_must_be_given_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
