/* The record of online training is whole, wherever a run ends between two of its writes. */
#include "base/file.h"
#include "base/json.h"
#include "model/weights.h"
#include "test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { N_ROUNDS = 5, BROKEN = 3 };

typedef struct fixture {
    agon_ctx *ctx;
    agon_model *m;
    char folder[64];
    size_t n_told;
    bool overwrite;
    const char *broken; /* the file that the round BROKEN cannot write; NULL: none */
} fixture;

static void path_of(const fixture *f, const char *name, const char *ending, char out[256]) {
    snprintf(out, 256, "%s/%s%s", f->folder, name, ending);
}

/* Before the round BROKEN: a folder in the file's place, which no write replaces. */
static void on_round(void *arg, const char *json) {
    fixture *f = arg;
    char path[256], kept[256];
    assert_non_null(strstr(json, "\"reward_std\""));
    if (++f->n_told != BROKEN - 1 || !f->broken)
        return;
    path_of(f, f->broken, "", path);
    path_of(f, f->broken, ".kept", kept);
    assert_int_equal(rename(path, kept), 0);
    assert_int_equal(mkdir(path, 0700), 0);
}

static agon_status train(fixture *f, const char *objective, char **summary) {
    static const char *const cells[] = {"arithmetic"}, *const settings[] = {"beta=0.05"};
    agon_train_options t = agon_train_options_default();
    agon_online_options o = agon_online_options_default();
    bool ppo = strcmp(objective, "ppo") == 0;
    t.lora_rank = 2;
    t.overwrite = f->overwrite;
    t.batch_rows = 4;
    t.settings = settings;
    t.n_settings = ppo ? 1 : 0;
    o.cells = cells;
    o.n_cells = 1;
    o.rounds = N_ROUNDS;
    o.prompts = o.samples = 2;
    o.max_tokens = 4;
    o.kl_target = 0.01;
    o.kl_horizon = ppo ? 20 : 0;
    o.on_round = on_round;
    o.arg = f;
    return agon_train_online(f->ctx, f->m, objective, f->folder, &t, &o, summary);
}

/* What online.json holds, without the folder's name. */
static char *record(const fixture *f) {
    char path[256];
    json_t *j = NULL;
    path_of(f, "online.json", "", path);
    assert_ok(f->ctx, json_read_file(f->ctx, path, &j));
    assert_int_equal(json_array_size(json_object_get(j, "rounds")), N_ROUNDS);
    json_object_del(json_object_get(j, "summary"), "output");
    char *text = json_dumps(j, JSON_SORT_KEYS | JSON_INDENT(1));
    json_decref(j);
    return text;
}

static void begin(fixture *f, const char *broken) {
    strcpy(f->folder, "/tmp/agon-record-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->n_told = 0;
    f->overwrite = false;
    f->broken = broken;
}

static void end(fixture *f) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    assert_int_equal(system(command), 0);
}

static void record__is_the_same_wherever_it_was_cut(void **state) {
    fixture *f = *state;
    static const char *const objectives[] = {"spin", "ppo"}, *const files[] = {"online.json", "state.bin"};
    for (int i = 0; i < 2; i++) {
        begin(f, NULL);
        assert_ok(f->ctx, train(f, objectives[i], NULL));
        char *whole = record(f);
        end(f);
        for (int k = 0; k < 2; k++) {
            char path[256], kept[256], left[256], *summary = NULL;
            begin(f, files[k]);
            assert_int_equal(train(f, objectives[i], NULL), AGON_EINVAL);
            assert_int_equal(f->n_told, BROKEN - 1); /* nobody was told of a round that is lost */
            path_of(f, files[k], "", path);
            path_of(f, files[k], ".kept", kept);
            assert_int_equal(rmdir(path), 0);
            assert_int_equal(rename(kept, path), 0);
            path_of(f, "state.bin", ".tmp-agonabcdef", left);
            assert_ok(f->ctx, file_write(f->ctx, left, "half", 4));
            f->broken = NULL;
            assert_ok(f->ctx, train(f, objectives[i], &summary));
            assert_non_null(strstr(summary, "\"resumed_after\":2"));
            assert_false(file_exists(left));
            free(summary);
            char *cut = record(f);
            assert_string_equal(cut, whole);
            /* Killed after "done", before the state is taken away. */
            path_of(f, "state.bin", "", path);
            assert_ok(f->ctx, file_write(f->ctx, path, "old", 3));
            assert_ok(f->ctx, train(f, objectives[i], &summary));
            assert_non_null(strstr(summary, "\"already_done\":true"));
            assert_non_null(strstr(summary, "\"resumed_after\":5"));
            assert_false(file_exists(path));
            free(summary);
            free(cut);
            end(f);
        }
        free(whole);
    }
}

/* A state whose record is gone is nobody's: it is neither gone on from nor deleted. */
static void record__does_not_take_a_state_without_it(void **state) {
    fixture *f = *state;
    char path[256], *summary = NULL;
    begin(f, "state.bin");
    assert_int_equal(train(f, "spin", NULL), AGON_EINVAL);
    path_of(f, "state.bin", "", path);
    assert_int_equal(rmdir(path), 0);
    path_of(f, "online.json", "", path);
    assert_int_equal(unlink(path), 0);
    char kept[256];
    path_of(f, "state.bin", ".kept", kept);
    path_of(f, "state.bin", "", path);
    assert_int_equal(rename(kept, path), 0);
    f->broken = NULL;
    assert_int_equal(train(f, "spin", NULL), AGON_EINVAL);
    assert_non_null(strstr(agon_error(f->ctx), "has state.bin of no online training"));
    assert_int_equal(unlink(path), 0);
    assert_ok(f->ctx, train(f, "spin", &summary));
    assert_non_null(strstr(summary, "\"resumed_after\":0"));
    free(summary);
    free(record(f));
    end(f);
}

static bool has(const fixture *f, const char *name) {
    char path[256];
    path_of(f, name, "", path);
    return file_exists(path);
}

/* Files of these names that somebody else made stay, whatever is asked. */
static void record__leaves_strange_files(void **state) {
    fixture *f = *state;
    static const char *const names[] = {"state.bin", "rewards.json"};
    for (int i = 0; i < 4; i++) {
        char path[256], says[64];
        begin(f, NULL);
        path_of(f, names[i / 2], "", path);
        snprintf(says, sizeof says, "has %s of no online training", names[i / 2]);
        assert_ok(f->ctx, file_write(f->ctx, path, "mine", 4));
        f->overwrite = i % 2;
        assert_int_equal(train(f, "spin", NULL), AGON_EINVAL);
        assert_non_null(strstr(agon_error(f->ctx), says));
        assert_true(has(f, names[i / 2]) && !has(f, "online.json"));
        end(f);
    }
}

/* Another chat template is another training. Older records do not tell it. */
static void record__knows_its_chat_template(void **state) {
    fixture *f = *state;
    agon_model *own = f->m;
    char path[2048], record[256], *summary = NULL;
    json_t *j = NULL;
    begin(f, NULL);
    for (int i = 0; i < 2; i++) {
        const agon_model_options o = {.struct_size = sizeof o, .chat_template = i ? "tulu" : "zephyr"};
        golden_path(path, "tiny-text.gguf");
        assert_ok(f->ctx, agon_model_open(f->ctx, path, &o, &f->m));
        assert_int_equal(train(f, "spin", NULL), i ? AGON_EINVAL : AGON_OK);
        if (i)
            assert_non_null(strstr(agon_error(f->ctx), "by another chat template or tokenizer"));
        else
            agon_model_free(f->m);
    }
    path_of(f, "online.json", "", record);
    assert_ok(f->ctx, json_read_file(f->ctx, record, &j));
    assert_int_equal(json_object_del(j, "tokens"), 0);
    char *text = json_dumps(j, 0);
    assert_ok(f->ctx, file_write(f->ctx, record, text, strlen(text)));
    assert_ok(f->ctx, train(f, "spin", &summary));
    assert_non_null(strstr(summary, "\"already_done\":true"));
    free(summary);
    free(text);
    json_decref(j);
    agon_model_free(f->m);
    f->m = own;
    end(f);
}

/* Weights of which one bit is another are another training, which changes nothing of this one. */
static void record__knows_its_base(void **state) {
    fixture *f = *state;
    agon_model *own = f->m;
    char path[2048], kept[256], other[256], *bytes = NULL, *summary = NULL;
    size_t n = 0;
    begin(f, "state.bin");
    assert_int_equal(train(f, "spin", NULL), AGON_EINVAL);
    path_of(f, "state.bin", "", path);
    path_of(f, "state.bin", ".kept", kept);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rename(kept, path), 0);
    f->broken = NULL;
    golden_path(path, "tiny-text.gguf");
    assert_ok(f->ctx, file_read(f->ctx, path, (size_t)1 << 30, &bytes, &n));
    bytes[n - 4] ^= 1;
    snprintf(other, sizeof other, "%s.gguf", f->folder);
    assert_ok(f->ctx, file_write(f->ctx, other, bytes, n));
    assert_ok(f->ctx, agon_model_open(f->ctx, other, NULL, &f->m));
    assert_int_equal(train(f, "spin", NULL), AGON_EINVAL);
    assert_non_null(strstr(agon_error(f->ctx), "holds a training with base "));
    agon_model_free(f->m);
    f->m = own;
    assert_ok(f->ctx, train(f, "spin", &summary));
    assert_non_null(strstr(summary, "\"resumed_after\":2"));
    free(summary);
    free(bytes);
    assert_int_equal(unlink(other), 0);
    end(f);
}

/* ppo leaves a value head beside its adapter, which is none of the next training's. */
static void record__begun_over_leaves_nothing_of_the_earlier_result(void **state) {
    fixture *f = *state;
    begin(f, NULL);
    assert_ok(f->ctx, train(f, "ppo", NULL));
    assert_true(has(f, "model.safetensors"));
    f->overwrite = true;
    assert_int_equal(train(f, "sft", NULL), AGON_EINVAL); /* learns from no samples: the result stays */
    assert_true(has(f, "adapter_config.json") && has(f, "model.safetensors"));
    f->n_told = 0;
    assert_ok(f->ctx, train(f, "grpo", NULL));
    assert_false(has(f, "model.safetensors"));
    peft_info info;
    weights *w = NULL;
    assert_ok(f->ctx, peft_open(f->ctx, f->folder, &info, &w));
    assert_int_equal(info.heads, 0);
    weights_free(w);
    end(f);
}

/* A file of no training would be taken for a part of the result. */
static void record__is_not_begun_beside_another_result(void **state) {
    fixture *f = *state;
    char path[256];
    begin(f, NULL);
    path_of(f, "model.safetensors", "", path);
    assert_ok(f->ctx, file_write(f->ctx, path, "other", 5));
    for (int i = 0; i < 2; i++) {
        f->overwrite = i;
        assert_int_equal(train(f, "spin", NULL), AGON_EINVAL);
        assert_non_null(strstr(agon_error(f->ctx), "holds an adapter or a model and no online training"));
        assert_true(has(f, "model.safetensors"));
    }
    end(f);
}

static int setup(void **state) {
    static fixture f;
    char path[2048];
    f.ctx = test_ctx(1, NULL);
    golden_path(path, "tiny-text.gguf");
    assert_ok(f.ctx, agon_model_open(f.ctx, path, NULL, &f.m));
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    agon_model_free(f->m);
    agon_ctx_free(f->ctx);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record__is_the_same_wherever_it_was_cut),
        cmocka_unit_test(record__does_not_take_a_state_without_it),
        cmocka_unit_test(record__leaves_strange_files),
        cmocka_unit_test(record__knows_its_chat_template),
        cmocka_unit_test(record__knows_its_base),
        cmocka_unit_test(record__begun_over_leaves_nothing_of_the_earlier_result),
        cmocka_unit_test(record__is_not_begun_beside_another_result),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
