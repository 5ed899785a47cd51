/* Evaluation items that may not be trained on (spec: loop 0.2 BUILD, 7.7).
 *
 * Free texts: any shared 13-gram of lower-cased white-space tokens, an 8-gram for items of fewer than 26 tokens; the same text but for case, blanks and
 * punctuation (text_normal_form), which is all that hits an item of fewer than 8 tokens ("Yes." must not clear a corpus). Generated queries: equal
 * task_identity, or the same wording but for case and blanks; their punctuation counts, since 3 + 4 is not 3 - 4. */
#include <stdlib.h>
#include <string.h>
#include "base/ctx.h"
#include "base/hash.h"
#include "base/memory.h"
#include "task/ngram.h"
#include "task/task.h"

enum {
    LONG_GRAM = 13, SHORT_GRAM = 8, SHORT_ITEM = 26,
    /* A run of words that more rows of one file share, or a tenth of them, more than LEAST_COMMON, is the file's template and nobody's content. */
    MOST_SHARED = 20, LEAST_COMMON = 3,
};

struct contamination {
    bool tokens_alone; /* as in runs begun before rules 13 */
    bool tasks_alone;  /* as in runs begun before rules 21 */
    hash_set long_grams, short_grams, whole_texts, normal_forms, identities, wordings;
    hash_set common; /* 8-grams of the user's rows whose words are template */
};

agon_status contamination_new(agon_ctx *ctx, contamination **out) {
    contamination *c = calloc(1, sizeof *c);
    if (!c)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for the evaluation items is exhausted");
    *out = c;
    return AGON_OK;
}

void contamination_free(contamination *c) {
    if (!c)
        return;
    set_free(&c->long_grams);
    set_free(&c->short_grams);
    set_free(&c->whole_texts);
    set_free(&c->normal_forms);
    set_free(&c->identities);
    set_free(&c->wordings);
    set_free(&c->common);
    free(c);
}

void contamination_compare_tokens(contamination *c) {
    c->tokens_alone = true;
}

void contamination_know_tasks_alone(contamination *c) {
    c->tasks_alone = true;
}

static uint64_t hash_of(const char *text) {
    uint64_t out;
    hash256 h = hash_text(text);
    memcpy(&out, h.bytes, sizeof out);
    return out;
}

static agon_status normal_hash(agon_ctx *ctx, const char *text, uint64_t *out) {
    char *normal = NULL;
    agon_status status = text_normal_form(ctx, text, &normal);
    if (status != AGON_OK)
        return status;
    *out = hash_of(normal);
    free(normal);
    return AGON_OK;
}

/* Of the normalised text without its blanks. */
static agon_status wording_hash(agon_ctx *ctx, const char *text, uint64_t *out) {
    char *normal = NULL;
    size_t n = 0;
    agon_status status = text_normalise(ctx, text, &normal);
    if (status != AGON_OK)
        return status;
    for (size_t i = 0; normal[i]; i++)
        if (normal[i] != ' ')
            normal[n++] = normal[i];
    normal[n] = '\0';
    *out = hash_of(normal);
    free(normal);
    return AGON_OK;
}

/* All rows' distinct 8-grams, a list that grows. */
typedef struct gram_list {
    uint64_t *hashes;
    size_t n, capacity;
} gram_list;

static agon_status list_grams(agon_ctx *ctx, gram_list *l, const char *text) {
    uint64_t *grams = NULL;
    size_t n = 0;
    agon_status status = ngrams_distinct(ctx, text, SHORT_GRAM, &grams, &n);
    for (size_t i = 0; i < n && status == AGON_OK; i++)
        if (memory_grow((void **)&l->hashes, &l->capacity, l->n, sizeof *l->hashes))
            l->hashes[l->n++] = grams[i];
        else
            status = ctx_no_memory(ctx);
    free(grams);
    return status;
}

agon_status contamination_leave_template(agon_ctx *ctx, contamination *c, const char *const *rows, size_t n_rows) {
    const size_t tenth = n_rows / 10, most = tenth < LEAST_COMMON ? LEAST_COMMON : tenth < MOST_SHARED ? tenth : MOST_SHARED;
    gram_list l = {0};
    agon_status status = AGON_OK;
    for (size_t i = 0; i < n_rows && status == AGON_OK; i++)
        status = list_grams(ctx, &l, rows[i]);
    if (l.n > 0)
        qsort(l.hashes, l.n, sizeof *l.hashes, hashes_rising);
    for (size_t i = 0, end; i < l.n && status == AGON_OK; i = end) {
        for (end = i + 1; end < l.n && l.hashes[end] == l.hashes[i];)
            end++;
        if (end - i > most)
            status = set_add(ctx, &c->common, l.hashes[i]);
    }
    free(l.hashes);
    return status;
}

/* own[i]: how many of the first i tokens stand in no 8-gram of `common` (NULL: all do not). New, [t->n + 1]; NULL: no memory. */
static size_t *count_own(const token_list *t, const hash_set *common) {
    size_t *own = malloc((t->n + 1) * sizeof *own), covered = 0; /* tokens before `covered` are template, from the last such 8-gram on */
    if (!own)
        return NULL;
    own[0] = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (common && i + SHORT_GRAM <= t->n && set_has(common, tokens_hash(t, i, SHORT_GRAM)))
            covered = i + SHORT_GRAM;
        own[i + 1] = own[i] + (i >= covered);
    }
    return own;
}

/* Words of the template in `common` count for nothing: neither in an n-gram nor for how long the text is. */
static agon_status add_text(agon_ctx *ctx, contamination *c, const char *text, const hash_set *common) {
    token_list t = {0};
    agon_status status = tokens_read(ctx, text, &t);
    if (status != AGON_OK)
        return status;
    size_t *own = count_own(&t, common);
    if (!own) {
        tokens_free(&t);
        return ctx_no_memory(ctx);
    }
    const size_t n = own[t.n], width = n >= SHORT_ITEM ? LONG_GRAM : t.n >= SHORT_GRAM ? SHORT_GRAM : t.n;
    hash_set *set = n >= SHORT_ITEM ? &c->long_grams : t.n >= SHORT_GRAM ? &c->short_grams : &c->whole_texts;
    for (size_t i = 0; t.n > 0 && i + width <= t.n && status == AGON_OK; i++)
        if (own[i + width] - own[i] == width)
            status = set_add(ctx, set, tokens_hash(&t, i, width));
    free(own);
    if (status == AGON_OK && t.n > 0 && !c->tokens_alone) {
        uint64_t hash = 0;
        status = normal_hash(ctx, text, &hash);
        if (status == AGON_OK)
            status = set_add(ctx, &c->normal_forms, hash);
    }
    tokens_free(&t);
    return status;
}

agon_status contamination_add_text(agon_ctx *ctx, contamination *c, const char *text) {
    return add_text(ctx, c, text, NULL);
}

static bool shares_gram(const hash_set *set, const token_list *t, size_t width) {
    for (size_t i = 0; set->n > 0 && i + width <= t->n; i++)
        if (set_has(set, tokens_hash(t, i, width)))
            return true;
    return false;
}

agon_status contamination_has_text(agon_ctx *ctx, const contamination *c, const char *text, bool *hit) {
    token_list t = {0};
    agon_status status = tokens_read(ctx, text, &t);
    if (status != AGON_OK)
        return status;
    *hit = shares_gram(&c->long_grams, &t, LONG_GRAM) || shares_gram(&c->short_grams, &t, SHORT_GRAM) ||
           (t.n > 0 && shares_gram(&c->whole_texts, &t, t.n));
    if (!*hit && t.n > 0 && c->normal_forms.n > 0) {
        uint64_t hash = 0;
        status = normal_hash(ctx, text, &hash);
        *hit = status == AGON_OK && set_has(&c->normal_forms, hash);
    }
    if (status == AGON_OK && !*hit && c->wordings.n > 0) {
        uint64_t hash = 0;
        status = wording_hash(ctx, text, &hash);
        *hit = status == AGON_OK && set_has(&c->wordings, hash);
    }
    tokens_free(&t);
    return status;
}

static agon_status identity_hash(agon_ctx *ctx, const task_query *query, uint64_t *out) {
    char *identity = task_identity(query);
    if (!identity)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a task's identity is exhausted");
    *out = hash_of(identity);
    free(identity);
    return AGON_OK;
}

static bool is_user(const task_query *query) {
    return strcmp(query->family, "user") == 0;
}

agon_status contamination_add_query(agon_ctx *ctx, contamination *c, const task_query *query) {
    uint64_t hash = 0;
    agon_status status = identity_hash(ctx, query, &hash);
    if (status == AGON_OK)
        status = set_add(ctx, &c->identities, hash);
    if (status == AGON_OK && is_user(query))
        return add_text(ctx, c, query->text, &c->common);
    if (status == AGON_OK && !c->tasks_alone)
        status = wording_hash(ctx, query->text, &hash);
    return status == AGON_OK && !c->tasks_alone ? set_add(ctx, &c->wordings, hash) : status;
}

bool contamination_has_identity(const contamination *c, const char *identity) {
    return set_has(&c->identities, hash_of(identity));
}

agon_status contamination_has_query(agon_ctx *ctx, const contamination *c, const task_query *query, bool *hit) {
    uint64_t hash = 0;
    bool found = false;
    agon_status status = identity_hash(ctx, query, &hash);
    if (status != AGON_OK)
        return status;
    found = set_has(&c->identities, hash);
    if (!found && is_user(query))
        status = contamination_has_text(ctx, c, query->text, &found);
    if (status == AGON_OK)
        *hit = found;
    return status;
}

/* ---- overlap of one text with a corpus ----------------------------------------------------------- */

static agon_status corpus_grams(agon_ctx *ctx, const char *const *corpus, size_t n_corpus, size_t n, hash_set *out) {
    agon_status status = AGON_OK;
    for (size_t k = 0; k < n_corpus && status == AGON_OK; k++) {
        token_list t = {0};
        status = tokens_read(ctx, corpus[k], &t);
        for (size_t i = 0; status == AGON_OK && i + n <= t.n; i++)
            status = set_add(ctx, out, tokens_hash(&t, i, n));
        tokens_free(&t);
    }
    return status;
}

agon_status ngram_overlap(agon_ctx *ctx, const char *test, const char *const *corpus, size_t n_corpus, size_t n,
                          size_t *hits, size_t *n_ngrams, double *token_coverage) {
    hash_set grams = {0};
    token_list t = {0};
    size_t n_hits = 0, covered = 0, covered_to = 0;
    if (n == 0)
        return ctx_fail(ctx, AGON_EINVAL, "n-grams need n of at least 1");
    agon_status status = corpus_grams(ctx, corpus, n_corpus, n, &grams);
    if (status == AGON_OK)
        status = tokens_read(ctx, test, &t);
    if (status == AGON_OK) {
        for (size_t i = 0; i + n <= t.n; i++)
            if (set_has(&grams, tokens_hash(&t, i, n))) {
                size_t from = i > covered_to ? i : covered_to;
                n_hits++;
                covered += i + n - from;
                covered_to = i + n;
            }
        *hits = n_hits;
        *n_ngrams = t.n >= n ? t.n - n + 1 : 0;
        *token_coverage = t.n ? (double)covered / (double)t.n : 0;
    }
    tokens_free(&t);
    set_free(&grams);
    return status;
}
