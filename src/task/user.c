/* The user's own queries, one JSON row each: {"query", "answer"?, "verifier"?, "arguments"?, "group"?}.
 *
 *   number    the one number that counts (number_find) equals an accepted answer
 *   exact     the response, its last line, or what follows "answer is", "Answer:", "####" or stands in \boxed{} is an accepted answer but for
 *             case, blanks and final punctuation
 *   contains  an accepted answer occurs as whole words
 *   program   what the program that the run file names says (role/verifier.h)
 *   and every writing constraint (constraint.c), with its "arguments"
 *
 * Without "verifier": "number" when every answer is a number, else "exact"; without an answer too, the verdict is
 * unknown. Parameters hold the query as the file gave it, because it is what tells two such tasks apart. Rows of one "group" (a passage, a source) are
 * held out together or not at all (recipe/own_split.c). */
#include "task/family.h"
#include "base/json.h"
#include "task/number.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/nearest.h"

enum { MAX_ANSWERS = 64, SNIPPET = 120 };
static const char *const own_verifiers[] = {"number", "exact", "contains", TASK_VERIFIER_PROGRAM};
enum { N_OWN = sizeof own_verifiers / sizeof *own_verifiers };

const char *task_verifier_name(size_t i) {
    return i < N_OWN ? own_verifiers[i] : writing_constraint_name(i - N_OWN);
}

/* ---- rows ------------------------------------------------------------------------------------------------- */

static bool is_blank(const char *text) {
    return text[strspn(text, " \t\r\n")] == 0;
}

/* The whole text is one number. */
static bool is_number(const char *text, rational *out) {
    size_t end = strlen(text);
    number_token t = {0};
    while (end > 0 && isspace((unsigned char)text[end - 1]))
        end--;
    size_t start = strspn(text, " \t\r\n$");
    if (!number_next(text, 0, end, &t) || t.invalid || t.start > start || t.end != end)
        return false;
    *out = t.value;
    return true;
}

/* One accepted answer as text, new; numbers as plain decimals. */
static agon_status answer_text(agon_ctx *ctx, const char *where, const json_t *value, json_t **out) {
    char number[64];
    json_t *text = NULL;
    if (json_is_string(value)) {
        if (is_blank(json_string_value(value)) || json_string_length(value) > TASK_RESPONSE_MAX)
            return ctx_fail(ctx, AGON_EINVAL, "%s: an answer may be neither empty nor longer than 64 KiB", where);
        rational r;
        const char *given = json_string_value(value);
        bool whole = strchr(given, '/') && is_number(given, &r) && r.denominator == 1; /* "6/2": a response must work it out */
        snprintf(number, sizeof number, "%lld", whole ? (long long)r.numerator : 0LL);
        text = json_string(whole ? number : given);
    } else if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        text = json_string(number);
    } else if (json_is_real(value)) {
        snprintf(number, sizeof number, "%.15g", json_real_value(value));
        if (strpbrk(number, "ein"))
            return ctx_fail(ctx, AGON_EINVAL, "%s: write the answer %s as a plain decimal", where, number);
        text = json_string(number);
    } else {
        return ctx_fail(ctx, AGON_EINVAL, "%s: 'answer' must be a text, a number or a list of these", where);
    }
    if (!text)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a query is exhausted");
    *out = text;
    return AGON_OK;
}

static agon_status read_answers(agon_ctx *ctx, const char *where, const json_t *answer, json_t *answers) {
    size_t n = json_is_array(answer) ? json_array_size(answer) : 1;
    if (n == 0 || n > MAX_ANSWERS)
        return ctx_fail(ctx, AGON_EINVAL, "%s: 'answer' must list between 1 and %d answers", where, MAX_ANSWERS);
    for (size_t i = 0; i < n; i++) {
        json_t *text = NULL;
        agon_status status =
            answer_text(ctx, where, json_is_array(answer) ? json_array_get(answer, i) : answer, &text);
        if (status)
            return status;
        if (json_array_append_new(answers, text) != 0)
            return ctx_fail(ctx, AGON_ENOMEM, "memory for a query is exhausted");
    }
    return AGON_OK;
}

static bool is_among(const char *key, const char *const *words, size_t n) {
    bool found = false;
    for (size_t i = 0; i < n; i++)
        found |= strcmp(key, words[i]) == 0;
    return found;
}

/* Fields of the user's own, such as an id, are passed over; not misspelled ones, and none that would mean something elsewhere. */
static agon_status check_keys(agon_ctx *ctx, const char *where, const json_t *row) {
    static const char *const known[] = {"query", "answer", "verifier", "arguments", "group"};
    static const char *const elsewhere[] = {"prompt", "question", "instruction", "input", "context", "messages", "system", "choices", "options", "labels", "target",
                                            "output", "completion", "response", "solution"};
    const size_t n = sizeof known / sizeof *known;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)row, key, value) {
        const char *nearest = is_among(key, known, n) ? NULL : nearest_word(key, known, n);
        if (nearest)
            return ctx_fail(ctx, AGON_EINVAL, "%s: unknown key '%.60s'; did you mean '%s'?", where, key, nearest);
        if (is_among(key, elsewhere, sizeof elsewhere / sizeof *elsewhere))
            return ctx_fail(ctx, AGON_EINVAL, "%s: '%.60s' is not read here (read are query, answer, verifier, arguments and group)", where, key);
    }
    return AGON_OK;
}

static agon_status check_verifier(agon_ctx *ctx, const char *where, const char *name, size_t n_answers,
                                  const json_t *arguments) {
    for (size_t i = 0; i < N_OWN; i++)
        if (strcmp(name, own_verifiers[i]) == 0)
            return n_answers > 0 || strcmp(name, TASK_VERIFIER_PROGRAM) == 0 ? AGON_OK
                                 : ctx_fail(ctx, AGON_EINVAL, "%s: verifier '%s' needs an 'answer'", where, name);
    const char *known[64];
    size_t n = 0;
    for (const char *k; n < 64 && (k = task_verifier_name(n)); n++) {
        if (n >= N_OWN && strcmp(name, k) == 0)
            return writing_constraint_check(ctx, where, name, arguments);
        known[n] = k;
    }
    const char *nearest = nearest_word(name, known, n);
    if (nearest)
        return ctx_fail(ctx, AGON_EINVAL, "%s: unknown verifier '%.60s'; did you mean '%s'?", where, name, nearest);
    buffer all = {0};
    for (size_t i = 0; i < n; i++)
        buffer_printf(&all, "%s%s", i ? ", " : "", known[i]);
    agon_status s = ctx_fail(ctx, AGON_EINVAL, "%s: unknown verifier '%.60s'; there are %s", where, name, all.failed ? "others" : all.data);
    buffer_free(&all);
    return s;
}

static const char *default_verifier(const json_t *answers) {
    rational r;
    size_t i;
    json_t *a;
    if (json_array_size(answers) == 0)
        return NULL;
    json_array_foreach((json_t *)answers, i, a) if (!is_number(json_string_value(a), &r)) return "exact";
    return "number";
}

/* Numbers and double-quoted texts of the query must survive a rewording. */
static agon_status keep_of(agon_ctx *ctx, const char *text, json_t **keep) {
    number_token t = {0};
    size_t end = strlen(text);
    agon_status status = AGON_OK;
    for (size_t i = 0; !status && number_next(text, i, end, &t); i = t.end) {
        char word[80];
        snprintf(word, sizeof word, "%.*s", (int)(t.end - t.start), text + t.start);
        status = keep_add(ctx, keep, "number", word);
    }
    for (const char *p = strchr(text, '"'); !status && p;) {
        const char *close = strchr(p + 1, '"');
        if (!close)
            break;
        char *inside = strndup(p + 1, (size_t)(close - p - 1));
        status = !inside            ? ctx_fail(ctx, AGON_ENOMEM, "memory for a query is exhausted")
                 : is_blank(inside) ? AGON_OK
                                    : keep_add(ctx, keep, "text", inside);
        free(inside);
        p = strchr(close + 1, '"');
    }
    return status;
}

static agon_status check_answers(agon_ctx *ctx, const task_query *query);

static agon_status build(agon_ctx *ctx, const char *where, const json_t *row, task_query *q) {
    const char *text = NULL, *verifier = NULL, *group = NULL;
    agon_status status;
    if ((status = check_keys(ctx, where, row)) ||
        (status = json_get_text(ctx, where, row, "query", true, &text)) ||
        (status = json_get_text(ctx, where, row, "verifier", false, &verifier)) ||
        (status = json_get_text(ctx, where, row, "group", false, &group)))
        return status;
    if (is_blank(text) || strlen(text) > TASK_RESPONSE_MAX)
        return ctx_fail(ctx, AGON_EINVAL, "%s: 'query' may be neither empty nor longer than 64 KiB", where);
    q->text = strdup(text);
    json_t *answers = json_array();
    q->parameters = json_pack("{s:s, s:o}", "query", text, "answers", answers);
    if (!q->text || !q->parameters)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a query is exhausted");
    const json_t *answer = json_object_get(row, "answer"), *arguments = json_object_get(row, "arguments");
    if (!json_absent(answer) && (status = read_answers(ctx, where, answer, answers)))
        return status;
    if (!verifier)
        verifier = default_verifier(answers);
    if ((verifier && json_object_set_new(q->parameters, "verifier", json_string(verifier)) != 0) ||
        (group && json_object_set_new(q->parameters, "group", json_string(group)) != 0) ||
        (arguments && json_object_set_new(q->parameters, "arguments", json_deep_copy(arguments)) != 0))
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a query is exhausted");
    if ((status = check_answers(ctx, q)))
        return ctx_prefix(ctx, status, "%s", where);
    return keep_of(ctx, text, &q->keep);
}

agon_status task_user_query(agon_ctx *ctx, const char *where, const json_t *row, task_query *out) {
    task_query q = {.family = family_user.name, .cell = "query"};
    agon_status status = json_is_object(row)
                             ? build(ctx, where, row, &q)
                             : ctx_fail(ctx, AGON_EINVAL, "%s: a row must be a JSON object", where);
    if (status == AGON_OK)
        *out = q;
    else
        task_query_free(&q);
    return status;
}

/* ---- parameters ----------------------------------------------------------------------------------------------- */

typedef struct user_task {
    const char *query, *verifier; /* verifier NULL: nothing to judge by */
    const json_t *answers, *arguments;
} user_task;

static agon_status read_task(agon_ctx *ctx, const task_query *query, user_task *out) {
    user_task t = {.answers = json_object_get(query->parameters, "answers"),
                   .arguments = json_object_get(query->parameters, "arguments")};
    const char *where = "the user's query";
    agon_status status;
    if ((status = json_get_text(ctx, where, query->parameters, "query", true, &t.query)) ||
        (status = json_get_text(ctx, where, query->parameters, "verifier", false, &t.verifier)))
        return status;
    size_t n = json_array_size(t.answers), i;
    json_t *a;
    if (!json_is_array(t.answers) || n > MAX_ANSWERS)
        return ctx_fail(ctx, AGON_EINVAL, "%s: 'answers' must be a list of at most %d", where, MAX_ANSWERS);
    bool numeric = t.verifier && strcmp(t.verifier, "number") == 0;
    json_array_foreach((json_t *)t.answers, i, a) {
        rational r;
        if (!json_is_string(a) || is_blank(json_string_value(a)))
            return ctx_fail(ctx, AGON_EINVAL, "%s: answer %zu is not a text", where, i + 1);
        if (numeric && !is_number(json_string_value(a), &r))
            return ctx_fail(ctx, AGON_EINVAL, "%s: verifier 'number' cannot use the answer '%.60s'", where,
                            json_string_value(a));
    }
    if (t.verifier && (status = check_verifier(ctx, where, t.verifier, n, t.arguments)))
        return status;
    *out = t;
    return AGON_OK;
}

/* ---- judging ---------------------------------------------------------------------------------------------------- */

static agon_status verify_number(agon_ctx *ctx, const user_task *t, const char *response, task_verdict *out) {
    number_answer said = number_find(response);
    rational gold = {0, 1}, first = {0, 1};
    size_t i;
    json_t *a;
    json_array_foreach((json_t *)t->answers, i, a) {
        rational r = {0, 1};
        is_number(json_string_value(a), &r);
        if (i == 0)
            first = gold = r;
        if (said.finding == NUMBER_SAID && rational_equal(r, said.value))
            gold = r;
    }
    char why[80], text[48];
    rational_text(first, text, sizeof text);
    snprintf(why, sizeof why, "the answer is %s", text);
    return verdict_number(ctx, out, response, gold, why, "which is not the answer");
}

/* text[0, *n) without what stands around it. */
static const char *bare(const char *text, size_t *n, const char *around) {
    while (*n > 0 && text[0] && strchr(around, text[0])) {
        text++;
        --*n;
    }
    while (*n > 0 && text[*n - 1] && strchr(around, text[*n - 1]))
        --*n;
    return text;
}

/* Lower case (ASCII), single blanks, without quotes and stops around it unless it is nothing else ("*"); new string. */
static char *plain(const char *text, size_t n) {
    size_t inner = n;
    const char *inside = bare(text, &inner, " \t\r\n\"'`*.!?$()");
    text = inner > 0 ? inside : bare(text, &n, " \t\r\n");
    n = inner > 0 ? inner : n;
    buffer b = {0};
    for (size_t i = 0; i < n; i++) {
        bool space = isspace((unsigned char)text[i]) != 0;
        if (!space)
            buffer_char(&b, (char)tolower((unsigned char)text[i]));
        else if (b.size > 0 && b.data[b.size - 1] != ' ')
            buffer_char(&b, ' ');
    }
    return buffer_take(&b);
}

static bool same(const char *text, size_t n, const json_t *answers) {
    char *a = plain(text, n);
    bool found = false;
    size_t i;
    json_t *entry;
    json_array_foreach((json_t *)answers, i, entry) {
        char *b = plain(json_string_value(entry), json_string_length(entry));
        found |= a && b && *b && strcmp(a, b) == 0;
        free(b);
    }
    free(a);
    return found;
}

/* Where the last `mark` ends, NULL without one. */
static const char *after_mark(const char *text, const char *mark) {
    const char *found = NULL;
    for (const char *p = text; (p = strcasestr(p, mark)); p++)
        found = p + strlen(mark);
    return found;
}

/* The parts of a response that may be its answer. */
enum { N_PLACES = 7 };
static size_t answer_places(const char *response, const char *starts[N_PLACES], size_t sizes[N_PLACES]) {
    static const char *const marks[] = {"answer is:", "answer is", "answer:", "####"};
    size_t n = 0, size = strlen(response);
    starts[n] = response;
    sizes[n++] = size;
    size_t end = size;
    while (end > 0 && isspace((unsigned char)response[end - 1]))
        end--;
    size_t line = end;
    while (line > 0 && response[line - 1] != '\n')
        line--;
    starts[n] = response + line;
    sizes[n++] = end - line;
    for (size_t k = 0; k < sizeof marks / sizeof *marks; k++) {
        const char *p = after_mark(response, marks[k]);
        if (p) {
            starts[n] = p;
            sizes[n++] = strcspn(p, "\n");
        }
    }
    const char *box = after_mark(response, "\\boxed{");
    if (box) {
        starts[n] = box;
        sizes[n++] = strcspn(box, "}");
    }
    return n;
}

/* The beginning of a text for a sentence: whole characters, no control characters, '?' for what is not UTF-8. */
static void snippet(const char *text, size_t n, char out[SNIPPET + 8]) {
    size_t i = 0, k = 0;
    while (i < n && k < SNIPPET) {
        utf8proc_int32_t c;
        utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(n - i), &c);
        if (size > 0 && k + (size_t)size > SNIPPET)
            break;
        if (size <= 0 || c < 0x20 || c == 0x7f) {
            out[k++] = size > 0 ? ' ' : '?';
            i++;
            continue;
        }
        memcpy(out + k, text + i, (size_t)size);
        k += (size_t)size;
        i += (size_t)size;
    }
    strcpy(out + k, i < n ? "..." : "");
}

static agon_status verify_exact(agon_ctx *ctx, const user_task *t, const char *response, task_verdict *out) {
    const char *starts[N_PLACES], *gold = json_string_value(json_array_get(t->answers, 0));
    size_t sizes[N_PLACES], n = answer_places(response, starts, sizes);
    for (size_t i = 0; i < n; i++)
        if (same(starts[i], sizes[i], t->answers)) {
            size_t at = (size_t)(starts[i] - response);
            return verdict_set(ctx, out, OUTCOME_PASS, response, at, at + sizes[i], NULL,
                               "gives the reference answer");
        }
    char said[SNIPPET + 8], right[SNIPPET + 8];
    snippet(starts[1], sizes[1], said);
    snippet(gold, strlen(gold), right);
    size_t at = (size_t)(starts[1] - response);
    return verdict_set(ctx, out, OUTCOME_FAIL, response, at, at + sizes[1],
                       sizes[1] ? "does not give the reference answer" : "gives no answer",
                       "says \"%s\", but the answer is \"%s\"", said, right);
}

static bool word_edge(const char *text, const char *p, size_t n) {
    unsigned char before = p > text ? (unsigned char)p[-1] : ' ', after = (unsigned char)p[n];
    return !isalnum(before) && !isalnum(after);
}

static agon_status verify_contains(agon_ctx *ctx, const user_task *t, const char *response, task_verdict *out) {
    char right[SNIPPET + 8];
    size_t i;
    json_t *entry;
    json_array_foreach((json_t *)t->answers, i, entry) {
        const char *answer = json_string_value(entry);
        size_t n = strlen(answer);
        snippet(answer, n, right);
        for (const char *p = response; (p = strcasestr(p, answer)); p++)
            if (word_edge(response, p, n)) {
                size_t at = (size_t)(p - response);
                return verdict_set(ctx, out, OUTCOME_PASS, response, at, at + n, NULL, "contains \"%s\"", right);
            }
    }
    const char *first = json_string_value(json_array_get(t->answers, 0));
    snippet(first, strlen(first), right);
    return verdict_set(ctx, out, OUTCOME_FAIL, response, 0, 0, "does not contain the reference answer",
                       "does not contain \"%s\"", right);
}

static agon_status verify(agon_ctx *ctx, const task_query *query, const char *response, task_verdict *out) {
    user_task t = {0};
    agon_status status = read_task(ctx, query, &t);
    if (status)
        return status;
    if (!t.verifier)
        return verdict_set(ctx, out, OUTCOME_UNKNOWN, response, 0, 0, NULL,
                           "the query has neither a reference answer nor a verifier");
    if (strcmp(t.verifier, TASK_VERIFIER_PROGRAM) == 0)
        return verdict_set(ctx, out, OUTCOME_UNKNOWN, response, 0, 0, NULL, "only the run file's verifier program can tell");
    if (strcmp(t.verifier, "number") == 0)
        return verify_number(ctx, &t, response, out);
    if (strcmp(t.verifier, "exact") == 0)
        return verify_exact(ctx, &t, response, out);
    if (strcmp(t.verifier, "contains") == 0)
        return verify_contains(ctx, &t, response, out);
    return writing_constraint_verify(ctx, t.verifier, t.arguments, response, out);
}

static agon_status passes(agon_ctx *ctx, const task_query *query, const user_task *t, const char *answer) {
    task_verdict v = {0};
    agon_status status = verify(ctx, query, answer, &v);
    if (!status && v.outcome == OUTCOME_FAIL)
        status = ctx_fail(ctx, AGON_EINVAL, "the answer '%.60s' does not pass the query's verifier '%s': %s", answer, t->verifier, v.evidence);
    task_verdict_free(&v);
    return status;
}

/* Of a row that is read: every answer passes the row's own verifier, as a run shows them to the model. */
static agon_status check_answers(agon_ctx *ctx, const task_query *query) {
    user_task t = {0};
    agon_status status = read_task(ctx, query, &t);
    for (size_t i = 0; !status && i < json_array_size(t.answers); i++)
        status = passes(ctx, query, &t, json_string_value(json_array_get(t.answers, i)));
    return status;
}

/* Of a recorded query: runs begun when such answers were taken go on. */
static agon_status check(agon_ctx *ctx, const task_query *query) {
    user_task t = {0};
    return read_task(ctx, query, &t);
}

static agon_status demonstrate(agon_ctx *ctx, const task_query *query, uint64_t seed, char **response) {
    user_task t = {0};
    agon_status status = read_task(ctx, query, &t);
    if (status)
        return status;
    size_t n = json_array_size(t.answers);
    if (n == 0 || !t.verifier || strcmp(t.verifier, TASK_VERIFIER_PROGRAM) == 0)
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "the query has no reference answer to show");
    rng r = rng_new(seed);
    const char *answer = json_string_value(json_array_get(t.answers, rng_below(&r, n)));
    status = passes(ctx, query, &t, answer);
    if (status == AGON_EINVAL)
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "the query's reference answer '%.60s' does not pass its own verifier", answer);
    return status ? status : task_format(ctx, response, "%s", answer);
}

static agon_status tamper(agon_ctx *ctx, const task_query *query, const char *correct, uint64_t seed,
                          char **faulty, char **claim) {
    user_task t = {0};
    agon_status status = read_task(ctx, query, &t);
    if (status)
        return status;
    number_answer said = number_find(correct);
    if (!t.verifier || strcmp(t.verifier, "number") != 0 || said.finding != NUMBER_SAID ||
        said.value.denominator != 1)
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "faults can be planted only in whole numbers");
    rng r = rng_new(seed);
    int64_t gold = said.value.numerator, wrong = gold + (rng_below(&r, 2) ? 1 : -1);
    size_t n = 0;
    char *text = text_replace_number(correct, gold, wrong, &n);
    if (!text)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a tampered answer is exhausted");
    status = task_format(ctx, claim, "says %lld, but the answer is %lld", (long long)wrong, (long long)gold);
    if (status == AGON_OK)
        *faulty = text;
    else
        free(text);
    return status;
}

static agon_status gold(agon_ctx *ctx, const task_query *query, char **out) {
    user_task t = {0};
    agon_status status = read_task(ctx, query, &t);
    if (status)
        return status;
    *out = NULL;
    if (json_array_size(t.answers) != 1)
        return AGON_OK;
    return task_format(ctx, out, "%s", json_string_value(json_array_get(t.answers, 0)));
}

const task_family family_user = {
    .name = "user",
    .events = true,
    .verify = verify,
    .demonstrate = demonstrate,
    .tamper = tamper,
    .check = check,
    .gold = gold,
};
