/* What the fuzz targets of a training's folder do with one input: training.json or online.json as something else left it, beside the files
 * that belong to it. test_training_corpus.c runs the same functions over the kept corpus and its mutations, without a fuzzer. */
#ifndef TESTS_FUZZ_TRAINING_TARGETS_H
#define TESTS_FUZZ_TRAINING_TARGETS_H

#include "agon.h"
#include "base/file.h"
#include "fuzz_check.h"
#include <ftw.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the trainings ------------------------------------------------------------------------------------------ */

enum { FOLDER_STEPS = 3, FOLDER_MOST_FILES = 6 };

/* What is called, and where an earlier call was stopped: after a step or round, or (0) not at all. */
typedef struct folder_kind {
    const char *manifest;
    size_t stop_at;
    bool validates, team;
} folder_kind;

typedef struct folder_state {
    char *names[FOLDER_MOST_FILES], *data[FOLDER_MOST_FILES];
    size_t n[FOLDER_MOST_FILES], n_files;
} folder_state;

/* The call, its folder's state as it was stopped and as it ends undisturbed. */
typedef struct folder_case {
    folder_state left, whole;
    size_t stop_at;
    agon_ctx *ctx;
    bool ready;
} folder_case;

static inline void folder_path(char out[300], const char *base, const char *name) {
    FUZZ_CHECK(snprintf(out, 300, "%s/%s", base, name) < 300, "%s", name);
}

static inline int folder_remove_one(const char *path, const struct stat *st, int type, struct FTW *f) {
    (void)st, (void)type, (void)f;
    return remove(path);
}

static inline void folder_write(const char *base, const char *name, const void *data, size_t n) {
    char path[300];
    folder_path(path, base, name);
    FILE *f = fopen(path, "wb");
    FUZZ_CHECK(f && fwrite(data, 1, n, f) == n && fclose(f) == 0, "%s", path);
}

static inline void folder_take(const char *base, folder_state *out) {
    static const char *const names[] = {"training.json", "online.json",  "checkpoint.bin", "best.bin", "state.bin", "adapter_model.safetensors",
                                        "a/adapter_model.safetensors"};
    char path[300];
    *out = (folder_state){0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        folder_path(path, base, names[i]);
        if (access(path, F_OK) != 0)
            continue;
        FUZZ_CHECK(out->n_files < FOLDER_MOST_FILES && file_read(NULL, path, 1 << 24, &out->data[out->n_files], &out->n[out->n_files]) == AGON_OK, "%s", path);
        out->names[out->n_files++] = (char *)(uintptr_t)names[i];
    }
}

static inline void folder_put(const char *base, const folder_state *state) {
    char path[300];
    for (size_t i = 0; i < state->n_files; i++) {
        if (strchr(state->names[i], '/')) {
            folder_path(path, base, "a");
            (void)mkdir(path, 0700);
        }
        folder_write(base, state->names[i], state->data[i], state->n[i]);
    }
}

static inline void folder_free(folder_state *state) {
    for (size_t i = 0; i < state->n_files; i++)
        free(state->data[i]);
    *state = (folder_state){0};
}

/* A file of a state; -1: it is not there. */
static inline int folder_find(const folder_state *state, const char *name) {
    for (size_t i = 0; i < state->n_files; i++)
        if (strcmp(state->names[i], name) == 0)
            return (int)i;
    return -1;
}

static inline bool folder_has_same(const folder_state *a, const folder_state *b, const char *name) {
    const int i = folder_find(a, name), j = folder_find(b, name);
    return i >= 0 && j >= 0 && a->n[i] == b->n[j] && memcmp(a->data[i], b->data[j], a->n[i]) == 0;
}

static inline agon_status folder_stop(void *arg, const agon_train_progress *p) {
    const folder_case *x = arg;
    return p->step == x->stop_at ? AGON_EINTERRUPTED : AGON_OK;
}

static inline void folder_stop_round(void *arg, const char *json) {
    const folder_case *x = arg;
    char round[24];
    snprintf(round, sizeof round, "\"round\":%zu,", x->stop_at);
    if (x->stop_at && strstr(json, round))
        agon_interrupt(x->ctx);
}

/* The call. */
static inline agon_status folder_train(agon_ctx *ctx, const folder_kind *kind, folder_case *x, const char *output, bool overwrite, char **summary) {
    static const char rows[] = "{\"prompt\":\"one\",\"completion\":\"two\",\"adapter\":\"a\"}\n{\"prompt\":\"two\",\"completion\":\"three\",\"adapter\":\"b\"}\n";
    static const char *const names[] = {"a", "b"}, *const cells[] = {"arithmetic"};
    static agon_model *m;
    static agon_tokenizer *t;
    static agon_dataset *data[2];
    agon_train_options o = agon_train_options_default();
    x->ctx = ctx;
    if (!m) {
        char path[2048], file[] = "/tmp/agon-rows-XXXXXX";
        const char *root = getenv("AGON_SOURCE");
        const int fd = mkstemp(file);
        snprintf(path, sizeof path, "%s/tests/golden/tiny-text.gguf", root ? root : ".");
        FUZZ_CHECK(fd >= 0 && write(fd, rows, sizeof rows - 1) == sizeof rows - 1 && close(fd) == 0, "%s", file);
        FUZZ_CHECK(agon_model_open(ctx, path, NULL, &m) == AGON_OK && agon_tokenizer_open(ctx, path, NULL, &t) == AGON_OK, "%s", agon_error(ctx));
        for (int i = 0; i < 2; i++) {
            agon_dataset_options how = agon_dataset_options_default();
            how.adapters = names;
            how.n_adapters = i ? 2 : 0;
            FUZZ_CHECK(agon_dataset_open_with(ctx, t, file, "sft", &how, &data[i]) == AGON_OK, "%s", agon_error(ctx));
        }
        unlink(file);
    }
    o.lora_rank = 1;
    o.overwrite = overwrite;
    if (kind->manifest[0] == 'o') {
        agon_online_options online = agon_online_options_default();
        online.cells = cells;
        online.n_cells = 1;
        online.rounds = 2;
        online.prompts = online.samples = 2;
        online.max_tokens = 3;
        online.on_round = folder_stop_round;
        online.arg = x;
        o.batch_rows = 4;
        agon_status s = agon_train_online(ctx, m, "grpo", output, &o, &online, summary);
        agon_interrupt_clear(ctx);
        return s;
    }
    o.batch_rows = 1;
    o.max_steps = FOLDER_STEPS;
    o.checkpoint_every = 1;
    o.learning_rate = 1e-2;
    o.on_step = folder_stop;
    o.arg = x;
    if (kind->validates) {
        o.validation = data[0];
        o.validate_every = 1;
        o.keep = "best";
    }
    return agon_train(ctx, m, data[kind->team], output, &o, summary);
}

static inline void folder_new(char base[64], char output[300]) {
    strcpy(base, access("/dev/shm", W_OK) == 0 ? "/dev/shm/agon-fuzz-XXXXXX" : "/tmp/agon-fuzz-XXXXXX");
    FUZZ_CHECK(mkdtemp(base), "no folder");
    folder_path(output, base, "out");
}

static inline void folder_remove(const char *base) {
    FUZZ_CHECK(nftw(base, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0, "%s", base);
}

static inline void folder_prepare(agon_ctx *ctx, const folder_kind *kind, folder_case *x) {
    char base[64], output[300];
    folder_new(base, output);
    x->stop_at = kind->stop_at;
    agon_status s = folder_train(ctx, kind, x, output, false, NULL);
    FUZZ_CHECK(s == (kind->stop_at ? AGON_EINTERRUPTED : AGON_OK), "%s", agon_error(ctx));
    folder_take(output, &x->left);
    x->stop_at = 0;
    if (s)
        FUZZ_CHECK(folder_train(ctx, kind, x, output, false, NULL) == AGON_OK, "%s", agon_error(ctx));
    folder_take(output, &x->whole);
    folder_remove(base);
    x->ready = true;
}

/* ---- one input ---------------------------------------------------------------------------------------------- */

/* The manifest that the input makes of the one that is there: its members are put over that one's (null takes one away), or (`whole`, and what is no
 * object) it stands in its place. *out new. */
static inline void folder_manifest(const folder_state *left, const char *name, bool whole, const char *text, size_t n, char **out, size_t *n_out) {
    const int at = folder_find(left, name);
    json_t *patch = whole ? NULL : json_loadb(text, n, 0, NULL), *found = json_loadb(left->data[at], left->n[at], 0, NULL), *value;
    const char *key;
    *out = NULL;
    if (json_is_object(patch)) {
        json_object_foreach(patch, key, value)
            (void)(json_is_null(value) ? json_object_del(found, key) : json_object_set(found, key, value));
        *out = json_dumps(found, JSON_INDENT(2));
        *n_out = *out ? strlen(*out) : 0;
    }
    if (!*out) {
        *out = malloc(n + 1);
        memcpy(*out, text, n);
        *n_out = n;
    }
    json_decref(patch);
    json_decref(found);
}

/* The accounts of how far a training came: what was validated, which rounds there were. */
static inline bool folder_same_progress(const json_t *a, const json_t *b) {
    static const char *const members[] = {"validated", "rounds"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_object_get(a, members[i]) != json_object_get(b, members[i]) && !json_equal(json_object_get(a, members[i]), json_object_get(b, members[i])))
            return false;
    return true;
}

/* The same steps were validated, and there were the same rounds. */
static inline bool folder_same_places(const json_t *a, const json_t *b) {
    static const char *const members[][2] = {{"validated", "step"}, {"rounds", "round"}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const json_t *x = json_object_get(a, members[i][0]), *y = json_object_get(b, members[i][0]);
        bool same = !y || json_array_size(x) == json_array_size(y);
        for (size_t k = 0; k < json_array_size(y) && same; k++)
            same = json_equal(json_object_get(json_array_get(x, k), members[i][1]), json_object_get(json_array_get(y, k), members[i][1]));
        if (!same)
            return false;
    }
    return true;
}

static inline json_t *folder_json(const folder_state *state, const char *name) {
    const int at = folder_find(state, name);
    return at < 0 ? NULL : json_loadb(state->data[at], state->n[at], 0, NULL);
}

/* What a call left, and what must hold of it. */
static inline void folder_check(agon_ctx *ctx, const folder_kind *kind, const folder_case *x, bool overwrite, const char *text, size_t n, agon_status s,
                                const folder_state *now, const char *summary) {
    const char *said = agon_error(ctx), *result = kind->team ? "a/adapter_model.safetensors" : "adapter_model.safetensors";
    const int at = folder_find(now, kind->manifest);
    json_t *left = folder_json(&x->left, kind->manifest), *whole = folder_json(&x->whole, kind->manifest), *found = json_loadb(text, n, 0, NULL),
           *written = folder_json(now, kind->manifest), *summed = summary ? json_loads(summary, 0, NULL) : NULL;
    const bool done = json_is_true(json_object_get(found, "done")), same = overwrite || (!done && folder_same_progress(found, left));
    if (s) {
        FUZZ_CHECK(strlen(said) >= 20 && !strchr(said, '\n') && s != AGON_ENOMEM, "%s: '%s'", agon_status_name(s), said);
        FUZZ_CHECK(now->n_files == x->left.n_files && at >= 0 && now->n[at] == n && memcmp(now->data[at], text, n) == 0, "a refusal loses something: %s", said);
        FUZZ_CHECK(!overwrite, "it cannot be begun over: %s", said);
    } else {
        FUZZ_CHECK(json_is_object(summed) && json_is_true(json_object_get(written, "done")), "it does not say what was done: %s", summary);
        FUZZ_CHECK(!same || (folder_has_same(now, &x->whole, result) && folder_same_progress(written, whole)), "it ends otherwise");
        FUZZ_CHECK(folder_find(now, result) >= 0, "it is done without a result");
        FUZZ_CHECK(done || folder_same_places(written, whole), "a validation or a round is lost");
    }
    json_decref(left);
    json_decref(whole);
    json_decref(found);
    json_decref(written);
    json_decref(summed);
}

/* The first byte chooses the training; + 64: the rest is the file whole; + 128: it is begun over. Refused is what another training, or none, could have
 * written, and nothing is lost by that; what is gone on with ends with the same result. Files outside the folder stay, whatever a manifest names. */
static inline agon_status folder_input(agon_ctx *ctx, const folder_kind *kinds, size_t n_kinds, folder_case *cases, const uint8_t *data, size_t n) {
    const size_t k = n ? data[0] % 64 % n_kinds : 0;
    const folder_kind *kind = &kinds[k];
    folder_case *x = &cases[k];
    const bool overwrite = n && data[0] >= 128;
    char base[64], output[300], kept[300], *text = NULL, *summary = NULL;
    size_t n_text = 0;
    folder_state now;
    if (!x->ready)
        folder_prepare(ctx, kind, x);
    folder_manifest(&x->left, kind->manifest, n && data[0] & 64, n ? (const char *)data + 1 : "", n ? n - 1 : 0, &text, &n_text);
    folder_new(base, output);
    folder_path(kept, base, "kept");
    FUZZ_CHECK(mkdir(output, 0700) == 0 && mkdir(kept, 0700) == 0, "%s", base);
    folder_write(kept, "adapter_config.json", "{}", 2);
    folder_put(output, &x->left);
    folder_write(output, kind->manifest, text, n_text);
    agon_status s = folder_train(ctx, kind, x, output, overwrite, &summary);
    folder_take(output, &now);
    folder_check(ctx, kind, x, overwrite, text, n_text, s, &now, summary);
    folder_path(kept, base, "kept/adapter_config.json");
    FUZZ_CHECK(access(kept, F_OK) == 0, "a file outside the folder is gone");
    agon_text_free(summary);
    folder_free(&now);
    free(text);
    folder_remove(base);
    return s;
}

static inline agon_status fuzz_training(agon_ctx *ctx, const uint8_t *data, size_t n) {
    static const folder_kind kinds[] = {{"training.json", 1, false, false}, {"training.json", 2, true, false}, {"training.json", 0, false, false},
                                        {"training.json", 1, false, true}, {"training.json", 0, true, false}};
    static folder_case cases[sizeof kinds / sizeof *kinds];
    return folder_input(ctx, kinds, sizeof kinds / sizeof *kinds, cases, data, n);
}

static inline agon_status fuzz_online(agon_ctx *ctx, const uint8_t *data, size_t n) {
    static const folder_kind kinds[] = {{"online.json", 1, false, false}, {"online.json", 0, false, false}};
    static folder_case cases[sizeof kinds / sizeof *kinds];
    return folder_input(ctx, kinds, sizeof kinds / sizeof *kinds, cases, data, n);
}

#endif
