/* SentencePiece-style BPE: merges by rank and scores of tokens, each made of the other.
 *
 * tokenizer.json lists merges by rank. GGUF has a score a token instead, and merges whatever two neighbours make a token, the
 * best score first, leftmost among equals (llama.cpp's reading of SentencePiece): as merges, these are all cuts of all tokens
 * in the order of their scores, a rank for each score. The other way round, a vocabulary can be written as scores only when
 * its merges are of that form. Among the cuts of one token tokenizer.json has an order that scores have not; no vocabulary that
 * was converted from SentencePiece means anything by it. */
#include "model/tokenizer_spm_private.h"
#include "base/ctx.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Two texts that make a token; -1: a text is no token. */
typedef struct halves {
    int32_t left, right;
    size_t n_left, n_right;
} halves;

/* The ways to cut a token between its characters, in order; SIZE_MAX: it is too long. */
static size_t cut_token(const tokenizer *t, size_t id, halves out[SPM_MAX_PIECE]) {
    const char *text = t->spelling[id];
    size_t n = strlen(text), count = 0;
    bool valid;
    if (n > SPM_MAX_PIECE)
        return SIZE_MAX;
    for (size_t at = n ? spm_character(text, n, &valid) : 0; at < n; at += spm_character(text + at, n - at, &valid))
        out[count++] = (halves){vocabulary_find(&t->vocabulary, text, at), vocabulary_find(&t->vocabulary, text + at, n - at), at, n - at};
    return count;
}

static bool is_part(const tokenizer *t, int32_t id) {
    return id >= 0 && !tokenizer_is_special(t, id);
}

/* Those of two tokens, as converters of SentencePiece order them: by left, then right. */
static size_t cut_into_tokens(const tokenizer *t, size_t id, halves out[SPM_MAX_PIECE]) {
    size_t n = cut_token(t, id, out), count = 0;
    for (size_t i = 0; n != SIZE_MAX && i < n; i++) {
        halves h = out[i];
        if (!is_part(t, h.left) || !is_part(t, h.right))
            continue;
        size_t k = count++;
        for (; k > 0 && (out[k - 1].left > h.left || (out[k - 1].left == h.left && out[k - 1].right > h.right)); k--)
            out[k] = out[k - 1];
        out[k] = h;
    }
    return count;
}

typedef struct scored {
    float score;
    int32_t id;
} scored;

static int by_score(const void *a, const void *b) {
    const scored *x = a, *y = b;
    return x->score != y->score ? (x->score > y->score ? -1 : 1) : (x->id > y->id) - (x->id < y->id);
}

/* The tokens that merging makes, and how many merges there are. */
static agon_status list_made(agon_ctx *ctx, const char *where, const tokenizer *t, const float *scores, scored *made, size_t *n_made,
                             size_t *n_merges) {
    halves cuts[SPM_MAX_PIECE];
    for (size_t i = 0; i < t->n; i++) {
        if (t->types[i] != TOKEN_NORMAL || vocabulary_find(&t->vocabulary, t->spelling[i], strlen(t->spelling[i])) != (int32_t)i)
            continue;
        if (strlen(t->spelling[i]) > SPM_MAX_PIECE)
            return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: token %zu has %zu bytes; a SentencePiece token may have %d", where, i,
                            strlen(t->spelling[i]), SPM_MAX_PIECE);
        size_t n = cut_into_tokens(t, i, cuts);
        if (n > 0 && !isfinite(scores[i]))
            return ctx_fail(ctx, AGON_EFORMAT, "%s: the score of token %zu is no finite number", where, i);
        if (n > 0)
            made[(*n_made)++] = (scored){scores[i], (int32_t)i};
        *n_merges += n;
    }
    qsort(made, *n_made, sizeof *made, by_score);
    return AGON_OK;
}

static agon_status add_made(agon_ctx *ctx, tokenizer *t, const scored *made, size_t n_made) {
    halves cuts[SPM_MAX_PIECE];
    int32_t rank = 0;
    size_t at = 0;
    for (size_t i = 0; i < n_made; i++) {
        const char *text = t->spelling[made[i].id];
        size_t n = cut_into_tokens(t, (size_t)made[i].id, cuts);
        bool tied = i > 0 && made[i].score == made[i - 1].score;
        rank += i > 0 && !tied;
        if (tied)
            t->no_json = "tokens have the same score, which tokenizer.json has no place for";
        for (size_t k = 0; k < n; k++) {
            merge_table_add(&t->merges, cuts[k].left, cuts[k].right, rank, made[i].id);
            t->merge_texts[at] = arena_printf(t->arena, "%.*s %s", (int)cuts[k].n_left, text, text + cuts[k].n_left);
            if (!t->merge_texts[at++])
                return ctx_fail(ctx, AGON_ENOMEM, "no memory for the tokenizer");
        }
    }
    return AGON_OK;
}

agon_status spm_merges_of_scores(agon_ctx *ctx, const char *where, tokenizer *t, const float *given, size_t n_given) {
    scored *made = memory_new(t->n, sizeof *made);
    float *scores = arena_take(t->arena, t->n, sizeof *scores);
    size_t n_made = 0, n_merges = 0;
    agon_status s = made && scores ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "%s: no memory for the tokenizer", where);
    if (!s) {
        memcpy(scores, given, (n_given < t->n ? n_given : t->n) * sizeof *scores);
        t->scores = scores;
        s = list_made(ctx, where, t, scores, made, &n_made, &n_merges);
    }
    if (!s)
        s = tokenizer_merges_init(ctx, t, n_merges);
    if (!s)
        s = add_made(ctx, t, made, n_made);
    free(made);
    return s;
}

/* Whether readers of scores can come to hold this text as one symbol: a character, or what merges make. */
static bool is_symbol(const bool *made, const char *text, size_t n, int32_t id) {
    bool valid;
    return (id >= 0 && made[id]) || spm_character(text, n, &valid) == n;
}

/* Readers of scores merge all neighbours that make a token: every cut into symbols must be a merge. */
static agon_status check_cuts(agon_ctx *ctx, tokenizer *t, const bool *made, bool cuts_words) {
    halves cuts[SPM_MAX_PIECE];
    for (size_t i = 0; i < t->n && !t->no_gguf; i++) {
        const char *text = t->spelling[i];
        if (t->types[i] != TOKEN_NORMAL && t->types[i] != TOKEN_BYTE)
            continue;
        size_t n = cut_token(t, i, cuts);
        if (n == SIZE_MAX && !(t->no_gguf = arena_printf(t->arena, "token %zu has %zu bytes, and SentencePiece's have %d at most", i, strlen(text), SPM_MAX_PIECE)))
            return ctx_fail(ctx, AGON_ENOMEM, "no memory for the tokenizer");
        for (size_t k = 0; !t->no_gguf && k < n; k++) {
            const halves *h = &cuts[k];
            const char *right = text + h->n_left;
            if (!is_symbol(made, text, h->n_left, h->left) || !is_symbol(made, right, h->n_right, h->right))
                continue;
            bool merge = h->left >= 0 && h->right >= 0 && merge_table_find(&t->merges, h->left, h->right) == (int32_t)i;
            if (merge && t->types[i] == TOKEN_NORMAL && !(cuts_words && strstr(text + 1, SPM_MARK)))
                continue;
            t->no_gguf = arena_printf(t->arena, "GGUF has scores and no merges, by which '%.*s' and '%s' would become one token, which they do not in "
                                      "the model's tokenizer", (int)h->n_left, text, right);
            if (!t->no_gguf)
                return ctx_fail(ctx, AGON_ENOMEM, "no memory for the tokenizer");
        }
    }
    return AGON_OK;
}

/* Scores from ranks, where the merges of each token stand together: minus the first. `by_rank`: what each merge makes; -1: nothing. */
static void set_scores(tokenizer *t, const int32_t *by_rank, float *scores, bool *made) {
    int32_t last = -1;
    bool valid;
    for (size_t i = 0; i < t->n; i++)
        scores[i] = -(float)(t->n_merges + 1);
    for (size_t r = 0; r < t->n_merges; r++) {
        int32_t id = by_rank[r];
        if (id < 0 || id == last)
            continue;
        if (made[id])
            t->no_gguf = "GGUF has one score a token, and merges of one token stand apart in the model's tokenizer";
        scores[id] = -(float)r;
        made[last = id] = true;
    }
    for (size_t i = 0; i < t->n; i++) {
        size_t n = strlen(t->spelling[i]);
        made[i] = made[i] || (n > 0 && is_part(t, (int32_t)i) && spm_character(t->spelling[i], n, &valid) == n);
    }
}

agon_status spm_scores_of_merges(agon_ctx *ctx, tokenizer *t, bool cuts_words) {
    float *scores = arena_take(t->arena, t->n, sizeof *scores);
    int32_t *by_rank = memory_new(t->n_merges + 1, sizeof *by_rank);
    bool *made = memory_new(t->n, sizeof *made);
    agon_status s = scores && by_rank && made ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "no memory for the tokenizer");
    for (size_t r = 0; !s && r < t->n_merges; r++)
        by_rank[r] = -1;
    for (size_t i = 0; !s && i < t->merges.n_slots; i++) {
        const struct merge_slot *m = &t->merges.slots[i];
        if (m->left < 0)
            continue;
        by_rank[m->rank] = m->merged;
        if (t->types[m->left] == TOKEN_BYTE || t->types[m->right] == TOKEN_BYTE)
            t->no_gguf = "GGUF merges no byte tokens, and the model's tokenizer does";
    }
    if (!s) {
        set_scores(t, by_rank, scores, made);
        t->scores = scores;
        s = check_cuts(ctx, t, made, cuts_words);
    }
    free(by_rank);
    free(made);
    return s;
}
