/* The general suite: short questions of kinds that no task family trains, {"kind", "query", "answer": [accepted..],
 * "wrong": [..]?} a line.
 *
 * Judged is the first sentence of the response (its first 40 words at most), so that reciting all weekdays wins nothing. It is
 * right when an accepted answer occurs there as whole words, whatever the case and punctuation, and no
 * answer of "wrong" (the other choice of a two-way question) occurs before it. */
#include "base/buffer.h"
#include "base/ctx.h"
#include "eval/suite_private.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 40, MAX_TOKENS = 32 };

static bool all_texts(const json_t *list, bool may_be_absent) {
    size_t i;
    const json_t *v;
    if (!list)
        return may_be_absent;
    json_array_foreach(list, i, v) {
        if (json_string_length(v) == 0)
            return false;
    }
    return json_array_size(list) > 0;
}

static agon_status read_row(agon_ctx *ctx, const char *where, const json_t *row, size_t number, suite_entry *out) {
    const char *kind = NULL, *query = NULL;
    agon_status s = json_get_text(ctx, where, row, "kind", true, &kind);
    if (!s)
        s = json_get_text(ctx, where, row, "query", true, &query);
    if (s)
        return s;
    json_t *answer = json_object_get(row, "answer"), *wrong = json_object_get(row, "wrong");
    if (!all_texts(answer, false) || !all_texts(wrong, true))
        return ctx_fail(ctx, AGON_EFORMAT, "%s: 'answer' (and 'wrong', where it stands) must be a list of texts", where);
    out->max_tokens = MAX_TOKENS;
    out->gold = json_pack("{s:O, s:O*}", "answer", answer, "wrong", wrong);
    if (!out->gold)
        return ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", where);
    return suite_entry_set(ctx, out, kind, query, "general/%.60s/%zu", kind, number);
}

/* Bytes of the first sentence: to the end of the first line that holds a word, or to a full stop, question or exclamation
 * mark before white space. */
static size_t first_sentence(const char *text) {
    size_t i = strspn(text, " \t\r\n");
    for (; text[i] && text[i] != '\n'; i++)
        if (strchr(".!?", text[i]) && (text[i + 1] == 0 || strchr(" \t\r\n", text[i + 1])))
            return i + 1;
    return i;
}

/* Where the earliest of `answers` stands in the words; SIZE_MAX: nowhere. */
static bool earliest(const char *words, const json_t *answers, size_t *at, const char **which) {
    size_t i;
    const json_t *v;
    *at = SIZE_MAX;
    json_array_foreach(answers, i, v) {
        buffer wanted = {0};
        if (!suite_words(json_string_value(v), json_string_length(v), MAX_WORDS, &wanted)) {
            buffer_free(&wanted);
            return false;
        }
        const char *found = strstr(words, wanted.data);
        if (found && (size_t)(found - words) < *at) {
            *at = (size_t)(found - words);
            *which = json_string_value(v);
        }
        buffer_free(&wanted);
    }
    return true;
}

static agon_status judge(agon_ctx *ctx, const suite_entry *e, const char *response, bool *right, char **evidence) {
    const json_t *answers = json_object_get(e->gold, "answer");
    const char *first = json_string_value(json_array_get(answers, 0)), *said = NULL, *other = NULL;
    size_t at, at_wrong, n = first_sentence(response);
    buffer words = {0};
    bool good = suite_words(response, n, MAX_WORDS, &words) && earliest(words.data, answers, &at, &said) &&
                earliest(words.data, json_object_get(e->gold, "wrong"), &at_wrong, &other);
    agon_status s;
    bool is_right = good && at < at_wrong;
    if (!good)
        s = ctx_fail(ctx, AGON_ENOMEM, "out of memory for judging %s", e->id);
    else if (is_right)
        s = suite_say(ctx, evidence, "says \"%s\"", said);
    else if (at_wrong != SIZE_MAX)
        s = suite_say(ctx, evidence, "says \"%s\", but \"%s\" is right", other, first);
    else
        s = suite_say(ctx, evidence, "says \"%.*s\", but \"%s\" is right", (int)(n < 200 ? n : 200), response, first);
    buffer_free(&words);
    if (!s)
        *right = is_right;
    return s;
}

const suite_def suite_general = {
    .name = "general",
    .summary = "everyday questions of kinds that no task family trains",
    .file = "data/general.jsonl",
    .read = read_row,
    .judge = judge,
};
