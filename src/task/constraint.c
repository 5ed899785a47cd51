/* Writing constraints that a program can check (the kinds of IFEval, Zhou et al. 2023, and some more), by name.
 *
 * A constraint is a name and arguments: {"n"}, {"word"}, {"phrase"}, {"keys"}, {"request"}, {"letter"}, or none. Words are
 * what white space separates; words to find are compared whole, whatever the case. Evidence says what was found and what was
 * asked; it gives no answer away, so the masked form is the same. */
#include "base/ctx.h"
#include "base/nearest.h"
#include "task/family.h"
#include "task/words.h"
#include <string.h>

typedef enum argument { NO_ARGUMENT, N, WORD, PHRASE, KEYS, REQUEST, LETTER } argument;
static const char *const argument_key[] = {NULL, "n", "word", "phrase", "keys", "request", "letter"};

/* What a judge sees. Exactly one of the arguments is set. */
typedef struct judged {
    agon_ctx *ctx;
    const char *response;
    size_t n;
    const char *text; /* word, phrase, request or letter */
    const json_t *keys;
    task_verdict *out;
} judged;

typedef struct constraint {
    const char *name;
    argument argument;
    agon_status (*judge)(const judged *j);
} constraint;

#define PASS(j, ...) verdict_set((j)->ctx, (j)->out, OUTCOME_PASS, (j)->response, 0, 0, NULL, __VA_ARGS__)
#define FAIL(j, ...) verdict_set((j)->ctx, (j)->out, OUTCOME_FAIL, (j)->response, 0, 0, NULL, __VA_ARGS__)
#define FAIL_AT(j, s, ...)                                                                           \
    verdict_set((j)->ctx, (j)->out, OUTCOME_FAIL, (j)->response, (s).start, (s).end, NULL, __VA_ARGS__)

static const char *plural(size_t n) {
    return n == 1 ? "" : "s";
}

/* ---- letters ------------------------------------------------------------------------------------- */

/* The first token with a letter for which `wrong` holds; counts the letters that could be wrong or right. */
static bool wrong_case(const char *text, bool (*wrong)(int32_t), span *out, size_t *n_letters) {
    size_t at = 0;
    *n_letters = 0;
    for (span s; token_next(text, &at, &s);)
        for (size_t p = s.start; p < s.end;) {
            int32_t c = text_next(text, &p);
            *n_letters += code_is_letter(c);
            if (wrong(c)) {
                *out = s;
                return true;
            }
        }
    return false;
}

static agon_status judge_case(const judged *j, bool (*wrong)(int32_t), const char *asked, const char *found) {
    span s;
    size_t n;
    char word[EXCERPT_SIZE];
    if (wrong_case(j->response, wrong, &s, &n))
        return FAIL_AT(j, s, "'%s' has %s letter, but everything must be in %s case",
                       excerpt(j->response, s.start, s.end, word), found, asked);
    return n == 0 ? FAIL(j, "has no letters at all") : PASS(j, "everything is in %s case", asked);
}

static agon_status judge_lower_case(const judged *j) {
    return judge_case(j, code_is_upper, "lower", "a capital");
}

static agon_status judge_upper_case(const judged *j) {
    return judge_case(j, code_is_lower, "upper", "a lower case");
}

static bool is_comma(int32_t c) {
    return c == ',' || c == 0xFF0C || c == 0x3001 || c == 0x60C;
}

static bool is_digit(int32_t c) {
    return utf8proc_category(c) == UTF8PROC_CATEGORY_ND;
}

/* The first code point for which `is` holds. */
static bool code_find(const char *text, bool (*is)(int32_t), span *out) {
    int32_t c;
    for (size_t at = 0, before = 0; (c = text_next(text, &at)); before = at)
        if (is(c)) {
            *out = (span){before, at};
            return true;
        }
    return false;
}

/* The token that holds byte `at`, to cite more than one character. */
static span token_around(const char *text, size_t byte) {
    size_t at = 0;
    for (span s; token_next(text, &at, &s);)
        if (byte < s.end)
            return byte >= s.start ? s : (span){byte, byte + 1};
    return (span){byte, byte + 1};
}

static agon_status judge_no_commas(const judged *j) {
    span s;
    char word[EXCERPT_SIZE];
    if (!code_find(j->response, is_comma, &s))
        return PASS(j, "there is no comma");
    s = token_around(j->response, s.start);
    return FAIL_AT(j, s, "there is a comma at '%s', but commas are not allowed",
                   excerpt(j->response, s.start, s.end, word));
}

static agon_status judge_no_digits(const judged *j) {
    span s;
    char word[EXCERPT_SIZE];
    if (!code_find(j->response, is_digit, &s))
        return PASS(j, "there is no digit");
    s = token_around(j->response, s.start);
    return FAIL_AT(j, s, "there is a digit in '%s', but digits are not allowed",
                   excerpt(j->response, s.start, s.end, word));
}

static agon_status judge_no_letter(const judged *j) {
    size_t zero = 0, at = 0;
    int32_t letter = code_fold(text_next(j->text, &zero));
    char word[EXCERPT_SIZE];
    for (span s; token_next(j->response, &at, &s);)
        for (size_t p = s.start; p < s.end;)
            if (code_fold(text_next(j->response, &p)) == letter)
                return FAIL_AT(j, s, "the word '%s' has the letter '%s', which is not allowed",
                               excerpt(j->response, s.start, s.end, word), j->text);
    return PASS(j, "the letter '%s' does not occur", j->text);
}

/* ---- counts -------------------------------------------------------------------------------------- */

static agon_status judge_max_words(const judged *j) {
    size_t n = text_n_words(j->response), at = 0, k = 0;
    if (n <= j->n)
        return PASS(j, "has %zu word%s, and at most %zu are allowed", n, plural(n), j->n);
    span s = {0, 0}, rest = {0, strlen(j->response)};
    while (token_next(j->response, &at, &s))
        if (k++ == j->n)
            rest.start = s.start;
    rest.end = s.end > rest.start ? s.end : rest.end;
    return FAIL_AT(j, rest, "has %zu words, but at most %zu are allowed", n, j->n);
}

static agon_status judge_min_words(const judged *j) {
    size_t n = text_n_words(j->response);
    return n >= j->n ? PASS(j, "has %zu words, and at least %zu are asked", n, j->n)
                     : FAIL(j, "has %zu word%s, but at least %zu are asked", n, plural(n), j->n);
}

static agon_status judge_exact_words(const judged *j) {
    size_t n = text_n_words(j->response);
    return n == j->n ? PASS(j, "has exactly %zu word%s", n, plural(n))
                     : FAIL(j, "has %zu word%s, but exactly %zu are asked", n, plural(n), j->n);
}

static agon_status judge_sentences(const judged *j) {
    size_t n = text_n_sentences(j->response);
    return n == j->n ? PASS(j, "has exactly %zu sentence%s", n, plural(n))
                     : FAIL(j, "has %zu sentence%s, but exactly %zu %s asked", n, plural(n), j->n,
                            j->n == 1 ? "is" : "are");
}

/* Bytes of a bullet at the start of a line ("- ", "* ", "• ", "1. "), 0 for none. */
static size_t bullet_size(const char *line) {
    size_t at = 0, n = strspn(line, "0123456789");
    if (n > 0 && n <= 3 && (line[n] == '.' || line[n] == ')'))
        at = n + 1;
    else {
        int32_t c = text_next(line, &at);
        if (c != '-' && c != '*' && c != '+' && c != 0x2022 && c != 0x2013 && c != 0x25E6)
            return 0;
    }
    return line[at] == ' ' || line[at] == '\t' ? at + 1 : 0;
}

/* Is there a letter or digit in text[start, end)? word_next would look for one up to the end of the text. */
static bool holds_word(const char *text, size_t start, size_t end) {
    while (start < end)
        if (code_is_word(text_next(text, &start)))
            return true;
    return false;
}

/* The next line from *at that is a bullet; *out: its text, *says: holds a word. */
static bool bullet_next(const char *text, size_t *at, span *out, bool *says) {
    while (text[*at]) {
        size_t start = *at + strspn(text + *at, " \t"), stop = start + strcspn(text + start, "\r\n");
        size_t size = bullet_size(text + start);
        *at = stop + strspn(text + stop, "\r\n");
        if (size > 0 && start + size <= stop) {
            *out = (span){start + size, stop};
            *says = holds_word(text, start + size, stop);
            return true;
        }
    }
    return false;
}

/* Padding: does an earlier bullet say the same as this one? */
static bool bullet_repeats(const char *text, span b) {
    bool says;
    span s;
    for (size_t at = 0; bullet_next(text, &at, &s, &says) && s.start < b.start;)
        if (s.end - s.start == b.end - b.start && memcmp(text + s.start, text + b.start, s.end - s.start) == 0)
            return true;
    return false;
}

size_t bullets(const char *response) {
    size_t n = 0;
    bool says;
    span s;
    for (size_t at = 0; bullet_next(response, &at, &s, &says);)
        n++;
    return n;
}

static agon_status judge_bullets(const judged *j) {
    size_t n = bullets(j->response);
    bool says;
    span s;
    if (n != j->n)
        return FAIL(j, "has %zu bullet point%s, but exactly %zu are asked", n, plural(n), j->n);
    for (size_t at = 0; bullet_next(j->response, &at, &s, &says);) {
        if (!says)
            return FAIL_AT(j, s, "has a bullet point without words");
        if (n <= 100 && bullet_repeats(j->response, s)) /* quadratic: only for sensible lists */
            return FAIL_AT(j, s, "has the same bullet point twice");
    }
    return PASS(j, "has exactly %zu bullet point%s", n, plural(n));
}

/* Non-empty stretches between `open` and `close` on one line; *last: the last one, marks included. */
static size_t count_marked(const char *text, char open, char close, span *last) {
    size_t n = 0;
    for (size_t i = 0; text[i]; i++) {
        if (text[i] != open || text[i + 1] == ' ')
            continue;
        size_t k = i + 1;
        while (text[k] && text[k] != close && text[k] != open && text[k] != '\n')
            k++;
        if (text[k] == close && text[k - 1] != ' ' && holds_word(text, i + 1, k)) {
            n++;
            *last = (span){i, k + 1};
            i = k;
        }
    }
    return n;
}

static agon_status judge_placeholders(const judged *j) {
    span s;
    size_t n = count_marked(j->response, '[', ']', &s);
    return n >= j->n ? PASS(j, "has %zu placeholder%s in square brackets", n, plural(n))
                     : FAIL(j, "has %zu placeholder%s in square brackets, but %zu %s asked", n, plural(n),
                            j->n, j->n == 1 ? "is" : "are");
}

size_t highlights(const char *response, size_t *start, size_t *end) {
    span s = {0, 0};
    size_t n = count_marked(response, '*', '*', &s);
    *start = s.start;
    *end = s.end;
    return n;
}

static agon_status judge_highlight(const judged *j) {
    size_t start, end, n = highlights(j->response, &start, &end);
    return n >= j->n ? PASS(j, "has %zu part%s between asterisks", n, plural(n))
                     : FAIL(j, "has %zu part%s between asterisks, but %zu %s asked", n, plural(n), j->n,
                            j->n == 1 ? "is" : "are");
}

/* ---- words and phrases --------------------------------------------------------------------------- */

static agon_status judge_required_word(const judged *j) {
    span s;
    if (!phrase_find(j->response, 0, j->text, &s))
        return FAIL(j, "the word '%s' does not occur although it is required", j->text);
    return verdict_set(j->ctx, j->out, OUTCOME_PASS, j->response, s.start, s.end, NULL,
                       "the required word '%s' occurs", j->text);
}

static agon_status judge_forbidden_word(const judged *j) {
    span s;
    if (phrase_find(j->response, 0, j->text, &s))
        return FAIL_AT(j, s, "the word '%s' occurs although it is forbidden", j->text);
    return PASS(j, "the forbidden word '%s' does not occur", j->text);
}

static bool is_quote(int32_t c) {
    return c == '"' || c == 0x201C || c == 0x201D;
}

/* Behind white space and quotation marks: where the words begin. */
static size_t words_start(const char *text) {
    size_t at = text_trim(text).start, p = at;
    for (int32_t c; (c = text_next(text, &p)) && (is_quote(c) || c == '\''); at = p)
        ;
    return at;
}

static agon_status judge_start_phrase(const judged *j) {
    size_t at = words_start(j->response), end, p = 0;
    char word[EXCERPT_SIZE];
    if (phrase_at(j->response, at, j->text, &end)) {
        p = end;
        int32_t c = text_next(j->response, &p);
        if (!c || !code_is_word(c))
            return verdict_set(j->ctx, j->out, OUTCOME_PASS, j->response, at, end, NULL, "starts with '%s'", j->text);
    }
    span s = {at, at};
    p = at;
    token_next(j->response, &p, &s);
    return FAIL_AT(j, s, "starts with '%s', but must start with '%s'",
                   excerpt(j->response, s.start, s.end, word), j->text);
}

/* The end of the last word or other letter, without the punctuation behind it. */
static size_t words_end(const char *text) {
    size_t at = 0, end = 0;
    for (int32_t c; (c = text_next(text, &at));)
        if (code_is_word(c))
            end = at;
    return end;
}

static agon_status judge_end_phrase(const judged *j) {
    size_t stop = words_end(j->response), phrase_stop = words_end(j->text), last_start = 0;
    span s;
    char word[EXCERPT_SIZE], wanted[EXCERPT_SIZE * 2];
    if (phrase_stop < sizeof wanted) {
        memcpy(wanted, j->text, phrase_stop);
        wanted[phrase_stop] = 0;
        for (size_t from = 0; phrase_find(j->response, from, wanted, &s); from = s.end)
            if (s.end == stop)
                return verdict_set(j->ctx, j->out, OUTCOME_PASS, j->response, s.start, s.end, NULL,
                                   "ends with '%s'", j->text);
    }
    for (size_t at = 0; token_next(j->response, &at, &s);)
        last_start = s.start;
    s = (span){last_start, stop > last_start ? stop : last_start};
    return FAIL_AT(j, s, "ends with '%s', but must end with '%s'",
                   excerpt(j->response, s.start, s.end, word), j->text);
}

/* The last code point that is neither white space, a closing mark nor one of emphasis. */
static int32_t last_mark(const char *text, span *where) {
    int32_t last = 0, c;
    for (size_t at = 0, before = 0; (c = text_next(text, &at)); before = at)
        if (!code_is_space(c) && !is_quote(c) && c != 0x2019 && !(c < 128 && strchr("')*_`", c))) {
            last = c;
            *where = (span){before, at};
        }
    return last;
}

static agon_status judge_last_mark(const judged *j, int32_t narrow, int32_t wide, const char *name) {
    span s = {0, 0};
    char word[EXCERPT_SIZE];
    int32_t c = last_mark(j->response, &s);
    if (c == narrow || c == wide)
        return PASS(j, "ends with %s", name);
    return FAIL_AT(j, s, "ends with '%s', but must end with %s", excerpt(j->response, s.start, s.end, word), name);
}

static agon_status judge_exclamation(const judged *j) {
    return judge_last_mark(j, '!', 0xFF01, "an exclamation mark");
}

static agon_status judge_question(const judged *j) {
    return judge_last_mark(j, '?', 0xFF1F, "a question mark");
}

/* One quotation: a mark opens behind a blank, bracket, dash or opening mark and closes elsewhere, and the first closes at the end. */
static agon_status judge_quotation(const judged *j) {
    span t = text_trim(j->response);
    int32_t first = 0, last = 0;
    size_t n = 0, open = 0;
    bool opened = true, closed = false; /* a mark here would open; the first one was closed */
    for (size_t at = t.start; at < t.end; n++) {
        last = text_next(j->response, &at);
        first = n == 0 ? last : first;
        closed |= n > 0 && open == 0;
        bool opens = is_quote(last) && last != 0x201D && (last == 0x201C || opened) && at < t.end;
        if (opens)
            open++;
        else if (is_quote(last) && open > 0)
            open = at < t.end ? open - 1 : 0;
        opened = opens || code_is_space(last) || last == '(' || last == '[' || last == '-' || last == 0x2014;
    }
    if (is_quote(first) && is_quote(last) && n > 2 && !closed)
        return PASS(j, "is wrapped in double quotation marks");
    return FAIL(j, "%s, but the whole answer must be wrapped in double quotation marks",
                is_quote(first) && is_quote(last) && n > 2 ? "is not one quotation"
                : is_quote(first) && n > 1 ? "opens with a quotation mark and does not close with one"
                : is_quote(last) && n > 1 ? "closes with a quotation mark and does not open with one"
                                          : "is not quoted");
}

/* ---- form ---------------------------------------------------------------------------------------- */

/* The text inside a ``` fence that surrounds it all, else the text itself. */
static span without_fence(const char *text) {
    span t = text_trim(text);
    size_t n = t.end - t.start;
    if (n < 6 || memcmp(text + t.start, "```", 3) != 0 || memcmp(text + t.end - 3, "```", 3) != 0)
        return t;
    size_t start = t.start + 3;
    start += strspn(text + start, "abcdefghijklmnopqrstuvwxyzJSON");
    return (span){start, t.end - 3 > start ? t.end - 3 : start};
}

static bool says_something(const json_t *value) {
    if (json_is_string(value)) {
        span s;
        size_t at = 0;
        return word_next(json_string_value(value), &at, &s);
    }
    return json_is_number(value) || json_is_boolean(value) ||
           (json_is_array(value) && json_array_size(value) > 0) ||
           (json_is_object(value) && json_object_size(value) > 0);
}

static json_t *json_read(const char *response, json_error_t *error) {
    span t = without_fence(response);
    return json_loadb(response + t.start, t.end - t.start, JSON_REJECT_DUPLICATES, error);
}

json_t *json_answer(const char *response) {
    json_error_t error;
    return json_read(response, &error);
}

static agon_status judge_json(const judged *j) {
    json_error_t error;
    json_t *object = json_read(j->response, &error), *key;
    agon_status status = AGON_OK;
    size_t i, n = json_array_size(j->keys);
    if (!json_is_object(object)) {
        status = object ? FAIL(j, "is JSON, but not an object")
                        : FAIL(j, "is not a JSON object (it stops being one in line %d)", error.line);
        json_decref(object);
        return status;
    }
    for (i = 0; i < n; i++) {
        key = json_array_get(j->keys, i);
        const json_t *value = json_object_get(object, json_string_value(key));
        if (!says_something(value)) {
            status = FAIL(j, value ? "the JSON object's key '%s' has an empty value"
                                   : "the JSON object has no key '%s'", json_string_value(key));
            break;
        }
    }
    json_decref(object);
    return i < n ? status : PASS(j, "is a JSON object with the %zu keys asked for", n);
}

bool title_find(const char *response, size_t *start, size_t *end) {
    const char *open = strstr(response, "<<"), *close = open ? strstr(open + 2, ">>") : NULL;
    if (!close)
        return false;
    *start = (size_t)(open - response) + 2;
    *end = (size_t)(close - response);
    return true;
}

static agon_status judge_title(const judged *j) {
    span inner, s;
    if (!title_find(j->response, &inner.start, &inner.end))
        return FAIL(j, "has no title in double angle brackets <<like this>>");
    size_t at = inner.start, end;
    if (!word_next(j->response, &at, &s) || s.start >= inner.end)
        return FAIL_AT(j, ((span){inner.start - 2, inner.end + 2}), "the title in double angle brackets is empty");
    if (phrase_at(j->response, inner.start, "title>>", &end) || memchr(j->response + inner.start, '\n', inner.end - inner.start))
        return FAIL_AT(j, ((span){inner.start - 2, inner.end + 2}), "what stands in double angle brackets is no title");
    return verdict_set(j->ctx, j->out, OUTCOME_PASS, j->response, inner.start - 2, inner.end + 2, NULL,
                       "has a title in double angle brackets");
}

/* How far the response repeats the request word by word. */
static size_t repeated_words(const char *response, const char *request, size_t at, size_t *end, size_t *n_request) {
    size_t p = 0, same = 0;
    bool equal = true;
    span a, b;
    for (*n_request = 0; word_next(request, &p, &a); ++*n_request) {
        char word[256];
        size_t n = a.end - a.start, stop;
        snprintf(word, sizeof word, "%.*s", (int)(n < 255 ? n : 255), request + a.start);
        equal = equal && word_next(response, &at, &b) && phrase_at(response, b.start, word, &stop) && stop == b.end;
        same += equal;
        *end = equal ? b.end : *end;
    }
    return same;
}

size_t request_repeated(const char *response, const char *request) {
    size_t end = 0, n;
    return repeated_words(response, request, 0, &end, &n) == n ? end : 0;
}

static agon_status judge_repeat_request(const judged *j) {
    size_t end = 0, n, same = repeated_words(j->response, j->text, 0, &end, &n), at = end;
    span s;
    if (same < n)
        return FAIL_AT(j, ((span){0, end}), "repeats only %zu of the request's %zu words", same, n);
    if (!word_next(j->response, &at, &s))
        return FAIL_AT(j, ((span){0, end}), "repeats the request, but no answer follows");
    return PASS(j, "repeats the request word for word and goes on");
}

/* ---- the table ----------------------------------------------------------------------------------- */

static const constraint constraints[] = {
    {"lower_case", NO_ARGUMENT, judge_lower_case},
    {"upper_case", NO_ARGUMENT, judge_upper_case},
    {"no_commas", NO_ARGUMENT, judge_no_commas},
    {"no_digits", NO_ARGUMENT, judge_no_digits},
    {"no_letter", LETTER, judge_no_letter},
    {"max_words", N, judge_max_words},
    {"min_words", N, judge_min_words},
    {"exact_words", N, judge_exact_words},
    {"sentences", N, judge_sentences},
    {"bullets", N, judge_bullets},
    {"placeholders", N, judge_placeholders},
    {"highlight", N, judge_highlight},
    {"required_word", WORD, judge_required_word},
    {"forbidden_word", WORD, judge_forbidden_word},
    {"start_phrase", PHRASE, judge_start_phrase},
    {"end_phrase", PHRASE, judge_end_phrase},
    {"exclamation", NO_ARGUMENT, judge_exclamation},
    {"question", NO_ARGUMENT, judge_question},
    {"quotation", NO_ARGUMENT, judge_quotation},
    {"json_object", KEYS, judge_json},
    {"title", NO_ARGUMENT, judge_title},
    {"repeat_request", REQUEST, judge_repeat_request},
};
enum { N_CONSTRAINTS = sizeof constraints / sizeof *constraints };

const char *writing_constraint_name(size_t i) {
    return i < N_CONSTRAINTS ? constraints[i].name : NULL;
}

static const constraint *constraint_find(const char *name) {
    for (size_t i = 0; i < N_CONSTRAINTS; i++)
        if (strcmp(constraints[i].name, name) == 0)
            return &constraints[i];
    return NULL;
}

static agon_status unknown_constraint(agon_ctx *ctx, const char *where, const char *name) {
    const char *names[N_CONSTRAINTS];
    for (size_t i = 0; i < N_CONSTRAINTS; i++)
        names[i] = constraints[i].name;
    const char *near = nearest_word(name, names, N_CONSTRAINTS);
    return ctx_fail(ctx, AGON_EINVAL, "%s: there is no writing constraint '%.60s'%s%s%s", where, name,
                    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* A text argument: 1 to `limit` bytes that hold a word; a WORD is one word and nothing else, a LETTER one letter. */
static agon_status check_text(agon_ctx *ctx, const char *where, argument kind, const char *text) {
    size_t limit = kind == REQUEST ? 4000 : kind == PHRASE ? 200 : 64, at = 0;
    span s;
    const char *key = argument_key[kind];
    if (strlen(text) > limit)
        return ctx_fail(ctx, AGON_EINVAL, "%s: argument '%s' is longer than %zu bytes", where, key, limit);
    if (!word_next(text, &at, &s))
        return ctx_fail(ctx, AGON_EINVAL, "%s: argument '%s' holds no word", where, key);
    at = 0;
    bool letter = code_is_letter(text_next(text, &at)) && !text[at];
    if ((kind == WORD && (s.start != 0 || text[s.end])) || (kind == LETTER && !letter))
        return ctx_fail(ctx, AGON_EINVAL, "%s: argument '%s' must be one %s, not '%.60s'", where, key, key, text);
    return AGON_OK;
}

static agon_status check_keys(agon_ctx *ctx, const char *where, const json_t *keys) {
    size_t n = json_array_size(keys);
    if (n < 1 || n > 16)
        return ctx_fail(ctx, AGON_EINVAL, "%s: argument 'keys' must be a list of 1 to 16 texts", where);
    for (size_t i = 0; i < n; i++) {
        const char *key = json_string_value(json_array_get(keys, i));
        if (!key || !*key || strlen(key) > 64)
            return ctx_fail(ctx, AGON_EINVAL, "%s: key %zu must be a text of 1 to 64 bytes", where, i + 1);
    }
    return AGON_OK;
}

/* Finds the constraint and takes its argument apart. */
static agon_status constraint_read(agon_ctx *ctx, const char *where, const char *name, const json_t *arguments,
                                   const constraint **out, judged *j) {
    const constraint *c = constraint_find(name);
    if (!c)
        return unknown_constraint(ctx, where, name);
    const char *key = argument_key[c->argument], *other;
    size_t n_arguments = json_object_size(arguments);
    json_t *value = key ? json_object_get(arguments, key) : NULL;
    if (arguments && !json_is_null(arguments) && !json_is_object(arguments))
        return ctx_fail(ctx, AGON_EINVAL, "%s: the arguments of '%s' must be a JSON object", where, name);
    if (key && !value)
        return ctx_fail(ctx, AGON_EINVAL, "%s: '%s' needs the argument '%s'", where, name, key);
    if (n_arguments > (key ? 1 : 0)) {
        json_t *ignored;
        json_object_foreach((json_t *)arguments, other, ignored) {
            if (!key || strcmp(other, key) != 0)
                return ctx_fail(ctx, AGON_EINVAL, "%s: '%s' has no argument '%.60s'", where, name, other);
        }
    }
    *out = c;
    if (c->argument == NO_ARGUMENT)
        return AGON_OK;
    if (c->argument == N) {
        int64_t n = 0;
        agon_status status = json_get_int(ctx, where, arguments, key, true, &n);
        if (status == AGON_OK && (n < 1 || n > 10000))
            return ctx_fail(ctx, AGON_EINVAL, "%s: argument 'n' of '%s' must be from 1 to 10000", where, name);
        j->n = (size_t)n;
        return status;
    }
    if (c->argument == KEYS) {
        j->keys = value;
        return check_keys(ctx, where, value);
    }
    agon_status status = json_get_text(ctx, where, arguments, key, true, &j->text);
    return status == AGON_OK ? check_text(ctx, where, c->argument, j->text) : status;
}

agon_status writing_constraint_check(agon_ctx *ctx, const char *where, const char *name, const json_t *arguments) {
    const constraint *c;
    judged j = {.ctx = ctx};
    return constraint_read(ctx, where, name, arguments, &c, &j);
}

agon_status writing_constraint_verify(agon_ctx *ctx, const char *name, const json_t *arguments, const char *response,
                                      task_verdict *out) {
    const constraint *c;
    judged j = {.ctx = ctx, .response = response, .out = out};
    agon_status status = constraint_read(ctx, "constraint", name, arguments, &c, &j);
    if (status != AGON_OK)
        return status;
    size_t at = 0;
    span s;
    if (!token_next(response, &at, &s))
        return FAIL(&j, "is empty");
    return c->judge(&j);
}
