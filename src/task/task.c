/* The public verbs, with the checks every family must keep:
 *
 *   1. a demonstration verifies;
 *   2. a tampered answer verified before and does not after;
 *   3. a response beyond 64 KiB fails unread;
 *   4. masked evidence of a failure does not hold the right answer;
 *   5. a query read back is one its family accepts (parameters within bounds, gold confirmed). */
#include "task/family.h"
#include "task/words.h"
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/ctx.h"

enum { TAMPER_TRIES = 16 };

const char *task_outcome_name(task_outcome outcome) {
    static const char *const names[] = {"fail", "pass", "unknown"};
    return names[outcome];
}

static const char *const perturbation_names[PERTURBATION_N] = {"none", "paraphrase", "distractor", "rename"};

const char *task_perturbation_name(task_perturbation p) {
    assert(p < PERTURBATION_N);
    return perturbation_names[p];
}

void task_query_free(task_query *query) {
    if (!query)
        return;
    free(query->text);
    json_decref(query->parameters);
    json_decref(query->keep);
    *query = (task_query){0};
}

void task_verdict_free(task_verdict *verdict) {
    if (!verdict)
        return;
    free(verdict->evidence);
    free(verdict->masked);
    free(verdict->quote);
    *verdict = (task_verdict){0};
}

static agon_status family_of(agon_ctx *ctx, const task_query *query, const task_family **out) {
    const task_family *f = query->family ? family_find(query->family) : NULL;
    if (!f || !query->text || !query->parameters)
        return ctx_fail(ctx, AGON_EINVAL, "the query has no known task family");
    *out = f;
    return AGON_OK;
}

/* ---- queries as records -------------------------------------------------------------------------------- */

agon_status task_query_json(agon_ctx *ctx, const task_query *query, json_t **out) {
    char seed[24];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)query->seed);
    json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:O}", "text", query->text, "family",
                               query->family, "cell", query->cell, "perturbation",
                               task_perturbation_name(query->perturbation), "seed", seed, "parameters",
                               query->parameters);
    json_t *keep = query->keep ? json_incref(query->keep) : json_array();
    if (!object || json_object_set_new(object, "keep", keep) != 0) {
        json_decref(object);
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a query is exhausted");
    }
    *out = object;
    return AGON_OK;
}

static agon_status read_perturbation(agon_ctx *ctx, const char *where, const char *name,
                                     task_perturbation *out) {
    for (int p = 0; p < PERTURBATION_N; p++)
        if (strcmp(perturbation_names[p], name) == 0) {
            *out = (task_perturbation)p;
            return AGON_OK;
        }
    return ctx_fail(ctx, AGON_EINVAL, "%s: unknown perturbation '%.60s'", where, name);
}

static agon_status read_seed(agon_ctx *ctx, const char *where, const char *text, uint64_t *out) {
    size_t n = strlen(text);
    errno = 0;
    unsigned long long value = strtoull(text, NULL, 10);
    if (n == 0 || n > 20 || strspn(text, "0123456789") < n || errno != 0)
        return ctx_fail(ctx, AGON_EINVAL, "%s: 'seed' must be a decimal number as text", where);
    *out = value;
    return AGON_OK;
}

static agon_status read_keep(agon_ctx *ctx, const char *where, json_t *keep, task_query *q) {
    static const char *const kinds[] = {"number", "name", "text", "any"};
    if (keep && !json_is_array(keep))
        return ctx_fail(ctx, AGON_EINVAL, "%s: 'keep' must be a list", where);
    size_t i;
    json_t *entry;
    json_array_foreach(keep, i, entry) {
        const char *kind = json_string_value(json_object_get(entry, "kind"));
        bool known = false;
        for (size_t k = 0; kind && k < sizeof kinds / sizeof *kinds; k++)
            known |= strcmp(kind, kinds[k]) == 0;
        if (!known || !json_object_get(entry, "value"))
            return ctx_fail(ctx, AGON_EINVAL,
                            "%s: 'keep' entry %zu needs a kind (number, name, text or any) and a value",
                            where, i + 1);
    }
    if (keep)
        q->keep = json_incref(keep);
    return AGON_OK;
}

/* Family and cell by name, pointing to static storage. */
static agon_status read_cell(agon_ctx *ctx, const char *where, const char *family, const char *cell,
                             const task_family **f, task_query *q) {
    *f = family_find(family);
    if (!*f)
        return ctx_fail(ctx, AGON_EINVAL, "%s: unknown task family '%.60s'", where, family);
    q->family = (*f)->name;
    q->cell = "query";
    if (*f == &family_user)
        return AGON_OK;
    const task_cell *c = family_cell(*f, cell);
    if (!c)
        return ctx_fail(ctx, AGON_EINVAL, "%s: family '%s' has no cell '%.60s'", where, family, cell);
    q->cell = c->name;
    q->difficulty = c->difficulty;
    q->hard = c->hard;
    return AGON_OK;
}

static agon_status read_query(agon_ctx *ctx, const char *where, const json_t *object, task_query *q) {
    const char *text = NULL, *family = NULL, *cell = NULL, *perturbation = NULL, *seed = NULL;
    const task_family *f = NULL;
    agon_status status;
    if ((status = json_get_text(ctx, where, object, "text", true, &text)) ||
        (status = json_get_text(ctx, where, object, "family", true, &family)) ||
        (status = json_get_text(ctx, where, object, "cell", true, &cell)) ||
        (status = json_get_text(ctx, where, object, "perturbation", true, &perturbation)) ||
        (status = json_get_text(ctx, where, object, "seed", true, &seed)) ||
        (status = read_cell(ctx, where, family, cell, &f, q)) ||
        (status = read_perturbation(ctx, where, perturbation, &q->perturbation)) ||
        (status = read_seed(ctx, where, seed, &q->seed)) ||
        (status = read_keep(ctx, where, json_object_get(object, "keep"), q)))
        return status;
    json_t *parameters = json_object_get(object, "parameters");
    if (!json_is_object(parameters))
        return ctx_fail(ctx, AGON_EINVAL, "%s: 'parameters' must be an object", where);
    q->parameters = json_incref(parameters);
    q->text = strdup(text);
    if (!q->text)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a query is exhausted");
    if ((status = f->check(ctx, q)))
        return ctx_prefix(ctx, status, "%s", where);
    return AGON_OK;
}

agon_status task_query_read(agon_ctx *ctx, const char *where, const json_t *object, task_query *out) {
    task_query q = {0};
    agon_status status = json_is_object(object)
                             ? read_query(ctx, where, object, &q)
                             : ctx_fail(ctx, AGON_EINVAL, "%s: a query must be a JSON object", where);
    if (status == AGON_OK) {
        *out = q;
        return AGON_OK;
    }
    task_query_free(&q);
    return status;
}

char *task_identity(const task_query *query) {
    json_t *meant = json_incref(query->parameters);
    char *identity = NULL;
    if (strcmp(query->family, family_user.name) == 0 && json_object_get(meant, "group")) {
        json_decref(meant);
        if ((meant = json_copy(query->parameters)))
            json_object_del(meant, "group"); /* says where it goes, not what is asked */
    }
    char *parameters = meant ? json_canonical(meant) : NULL;
    json_decref(meant);
    if (!parameters || asprintf(&identity, "%s/%s%s", query->family, query->cell, parameters) < 0)
        identity = NULL;
    free(parameters);
    return identity;
}

/* ---- verbs ----------------------------------------------------------------------------------------------- */

agon_status task_generate(agon_ctx *ctx, size_t cell, uint64_t seed, task_perturbation perturbation,
                          task_query *out) {
    assert(cell < task_n_cells() && perturbation < PERTURBATION_N);
    const task_family *f = family_find(task_cell_family(cell));
    const task_cell *c = task_cell_at(cell);
    task_query q = {.family = f->name,
                    .cell = c->name,
                    .difficulty = c->difficulty,
                    .hard = c->hard,
                    .perturbation = perturbation,
                    .seed = seed};
    agon_status status = f->generate(ctx, c, &q);
    if (status == AGON_OK)
        *out = q;
    else
        task_query_free(&q);
    return status;
}

/* `text` holds `word` with no letter or digit of either side running on. */
static bool holds_word(const char *text, const char *word) {
    size_t n = strlen(word);
    for (const char *p = text; n > 0 && (p = strcasestr(p, word)); p++) {
        bool runs_on = (p > text && isalnum((unsigned char)p[-1]) && isalnum((unsigned char)word[0])) ||
                       (isalnum((unsigned char)p[n]) && isalnum((unsigned char)word[n - 1]));
        if (!runs_on)
            return true;
    }
    return false;
}

static agon_status mask(agon_ctx *ctx, const task_family *f, const task_query *query, task_verdict *v) {
    char *gold = NULL;
    agon_status status = f->gold(ctx, query, &gold);
    if (status == AGON_OK && gold && holds_word(v->masked, gold)) {
        char *plain = strdup("is wrong");
        if (plain) {
            free(v->masked);
            v->masked = plain;
        } else {
            status = ctx_fail(ctx, AGON_ENOMEM, "memory for a verdict is exhausted");
        }
    }
    free(gold);
    return status;
}

agon_status task_verify(agon_ctx *ctx, const task_query *query, const char *response, task_verdict *out) {
    const task_family *f = NULL;
    agon_status status = family_of(ctx, query, &f);
    if (status)
        return status;
    task_verdict v = {0};
    if (strnlen(response, TASK_RESPONSE_MAX + 1) > TASK_RESPONSE_MAX)
        status = verdict_set(ctx, &v, OUTCOME_FAIL, response, 0, 0, NULL, "the response is longer than 64 KiB");
    else
        status = f->verify(ctx, query, response, &v);
    if (status == AGON_OK && v.outcome == OUTCOME_FAIL)
        status = mask(ctx, f, query, &v);
    if (status == AGON_OK)
        *out = v;
    else
        task_verdict_free(&v);
    return status;
}

static agon_status outcome_of(agon_ctx *ctx, const task_query *query, const char *response,
                              task_outcome *outcome) {
    task_verdict v = {0};
    agon_status status = task_verify(ctx, query, response, &v);
    *outcome = v.outcome;
    task_verdict_free(&v);
    return status;
}

agon_status task_demonstrate(agon_ctx *ctx, const task_query *query, uint64_t seed, char **response) {
    const task_family *f = NULL;
    char *text = NULL;
    task_outcome outcome = OUTCOME_FAIL;
    agon_status status = family_of(ctx, query, &f);
    if (status || (status = f->demonstrate(ctx, query, seed, &text)))
        return status;
    status = outcome_of(ctx, query, text, &outcome);
    if (status == AGON_OK && outcome != OUTCOME_PASS)
        status = ctx_fail(ctx, AGON_EMISMATCH, "the demonstration of a %s/%s query does not verify",
                          query->family, query->cell);
    if (status == AGON_OK)
        *response = text;
    else
        free(text);
    return status;
}

/* One fault by one seed; *kept when it changes the answer. The verifier is not asked: whether the answer was right is the caller's word,
 * and under a sealed oracle nobody's else. */
static agon_status tamper_once(agon_ctx *ctx, const task_family *f, const task_query *query,
                               const char *correct, uint64_t seed, char **faulty, char **claim, bool *kept) {
    char *text = NULL, *words = NULL;
    agon_status status = f->tamper(ctx, query, correct, seed, &text, &words);
    if (status == AGON_OK && strcmp(text, correct) != 0) {
        *faulty = text;
        *claim = words;
        *kept = true;
        return AGON_OK;
    }
    free(text);
    free(words);
    return status;
}

/* What a query with one right answer is answered by is changed where its claim stands: the last digit becomes another one or, without digits, the
 * last word loses its last letter (a word of one letter gets a second). *faulty new, NULL where there is neither. */
static agon_status spoil(agon_ctx *ctx, const char *correct, rng *r, char **faulty) {
    size_t n = strlen(correct), digit = n, at = 0, last;
    span word = {0};
    *faulty = NULL;
    while (digit > 0 && !isdigit((unsigned char)correct[digit - 1]))
        digit--;
    while (word_next(correct, &at, &word))
        ;
    if (digit == 0 && word.end == 0)
        return AGON_OK;
    if (!(*faulty = malloc(2 * n + 1)))
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a tampered answer is exhausted");
    memcpy(*faulty, correct, n + 1);
    if (digit > 0) {
        (*faulty)[digit - 1] = (char)('0' + (correct[digit - 1] - '0' + 1 + (int)rng_below(r, 9)) % 10);
        return AGON_OK;
    }
    for (at = last = word.start; at < word.end;) {
        last = at;
        text_next(correct, &at);
    }
    if (last > word.start)
        memcpy(*faulty + last, correct + word.end, n + 1 - word.end);
    else
        memcpy(*faulty + word.end, correct + word.start, n + 1 - word.start);
    return AGON_OK;
}

/* Where a family's faults change nothing, because what it looks for is not there (the answer was taken for good and is not), one all the
 * same: which answers have one must not tell which were right. */
static agon_status tamper_anyway(agon_ctx *ctx, const task_family *f, const task_query *query, const char *correct, rng *r, char **faulty,
                                 char **claim, bool *kept) {
    char *gold = NULL;
    agon_status status = f->gold(ctx, query, &gold);
    if (status == AGON_OK && gold)
        status = spoil(ctx, correct, r, faulty);
    if (status == AGON_OK && gold && *faulty) {
        status = task_format(ctx, claim, "this is not the answer: something in it was changed");
        *kept = true;
    }
    free(gold);
    return status;
}

agon_status task_tamper(agon_ctx *ctx, const task_query *query, const char *correct, uint64_t seed,
                        char **faulty, char **claim) {
    const task_family *f = NULL;
    agon_status status = family_of(ctx, query, &f);
    if (status)
        return status;
    bool kept = false;
    rng r = rng_new(seed);
    for (int i = 0; i < TAMPER_TRIES && !kept; i++) {
        status = tamper_once(ctx, f, query, correct, rng_next(&r), faulty, claim, &kept);
        if (status && status != AGON_EUNSUPPORTED)
            return status;
    }
    status = AGON_OK;
    if (!kept)
        status = tamper_anyway(ctx, f, query, correct, &r, faulty, claim, &kept);
    if (status)
        return status;
    return kept ? AGON_OK
                : ctx_fail(ctx, AGON_EUNSUPPORTED, "no fault could be planted in this answer to a %s/%s query",
                           query->family, query->cell);
}

agon_status task_check(agon_ctx *ctx, const task_query *query) {
    const task_family *f = NULL;
    agon_status status = family_of(ctx, query, &f);
    return status ? status : f->check(ctx, query);
}

agon_status task_gold(agon_ctx *ctx, const task_query *query, char **out) {
    const task_family *f = NULL;
    agon_status status = family_of(ctx, query, &f);
    return status ? status : f->gold(ctx, query, out);
}
