/* Perplexity of held-out documents, and whether a new version's rise of it stays within a margin.
 *
 * Perplexity = exp(sum of nll / number of scored tokens), weighted by tokens over all documents. Two versions are compared
 * on the same tokens: log(after/before) is a ratio of sums over documents, so documents are what the
 * bootstrap draws (Efron and Tibshirani 1993, ch. 8: resample the independent units). */
#include "base/ctx.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/random.h"
#include "base/share.h"
#include "eval/suite.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT_BYTES = 64 << 20 };
#define SEPARATOR "====="

typedef struct document {
    char *text;
    token_list tokens;
} document;

struct perplexity_suite {
    document *documents;
    size_t n_documents;
    perplexity_window *windows;
    size_t n_windows;
    hash256 hash;
};

void perplexity_free(perplexity_suite *p) {
    if (!p)
        return;
    for (size_t i = 0; i < p->n_documents; i++) {
        free(p->documents[i].text);
        token_list_free(&p->documents[i].tokens);
    }
    free(p->documents);
    free(p->windows);
    free(p);
}

/* ---- documents and windows ------------------------------------------------------------------------- */

/* The end of the document that starts at `text` (without white space at its end), and where the next one starts. */
static size_t document_end(const char *text, const char **next) {
    const char *at = text;
    size_t n = strlen(text), mark = strlen(SEPARATOR);
    *next = text + n;
    for (; *at; at++) {
        if (strncmp(at, SEPARATOR, mark) == 0 && (at == text || at[-1] == '\n') && strchr("\r\n", at[mark])) {
            n = (size_t)(at - text);
            *next = at + mark;
            break;
        }
    }
    while (n > 0 && strchr(" \t\r\n", text[n - 1]))
        n--;
    return n;
}

static agon_status add_document(agon_ctx *ctx, perplexity_suite *p, const tokenizer *t, const char *text, size_t n) {
    document *grown = realloc(p->documents, size_mul(p->n_documents + 1, sizeof *grown));
    if (!grown)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for held-out documents");
    p->documents = grown;
    document *d = &grown[p->n_documents++];
    *d = (document){.text = strndup(text, n)};
    if (!d->text)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for held-out documents");
    tokenizer_parts parts;
    tokenizer_get_parts(t, &parts);
    if (parts.add_bos && !token_list_push(&d->tokens, parts.bos))
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for held-out documents");
    return tokenizer_encode(ctx, t, text, n, false, &d->tokens);
}

static agon_status split(agon_ctx *ctx, perplexity_suite *p, const tokenizer *t, const char *text, size_t limit) {
    agon_status s = AGON_OK;
    while (!s && *text && (limit == 0 || p->n_documents < limit)) {
        const char *next;
        text += strspn(text, " \t\r\n");
        size_t n = document_end(text, &next);
        if (n > 0)
            s = add_document(ctx, p, t, text, n);
        text = next;
    }
    return s;
}

static size_t least_of(size_t a, size_t b) {
    return a < b ? a : b;
}

static agon_status cut(agon_ctx *ctx, perplexity_suite *p, size_t max_context) {
    if (max_context < 2)
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "perplexity needs a model with a context of 2 tokens or more; this one has %zu", max_context);
    const size_t quarter = max_context < 4 ? 1 : max_context / 4, before = least_of(quarter, PERPLEXITY_CONTEXT),
                 window = least_of(max_context - quarter, PERPLEXITY_WINDOW);
    size_t n = 0;
    for (size_t d = 0; d < p->n_documents; d++)
        n += p->documents[d].tokens.n / window + 1;
    p->windows = memory_new(n, sizeof *p->windows);
    if (!p->windows)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for held-out windows");
    for (size_t d = 0; d < p->n_documents; d++) {
        const token_list *all = &p->documents[d].tokens;
        for (size_t from = 0; from < all->n; from += window) {
            size_t context = least_of(from, before);
            p->windows[p->n_windows++] = (perplexity_window){
                .document = d,
                .context = all->ids + from - context,
                .n_context = context,
                .tokens = all->ids + from,
                .n_tokens = least_of(all->n - from, window),
            };
        }
    }
    return AGON_OK;
}

static agon_status hash_documents(agon_ctx *ctx, perplexity_suite *p) {
    hasher *h = hasher_new();
    if (!h)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for held-out documents");
    for (size_t d = 0; d < p->n_documents; d++) {
        hasher_add_field(h, p->documents[d].text);
        hasher_add(h, p->documents[d].tokens.ids, p->documents[d].tokens.n * sizeof(int32_t));
    }
    for (size_t i = 0; i < p->n_windows; i++) {
        uint64_t shape[2] = {p->windows[i].n_context, p->windows[i].n_tokens};
        hasher_add(h, shape, sizeof shape);
    }
    p->hash = hasher_end(h);
    return AGON_OK;
}

agon_status perplexity_open(agon_ctx *ctx, const tokenizer *t, size_t context, const char *path, size_t limit,
                            perplexity_suite **out) {
    char *found = NULL, *text = NULL;
    size_t size;
    perplexity_suite *p = NULL;
    agon_status s = path ? AGON_OK : share_find(ctx, "data/held_out.txt", &found);
    if (s)
        return s;
    if ((s = file_read(ctx, path ? path : found, LIMIT_BYTES, &text, &size)))
        goto done;
    if (!(p = calloc(1, sizeof *p))) {
        s = ctx_fail(ctx, AGON_ENOMEM, "out of memory for held-out documents");
        goto done;
    }
    if ((s = split(ctx, p, t, text, limit)))
        goto done;
    if (p->n_documents == 0) {
        s = ctx_fail(ctx, AGON_EFORMAT, "%s holds no text", path ? path : found);
        goto done;
    }
    s = cut(ctx, p, context);
    if (!s)
        s = hash_documents(ctx, p);
done:
    free(found);
    free(text);
    if (s)
        perplexity_free(p);
    else
        *out = p;
    return s;
}

size_t perplexity_n_documents(const perplexity_suite *p) {
    return p->n_documents;
}

size_t perplexity_n_windows(const perplexity_suite *p) {
    return p->n_windows;
}

perplexity_window perplexity_get(const perplexity_suite *p, size_t i) {
    return p->windows[i];
}

const char *perplexity_document(const perplexity_suite *p, size_t d) {
    return p->documents[d].text;
}

size_t perplexity_n_scored(const perplexity_suite *p, size_t d) {
    return p->documents[d].tokens.n - 1;
}

hash256 perplexity_hash(const perplexity_suite *p) {
    return p->hash;
}

/* ---- scoring --------------------------------------------------------------------------------------- */

/* Some windows in one batch. A window's first token in a document has nothing before it: its log_prob is 0 there. */
static agon_status score_windows(agon_ctx *ctx, const model *m, const adapter *a, workspace *w,
                                 const perplexity_window *windows, size_t n, double *nll) {
    enum { WIDTH = PERPLEXITY_WINDOW + PERPLEXITY_CONTEXT };
    segment segments[2 * PERPLEXITY_GROUP];
    size_t n_segments = 0;
    float log_prob[PERPLEXITY_GROUP * WIDTH];
    for (size_t i = 0; i < n; i++) {
        const perplexity_window *v = &windows[i];
        int32_t parent = -1;
        if (v->n_context > 0) {
            parent = (int32_t)n_segments;
            segments[n_segments++] =
                (segment){.tokens = v->context, .n_tokens = v->n_context, .parent = -1, .adapter = a};
        }
        segments[n_segments++] = (segment){.tokens = v->tokens,
                                           .n_tokens = v->n_tokens,
                                           .parent = parent,
                                           .adapter = a,
                                           .wants = WANT_LOG_PROB};
    }
    const segment_batch batch = {segments, n_segments};
    const token_channels out = {.log_prob = log_prob};
    agon_status s = model_forward(ctx, m, w, &batch, &out);
    const float *at = log_prob;
    for (size_t i = 0; !s && i < n; i++) {
        at += windows[i].n_context;
        for (size_t j = 0; j < windows[i].n_tokens; j++)
            nll[windows[i].document] -= (double)*at++;
    }
    return s;
}

agon_status perplexity_score(agon_ctx *ctx, const model *m, const adapter *a, const perplexity_suite *p, double *nll) {
    workspace *w = NULL;
    double *sums = memory_new(p->n_documents, sizeof *sums);
    if (!sums)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for perplexity");
    agon_status s = workspace_new(ctx, 0, &w);
    for (size_t i = 0; !s && i < p->n_windows; i += PERPLEXITY_GROUP) {
        size_t left = p->n_windows - i;
        s = ctx_check_interrupt(ctx);
        if (!s)
            s = score_windows(ctx, m, a, w, p->windows + i, left < PERPLEXITY_GROUP ? left : PERPLEXITY_GROUP, sums);
    }
    if (!s)
        memcpy(nll, sums, p->n_documents * sizeof *sums);
    workspace_free(w);
    free(sums);
    return s;
}

/* ---- comparing ------------------------------------------------------------------------------------- */

double perplexity_of(const double *nll, const size_t *n_scored, size_t n) {
    double sum = 0, tokens = 0;
    for (size_t i = 0; i < n; i++) {
        sum += nll[i];
        tokens += (double)n_scored[i];
    }
    return tokens > 0 ? exp(sum / tokens) : NAN;
}

static double drawn_rise(const double *before, const double *after, const size_t *n_scored, size_t n, rng *r) {
    double sum = 0, tokens = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = (size_t)rng_below(r, n);
        sum += after[at] - before[at];
        tokens += (double)n_scored[at];
    }
    return tokens > 0 ? expm1(sum / tokens) : 0;
}

agon_status perplexity_compare(agon_ctx *ctx, const double *before, const double *after, const size_t *n_scored,
                               size_t n, double margin, double alpha, size_t draws, uint64_t seed,
                               perplexity_comparison *out) {
    if (n < 2 || draws == 0 || !(margin > 0) || !(alpha > 0 && alpha < 0.5))
        return ctx_fail(ctx, AGON_EINVAL,
                        "perplexity: needs two documents, a draw, a margin above 0 and alpha below 0.5 (%zu, %zu, %g, %g)",
                        n, draws, margin, alpha);
    double *rises = memory_new(draws, sizeof *rises);
    if (!rises)
        return ctx_fail(ctx, AGON_ENOMEM, "perplexity: no memory for %zu draws", draws);
    size_t beyond = 0;
    rng r = rng_new(seed);
    for (size_t b = 0; b < draws; b++) {
        rises[b] = drawn_rise(before, after, n_scored, n, &r);
        beyond += rises[b] >= margin;
    }
    numbers_sort(rises, draws);
    perplexity_comparison c = {.before = perplexity_of(before, n_scored, n), .after = perplexity_of(after, n_scored, n)};
    c.rise = c.after / c.before - 1;
    c.upper = numbers_quantile(rises, draws, 1 - alpha);
    c.p = (1 + (double)beyond) / (1 + (double)draws);
    c.holds = c.upper < margin;
    free(rises);
    *out = c;
    return AGON_OK;
}
