/* Several trainings with one model: what it holds between them. */
#include "api/models.h"
#include "model/model_private.h"
#include "weights_fixtures.h"

typedef struct fixture {
    agon_ctx *ctx;
    char model[2048];
    fixture_folder folder;
    agon_tokenizer *tokenizer;
    agon_model *m; /* opened anew for each test */
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = test_ctx(1, NULL);
    golden_path(f->model, "tiny-text.gguf");
    f->folder = fixture_folder_new();
    assert_ok(f->ctx, agon_tokenizer_open(f->ctx, f->model, NULL, &f->tokenizer));
    assert_ok(f->ctx, agon_model_open(f->ctx, f->model, NULL, &f->m));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    fixture_remove(&f->folder);
    agon_model_free(f->m);
    agon_tokenizer_free(f->tokenizer);
    agon_ctx_free(f->ctx);
    free(f);
    return 0;
}

static const char sft_rows[] = "{\"prompt\":\"one\",\"completion\":\"two\"}\n{\"prompt\":\"two\",\"completion\":\"three\"}\n"
                               "{\"prompt\":\"three\",\"completion\":\"four\"}\n",
                  bt_rows[] = "{\"prompt\":\"one\",\"chosen\":\"two\",\"rejected\":\"ten\"}\n{\"prompt\":\"two\",\"chosen\":\"three\",\"rejected\":\"one\"}\n",
                  ppo_rows[] = "{\"prompt\":\"one\",\"completion\":\"two\",\"reward\":1}\n{\"prompt\":\"two\",\"completion\":\"three\",\"reward\":0}\n";

static const struct {
    const char *objective, *rows;
} kinds[] = {{"sft", sft_rows}, {"bt", bt_rows}, {"ppo", ppo_rows}, {"dpo", bt_rows}};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static agon_dataset *open_rows(const fixture *f, const char *objective, const char *rows) {
    char path[128];
    agon_dataset *d = NULL;
    snprintf(path, sizeof path, "%s/%s.jsonl", f->folder.path, objective);
    FILE *file = fopen(path, "w");
    fputs(rows, file);
    fclose(file);
    assert_ok(f->ctx, agon_dataset_open(f->ctx, f->tokenizer, path, objective, 0, &d));
    return d;
}

static char *output_in(const fixture *f, const char *name, char *out) {
    snprintf(out, 128, "%s/%s", f->folder.path, name);
    return out;
}

/* All weights, a row a step. */
static agon_train_options all_weights(void) {
    agon_train_options t = agon_train_options_default();
    t.batch_rows = 1;
    t.learning_rate = 1e-3;
    return t;
}

static void trainings__with_a_head_follow_those_without(void **state) {
    fixture *f = *state;
    const agon_train_options t = all_weights();
    for (size_t i = 0; i < N_KINDS; i++) {
        char output[128], name[16];
        agon_dataset *d = open_rows(f, kinds[i].objective, kinds[i].rows);
        agon_model *written = NULL;
        snprintf(name, sizeof name, "%zu", i);
        assert_ok(f->ctx, agon_train(f->ctx, f->m, d, output_in(f, name, output), &t, NULL));
        assert_true(agon_has_reward(f->m, NULL) == (i > 0));
        assert_ok(f->ctx, agon_model_open(f->ctx, output, NULL, &written));
        assert_true(agon_has_reward(written, NULL) == (i > 0));
        agon_model_free(written);
        agon_dataset_free(d);
    }
}

/* All weights end as a Hugging Face folder; that it cannot be is said before the work, not behind it. */
static void trainings__what_cannot_be_written_is_not_trained(void **state) {
    fixture *f = *state;
    agon_train_options t = all_weights();
    agon_memory memory;
    char output[128];
    agon_dataset *d = open_rows(f, "sft", sft_rows);
    snprintf(f->m->m->config.rope_scaling, sizeof f->m->m->config.rope_scaling, "divisors");
    for (size_t i = 0; i < f->m->m->config.head_dim / 2; i++)
        f->m->m->config.rope_divisors[i] = 1;
    assert_int_equal(agon_train_memory(f->ctx, f->m, d, &t, &memory), AGON_EUNSUPPORTED);
    assert_int_equal(agon_train(f->ctx, f->m, d, output_in(f, "none", output), &t, NULL), AGON_EUNSUPPORTED);
    assert_non_null(strstr(agon_error(f->ctx), "divisors"));
    assert_false(folder_exists(output));
    t.lora_rank = 2;
    assert_ok(f->ctx, agon_train(f->ctx, f->m, d, output, &t, NULL));
    agon_dataset_free(d);
}

typedef struct stop {
    size_t step;
    agon_status status;
} stop;

static agon_status stop_at(void *arg, const agon_train_progress *p) {
    const stop *x = arg;
    return p->step == x->step ? x->status : AGON_OK;
}

static void assert_same_result(const fixture *f, const char *a, const char *b) {
    char command[512];
    snprintf(command, sizeof command, "cmp %s/%s/model.safetensors %s/%s/model.safetensors", f->folder.path, a, f->folder.path, b);
    if (system(command) != 0)
        fail_msg("%s and %s differ", a, b);
}

/* What agon_train says; it must succeed. */
static void train_in(const fixture *f, agon_model *m, const agon_dataset *d, const char *name, const agon_train_options *t, const char *says) {
    char output[128], *summary = NULL;
    assert_ok(f->ctx, agon_train(f->ctx, m, d, output_in(f, name, output), t, &summary));
    if (!strstr(summary, says))
        fail_msg("'%s' does not say '%s'", summary, says);
    agon_text_free(summary);
}

static void refuse_in(const fixture *f, agon_model *m, const agon_dataset *d, const char *name, const agon_train_options *t, agon_status status,
                      const char *words) {
    char output[128];
    assert_int_equal(agon_train(f->ctx, m, d, output_in(f, name, output), t, NULL), status);
    if (!strstr(agon_error(f->ctx), words))
        fail_msg("'%s' does not say '%s'", agon_error(f->ctx), words);
}

static void open_anew(fixture *f) {
    agon_model_free(f->m);
    assert_ok(f->ctx, agon_model_open(f->ctx, f->model, NULL, &f->m));
}

static char *describe(const fixture *f) {
    char *json = NULL;
    assert_ok(f->ctx, agon_model_describe(f->ctx, f->m, &json));
    return json;
}

/* The same call in the process that was stopped, with a checkpoint and without one, and once it is done. */
static void trainings__of_all_weights_go_on_with_the_model_they_left(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i <= N_KINDS; i++) {
        const size_t k_of = i < N_KINDS ? i : 1;
        agon_dataset *d = open_rows(f, kinds[k_of].objective, kinds[k_of].rows);
        char names[4][32];
        static const char *const of[] = {"whole", "kept", "lost", "other"};
        for (int k = 0; k < 4; k++)
            snprintf(names[k], sizeof names[k], "%zu-%s", i, of[k]);
        if (i == N_KINDS) { /* a file with a head */
            output_in(f, "1-whole", f->model);
            open_anew(f);
        }
        agon_train_options t = all_weights();
        stop x;
        t.arg = &x;
        t.max_steps = 4;
        train_in(f, f->m, d, names[0], &t, "\"resumed_after\":0");
        for (int lost = 0; lost < 2; lost++) {
            const char *name = names[1 + lost];
            open_anew(f);
            t.on_step = stop_at;
            for (size_t step = 2; step < 4; step++) { /* twice */
                x = (stop){step, lost ? AGON_EINVAL : AGON_EINTERRUPTED};
                refuse_in(f, f->m, d, name, &t, x.status, "as on_step asked");
            }
            t.on_step = NULL;
            train_in(f, f->m, d, name, &t, lost ? "\"resumed_after\":0" : "\"resumed_after\":3");
            assert_same_result(f, names[0], name);
            char *before = describe(f);
            train_in(f, f->m, d, name, &t, "\"already_done\":true");
            char *after = describe(f);
            assert_string_equal(before, after);
            agon_text_free(before);
            agon_text_free(after);
        }
        t.overwrite = true;
        train_in(f, f->m, d, names[2], &t, "\"already_done\":false"); /* anew: from where it began */
        assert_same_result(f, names[0], names[2]);
        t.overwrite = false;
        train_in(f, f->m, d, names[3], &t, "\"already_done\":false"); /* another training goes on from there */
        refuse_in(f, f->m, d, names[0], &t, AGON_EINVAL, "open the model again");
        agon_dataset_free(d);
        open_anew(f);
    }
}

/* What began with weights in memory has them in its checkpoint only. */
static void trainings__after_another_go_on_from_a_checkpoint_only(void **state) {
    fixture *f = *state;
    agon_train_options t = all_weights();
    stop x = {2, AGON_EINTERRUPTED};
    t.arg = &x;
    agon_dataset *first = open_rows(f, "sft", sft_rows), *second = open_rows(f, "bt", bt_rows);
    t.max_steps = 4;
    for (int i = 0; i < 2; i++) {
        train_in(f, f->m, first, i ? "first" : "whole-first", &t, "\"steps\":4");
        t.on_step = i ? stop_at : NULL;
        if (i)
            refuse_in(f, f->m, second, "second", &t, AGON_EINTERRUPTED, "");
        t.on_step = NULL;
        train_in(f, f->m, second, i ? "second" : "whole-second", &t, i ? "\"resumed_after\":2" : "\"resumed_after\":0");
        if (i == 0)
            open_anew(f);
    }
    assert_same_result(f, "whole-second", "second");
    t.on_step = stop_at;
    x = (stop){2, AGON_EINVAL};
    refuse_in(f, f->m, first, "third", &t, AGON_EINVAL, "as on_step asked");
    t.on_step = NULL;
    for (int i = 0; i < 2; i++) {
        t.overwrite = i;
        refuse_in(f, f->m, first, "third", &t, AGON_EINVAL, "open the model again");
    }
    agon_dataset_free(first);
    agon_dataset_free(second);
}

/* The same file is other tokens in another chat template; a folder of an earlier version does not say which. */
static void trainings__are_told_apart_by_their_tokens(void **state) {
    fixture *f = *state;
    agon_train_options t = all_weights();
    agon_dataset *of[2] = {NULL};
    agon_tokenizer *other = NULL;
    char path[256], command[600];
    t.lora_rank = 2;
    of[0] = open_rows(f, "sft", "{\"messages\":[{\"role\":\"user\",\"content\":\"one\"},{\"role\":\"assistant\",\"content\":\"two\"}]}\n");
    assert_ok(f->ctx, agon_tokenizer_open(f->ctx, f->model, "zephyr", &other));
    snprintf(path, sizeof path, "%s/sft.jsonl", f->folder.path);
    assert_ok(f->ctx, agon_dataset_open(f->ctx, other, path, "sft", 0, &of[1]));
    train_in(f, f->m, of[0], "told", &t, "\"already_done\":false");
    refuse_in(f, f->m, of[1], "told", &t, AGON_EINVAL, "on other tokens of the same data");
    train_in(f, f->m, of[0], "told", &t, "\"already_done\":true");
    snprintf(command, sizeof command, "sed -i '/^  \"tokens\": /d' %s/told/training.json && ! grep -q '\"tokens\"' %s/told/training.json", f->folder.path,
             f->folder.path);
    assert_int_equal(system(command), 0);
    train_in(f, f->m, of[0], "told", &t, "\"already_done\":true");
    for (int i = 0; i < 2; i++)
        agon_dataset_free(of[i]);
    agon_tokenizer_free(other);
}

/* Random numbers for rewards are worse than none. */
static void models__have_a_reward_head_only_after_it_was_trained(void **state) {
    fixture *f = *state;
    char output[128], *summary = NULL;
    int32_t token = 1;
    stop stops[] = {{1, AGON_EINVAL}, {1, AGON_EINTERRUPTED}};
    const agon_score_request request = {.completion = &token, .n_completion = 1};
    agon_reward_result result;
    agon_train_options t = all_weights();
    agon_model *others[2] = {NULL};
    agon_dataset *d = open_rows(f, "bt", bt_rows);
    for (int i = 0; i < 2; i++)
        assert_ok(f->ctx, agon_model_open(f->ctx, f->model, NULL, &others[i]));
    assert_false(agon_has_reward(f->m, NULL));
    assert_int_equal(agon_train(f->ctx, f->m, d, f->folder.path, &t, NULL), AGON_EINVAL); /* it holds the rows' file */
    assert_false(agon_has_reward(f->m, NULL));
    t.on_step = stop_at;
    for (int i = 0; i < 2; i++) {
        t.arg = &stops[i];
        assert_int_equal(agon_train(f->ctx, f->m, d, output_in(f, i ? "interrupted" : "refused", output), &t, NULL), stops[i].status);
        assert_false(agon_has_reward(f->m, NULL));
    }
    t.on_step = NULL;
    output_in(f, "trained", output);
    assert_ok(f->ctx, agon_train(f->ctx, others[0], d, output, &t, NULL));
    assert_true(agon_has_reward(others[0], NULL));
    assert_ok(f->ctx, agon_reward(f->ctx, others[0], NULL, &request, 1, &result));
    agon_reward_result_free(&result);
    assert_ok(f->ctx, agon_train(f->ctx, others[1], d, output, &t, &summary));
    assert_non_null(strstr(summary, "\"already_done\":true"));
    agon_text_free(summary);
    assert_false(agon_has_reward(others[1], NULL));
    assert_int_equal(agon_reward(f->ctx, others[1], NULL, &request, 1, &result), AGON_EINVAL);
    for (int i = 0; i < 2; i++)
        agon_model_free(others[i]);
    agon_dataset_free(d);
}

/* What adapters say of themselves. */
static void adapters__tell_their_head_and_dimensions(void **state) {
    fixture *f = *state;
    static const char *const names[] = {"helpful", "harmless"};
    char output[128], path[256];
    int32_t token = 1, strange = 1 << 30;
    const agon_score_request asked[] = {{.completion = &token, .n_completion = 1}, {.prompt = &token, .n_prompt = 1, .completion = &strange, .n_completion = 1}},
                             nothing = {.prompt = &token, .n_prompt = 1};
    agon_reward_result results[2];
    agon_adapter *rewards = NULL, *of_two = NULL;
    agon_train_options t = all_weights();
    t.lora_rank = 2;
    agon_dataset *d = open_rows(f, "bt", bt_rows);
    train_in(f, f->m, d, "rewards", &t, "\"peft\"");
    agon_dataset_free(d);
    assert_ok(f->ctx, agon_adapter_open(f->ctx, f->m, output_in(f, "rewards", output), &rewards));
    assert_false(agon_has_reward(f->m, NULL));
    assert_true(agon_has_reward(f->m, rewards));
    assert_int_equal(agon_adapter_n_dimensions(rewards), 0);
    assert_null(agon_adapter_dimension(rewards, 0));
    assert_ok(f->ctx, agon_reward(f->ctx, f->m, rewards, asked, 1, results));
    agon_reward_result_free(&results[0]);
    assert_int_equal(agon_reward(f->ctx, f->m, rewards, asked, 2, results), AGON_EINVAL);
    assert_non_null(strstr(agon_error(f->ctx), "request 2: token 1, id 1073741824, is not in the vocabulary"));
    assert_int_equal(agon_reward(f->ctx, f->m, rewards, &nothing, 1, results), AGON_EINVAL);
    assert_string_equal(agon_error(f->ctx), "there is no completion to reward");

    agon_dataset_options read = agon_dataset_options_default();
    read.dimensions = names;
    read.n_dimensions = 2;
    agon_dataset_free(open_rows(f, "sft", "{\"prompt\":\"one\",\"completion\":\"two\",\"dimension\":\"helpful\"}\n"
                                          "{\"prompt\":\"two\",\"completion\":\"three\",\"dimension\":\"harmless\"}\n"));
    snprintf(path, sizeof path, "%s/sft.jsonl", f->folder.path);
    assert_ok(f->ctx, agon_dataset_open_with(f->ctx, f->tokenizer, path, "sft", &read, &d));
    t.vectors = 1;
    t.batch_rows = 2;
    train_in(f, f->m, d, "of-two", &t, "\"peft\"");
    agon_dataset_free(d);
    assert_ok(f->ctx, agon_adapter_open(f->ctx, f->m, output_in(f, "of-two", output), &of_two));
    assert_false(agon_has_reward(f->m, of_two));
    assert_int_equal(agon_adapter_n_dimensions(of_two), 2);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(agon_adapter_dimension(of_two, i), names[i]);
    assert_null(agon_adapter_dimension(of_two, 2));
    agon_adapter_free(rewards);
    agon_adapter_free(of_two);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(trainings__what_cannot_be_written_is_not_trained, setup, teardown),
        cmocka_unit_test_setup_teardown(trainings__with_a_head_follow_those_without, setup, teardown),
        cmocka_unit_test_setup_teardown(trainings__of_all_weights_go_on_with_the_model_they_left, setup, teardown),
        cmocka_unit_test_setup_teardown(trainings__after_another_go_on_from_a_checkpoint_only, setup, teardown),
        cmocka_unit_test_setup_teardown(trainings__are_told_apart_by_their_tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(models__have_a_reward_head_only_after_it_was_trained, setup, teardown),
        cmocka_unit_test_setup_teardown(adapters__tell_their_head_and_dimensions, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
