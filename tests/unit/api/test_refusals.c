/* What a program may get wrong in a call: each is AGON_EINVAL with a sentence that names it, whatever the struct, the path or the number. */
#include "weights_fixtures.h"
#include <math.h>
#include <stdint.h>

static void assert_same_file(const char *a, const char *b, const char *name) {
    char path[2][256], bytes[2][65536];
    size_t n[2];
    snprintf(path[0], sizeof path[0], "%s/%s", a, name);
    snprintf(path[1], sizeof path[1], "%s/%s", b, name);
    for (int i = 0; i < 2; i++) {
        FILE *file = fopen(path[i], "rb");
        assert_non_null(file);
        n[i] = fread(bytes[i], 1, sizeof bytes[i], file);
        fclose(file);
    }
    assert_true(n[0] > 0 && n[0] == n[1]);
    assert_memory_equal(bytes[0], bytes[1], n[0]);
}

typedef struct fixture {
    agon_ctx *ctx;
    agon_model *m;
    agon_dataset *d;
    fixture_folder folder;
    char path[80], output[80];
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    char model[2048];
    f->ctx = test_ctx(1, NULL);
    golden_path(model, "tiny-text.gguf");
    assert_ok(f->ctx, agon_model_open(f->ctx, model, NULL, &f->m));
    f->folder = fixture_folder_new();
    snprintf(f->path, sizeof f->path, "%s/rows.jsonl", f->folder.path);
    snprintf(f->output, sizeof f->output, "%s/output", f->folder.path);
    FILE *file = fopen(f->path, "w");
    fputs("{\"prompt\":\"one\",\"completion\":\"two\"}\n{\"prompt\":\"two\",\"completion\":\"three\"}\n", file);
    fclose(file);
    assert_ok(f->ctx, agon_dataset_open(f->ctx, agon_model_tokenizer(f->m), f->path, "sft", 0, &f->d));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    fixture_remove(&f->folder);
    agon_dataset_free(f->d);
    agon_model_free(f->m);
    agon_ctx_free(f->ctx);
    free(f);
    return 0;
}

#define refused(call, words)                                                                          \
    do {                                                                                              \
        assert_int_equal(call, AGON_EINVAL);                                                          \
        if (!strstr(agon_error(f->ctx), words))                                                       \
            fail_msg("'%s' does not say '%s'", agon_error(f->ctx), words);                            \
    } while (0)

static void contexts__of_impossible_options_are_refused(void **state) {
    (void)state;
    static const struct {
        size_t struct_size;
        int n_threads;
        const char *words;
    } cases[] = {{sizeof(agon_ctx_options), 1000000, "n_threads is 1000000; it must be from 1 to 1024"},
                 {sizeof(agon_ctx_options), -5, "n_threads is -5"},
                 {0, 1, "struct_size is 0"},
                 {9999, 1, "struct_size is 9999"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        agon_ctx_options o = agon_ctx_options_default();
        agon_ctx *ctx = NULL;
        char reason[256];
        o.struct_size = cases[i].struct_size;
        o.n_threads = cases[i].n_threads;
        assert_int_equal(agon_ctx_new(&o, &ctx, reason, sizeof reason), AGON_EINVAL);
        if (!strstr(reason, cases[i].words))
            fail_msg("'%s' does not say '%s'", reason, cases[i].words);
        assert_int_equal(agon_ctx_new(&o, &ctx, NULL, sizeof reason), AGON_EINVAL);
        assert_null(ctx);
    }
}

static void paths__that_are_not_given_are_refused(void **state) {
    fixture *f = *state;
    agon_model *m = NULL;
    agon_tokenizer *t = NULL;
    agon_dataset *d = NULL;
    char *text = NULL;
    const agon_tokenizer *own = agon_model_tokenizer(f->m);
    refused(agon_model_open(f->ctx, NULL, NULL, &m), "the model's path is NULL");
    refused(agon_tokenizer_open(f->ctx, NULL, NULL, &t), "the tokenizer's path is NULL");
    refused(agon_dataset_open(f->ctx, own, NULL, "sft", 0, &d), "the path of the data is NULL");
    refused(agon_dataset_open(f->ctx, own, f->path, NULL, 0, &d), "the objective is NULL");
    refused(agon_run(f->ctx, NULL, NULL, &text), "NULL");
    refused(agon_run_workspace(f->ctx, NULL, &text), "the run file is NULL");
    refused(agon_experiment(f->ctx, NULL, NULL, &text), "the experiment's file is NULL");
    refused(agon_import(f->ctx, NULL, NULL, &text), "the path to import is NULL");
    refused(agon_data_convert(f->ctx, NULL, NULL, f->output, false, &text), "the file to convert is NULL");
    refused(agon_data_convert(f->ctx, f->path, NULL, NULL, false, &text), "NULL");
    refused(agon_train(f->ctx, f->m, f->d, NULL, NULL, &text), "NULL");
    refused(agon_train_online(f->ctx, f->m, NULL, f->output, NULL, NULL, &text), "the objective is NULL");
    refused(agon_loss_json(f->ctx, NULL, NULL, 0, "{}", 2, &text), "the objective is NULL");
    const char *const no_settings[] = {NULL};
    refused(agon_loss_json(f->ctx, "dpo", no_settings, 1, "{}", 2, &text), "write NAME=VALUE");
    refused(agon_show_json(f->ctx, f->output, NULL, &text), "the id is NULL");
    refused(agon_why_json(f->ctx, f->output, NULL, &text), "the id is NULL");
    refused(agon_bench(f->ctx, NULL, NULL, &text), "the group of kernels is NULL");
    refused(agon_export(f->ctx, f->m, NULL, NULL, NULL, f->output, &text), "the format is NULL");
    refused(agon_export(f->ctx, f->m, NULL, "hf", NULL, NULL, &text), "the path is NULL");
    agon_adapter *a = NULL;
    refused(agon_adapter_open(f->ctx, f->m, "", &a), "the adapter's folder is an empty text");
    size_t n_text = 0;
    refused(agon_detokenize(f->ctx, agon_model_tokenizer(f->m), (const int32_t[]){1, -5}, 2, true, &text, &n_text), "token 2, id -5, is not in the vocabulary");
    refused(agon_detokenize(f->ctx, agon_model_tokenizer(f->m), (const int32_t[]){1 << 30}, 1, true, &text, &n_text), "token 1, id 1073741824, is not");
    assert_string_equal(agon_version(), AGON_VERSION);
    agon_completion out;
    const agon_generate_request nothing = {.n_prompt = 3, .n_samples = 1};
    refused(agon_generate(f->ctx, f->m, &nothing, 1, NULL, &out), "neither a prompt nor a text");
    agon_sampling s = agon_sampling_default();
    s.n_stop = 1;
    const agon_generate_request no_stop = {.text = "a", .n_samples = 1, .sampling = &s};
    refused(agon_generate(f->ctx, f->m, &no_stop, 1, NULL, &out), "stop texts (stop) is NULL");
    const agon_train_options usual = agon_train_options_default();
    assert_int_equal(agon_train_n_steps(f->d, NULL), agon_train_n_steps(f->d, &usual));
    assert_true(agon_train_learning_rate(f->d, NULL) > 0);
}

static void options__of_another_struct_are_refused(void **state) {
    fixture *f = *state;
    agon_model_options o = agon_model_options_default();
    agon_model *m = NULL;
    const size_t sizes[] = {0, 9999};
    for (int i = 0; i < 2; i++) {
        o.struct_size = sizes[i];
        refused(agon_model_open(f->ctx, "nowhere", &o, &m), "agon_model_options: struct_size is ");
        agon_eval_options e = agon_eval_options_default();
        char *json = NULL;
        e.suite = "general";
        e.n = 1;
        e.struct_size = sizes[i];
        refused(agon_eval(f->ctx, f->m, NULL, NULL, NULL, &e, &json), "agon_eval_options: struct_size is ");
    }
}

/* Each request's number fits and their sum does not, and one by itself. */
static void samples__beyond_counting_are_refused(void **state) {
    fixture *f = *state;
    agon_completion out[1];
    agon_generate_request r[2] = {{.text = "a", .n_samples = SIZE_MAX}, {.text = "a", .n_samples = 2}};
    refused(agon_generate(f->ctx, f->m, r, 1, NULL, out), "18446744073709551615 samples are asked for");
    r[0].n_samples = 1;
    r[1].n_samples = SIZE_MAX;
    refused(agon_generate(f->ctx, f->m, r, 2, NULL, out), "request 2: 18446744073709551615 samples are asked for");
    agon_train_options t = agon_train_options_default();
    agon_online_options o = agon_online_options_default();
    t.lora_rank = 2;
    char rounds[96];
    snprintf(rounds, sizeof rounds, "%s/rounds", f->folder.path);
    o.prompts = SIZE_MAX;
    refused(agon_train_online(f->ctx, f->m, "grpo", rounds, &t, &o, NULL), "prompts is more than 16777216 samples");
    o.prompts = 4;
    o.samples = SIZE_MAX / 8;
    refused(agon_train_online(f->ctx, f->m, "grpo", rounds, &t, &o, NULL), "more than 16777216 samples");
}

static void trainings__name_the_number_they_cannot_have(void **state) {
    fixture *f = *state;
    agon_train_options t;
    agon_online_options o = agon_online_options_default();
    const struct {
        const char *name;
        double *at, value;
    } cases[] = {{"clip_norm", &t.clip_norm, NAN}, {"warmup", &t.warmup, NAN}, {"weight_decay", &t.weight_decay, NAN},
                 {"lora_alpha", &t.lora_alpha, NAN}, {"temperature", &t.temperature, NAN}, {"learning_rate", &t.learning_rate, INFINITY},
                 {"beta1", &t.beta1, NAN}, {"eps", &t.eps, INFINITY}, {"small_loss", &t.small_loss, NAN}, {"clip_norm", &t.clip_norm, -1},
                 {"lora_alpha", &t.lora_alpha, 1e200}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char words[64];
        agon_memory memory;
        snprintf(words, sizeof words, "%s is ", cases[i].name);
        t = agon_train_options_default();
        t.lora_rank = 2;
        *cases[i].at = cases[i].value;
        refused(agon_train(f->ctx, f->m, f->d, f->output, &t, NULL), words);
        refused(agon_train_memory(f->ctx, f->m, f->d, &t, &memory), words);
        refused(agon_train_online(f->ctx, f->m, "grpo", f->output, &t, &o, NULL), words);
        assert_int_not_equal(access(f->output, F_OK), 0);
    }
    t = agon_train_options_default();
    t.lora_rank = 2;
    t.must_resume = t.overwrite = true;
    refused(agon_train(f->ctx, f->m, f->d, f->output, &t, NULL), "(must_resume) cannot start anew (overwrite)");
    refused(agon_train_online(f->ctx, f->m, "grpo", f->output, &t, &o, NULL), "(must_resume) cannot start anew (overwrite)");
    assert_int_not_equal(access(f->output, F_OK), 0);
    t.must_resume = t.overwrite = false;
    const struct {
        const char *name;
        double *at;
    } rounds[] = {{"no_end_penalty", &o.no_end_penalty}, {"kl_target", &o.kl_target}, {"kl_horizon", &o.kl_horizon},
                  {"span_reward", &o.span_reward}, {"ensemble_strength", &o.ensemble_strength}, {"rso_beta", &o.rso_beta},
                  {"judge_timeout", &o.judge_timeout}, {"pass_reward", &o.pass_reward}};
    for (size_t i = 0; i < sizeof rounds / sizeof *rounds; i++) {
        o = agon_online_options_default();
        *rounds[i].at = NAN;
        refused(agon_train_online(f->ctx, f->m, "grpo", f->output, &t, &o, NULL), rounds[i].name);
    }
    /* The learning rate that is left to the library is NAN, and trains. */
    t.max_steps = 1;
    assert_true(isnan(t.learning_rate));
    assert_ok(f->ctx, agon_train(f->ctx, f->m, f->d, f->output, &t, NULL));
}

/* A caller frees what it got, also after a failure. */
static void results__are_zero_after_any_refusal(void **state) {
    fixture *f = *state;
    int32_t token = 1, strange = 1 << 30;
    union {
        agon_score_result score;
        agon_reward_result reward;
        agon_completion answer;
        unsigned char bytes[256];
    } out, zero = {.bytes = {0}};
    const agon_score_request good = {.completion = &token, .n_completion = 1}, bad = {.completion = &strange, .n_completion = 1}, empty = {0};
    const agon_generate_request ask = {.prompt = &strange, .n_prompt = 1, .n_samples = 1};
    for (int i = 0; i < 5; i++) {
        memset(&out, 0xaa, sizeof out);
        agon_status s = i == 0   ? agon_score(f->ctx, f->m, NULL, &good, 1, -1, 0, &out.score)
                        : i == 1 ? agon_score(f->ctx, f->m, NULL, &bad, 1, 1, 0, &out.score)
                        : i == 2 ? agon_score(f->ctx, f->m, NULL, &empty, 1, 1, 0, &out.score)
                        : i == 3 ? agon_reward(f->ctx, f->m, NULL, &good, 1, &out.reward)
                                 : agon_generate(f->ctx, f->m, &ask, 1, NULL, &out.answer);
        assert_int_equal(s, AGON_EINVAL);
        assert_memory_equal(&out, &zero, i < 3 ? sizeof out.score : i == 3 ? sizeof out.reward : sizeof out.answer);
    }
}

typedef struct stop {
    size_t at;
    agon_status status;
} stop;

static agon_status stop_at(void *arg, const agon_train_progress *p) {
    const stop *s = arg;
    return p->step == s->at ? s->status : AGON_OK;
}

/* A program's own stop has a sentence, whatever was said before; AGON_EINTERRUPTED keeps the steps that were done. */
static void trainings__stop_where_on_step_asks(void **state) {
    fixture *f = *state;
    char output[96], checkpoint[128], whole[96], *text = NULL;
    snprintf(output, sizeof output, "%s/stopped", f->folder.path);
    snprintf(whole, sizeof whole, "%s/whole", f->folder.path);
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint.bin", output);
    agon_train_options t = agon_train_options_default();
    stop s = {2, AGON_EINVAL};
    t.lora_rank = 2;
    t.batch_rows = 1;
    t.max_steps = 4;
    t.on_step = stop_at;
    t.arg = &s;
    assert_int_equal(agon_train(f->ctx, f->m, f->d, output, &t, NULL), AGON_EINVAL);
    assert_string_equal(agon_error(f->ctx), "stopped after step 2, as on_step asked");
    assert_int_not_equal(access(checkpoint, F_OK), 0);
    s.status = AGON_EINTERRUPTED;
    refused(agon_train(f->ctx, f->m, f->d, NULL, NULL, NULL), "NULL");
    assert_int_equal(agon_train(f->ctx, f->m, f->d, output, &t, NULL), AGON_EINTERRUPTED);
    assert_string_equal(agon_error(f->ctx), "stopped after step 2, as on_step asked");
    assert_int_equal(access(checkpoint, F_OK), 0);
    s = (stop){3, AGON_EFORMAT}; /* not the checkpoint's fault */
    assert_int_equal(agon_train(f->ctx, f->m, f->d, output, &t, NULL), AGON_EFORMAT);
    assert_string_equal(agon_error(f->ctx), "stopped after step 3, as on_step asked");
    t.on_step = NULL;
    assert_ok(f->ctx, agon_train(f->ctx, f->m, f->d, output, &t, &text));
    assert_non_null(strstr(text, "\"resumed_after\":2"));
    agon_text_free(text);
    assert_ok(f->ctx, agon_train(f->ctx, f->m, f->d, whole, &t, &text));
    agon_text_free(text);
    assert_same_file(output, whole, "adapter_model.safetensors");
}

static void contexts__go_on_once_an_interruption_is_taken_back(void **state) {
    fixture *f = *state;
    agon_sampling s = agon_sampling_default();
    s.max_tokens = 1;
    const agon_generate_request r = {.text = "a", .n_samples = 1, .sampling = &s};
    agon_completion out;
    agon_interrupt(f->ctx);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(agon_generate(f->ctx, f->m, &r, 1, NULL, &out), AGON_EINTERRUPTED);
        agon_completion_free(&out); /* what it had begun */
    }
    agon_interrupt_clear(f->ctx);
    assert_ok(f->ctx, agon_generate(f->ctx, f->m, &r, 1, NULL, &out));
    agon_completion_free(&out);
}

/* Rows that were read under other settings than they are trained with, which needs what nobody asked of them. */
static void trainings__need_what_their_own_settings_say(void **state) {
    fixture *f = *state;
    static const char *const texts[] = {"{\"prompt\":\"one\",\"completion\":\"two\",\"label\":1}\n\n{\"prompt\":\"two\",\"completion\":\"one\",\"label\":0}\n",
                                        "{\"prompt\":\"one\",\"completion\":\"two\",\"reward\":1}\n\n{\"prompt\":\"two\",\"completion\":\"one\",\"reward\":0}\n"};
    static const char *const words[] = {"squared.jsonl:1: reward is missing; rm-pointwise needs it", "squared.jsonl:1: label is missing; rm-pointwise needs it"};
    static const char *const squared[] = {"squared=1"};
    char path[96], output[96];
    snprintf(path, sizeof path, "%s/squared.jsonl", f->folder.path);
    snprintf(output, sizeof output, "%s/squared", f->folder.path);
    for (int k = 0; k < 2; k++) { /* labels trained as rewards, and rewards as labels */
        agon_dataset_options read = agon_dataset_options_default();
        agon_train_options t = agon_train_options_default();
        agon_dataset *d = NULL;
        agon_memory memory;
        FILE *file = fopen(path, "w");
        fputs(texts[k], file);
        fclose(file);
        read.settings = squared, t.settings = squared;
        read.n_settings = (size_t)k, t.n_settings = (size_t)!k;
        t.lora_rank = 2, t.max_steps = 1;
        assert_ok(f->ctx, agon_dataset_open_with(f->ctx, agon_model_tokenizer(f->m), path, "rm-pointwise", &read, &d));
        refused(agon_train_memory(f->ctx, f->m, d, &t, &memory), words[k]);
        refused(agon_train(f->ctx, f->m, d, output, &t, NULL), words[k]);
        assert_int_not_equal(access(output, F_OK), 0);
        t.n_settings = (size_t)k;
        assert_ok(f->ctx, agon_train_memory(f->ctx, f->m, d, &t, &memory));
        agon_dataset_free(d);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results__are_zero_after_any_refusal),
        cmocka_unit_test(trainings__stop_where_on_step_asks),
        cmocka_unit_test(contexts__go_on_once_an_interruption_is_taken_back),
        cmocka_unit_test(contexts__of_impossible_options_are_refused),
        cmocka_unit_test(paths__that_are_not_given_are_refused),
        cmocka_unit_test(options__of_another_struct_are_refused),
        cmocka_unit_test(samples__beyond_counting_are_refused),
        cmocka_unit_test(trainings__name_the_number_they_cannot_have),
        cmocka_unit_test(trainings__need_what_their_own_settings_say),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
