/* Spans of rows: see row_spans.h. */
#include "train/row_spans.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/json.h"
#include "base/memory.h"
#include "objective/objective.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

agon_status token_offsets(agon_ctx *ctx, const tokenizer *t, const int32_t *tokens, size_t n, const char *text, size_t n_text,
                          bool special, size_t (*out)[2]) {
    buffer all = {0};
    for (size_t i = 0; i < n; i++) {
        size_t m = 0;
        const char *bytes = special || !tokenizer_is_special(t, tokens[i]) ? tokenizer_bytes(t, tokens[i], &m) : "";
        out[i][0] = all.size;
        buffer_append(&all, bytes, m);
        out[i][1] = all.size;
    }
    const char *at = n_text && all.data ? memmem(all.data, all.size, text, n_text) : NULL;
    size_t base = at ? (size_t)(at - all.data) : 0;
    bool failed = all.failed;
    buffer_free(&all);
    if (failed)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory to place spans on %zu tokens", n);
    if (n_text && !at)
        return ctx_fail(ctx, AGON_EINVAL, "spans cannot be placed: the tokens do not spell the text (the chat template changes it)");
    for (size_t i = 0; i < n; i++) {
        size_t from = out[i][0] > base ? out[i][0] : base;
        size_t to = out[i][1] < base + n_text ? out[i][1] : base + n_text;
        out[i][0] = to > from ? from - base : 0;
        out[i][1] = to > from ? to - base : 0;
    }
    return AGON_OK;
}

agon_status span_placement_find(agon_ctx *ctx, const char *where, const char *name, span_placement *out) {
    static const char *const names[] = {"each", "spread", "last"};
    static const span_placement values[] = {SPAN_EACH, SPAN_SPREAD, SPAN_LAST};
    for (size_t i = 0; i < 3; i++)
        if (strcmp(names[i], name) == 0) {
            *out = values[i];
            return AGON_OK;
        }
    return ctx_fail(ctx, AGON_EINVAL, "%s: the placement of a span's reward is spread, each or last, not '%.40s'", where, name);
}

/* One span as the row has it. */
typedef struct row_span {
    const char *quote; /* NULL: start and end */
    int64_t start, end, near;
    double reward, weight; /* NAN: not given */
    span_placement placement;
} row_span;

static agon_status read_span(agon_ctx *ctx, const char *where, const json_t *object, size_t n_text, row_span *out) {
    row_span s = {.near = -1, .reward = NAN, .weight = NAN, .placement = SPAN_SPREAD};
    const char *placement = NULL;
    if (!json_is_object(object))
        return ctx_fail(ctx, AGON_EINVAL, "%s must be an object", where);
    agon_status status = json_get_text(ctx, where, object, "quote", false, &s.quote);
    if (!status)
        status = json_get_int(ctx, where, object, "start", !s.quote, &s.start);
    if (!status)
        status = json_get_int(ctx, where, object, "end", !s.quote, &s.end);
    if (!status)
        status = json_get_int(ctx, where, object, "near", false, &s.near);
    if (!status)
        status = json_get_real(ctx, where, object, "reward", false, &s.reward);
    if (!status)
        status = json_get_real(ctx, where, object, "weight", false, &s.weight);
    if (!status)
        status = json_get_text(ctx, where, object, "placement", false, &placement);
    if (!status && placement)
        status = span_placement_find(ctx, where, placement, &s.placement);
    if (status)
        return status;
    if (isnan(s.reward) && isnan(s.weight))
        return ctx_fail(ctx, AGON_EINVAL, "%s has neither reward nor weight", where);
    if ((!isnan(s.reward) && !number_fits(s.reward)) || (!isnan(s.weight) && !(s.weight >= 0 && number_fits(s.weight))))
        return ctx_fail(ctx, AGON_EINVAL, "%s: reward must be from %g to %g, weight from 0 to %g", where, -NUMBER_LIMIT, NUMBER_LIMIT, NUMBER_LIMIT);
    if (!s.quote && !(s.start >= 0 && s.start < s.end && (uint64_t)s.end <= n_text))
        return ctx_fail(ctx, AGON_EINVAL, "%s: bytes %lld to %lld are no part of a response of %zu", where, (long long)s.start,
                        (long long)s.end, n_text);
    *out = s;
    return AGON_OK;
}

static void place_one(const row_span *s, const text_span *place, const size_t (*offsets)[2], size_t n, double *rewards,
                      double *weights, double *scratch) {
    size_t first, count;
    span_tokens(offsets, n, place, &first, &count);
    for (size_t t = first; t < first + count && !isnan(s->weight); t++)
        weights[t] *= s->weight;
    if (isnan(s->reward))
        return;
    span_rewards(offsets, n, place, 1, s->placement, scratch);
    for (size_t t = 0; t < n; t++)
        rewards[t] += scratch[t];
}

agon_status row_spans_place(agon_ctx *ctx, const char *where, const json_t *spans, const char *text, const size_t (*offsets)[2],
                            size_t n, double *rewards, double *weights, bool *rewarded, span_tally *tally) {
    size_t n_text = strlen(text), i;
    json_t *object;
    char name[640];
    if (!json_is_array(spans))
        return ctx_fail(ctx, AGON_EINVAL, "%s: spans must be a list", where);
    double *scratch = memory_new(n + 1, sizeof *scratch);
    agon_status s = scratch ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory to place spans");
    json_array_foreach(spans, i, object) {
        row_span span = {0};
        text_span places[MOST_QUOTE_PLACES];
        size_t n_places = 1;
        quote_match how = QUOTE_NONE;
        snprintf(name, sizeof name, "%.600s: spans[%zu]", where, i);
        if (!s)
            s = read_span(ctx, name, object, n_text, &span);
        if (!s && !isnan(span.reward) && !rewards)
            s = ctx_fail(ctx, AGON_EINVAL, "%s has a reward, which this objective does not take; ppo and reinforce++ do", name);
        if (s)
            break;
        places[0] = (text_span){(size_t)span.start, (size_t)span.end, span.reward};
        if (span.quote) {
            s = quote_align(ctx, text, n_text, span.quote, strlen(span.quote), span.near < 0 ? SIZE_MAX : (size_t)span.near,
                            span.reward, places, &n_places, &how);
            tally->quotes[how] += s ? 0 : 1;
        } else {
            tally->offsets++;
        }
        for (size_t k = 0; k < n_places && !s; k++)
            place_one(&span, &places[k], offsets, n, rewards, weights, scratch);
        *rewarded = *rewarded || !isnan(span.reward);
    }
    free(scratch);
    return s;
}

char *critique_join(const char *response, const char *critique, size_t *n_context) {
    buffer b = {0};
    buffer_printf(&b, "%s" CRITIQUE_MARK, response);
    if (n_context)
        *n_context = b.size - 1; /* the mark's last space is part of the critique's first word, and of its token */
    buffer_text(&b, critique);
    char *text = buffer_take(&b);
    buffer_free(&b);
    return text;
}
