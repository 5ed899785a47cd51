/* Datasets of texts in memory, read with the small tokenizer. */
#ifndef TESTS_TRAIN_ROWS_READ_H
#define TESTS_TRAIN_ROWS_READ_H

#include "small_tokenizer.h"
#include "train/data.h"
#include <unistd.h>

#define USER(text) "[{\"role\":\"user\",\"content\":\"" text "\"}]"

enum { END = 2, EOS = 0 }; /* ids of <|im_end|> and <|endoftext|> in tokenizer_small.json */

typedef struct world {
    agon_ctx *ctx;
    tokenizer *t;
    char path[64];
} world;

static inline int setup(void **state) {
    static world w;
    w.ctx = test_ctx(1, NULL);
    w.t = small_tokenizer(w.ctx);
    assert_ok(w.ctx, chat_template_set(w.ctx, w.t, "chatml"));
    strcpy(w.path, "/tmp/agon-data-XXXXXX");
    int file = mkstemp(w.path);
    assert_true(file >= 0);
    close(file);
    *state = &w;
    return 0;
}

static inline int teardown(void **state) {
    world *w = *state;
    unlink(w->path);
    tokenizer_free(w->t);
    agon_ctx_free(w->ctx);
    return 0;
}

static inline agon_status read_text(world *w, const char *objective, const char *text, size_t max_tokens, dataset **d) {
    assert_ok(w->ctx, file_write(w->ctx, w->path, text, strlen(text)));
    return dataset_read(w->ctx, w->t, w->path, objective_find(objective), max_tokens, d);
}

static inline dataset *read_ok(world *w, const char *objective, const char *text) {
    dataset *d = NULL;
    assert_ok(w->ctx, read_text(w, objective, text, 0, &d));
    return d;
}

/* Prompt and response decode to these texts (special tokens shown), and the mask is these digits. */
static inline void expect(world *w, const train_row *r, size_t k, const char *prompt, const char *text, int32_t last) {
    size_t n;
    char *p = tokenizer_decode(w->t, r->prompt, r->n_prompt, true, &n);
    assert_string_equal(p, prompt);
    char *c = tokenizer_decode(w->t, r->responses[k].tokens, r->responses[k].n, true, &n);
    assert_string_equal(c, text);
    assert_int_equal(r->responses[k].tokens[r->responses[k].n - 1], last);
    free(p);
    free(c);
}

#endif
