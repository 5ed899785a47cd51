/* What the fuzz targets of the text readers do with one input: tokenizer.json, training rows, run files. test_text_corpus.c runs the same
 * functions over the kept corpus and its mutations, without a fuzzer. Each returns the reader's status. */
#ifndef TESTS_FUZZ_TEXT_TARGETS_H
#define TESTS_FUZZ_TEXT_TARGETS_H

#include "model/tokenizer_private.h"
#include "objective/objective.h"
#include "recipe/fuse_rows.h"
#include "recipe/run_file.h"
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

/* The smallest tokenizer that encodes any text: the 256 bytes, each its own token. */
static inline tokenizer *fuzz_byte_tokenizer(agon_ctx *ctx) {
    char json[16384];
    size_t at = (size_t)snprintf(json, sizeof json,
                                 "{\"added_tokens\":[{\"id\":256,\"content\":\"<|im_start|>\",\"special\":true},"
                                 "{\"id\":257,\"content\":\"<|im_end|>\",\"special\":true}],"
                                 "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true},"
                                 "\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{");
    /* The byte alphabet of GPT-2: printable bytes stand for themselves, the others for U+0100 on. */
    for (unsigned b = 0, other = 256; b < 256; b++) {
        bool plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        at += (size_t)snprintf(json + at, sizeof json - at, "%s\"\\u%04x\":%u", b ? "," : "", plain ? b : other, b);
        other += !plain;
    }
    at += (size_t)snprintf(json + at, sizeof json - at, "}}}");
    tokenizer *t = NULL;
    if (tokenizer_from_json(ctx, "bytes.json", json, at, NULL, 0, NULL, 0, &t) != AGON_OK ||
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
static inline agon_status fuzz_rows(agon_ctx *ctx, const uint8_t *data, size_t n) {
    enum { FD = 200 };
    static tokenizer *t; /* one for all inputs; it is never changed */
    static const char *const objectives[] = {"sft", "dpo", "grpo"};
    agon_status s = AGON_OK;
    if (!t)
        t = fuzz_byte_tokenizer(ctx);
    int fd = memfd_create("rows", 0);
    if (fd < 0 || write(fd, data, n) != (ssize_t)n || dup2(fd, FD) < 0)
        abort();
    fuzz_labels(ctx, t, "/proc/self/fd/200");
    for (size_t i = 0; i < 3; i++) {
        dataset *d = NULL;
        s = dataset_read(ctx, t, "/proc/self/fd/200", objective_find(objectives[i]), 64, &d);
        dataset_free(d);
        if (!s)
            break;
    }
    close(FD);
    close(fd);
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
