/* agon.h, evaluation: perplexity of held-out text, and whether it rose. */
#include "api/evals.h"
#include "base/ctx.h"
#include "base/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 10000 };
static const double MARGIN = 0.03, ALPHA = 0.05;

typedef struct figures {
    perplexity_suite *p;
    size_t n, n_tokens;
    double *nll;
    size_t *n_scored;
} figures;

static void figures_free(figures *f) {
    perplexity_free(f->p);
    free(f->nll);
    free(f->n_scored);
}

static agon_status measure(agon_ctx *ctx, const version *v, size_t limit, figures *out) {
    agon_status s = perplexity_open(ctx, model_tokenizer(v->m->m), model_get_config(v->m->m)->max_context, NULL, limit, &out->p);
    if (s)
        return s;
    out->n = perplexity_n_documents(out->p);
    out->nll = memory_new(out->n, sizeof *out->nll);
    out->n_scored = memory_new(out->n, sizeof *out->n_scored);
    if (!out->nll || !out->n_scored)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for perplexity");
    for (size_t d = 0; d < out->n; d++)
        out->n_tokens += out->n_scored[d] = perplexity_n_scored(out->p, d);
    return perplexity_score(ctx, v->m->m, v->a, out->p, out->nll);
}

static json_t *compared(agon_ctx *ctx, const figures *now, const figures *before, uint64_t seed, agon_status *s) {
    hash256 a = perplexity_hash(now->p), b = perplexity_hash(before->p);
    double was = perplexity_of(before->nll, before->n_scored, before->n);
    if (memcmp(a.bytes, b.bytes, sizeof a.bytes) != 0)
        return json_pack("{s:f, s:s}", "perplexity", was, "not_comparable", "the two models cut the text into other tokens, or by their contexts into other windows");
    if (now->n < 2)
        return json_pack("{s:f, s:s}", "perplexity", was, "not_comparable", "a comparison needs two documents");
    perplexity_comparison c;
    *s = perplexity_compare(ctx, before->nll, now->nll, now->n_scored, now->n, MARGIN, ALPHA, DRAWS, seed, &c);
    if (*s)
        return NULL;
    return json_pack("{s:f, s:f, s:{s:f, s:f, s:f, s:f, s:b}}", "perplexity", c.before, "rise", c.rise, "non_inferiority",
                     "margin", MARGIN, "alpha", ALPHA, "upper", c.upper, "p", c.p, "holds", (int)c.holds);
}

agon_status eval_perplexity(agon_ctx *ctx, const version *now, const version *against,
                            const agon_eval_options *options, json_t **out) {
    figures a = {0}, b = {0};
    json_t *result = NULL, *versus = NULL;
    agon_status s = measure(ctx, now, options->n, &a);
    if (!s && against)
        s = measure(ctx, against, options->n, &b);
    if (!s && against)
        versus = compared(ctx, &a, &b, options->seed, &s);
    if (s)
        goto done;
    char hex[HASH_HEX_SIZE];
    hash256 h = perplexity_hash(a.p);
    hash_hex(&h, hex);
    double value = perplexity_of(a.nll, a.n_scored, a.n);
    result = json_pack("{s:s, s:s, s:I, s:I, s:f, s:f, s:o*}", "name", "perplexity", "id", hex, "documents", (json_int_t)a.n,
                       "tokens", (json_int_t)a.n_tokens, "perplexity", value, "nats_per_token", log(value), "against", versus);
    versus = NULL;
    if (!result)
        s = ctx_fail(ctx, AGON_ENUMERIC, "perplexity is not finite, or memory is exhausted");
    else
        *out = result;
done:
    json_decref(versus);
    figures_free(&a);
    figures_free(&b);
    return s;
}
