/* Several trainings with one model: what it holds between them. */
#include "test.h"
#include <unistd.h>

typedef struct fixture {
    agon_ctx *ctx;
    char model[2048], folder[64];
    agon_model *m; /* opened anew for each test */
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = test_ctx(1, NULL);
    golden_path(f->model, "tiny-text.gguf");
    strcpy(f->folder, "/tmp/agon-trainings-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    assert_ok(f->ctx, agon_model_open(f->ctx, f->model, NULL, &f->m));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", f->folder);
    assert_int_equal(system(command), 0);
    agon_model_free(f->m);
    agon_ctx_free(f->ctx);
    free(f);
    return 0;
}

static const char sft_rows[] = "{\"prompt\":\"one\",\"completion\":\"two\"}\n{\"prompt\":\"two\",\"completion\":\"three\"}\n"
                               "{\"prompt\":\"three\",\"completion\":\"four\"}\n",
                  bt_rows[] = "{\"prompt\":\"one\",\"chosen\":\"two\",\"rejected\":\"ten\"}\n{\"prompt\":\"two\",\"chosen\":\"three\",\"rejected\":\"one\"}\n",
                  ppo_rows[] = "{\"prompt\":\"one\",\"completion\":\"two\",\"reward\":1}\n{\"prompt\":\"two\",\"completion\":\"three\",\"reward\":0}\n";

static agon_dataset *open_rows(const fixture *f, const agon_model *m, const char *objective, const char *rows) {
    char path[128];
    agon_dataset *d = NULL;
    snprintf(path, sizeof path, "%s/%s.jsonl", f->folder, objective);
    FILE *file = fopen(path, "w");
    fputs(rows, file);
    fclose(file);
    assert_ok(f->ctx, agon_dataset_open(f->ctx, agon_model_tokenizer(m), path, objective, 0, &d));
    return d;
}

static const char *output_in(const fixture *f, const char *name, char out[128]) {
    snprintf(out, 128, "%s/%s", f->folder, name);
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
    static const struct {
        const char *objective, *rows;
    } trainings[] = {{"sft", sft_rows}, {"bt", bt_rows}, {"ppo", ppo_rows}, {"sft", sft_rows}};
    const agon_train_options t = all_weights();
    for (size_t i = 0; i < sizeof trainings / sizeof *trainings; i++) {
        char output[128], name[16];
        agon_dataset *d = open_rows(f, f->m, trainings[i].objective, trainings[i].rows);
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

static agon_status stop_with_status(void *arg, const agon_train_progress *p) {
    return p->step == 1 ? *(const agon_status *)arg : AGON_OK;
}

/* Random numbers for rewards are worse than none. */
static void models__have_a_reward_head_only_after_it_was_trained(void **state) {
    fixture *f = *state;
    char output[128], *summary = NULL;
    int32_t token = 1;
    agon_status stops[] = {AGON_EINVAL, AGON_EINTERRUPTED};
    const agon_score_request request = {.completion = &token, .n_completion = 1};
    agon_reward_result result;
    agon_train_options t = all_weights();
    agon_model *others[2] = {NULL};
    agon_dataset *d = open_rows(f, f->m, "bt", bt_rows);
    for (int i = 0; i < 2; i++)
        assert_ok(f->ctx, agon_model_open(f->ctx, f->model, NULL, &others[i]));
    assert_false(agon_has_reward(f->m, NULL));
    assert_int_equal(agon_train(f->ctx, f->m, d, f->folder, &t, NULL), AGON_EINVAL); /* it holds the rows' file */
    assert_false(agon_has_reward(f->m, NULL));
    t.on_step = stop_with_status;
    for (int i = 0; i < 2; i++) {
        t.arg = &stops[i];
        assert_int_equal(agon_train(f->ctx, f->m, d, output_in(f, i ? "interrupted" : "refused", output), &t, NULL), stops[i]);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(trainings__with_a_head_follow_those_without, setup, teardown),
        cmocka_unit_test_setup_teardown(models__have_a_reward_head_only_after_it_was_trained, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
