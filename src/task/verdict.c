/* What families share: verdicts, keep lists, filled patterns, sentences that distract. */
#include "task/family.h"
#include "task/number.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buffer.h"
#include "base/ctx.h"

agon_status task_format(agon_ctx *ctx, char **out, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a task's text is exhausted");
    *out = text;
    return AGON_OK;
}

agon_status task_planted(agon_ctx *ctx, const task_query *query,
                         agon_status (*verify)(agon_ctx *ctx, const task_query *query, const char *response, task_verdict *out), char *text,
                         char **faulty, char **claim) {
    task_verdict v = {0};
    agon_status s = verify(ctx, query, text, &v);
    if (!s && v.outcome != OUTCOME_FAIL)
        s = ctx_fail(ctx, AGON_EUNSUPPORTED, "%s/%s: the planted change is no fault", query->family, query->cell);
    if (!s)
        s = task_format(ctx, claim, "The answer is wrong: %s.", v.evidence);
    task_verdict_free(&v);
    if (s)
        free(text);
    else
        *faulty = text;
    return s;
}

agon_status verdict_set(agon_ctx *ctx, task_verdict *out, task_outcome outcome, const char *response,
                        size_t start, size_t end, const char *masked, const char *evidence_format, ...) {
    task_verdict v = {.outcome = outcome};
    va_list args;
    va_start(args, evidence_format);
    int n = vasprintf(&v.evidence, evidence_format, args);
    va_end(args);
    if (n < 0)
        v.evidence = NULL;
    else
        v.masked = strdup(masked ? masked : v.evidence);
    bool cites = end > start;
    if (cites) {
        v.span_start = start;
        v.span_end = end;
        v.quote = strndup(response + start, end - start);
    }
    if (!v.evidence || !v.masked || (cites && !v.quote)) {
        task_verdict_free(&v);
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a verdict is exhausted");
    }
    task_verdict_free(out);
    *out = v;
    return AGON_OK;
}

agon_status keep_add(agon_ctx *ctx, json_t **keep, const char *kind, const char *value) {
    if (!*keep)
        *keep = json_array();
    if (!*keep || json_array_append_new(*keep, json_pack("{s:s, s:s}", "kind", kind, "value", value)) != 0)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a query is exhausted");
    return AGON_OK;
}

const char *draw_text(rng *r, const char *const *texts, size_t n) {
    return texts[rng_below(r, n)];
}

const char *draw_distractor(rng *r) {
    static const char *const sentences[] = {
        "The sky is blue today.",
        "It is raining outside.",
        "My cat likes to sleep on the sofa.",
        "The library opens in the morning.",
        "I had soup for lunch.",
        "The train was late again.",
        "Winter is my favorite season.",
        "The garden looks lovely.",
        "My neighbor plays the piano.",
        "The shop around the corner sells bread.",
        "I like to walk by the river.",
        "The radio is playing an old song.",
    };
    return draw_text(r, sentences, sizeof sentences / sizeof *sentences);
}

static const text_fill *fill_at(const char *p, const text_fill *fills, size_t n, size_t *length) {
    size_t inside = strcspn(p + 1, "{}");
    if (p[1 + inside] != '}')
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (strlen(fills[i].key) == inside && strncmp(p + 1, fills[i].key, inside) == 0) {
            *length = inside + 2;
            return &fills[i];
        }
    return NULL;
}

agon_status task_fill(agon_ctx *ctx, const char *pattern, const text_fill *fills, size_t n, char **out) {
    buffer b = {0};
    for (const char *p = pattern; *p;) {
        size_t length = 1;
        const text_fill *fill = *p == '{' ? fill_at(p, fills, n, &length) : NULL;
        if (fill)
            buffer_text(&b, fill->value);
        else
            buffer_char(&b, *p);
        p += length;
    }
    char *text = buffer_take(&b);
    if (!text)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a task's text is exhausted");
    *out = text;
    return AGON_OK;
}

agon_status verdict_number(agon_ctx *ctx, task_verdict *out, const char *response, rational gold,
                           const char *why, const char *masked_why) {
    return verdict_answer(ctx, out, response, number_find(response), gold, why, masked_why);
}

agon_status verdict_answer(agon_ctx *ctx, task_verdict *out, const char *response, number_answer a, rational gold,
                           const char *why, const char *masked_why) {
    char said[48];
    rational_text(a.value, said, sizeof said);
    switch (a.finding) {
    case NUMBER_NONE:
        return verdict_set(ctx, out, OUTCOME_FAIL, response, 0, 0, "gives no number",
                           "gives no number, but %s", why);
    case NUMBER_LISTED:
        if (rational_equal(a.value, gold)) { /* cite the one that is not the answer */
            a.start = a.other_start;
            a.end = a.other_end;
        }
        return verdict_set(ctx, out, OUTCOME_FAIL, response, a.start, a.end,
                           "offers several numbers instead of one answer",
                           "offers several numbers instead of one answer: %s", why);
    case NUMBER_UNEVALUATED:
        return verdict_set(ctx, out, OUTCOME_FAIL, response, a.start, a.end,
                           "leaves an expression instead of working it out",
                           "leaves an expression instead of working it out: %s", why);
    case NUMBER_NEGATED:
        return verdict_set(ctx, out, OUTCOME_FAIL, response, a.start, a.end,
                           "only says what the answer is not",
                           "only says what the answer is not, but %s", why);
    case NUMBER_SAID:
        break;
    }
    if (rational_equal(a.value, gold))
        return verdict_set(ctx, out, OUTCOME_PASS, response, a.start, a.end, NULL, "says %s: %s", said, why);
    char *masked = NULL;
    agon_status status = task_format(ctx, &masked, "says %s, %s", said, masked_why);
    if (status == AGON_OK)
        status = verdict_set(ctx, out, OUTCOME_FAIL, response, a.start, a.end, masked, "says %s, but %s",
                             said, why);
    free(masked);
    return status;
}

agon_status verdict_equation(agon_ctx *ctx, task_verdict *out, const char *response, const char *why) {
    equation e;
    size_t at = 0;
    while (equation_next(response, at, &e) && equation_true(&e))
        at = e.end;
    if (!equation_next(response, at, &e))
        return AGON_OK;
    char masked[96];
    snprintf(masked, sizeof masked, "writes %lld %c %lld = %lld, which is false", (long long)e.a, e.op,
             (long long)e.b, (long long)e.c);
    return verdict_set(ctx, out, OUTCOME_FAIL, response, e.start, e.end, masked, "%s: %s", masked, why);
}
