/* Rows of refinements as training rows (spec: training 7): {"prompt", "draft", "critique", "refined"} (+ "draft_score", "refined_score"), or
 * instead of "refined" the draft's "spans": [{"quote" (+ "near") or "start", "end", "fix"}], whose fixes make it (detect, critique, refine: what is
 * not flagged stays as it is).
 *
 *   refine-sft      the prompt -> refined
 *   refine-guided   the prompt, the draft as the assistant's turn, the critique as the user's -> refined
 *   refine-pairs    refined > draft
 *   refine-critic   the prompt, the draft, a request to say what is wrong -> the critique
 *
 * A refinement is left out (--skip-bad) that does not gain 0.1 where both scores are given, or copies eight words in a row of the critique; a
 * pair also one that changes more than 0.8 of the longer text. */
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/json.h"
#include "base/utf8.h"
#include "train/convert.h"
#include "train/critique_spans.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COPIED_WORDS = 8, MOST_FIXES = 64 };
static const char ASK_REFINED[] = "\n\nGive the corrected answer.", ASK_CRITIQUE[] = "Say what is wrong with this answer.";

static agon_status no_memory(agon_ctx *ctx) {
    return ctx_fail(ctx, AGON_ENOMEM, "out of memory converting rows");
}

typedef struct refinement {
    json_t *prompt; /* new: messages */
    const char *draft, *critique, *refined;
    char *fixed; /* new: refined, made from fixes; NULL: the row has it */
} refinement;

static void refinement_free(refinement *r) {
    json_decref(r->prompt);
    free(r->fixed);
}

/* ---- fixes ------------------------------------------------------------------------------------------------- */

typedef struct fix {
    size_t start, end;
    const char *text;
} fix;

static int by_place(const void *a, const void *b) {
    const fix *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

static agon_status read_fix(agon_ctx *ctx, const char *where, const json_t *span, size_t i, const char *draft, fix *out) {
    const char *quote = NULL;
    int64_t start = -1, end = -1, near = -1;
    text_span places[MOST_QUOTE_PLACES];
    size_t n = 0, n_draft = strlen(draft);
    quote_match how;
    agon_status s = json_get_text(ctx, where, span, "fix", true, &out->text);
    if (!s)
        s = json_get_text(ctx, where, span, "quote", false, &quote);
    if (!s && quote)
        s = json_get_int(ctx, where, span, "near", false, &near);
    if (!s && quote)
        s = quote_align(ctx, draft, n_draft, quote, strlen(quote), near < 0 ? SIZE_MAX : (size_t)near, 0, places, &n, &how);
    if (!s && !quote)
        s = json_get_int(ctx, where, span, "start", true, &start);
    if (!s && !quote)
        s = json_get_int(ctx, where, span, "end", true, &end);
    if (s)
        return s;
    if (quote && n == 0)
        return ctx_fail(ctx, AGON_EINVAL, "%s: spans[%zu]: the quote does not stand in the draft", where, i);
    if (n > 1)
        return ctx_fail(ctx, AGON_EINVAL, "%s: spans[%zu]: the quote stands in the draft more than once; say the byte it stands nearest to (\"near\"), or "
                        "\"start\" and \"end\"", where, i);
    if (!quote && !(start >= 0 && start < end && (uint64_t)end <= n_draft))
        return ctx_fail(ctx, AGON_EINVAL, "%s: spans[%zu]: bytes %lld to %lld are no part of the draft", where, i, (long long)start,
                        (long long)end);
    if (!quote && (utf8_whole(draft, (size_t)start) != (size_t)start || utf8_whole(draft, (size_t)end) != (size_t)end))
        return ctx_fail(ctx, AGON_EINVAL, "%s: spans[%zu]: bytes %lld to %lld cut a character of the draft; offsets count bytes of UTF-8", where, i,
                        (long long)start, (long long)end);
    out->start = quote ? places[0].start : (size_t)start;
    out->end = quote ? places[0].end : (size_t)end;
    return AGON_OK;
}

static agon_status apply_fixes(agon_ctx *ctx, const char *where, const json_t *spans, const char *draft, char **out) {
    fix fixes[MOST_FIXES];
    size_t n = json_array_size(spans), at = 0;
    buffer b = {0};
    if (!json_is_array(spans) || n == 0 || n > MOST_FIXES)
        return ctx_fail(ctx, AGON_EINVAL, "%s: refined is missing, or spans, a list of 1 to %d with fixes", where, MOST_FIXES);
    for (size_t i = 0; i < n; i++) {
        agon_status s = read_fix(ctx, where, json_array_get(spans, i), i, draft, &fixes[i]);
        if (s)
            return s;
    }
    qsort(fixes, n, sizeof *fixes, by_place);
    for (size_t i = 0; i < n; i++) {
        if (fixes[i].start < at) {
            buffer_free(&b);
            return ctx_fail(ctx, AGON_EINVAL, "%s: two spans overlap; which fix is meant?", where);
        }
        buffer_append(&b, draft + at, fixes[i].start - at);
        buffer_text(&b, fixes[i].text);
        at = fixes[i].end;
    }
    buffer_text(&b, draft + at);
    *out = buffer_take(&b);
    buffer_free(&b);
    return *out ? AGON_OK : no_memory(ctx);
}

/* ---- the row ------------------------------------------------------------------------------------------------ */

static agon_status read_texts(agon_ctx *ctx, const char *where, json_t *row, bool needs_critique, refinement *out) {
    json_t *prompt = json_object_get(row, "prompt"), *spans = json_object_get(row, "spans");
    agon_status s = json_get_text(ctx, where, row, "draft", true, &out->draft);
    if (!s)
        s = json_get_text(ctx, where, row, "critique", needs_critique, &out->critique);
    if (!s)
        s = json_get_text(ctx, where, row, "refined", false, &out->refined);
    if (!s && !out->refined && spans)
        s = apply_fixes(ctx, where, spans, out->draft, &out->fixed);
    if (s)
        return s;
    out->refined = out->refined ? out->refined : out->fixed;
    if (!*out->draft || (needs_critique && !*out->critique))
        return ctx_fail(ctx, AGON_EINVAL, "%s: draft or critique is empty", where);
    out->prompt = json_is_string(prompt) ? json_pack("[{s:s,s:O}]", "role", "user", "content", prompt)
                  : json_is_array(prompt) && json_array_size(prompt) ? json_copy(prompt)
                                                                      : NULL;
    return out->prompt ? AGON_OK : ctx_fail(ctx, AGON_EINVAL, "%s: prompt must be a text or a list of messages", where);
}

static agon_status check_refined(agon_ctx *ctx, const char *where, json_t *row, const refinement *r, bool pair) {
    const refinement_filter f = refinement_filter_default();
    double draft = NAN, refined = NAN, edits = 0;
    if (!r->refined || !*r->refined)
        return ctx_fail(ctx, AGON_EINVAL, "%s: refined is missing or empty", where);
    if (strcmp(r->refined, r->draft) == 0)
        return ctx_fail(ctx, AGON_EINVAL, "%s: refined is the draft; nothing was mended", where);
    bool copies = r->critique && copies_critique(r->draft, r->refined, r->critique, COPIED_WORDS);
    agon_status s = json_get_real(ctx, where, row, "draft_score", false, &draft);
    if (!s)
        s = json_get_real(ctx, where, row, "refined_score", false, &refined);
    if (!s && pair)
        s = edit_ratio(ctx, r->draft, strlen(r->draft), r->refined, strlen(r->refined), &edits);
    bool scored = isfinite(draft) && isfinite(refined);
    if (s || refinement_keep(&f, scored ? draft : 0, scored ? refined : 1, edits, copies))
        return s;
    return copies                ? ctx_fail(ctx, AGON_EINVAL, "%s: refined copies the critique's words", where)
           : edits > f.most_edits ? ctx_fail(ctx, AGON_EINVAL, "%s: refined changes %.2f of the draft; %.2f is taken for another answer",
                                             where, edits, f.most_edits)
                                  : ctx_fail(ctx, AGON_EINVAL, "%s: refined scores %g, the draft %g; that gains less than %g", where,
                                             refined, draft, f.least_gain);
}

/* Appends the draft as the assistant's turn and a message of the user's. */
static bool go_on(json_t *messages, const char *draft, const char *message) {
    return json_array_append_new(messages, json_pack("{s:s,s:s}", "role", "assistant", "content", draft)) == 0 &&
           json_array_append_new(messages, json_pack("{s:s,s:s}", "role", "user", "content", message)) == 0;
}

static json_t *make_row(data_format format, refinement *r) {
    char *message = NULL;
    bool fine = true;
    if (format == DATA_REFINE_PAIRS)
        return json_pack("{s:O,s:[{s:s,s:s}],s:[{s:s,s:s}]}", "prompt", r->prompt, "chosen", "role", "assistant", "content", r->refined,
                         "rejected", "role", "assistant", "content", r->draft);
    if (format == DATA_REFINE_GUIDED) {
        buffer b = {0};
        buffer_text(&b, r->critique);
        buffer_text(&b, ASK_REFINED);
        message = buffer_take(&b);
        fine = message && go_on(r->prompt, r->draft, message);
        free(message);
        buffer_free(&b);
    }
    if (format == DATA_REFINE_CRITIC)
        fine = go_on(r->prompt, r->draft, ASK_CRITIQUE);
    return fine ? json_pack("{s:O,s:[{s:s,s:s}]}", "prompt", r->prompt, "completion", "role", "assistant", "content",
                            format == DATA_REFINE_CRITIC ? r->critique : r->refined)
                : NULL;
}

agon_status convert_refined(agon_ctx *ctx, const char *where, data_format format, json_t *row, json_t **out) {
    refinement r = {0};
    agon_status s = read_texts(ctx, where, row, format == DATA_REFINE_GUIDED || format == DATA_REFINE_CRITIC, &r);
    if (!s && format != DATA_REFINE_CRITIC)
        s = check_refined(ctx, where, row, &r, format == DATA_REFINE_PAIRS);
    if (!s && !(*out = make_row(format, &r)))
        s = no_memory(ctx);
    refinement_free(&r);
    return s;
}
