/* See row_sampling.h. Ranges are the library's affair; here only the form is checked. */
#include "cli/row_sampling.h"
#include "cli/rows.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void row_sampling_free(row_sampling *s) {
    if (!s)
        return;
    free(s->stop);
    free(s->biases);
    free(s->allowed);
    json_decref(s->row);
    free(s);
}

static int bad(const char *name, size_t line, const char *key, const char *form) {
    return row_error(name, line, "\"%s\" must be %s", key, form);
}

/* A token id at `text`, which ends at one of `ends`; -1: there is none. */
static int32_t id_at(const char *text, const char *ends, char **end) {
    errno = 0;
    long id = text[0] >= '0' && text[0] <= '9' ? strtol(text, end, 10) : -1;
    return id >= 0 && !errno && id <= INT32_MAX && strchr(ends, **end) ? (int32_t)id : -1;
}

/* ---- the command line ---------------------------------------------------------------------------------- */

bool parse_biases(const char *const *texts, size_t n, agon_logit_bias **out) {
    agon_logit_bias *list = calloc(n + 1, sizeof *list);
    bool good = list != NULL;
    for (size_t i = 0; good && i < n; i++) {
        char *end = NULL, *rest = NULL;
        list[i].id = id_at(texts[i], "=", &end);
        good = list[i].id >= 0 && *end == '=';
        list[i].bias = good ? strtof(end + 1, &rest) : 0;
        good = good && rest != end + 1 && !*rest && isfinite(list[i].bias);
    }
    if (good)
        *out = list;
    else
        free(list);
    return good;
}

bool parse_ids(const char *text, int32_t **out, size_t *n) {
    int32_t *ids = calloc(strlen(text) + 1, sizeof *ids);
    size_t count = 0;
    bool good = ids != NULL;
    char *end = (char *)text;
    while (good) {
        ids[count] = id_at(end, ",", &end);
        good = ids[count++] >= 0;
        if (!good || !*end)
            break;
        end++;
    }
    if (good) {
        *out = ids;
        *n = count;
    } else {
        free(ids);
    }
    return good;
}

/* ---- a row --------------------------------------------------------------------------------------------- */

static int read_number(const char *name, size_t line, const json_t *row, const char *key, double *out) {
    const json_t *v = json_object_get(row, key);
    if (v && !json_is_number(v))
        return bad(name, line, key, "a number");
    *out = v ? json_number_value(v) : *out;
    return EXIT_FINE;
}

static int read_count(const char *name, size_t line, const json_t *row, const char *key, json_int_t least, json_int_t *out) {
    const json_t *v = json_object_get(row, key);
    if (v && (!json_is_integer(v) || json_integer_value(v) < least || json_integer_value(v) > 1 << 24))
        return bad(name, line, key, least ? "a whole number from 1 to 16777216" : "a whole number from 0 to 16777216");
    *out = v ? json_integer_value(v) : *out;
    return EXIT_FINE;
}

size_t row_n_samples(const char *name, size_t line, const json_t *row, size_t n) {
    const json_t *v = json_object_get(row, "n");
    const bool given = v && !json_is_null(v), good = !given || (json_is_integer(v) && json_integer_value(v) >= 1 && json_integer_value(v) <= 100000);
    if (!good)
        bad(name, line, "n", "a whole number from 1 to 100000");
    return !good ? 0 : given ? (size_t)json_integer_value(v) : n;
}

/* "max_tokens", also by the names that others give it; two that differ are refused. */
static int read_max_tokens(const char *name, size_t line, const json_t *row, json_int_t *out) {
    static const char *const keys[] = {"max_tokens", "max_new_tokens", "max_completion_tokens"};
    const char *given = NULL;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_int_t n = 0;
        const json_t *v = json_object_get(row, keys[i]);
        if (!v || (i > 0 && json_is_null(v)))
            continue;
        int code = read_count(name, line, row, keys[i], 1, &n);
        if (code != EXIT_FINE)
            return code;
        if (given && n != *out)
            return row_error(name, line, "\"%s\" and \"%s\" are two limits of one answer; leave one", given, keys[i]);
        given = keys[i];
        *out = n;
    }
    return EXIT_FINE;
}

/* What other programs' requests may ask for; passed over it would be missing in the answers. */
static int check_not_done(const char *name, size_t line, const json_t *row) {
    static const struct {
        const char *key, *instead;
    } all[] = {{"response_format", "no answer is held to a format; leave it out, and check what comes"},
               {"logprobs", "the log_probs of an answer's tokens always come; leave it out"},
               {"top_logprobs", "agon score --top N gives those of other tokens"},
               {"tools", "no template here writes tool calls"},
               {"functions", "no template here writes tool calls"},
               {"system", "a system message is the first of \"messages\""}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const json_t *v = json_object_get(row, all[i].key);
        const bool nothing = !v || json_is_null(v) || json_is_false(v) || (json_is_array(v) && json_array_size(v) == 0) || (json_is_string(v) && !*json_string_value(v));
        if (!nothing)
            return row_error(name, line, "\"%s\" is not read by %s: %s", all[i].key, name, all[i].instead);
    }
    return EXIT_FINE;
}

static int read_numbers(const char *name, size_t line, const json_t *row, agon_sampling *o) {
    const struct {
        const char *key;
        double *to;
    } numbers[] = {{"temperature", &o->temperature},
                   {"top_p", &o->top_p},
                   {"min_p", &o->min_p},
                   {"repetition_penalty", &o->repetition_penalty},
                   {"frequency_penalty", &o->frequency_penalty},
                   {"presence_penalty", &o->presence_penalty}};
    json_int_t top_k = o->top_k, max_tokens = (json_int_t)o->max_tokens;
    int code = EXIT_FINE;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && code == EXIT_FINE; i++)
        code = read_number(name, line, row, numbers[i].key, numbers[i].to);
    if (code == EXIT_FINE)
        code = read_count(name, line, row, "top_k", 0, &top_k);
    if (code == EXIT_FINE)
        code = read_max_tokens(name, line, row, &max_tokens);
    o->top_k = (int32_t)top_k;
    o->max_tokens = (size_t)max_tokens;
    return code;
}

static int read_stop(const char *name, size_t line, row_sampling *s) {
    const json_t *v = json_object_get(s->row, "stop");
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    if (!v)
        return EXIT_FINE;
    if (!(s->stop = calloc(n + 1, sizeof *s->stop)))
        return EXIT_SYSTEM;
    for (size_t i = 0; i < n; i++) {
        s->stop[i] = whole_text(json_is_array(v) ? json_array_get(v, i) : v);
        if (!s->stop[i] || !*s->stop[i])
            return bad(name, line, "stop", "a text or a list of texts, none of them empty");
    }
    s->options.stop = s->stop;
    s->options.n_stop = n;
    return EXIT_FINE;
}

static int read_biases(const char *name, size_t line, row_sampling *s) {
    json_t *v = json_object_get(s->row, "logit_bias"), *bias;
    const char *key;
    size_t n = 0;
    if (!v)
        return EXIT_FINE;
    if (!(s->biases = calloc(json_object_size(v) + 1, sizeof *s->biases)))
        return EXIT_SYSTEM;
    bool good = json_is_object(v);
    json_object_foreach(v, key, bias) {
        char *end = NULL;
        s->biases[n] = (agon_logit_bias){id_at(key, "", &end), (float)json_number_value(bias)};
        good = good && json_is_number(bias) && s->biases[n++].id >= 0;
    }
    if (!good)
        return bad(name, line, "logit_bias", "an object of token ids and numbers, such as {\"198\": -100}");
    s->options.logit_bias = s->biases;
    s->options.n_logit_bias = n;
    return EXIT_FINE;
}

static int read_allowed(const char *name, size_t line, row_sampling *s) {
    const json_t *v = json_object_get(s->row, "allowed_tokens");
    size_t n = json_array_size(v);
    if (!v)
        return EXIT_FINE;
    if (!(s->allowed = calloc(n + 1, sizeof *s->allowed)))
        return EXIT_SYSTEM;
    bool good = n > 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_array_get(v, i);
        good = good && json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) <= INT32_MAX;
        s->allowed[i] = good ? (int32_t)json_integer_value(id) : 0;
    }
    if (!good)
        return bad(name, line, "allowed_tokens", "a list of token ids, at least one");
    s->options.allowed = s->allowed;
    s->options.n_allowed = n;
    return EXIT_FINE;
}

/* What a row of generate may have; the options come first. */
static const char *const fields[] = {"temperature", "top_k", "top_p", "min_p", "repetition_penalty", "frequency_penalty", "presence_penalty",
                                     "max_tokens", "max_new_tokens", "max_completion_tokens", "stop", "logit_bias", "allowed_tokens", "prompt", "messages", "seed",
                                     "preference"};
enum { N_OPTIONS = 13, N_FIELDS = sizeof fields / sizeof *fields };

static bool says_something(const json_t *row) {
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (json_object_get(row, fields[i]))
            return true;
    return false;
}

int row_sampling_read(const char *name, size_t line, json_t *row, bool contexts, const agon_sampling *base, row_sampling **out) {
    const char *known[N_FIELDS + 2] = {NULL};
    memcpy(known, fields, sizeof fields);
    known[N_FIELDS] = contexts ? "context" : NULL;
    *out = NULL;
    int code = check_fields(name, line, row, known);
    if (code == EXIT_FINE)
        code = check_not_done(name, line, row);
    if (code != EXIT_FINE || !says_something(row))
        return code;
    row_sampling *s = calloc(1, sizeof *s);
    if (!s)
        return EXIT_SYSTEM;
    s->options = *base;
    s->row = json_incref(row);
    code = read_numbers(name, line, row, &s->options);
    if (code == EXIT_FINE)
        code = read_stop(name, line, s);
    if (code == EXIT_FINE)
        code = read_biases(name, line, s);
    if (code == EXIT_FINE)
        code = read_allowed(name, line, s);
    if (code == EXIT_FINE)
        *out = s;
    else
        row_sampling_free(s);
    return code;
}
