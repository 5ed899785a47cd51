/* agon.h, reviews: open questions, and answers into the inbox. */
#include "api/critiques.h"
#include "api/options.h"
#include "api/workspaces.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/fp_environment.h"
#include "base/hash.h"
#include "base/json.h"
#include "role/critic.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- listing ------------------------------------------------------------------------------------------- */

static void add_span(json_t *spans, json_int_t start, json_int_t end, size_t size) {
    if (start >= 0 && end > start && (size_t)end <= size)
        json_array_append_new(spans, json_pack("[II]", start, end));
}

/* What stands between the marks and is really in the response. */
static agon_status add_quoted(agon_ctx *ctx, const char *critique, const char *response, const char *open, const char *close, json_t *spans) {
    critic_quote *quotes = NULL;
    size_t n = 0;
    agon_status s = critic_check_quotes(ctx, critique, response, open, close, false, &quotes, &n);
    for (size_t i = 0; !s && i < n; i++)
        if (quotes[i].found)
            add_span(spans, (json_int_t)quotes[i].start, (json_int_t)quotes[i].end, strlen(response));
    free(quotes);
    return s;
}

/* Bytes of the response that the critique cites: the span its maker recorded ("span": [start, end] in its meta), and what it
 * quotes, <q>so</q> or "so". */
static agon_status cited_spans(agon_ctx *ctx, const json_t *row, json_t **out) {
    const char *response = json_string_value(json_object_get(row, "response"));
    const char *critique = json_string_value(json_object_get(row, "critique"));
    const json_t *span = json_object_get(json_object_get(row, "critique_meta"), "span");
    agon_status s = AGON_OK;
    json_t *spans = json_array();
    if (!spans)
        return ctx_no_memory(ctx);
    if (response && json_array_size(span) == 2)
        add_span(spans, json_integer_value(json_array_get(span, 0)), json_integer_value(json_array_get(span, 1)),
                 strlen(response));
    if (response && critique)
        s = add_quoted(ctx, critique, response, "<q>", "</q>", spans);
    if (!s && response && critique)
        s = add_quoted(ctx, critique, response, "\"", "\"", spans);
    if (s)
        json_decref(spans);
    else
        *out = spans;
    return s;
}

/* Which claims of its critique hold, as far as texts alone show: who reads it is to judge, not to be told the verdict. */
static agon_status add_claims(agon_ctx *ctx, store *s, json_t *row) {
    const char *id = json_string_value(json_object_get(row, "critique_id"));
    json_t *claims = NULL;
    agon_status status = id ? critiques_claims(ctx, s, id, true, &claims) : AGON_OK;
    if (!status && json_object_set_new(row, "claims", claims ? claims : json_array()) != 0)
        status = ctx_no_memory(ctx);
    json_object_del(row, "critique_id");
    return status;
}

static const char open_sql[] =
    "SELECT id, kind, purpose, iteration, priority, query_text AS query, response_text AS response,"
    " other_text AS other, critique_text AS critique, o.critique AS critique_id,"
    " (SELECT meta FROM text WHERE id = o.critique) AS critique_meta_json"
    " FROM review_open o ORDER BY priority DESC, iteration, id";

agon_status agon_reviews_json(agon_ctx *ctx, const char *workspace, char **json) {
    FP_ENVIRONMENT();
    store *s = NULL;
    json_t *rows = NULL, *row;
    size_t i;
    agon_status status = OPTIONS_GIVEN(ctx, {"the place for the answer", json, 1});
    if (!status)
        status = workspaces_open(ctx, workspace, STORE_READ, &s);
    if (!status)
        status = store_query_json(s, open_sql, NULL, &rows);
    json_array_foreach(rows, i, row) {
        json_t *spans = NULL;
        if (!status)
            status = cited_spans(ctx, row, &spans);
        if (!status && json_object_set_new(row, "spans", spans) != 0)
            status = ctx_no_memory(ctx);
        json_object_del(row, "critique_meta");
        if (!status)
            status = add_claims(ctx, s, row);
    }
    store_close(s);
    if (!status)
        return json_give_take(ctx, rows, json);
    json_decref(rows);
    return status;
}

/* ---- answering ----------------------------------------------------------------------------------------- */

/* A name that is the same for one person on one machine and tells neither. */
static agon_status pseudonym(agon_ctx *ctx, char **out) {
    char machine[256] = "", hex[HASH_HEX_SIZE];
    char *id = NULL;
    size_t n;
    buffer text = {0};
    if (file_read(ctx, "/etc/machine-id", 4096, &id, &n) == AGON_OK)
        snprintf(machine, sizeof machine, "%.200s", id);
    else
        (void)!gethostname(machine, sizeof machine - 1);
    free(id);
    buffer_printf(&text, "reviewer|%s|%ld", machine, (long)getuid());
    hash256 hash = hash_bytes(text.data ? text.data : "", text.size);
    hash_hex(&hash, hex);
    buffer_clear(&text);
    buffer_printf(&text, "reviewer-%.8s", hex);
    if (!(*out = buffer_take(&text)))
        return ctx_no_memory(ctx);
    return AGON_OK;
}

/* The item an id or its beginning names: its whole id and kind; *item new. */
static agon_status find_item(agon_ctx *ctx, store *s, const char *id, json_t **item) {
    json_t *rows = NULL;
    if (!id || strlen(id) < 4)
        return ctx_fail(ctx, AGON_EINVAL, "give at least 4 digits of the review's id");
    json_t *parameters = json_pack("[s]", id);
    agon_status status = store_query_json(
        s, "SELECT id, kind FROM review_item WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2", parameters, &rows);
    json_decref(parameters);
    if (status)
        return status;
    if (json_array_size(rows) == 1)
        *item = json_incref(json_array_get(rows, 0));
    else if (json_array_size(rows) == 0)
        status = ctx_fail(ctx, AGON_ENOTFOUND, "there is no review item '%.64s'; agon review --json lists the open ones", id);
    else
        status = ctx_fail(ctx, AGON_EINVAL, "'%.64s' begins more than one review item; give more digits", id);
    json_decref(rows);
    return status;
}

static agon_status check_verdict(agon_ctx *ctx, const char *kind, const agon_review_answer *a) {
    const char *v = a->verdict ? a->verdict : "";
    bool pair = strcmp(kind, "pair") == 0, demonstration = strcmp(kind, "demonstration") == 0;
    bool chosen = strcmp(v, "A") == 0 || strcmp(v, "B") == 0, accept = strcmp(v, "accept") == 0;
    if (strcmp(v, "skip") == 0 && !a->text)
        return AGON_OK;
    if (strcmp(kind, "held_out") == 0 && a->text)
        return ctx_fail(ctx, AGON_EINVAL, "a held-out answer is judged, not mended: it measures versions, and a text of yours would teach them; leave the text out");
    if (demonstration && accept && (!a->text || !*a->text))
        return ctx_fail(ctx, AGON_EINVAL, "this item asks for an answer to be written; give its text with the accept");
    if (demonstration && !accept && a->text)
        return ctx_fail(ctx, AGON_EINVAL, "a text answers this item, so it goes with accept, not with %.20s; leave the text out, or accept it", v);
    if (a->text && !*a->text)
        return ctx_fail(ctx, AGON_EINVAL, "the text of the answer is empty; write one, or leave it out");
    if (strcmp(v, "skip") == 0)
        return ctx_fail(ctx, AGON_EINVAL, "skip says nothing about an item and takes no text; leave it out, or answer");
    if (strcmp(v, "reject") == 0 || (pair ? chosen : accept))
        return AGON_OK;
    return ctx_fail(ctx, AGON_EINVAL, "'%.20s' does not answer a %s item, which takes %s", v, kind,
                    pair ? "A, B, reject or skip" : demonstration ? "accept (with a text), reject or skip"
                                                                  : "accept, reject or skip");
}

/* The name stands beside every label of theirs and is shown. */
static agon_status check_reviewer(agon_ctx *ctx, const char *name) {
    enum { MOST = 64 };
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++)
        n = (unsigned char)name[i] < ' ' || name[i] == 127 ? MOST + 1 : n;
    return n <= MOST ? AGON_OK : ctx_fail(ctx, AGON_EINVAL, "a reviewer's name has at most %d bytes and no control characters", (int)MOST);
}

agon_review_answer agon_review_answer_default(void) {
    return (agon_review_answer){.struct_size = sizeof(agon_review_answer)};
}

agon_status agon_review(agon_ctx *ctx, const char *workspace, const agon_review_answer *given) {
    FP_ENVIRONMENT();
    agon_review_answer taken = agon_review_answer_default();
    const agon_review_answer *a = &taken;
    store *s = NULL;
    json_t *item = NULL, *answer = NULL;
    char *name = NULL;
    agon_status status = OPTIONS_GIVEN(ctx, {"the answer", given, 1});
    if (!status)
        status = options_take(ctx, "agon_review_answer", given, sizeof taken, &taken);
    if (!status)
        status = options_in_range(ctx, &(option_range){"seconds", taken.seconds, 0, 1e9}, 1);
    if (!status)
        status = workspaces_open(ctx, workspace, STORE_REVIEW, &s);
    if (!status)
        status = find_item(ctx, s, a->review, &item);
    if (!status)
        status = check_verdict(ctx, json_string_value(json_object_get(item, "kind")), a);
    if (!status)
        status = a->reviewer && *a->reviewer ? check_reviewer(ctx, a->reviewer) : pseudonym(ctx, &name);
    if (!status) {
        answer = json_pack("{ss ss* ss*}", "verdict", a->verdict, "text", a->text, "note", a->note);
        status = answer ? store_inbox_add(s, json_string_value(json_object_get(item, "id")), name ? name : a->reviewer,
                                          a->seconds, answer)
                        : ctx_fail(ctx, AGON_EINVAL, "the answer's text is not valid UTF-8");
    }
    json_decref(answer);
    json_decref(item);
    free(name);
    store_close(s);
    return status;
}
