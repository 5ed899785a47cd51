/* Family "writing": one fault planted in a right answer, by the constraint it breaks; the judge says what it is. */
#include "base/buffer.h"
#include "base/ctx.h"
#include "task/writing.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text with [start, end) replaced. */
static char *replaced(const char *text, size_t start, size_t end, const char *by) {
    buffer b = {0};
    buffer_append(&b, text, start);
    buffer_text(&b, by);
    buffer_text(&b, text + end);
    return buffer_take(&b);
}

/* The k-th of the response's tokens. */
static span token_at(const char *text, size_t k) {
    size_t at = 0;
    span s = {0, 0};
    for (size_t i = 0; i <= k && token_next(text, &at, &s); i++)
        ;
    return s;
}

static span random_word(const char *text, rng *r, size_t from) {
    size_t n = text_n_words(text);
    return token_at(text, n > from ? from + rng_below(r, n - from) : 0);
}

/* One letter of a random word in the other case. */
static char *fault_case(const char *text, bool lower, rng *r) {
    span s = random_word(text, r, 0);
    for (size_t i = s.start; i < s.end; i++) {
        char c = text[i], other[2] = {(char)(c ^ 0x20), 0};
        if (lower ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z')
            return replaced(text, i, i + 1, other);
    }
    return replaced(text, s.start, s.end, lower ? "And" : "and");
}

/* Words before the last one until the text is one too long. */
static char *fault_longer(const char *text, int64_t n, rng *r) {
    static const char *const filler[] = {"really", "very", "quite", "rather", "truly", "always"};
    buffer b = {0};
    span s = token_at(text, text_n_words(text) - 1);
    buffer_append(&b, text, s.start);
    for (int64_t have = (int64_t)text_n_words(text); have <= n && have < 5000; have++)
        buffer_printf(&b, "%s ", filler[rng_below(r, 6)]);
    buffer_text(&b, text + s.start);
    return buffer_take(&b);
}

/* The words behind the first n - 1 dropped. */
static char *fault_shorter(const char *text, int64_t n) {
    span s = token_at(text, n > 1 ? (size_t)n - 2 : 0);
    return replaced(text, s.end, strlen(text), ".");
}

static char *fault_drop(const char *text, size_t from, const char *what, const char *by) {
    span s;
    return phrase_find(text, from, what, &s) ? replaced(text, s.start, s.end, by) : strdup(text);
}

/* The last `mark` of the text replaced. */
static char *fault_mark(const char *text, const char *mark, const char *by) {
    const char *last = NULL;
    for (const char *p = text; (p = strstr(p, mark)); p++)
        last = p;
    size_t at = last ? (size_t)(last - text) : 0;
    return last ? replaced(text, at, at + strlen(mark), by) : strdup(text);
}

static char *fault_insert(const char *text, const char *what, rng *r) {
    span s = random_word(text, r, 1);
    return replaced(text, s.start, s.start, what);
}

/* The phrase with its last word gone: nearly right. */
static char *fault_phrase(const char *text, const char *phrase) {
    char shorter[256];
    snprintf(shorter, sizeof shorter, "%s", phrase);
    char *space = strrchr(shorter, ' ');
    if (space)
        *space = 0;
    return fault_drop(text, 0, phrase, space ? shorter : "so");
}

static char *fault_sentences(const char *text, rng *r) {
    static const char *const more[] = {" It is so.", " That is all.", " People know this."};
    const char *end = strchr(text, '.');
    if (end && end[1] == ' ' && rng_below(r, 2) == 0)
        return replaced(text, (size_t)(end - text), (size_t)(end - text) + 1, ";");
    return replaced(text, strlen(text), strlen(text), more[rng_below(r, 3)]);
}

static char *fault_bullets(const char *text, rng *r) {
    const char *line = strrchr(text, '\n');
    if (line && rng_below(r, 2) == 0)
        return replaced(text, (size_t)(line - text), strlen(text), "");
    return replaced(text, strlen(text), strlen(text), "\n- It is well known.");
}

static char *plant(const writing_request *q, const char *name, const char *text, rng *r) {
    char word[300];
    size_t start, end;
    const char *argument = writing_text(q, strcmp(name, "no_letter") == 0 ? "letter" : "word");
    if (strcmp(name, "lower_case") == 0 || strcmp(name, "upper_case") == 0)
        return fault_case(text, name[0] == 'l', r);
    if (strcmp(name, "max_words") == 0)
        return fault_longer(text, writing_n(q), r);
    if (strcmp(name, "exact_words") == 0)
        return rng_below(r, 2) ? fault_longer(text, writing_n(q), r) : fault_shorter(text, writing_n(q));
    if (strcmp(name, "min_words") == 0)
        return fault_shorter(text, writing_n(q));
    if (strcmp(name, "no_commas") == 0) {
        span s = random_word(text, r, 0);
        return replaced(text, s.end, s.end, text[s.end] ? "," : ", yes.");
    }
    if (strcmp(name, "no_digits") == 0)
        return fault_insert(text, "2 ", r);
    if (strcmp(name, "no_letter") == 0 || strcmp(name, "forbidden_word") == 0) {
        snprintf(word, sizeof word, "%s ", argument);
        return fault_insert(text, word, r);
    }
    if (strcmp(name, "required_word") == 0)
        return fault_drop(text, title_find(text, &start, &end) ? start : 0, argument, "place");
    if (strcmp(name, "sentences") == 0)
        return fault_sentences(text, r);
    if (strcmp(name, "bullets") == 0)
        return fault_bullets(text, r);
    if (strcmp(name, "placeholders") == 0)
        return fault_mark(text, "]", "");
    if (strcmp(name, "highlight") == 0)
        return fault_mark(text, "*", "");
    if (strcmp(name, "start_phrase") == 0 || strcmp(name, "end_phrase") == 0)
        return fault_phrase(text, writing_text(q, "phrase"));
    if (strcmp(name, "exclamation") == 0)
        return fault_mark(text, "!", ".");
    if (strcmp(name, "question") == 0)
        return fault_mark(text, "?", ".");
    if (strcmp(name, "quotation") == 0)
        return fault_mark(text, "\"", "");
    if (strcmp(name, "json_object") == 0)
        return rng_below(r, 2) ? fault_mark(text, "}", "") : fault_mark(text, "\":", "s\":");
    if (strcmp(name, "title") == 0)
        return fault_mark(text, ">>", ">");
    return fault_drop(text, 0, "one sentence", "a sentence"); /* repeat_request */
}

/* The claim is what the judge says of the faulty answer, so it is true by construction. */
agon_status writing_tamper(agon_ctx *ctx, const task_query *query, const char *correct, uint64_t seed,
                                  char **faulty, char **claim) {
    writing_request q;
    rng r = rng_new(seed);
    agon_status status = writing_read(ctx, query, &q);
    if (status != AGON_OK)
        return status;
    char *text = plant(&q, q.form->constraints[rng_below(&r, q.n_constraints)], correct, &r);
    if (!text)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a planted fault is exhausted");
    return task_planted(ctx, query, writing_verify, text, faulty, claim);
}
