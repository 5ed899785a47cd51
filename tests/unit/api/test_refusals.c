/* What a program may get wrong in a call: each is AGON_EINVAL with a sentence that names it, whatever the struct, the path or the number. */
#include "test.h"
#include <math.h>
#include <stdint.h>
#include <unistd.h>

typedef struct fixture {
    agon_ctx *ctx;
    agon_model *m;
    agon_dataset *d;
    char folder[64], path[80], output[80];
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    char model[2048];
    f->ctx = test_ctx(1, NULL);
    golden_path(model, "tiny-text.gguf");
    assert_ok(f->ctx, agon_model_open(f->ctx, model, NULL, &f->m));
    strcpy(f->folder, "/tmp/agon-refusals-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/rows.jsonl", f->folder);
    snprintf(f->output, sizeof f->output, "%s/output", f->folder);
    FILE *file = fopen(f->path, "w");
    fputs("{\"prompt\":\"one\",\"completion\":\"two\"}\n{\"prompt\":\"two\",\"completion\":\"three\"}\n", file);
    fclose(file);
    assert_ok(f->ctx, agon_dataset_open(f->ctx, agon_model_tokenizer(f->m), f->path, "sft", 0, &f->d));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", f->folder);
    assert_int_equal(system(command), 0);
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
}

static void models__of_another_struct_are_refused(void **state) {
    fixture *f = *state;
    agon_model_options o = agon_model_options_default();
    agon_model *m = NULL;
    const size_t sizes[] = {0, 9999};
    for (int i = 0; i < 2; i++) {
        o.struct_size = sizes[i];
        refused(agon_model_open(f->ctx, "nowhere", &o, &m), "agon_model_options: struct_size is ");
    }
}

/* Each request's number fits and their sum does not, and one by itself. */
static void samples__beyond_counting_are_refused(void **state) {
    fixture *f = *state;
    agon_completion out[1];
    agon_generate_request r[2] = {{.text = "a", .n_samples = SIZE_MAX}, {.text = "a", .n_samples = 2}};
    refused(agon_generate(f->ctx, f->m, r, 1, NULL, out), "request 1 asks for 18446744073709551615 samples");
    r[0].n_samples = 1;
    r[1].n_samples = SIZE_MAX;
    refused(agon_generate(f->ctx, f->m, r, 2, NULL, out), "request 2 asks for");
    agon_train_options t = agon_train_options_default();
    agon_online_options o = agon_online_options_default();
    t.lora_rank = 2;
    char rounds[96];
    snprintf(rounds, sizeof rounds, "%s/rounds", f->folder);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contexts__of_impossible_options_are_refused),
        cmocka_unit_test(paths__that_are_not_given_are_refused),
        cmocka_unit_test(models__of_another_struct_are_refused),
        cmocka_unit_test(samples__beyond_counting_are_refused),
        cmocka_unit_test(trainings__name_the_number_they_cannot_have),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
