/* What the fuzz targets of the text readers do with one input: tokenizer.json, training rows, run files. test_text_corpus.c runs the same
 * functions over the kept corpus and its mutations, without a fuzzer. Each returns the reader's status. */
#ifndef TESTS_FUZZ_TEXT_TARGETS_H
#define TESTS_FUZZ_TEXT_TARGETS_H

#include "base/csv.h"
#include "base/ctx.h"
#include "byte_tokenizer.h"
#include "fuzz_check.h"
#include "model/tokenizer_private.h"
#include "objective/objective.h"
#include "recipe/fuse_rows.h"
#include "recipe/run_file.h"
#include "train/convert.h"
#include "train/noise_rows.h"
#include "train/data.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* An accepted tokenizer must also encode and decode: hostile vocabularies and merges are met there. */
static inline agon_status fuzz_tokenizer(agon_ctx *ctx, const uint8_t *data, size_t n) {
    static const char text[] = "hello <|im_start|>tea\n11 \xc3\xa9 \xff?";
    tokenizer *t = NULL;
    agon_status s = tokenizer_from_json(ctx, "fuzz.json", (const char *)data, n, NULL, 0, NULL, 0, &t);
    if (!s) {
        token_list list = {0};
        /* A text may have bytes without a token: refused, which is fine. */
        agon_status encoded = tokenizer_encode(ctx, t, text, sizeof text - 1, true, &list);
        size_t n_bytes = 0;
        free(encoded ? NULL : tokenizer_decode(t, list.ids, list.n, true, &n_bytes));
        token_list_free(&list);
    }
    tokenizer_free(t);
    return s;
}

static inline tokenizer *fuzz_byte_tokenizer(agon_ctx *ctx) {
    static const char *const special[] = {"<|im_start|>", "<|im_end|>"};
    char json[FUZZ_BYTE_JSON];
    size_t n = fuzz_byte_json(special, 2, json);
    tokenizer *t = NULL;
    if (tokenizer_from_json(ctx, "bytes.json", json, n, NULL, 0, NULL, 0, &t) != AGON_OK ||
        chat_template_set(ctx, t, "chatml") != AGON_OK)
        abort();
    return t;
}

/* The commands that change labels read the same file, and fail where they would write. */
static inline void fuzz_labels(agon_ctx *ctx, const tokenizer *t, const char *path) {
    static const char nowhere[] = "/nonexistent/out";
    static const char *const objectives[] = {"sft", "dpo", "kto", "sft"};
    json_t *report = NULL;
    for (int hard = 0; hard < 2; hard++)
        if (fuse_file(ctx, path, nowhere, &(fuse_options){.hard = hard, .draws = 1}, &report) == AGON_OK)
            abort();
    for (int i = 0; i < 4; i++) {
        const noise_options o = {.objective = objective_find(objectives[i]), .rate = 0.5, .t = t, .level = i == 3 ? NOISE_SPAN : NOISE_RESPONSE};
        if (noise_file(ctx, path, nowhere, &o, &report) == AGON_OK)
            abort();
    }
}

/* As a file that is never on a disk, under a name that does not change. */
enum { FUZZ_FD = 200 };
#define FUZZ_FILE "/proc/self/fd/200"

static inline void fuzz_file_open(const void *data, size_t n) {
    int fd = memfd_create("rows", 0);
    if (fd < 0 || write(fd, data, n) != (ssize_t)n || dup2(fd, FUZZ_FD) < 0)
        abort();
    close(fd);
}

static inline agon_status fuzz_rows(agon_ctx *ctx, const uint8_t *data, size_t n) {
    static tokenizer *t; /* one for all inputs; it is never changed */
    static const char *const objectives[] = {"sft", "dpo", "grpo"};
    agon_status s = AGON_OK;
    if (!t)
        t = fuzz_byte_tokenizer(ctx);
    fuzz_file_open(data, n);
    fuzz_labels(ctx, t, FUZZ_FILE);
    for (size_t i = 0; i < 3; i++) {
        dataset *d = NULL;
        s = dataset_read(ctx, t, FUZZ_FILE, objective_find(objectives[i]), 64, &d);
        dataset_free(d);
        if (!s)
            break;
    }
    close(FUZZ_FD);
    return s;
}

/* ---- other people's rows ---------------------------------------------------------------------------------------- */

/* One JSON object by each format; what is taken must be rows of ours. */
static inline agon_status fuzz_convert(agon_ctx *ctx, const uint8_t *data, size_t n) {
    json_t *row = NULL;
    agon_status s = json_parse(ctx, "fuzz.json", (const char *)data, n, &row), first = s;
    bool taken = false;
    if (!s && !json_is_object(row))
        first = s = ctx_fail(ctx, AGON_EFORMAT, "fuzz.json: must be a JSON object");
    for (int f = N_DATA_FORMATS - 1; !s && f >= 0; f--) { /* the last one's sentence is what a user reads who names no format */
        data_format found;
        size_t n_cut = 0;
        json_t *out = NULL;
        first = convert_row(ctx, "fuzz.json", (data_format)f, row, &out, &found, &n_cut);
        FUZZ_CHECK(!first == !!out && (first || json_is_object(out)), "%s", data_format_name((data_format)f));
        taken = taken || !first;
        json_decref(out);
    }
    json_decref(row);
    return taken ? AGON_OK : first;
}

/* ---- tables ------------------------------------------------------------------------------------------------------- */

static inline agon_status fuzz_collect(void *arg, const char *where, json_t *row) {
    (void)where;
    return json_array_append(arg, row) ? AGON_ENOMEM : AGON_OK;
}

/* A record of the columns' names, or of a row, every field in quotes. */
static inline void fuzz_write_record(buffer *out, const json_t *row, bool names) {
    const char *key;
    json_t *value;
    bool more = false;
    json_object_foreach((json_t *)row, key, value) {
        buffer_text(out, more ? ",\"" : "\"");
        for (const char *p = names ? key : json_string_value(value); *p; p++)
            buffer_text(out, *p == '"' ? "\"\"" : (char[]){*p, 0});
        buffer_char(out, '"');
        more = true;
    }
    buffer_text(out, "\r\n");
}

/* What was read must be the same when it is written and read again. */
static inline agon_status fuzz_csv(agon_ctx *ctx, const uint8_t *data, size_t n) {
    json_t *rows = json_array(), *again = json_array();
    fuzz_file_open(data, n);
    agon_status s = csv_read(ctx, FUZZ_FILE, fuzz_collect, rows);
    close(FUZZ_FD);
    if (!s && json_array_size(rows)) {
        buffer written = {0};
        fuzz_write_record(&written, json_array_get(rows, 0), true);
        for (size_t i = 0; i < json_array_size(rows); i++)
            fuzz_write_record(&written, json_array_get(rows, i), false);
        fuzz_file_open(written.data, written.size);
        FUZZ_CHECK(csv_read(ctx, FUZZ_FILE, fuzz_collect, again) == AGON_OK, "%s", agon_error(ctx));
        FUZZ_CHECK(json_equal(rows, again), "written and read again");
        close(FUZZ_FD);
        buffer_free(&written);
    }
    json_decref(rows);
    json_decref(again);
    return s;
}

/* ---- what is asked of `agon loss` ------------------------------------------------------------------------------------ */

/* The first line names the objective; where it is none, its first byte chooses one. An answer must be JSON again. */
static inline agon_status fuzz_loss(agon_ctx *ctx, const uint8_t *data, size_t n) {
    double options[MAX_OBJECTIVE_OPTIONS];
    size_t n_objectives = 0, line = 0;
    char *answer = NULL, name[32] = "";
    while (objective_at(n_objectives))
        n_objectives++;
    while (line < n && line < sizeof name - 1 && data[line] != '\n')
        line++;
    if (line)
        memcpy(name, data, line);
    const objective *o = objective_find(name);
    o = o ? o : objective_at(n ? data[0] % n_objectives : 0);
    line += line < n; /* the request begins after the name's line */
    objective_defaults(o, options);
    agon_status s = objective_loss_json(ctx, o, options, line < n ? (const char *)data + line : "", n - line, &answer);
    json_t *said = s ? NULL : json_loads(answer, 0, NULL);
    FUZZ_CHECK(s || json_is_object(said), "%s: %s", o->name, answer);
    json_decref(said);
    free(answer);
    return s;
}

/* What was accepted must survive being written and read again. */
static inline agon_status fuzz_run_file(agon_ctx *ctx, const uint8_t *data, size_t n) {
    run_config *config = NULL, *again = NULL;
    agon_status s = run_file_parse(ctx, "fuzz.yaml", (const char *)data, n, &config);
    char *text = s ? NULL : run_config_write(config);
    if (text && run_file_parse(ctx, "fuzz.yaml", text, strlen(text), &again) != AGON_OK) {
        fprintf(stderr, "written and read again: %s\n%s\n", agon_error(ctx), text);
        abort();
    }
    free(text);
    run_config_free(again);
    run_config_free(config);
    return s;
}

#endif
