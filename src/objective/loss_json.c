/* `agon loss`: rows as JSON in, loss and gradients as JSON out.
 *
 * {"rows":[ROW...]}, ROW = RESPONSE | {"chosen":RESPONSE,"rejected":RESPONSE} | {"responses":[RESPONSE...]},
 * RESPONSE = {"log_probs":[...], "reference", "old", "values", "old_values", "mask", "entropy",
 *             "mean_log_prob", "token_rewards", "targets" (null: none): same length, "head":[number or [outputs]] a token,
 *             "reward", "advantage", "label", "weight", "mismatched"}
 * Answer: {"loss", "losses":[per row], "rows":[same shape, "d_log_probs" (and "d_values", "d_entropy",
 * "d_mean_log_prob", "d_head" where the channel was given)], "metrics"}.
 * A pair or group may carry "weight" too. Unknown fields are refused: a misspelt channel must not be
 * taken for an absent one. */
#include "base/ctx.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/nearest.h"
#include "objective/objective.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_ROWS = 1 << 20, MAX_TOKENS = 1 << 24, PLACE_SIZE = 96, ROW_SIZE = 32 };

typedef struct loader {
    agon_ctx *ctx;
    arena *memory;
    const objective *o;
} loader;

static agon_status fail_memory(agon_ctx *ctx) {
    return ctx_fail(ctx, AGON_ENOMEM, "agon loss: out of memory");
}

static const char *const response_fields[] = {"log_probs", "reference", "old",    "values", "old_values", "mask",
                                              "reward",    "advantage", "label", "weight", "mismatched",
                                              "entropy",   "mean_log_prob", "targets", "head", "token_rewards"};
static const char *const pair_fields[] = {"chosen", "rejected", "weight"};
static const char *const group_fields[] = {"responses", "weight"};
static const char *const request_fields[] = {"rows"};
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static agon_status check_fields(agon_ctx *ctx, const char *place, json_t *object, const char *const *known,
                                size_t n_known) {
    if (!json_is_object(object))
        return ctx_fail(ctx, AGON_EINVAL, "%s: must be a JSON object", place);
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        bool found = false;
        for (size_t i = 0; i < n_known; i++)
            found = found || strcmp(known[i], key) == 0;
        if (found)
            continue;
        const char *near = nearest_word(key, known, n_known);
        if (near)
            return ctx_fail(ctx, AGON_EINVAL, "%s: unknown field \"%.60s\"; did you mean \"%s\"?", place, key,
                            near);
        return ctx_fail(ctx, AGON_EINVAL, "%s: unknown field \"%.60s\"", place, key);
    }
    return AGON_OK;
}

/* An array of n numbers into the arena; absent or null leaves *out. *n of SIZE_MAX takes the length. A null among
 * the targets is NAN: no label there. */
static agon_status load_channel(loader *l, const char *place, json_t *object, const char *key, size_t *n,
                                const double **out) {
    json_t *array = json_object_get(object, key);
    if (json_absent(array))
        return AGON_OK;
    if (!json_is_array(array))
        return ctx_fail(l->ctx, AGON_EINVAL, "%s: %s must be a list of numbers", place, key);
    size_t size = json_array_size(array);
    if (*n == SIZE_MAX)
        *n = size;
    if (size != *n || size > MAX_TOKENS)
        return ctx_fail(l->ctx, AGON_EINVAL, "%s: %s has %zu numbers, log_probs has %zu", place, key, size, *n);
    double *x = arena_take(l->memory, size ? size : 1, sizeof *x);
    if (!x)
        return fail_memory(l->ctx);
    for (size_t t = 0; t < size; t++) {
        json_t *number = json_array_get(array, t);
        bool none = json_is_null(number) && strcmp(key, "targets") == 0;
        if (!json_is_number(number) && !none)
            return ctx_fail(l->ctx, AGON_EINVAL, "%s: %s[%zu] is not a number", place, key, t);
        x[t] = none ? NAN : json_number_value(number);
    }
    *out = x;
    return AGON_OK;
}

/* "head": one number a token, or one list of outputs a token. *n as in load_channel. */
static agon_status load_head(loader *l, const char *place, json_t *object, size_t *n, response *r) {
    json_t *array = json_object_get(object, "head"), *first = json_array_get(array, 0);
    r->n_head = json_is_array(first) ? json_array_size(first) : 1;
    if (!json_is_array(first))
        return load_channel(l, place, object, "head", n, &r->head);
    size_t size = json_array_size(array), width = r->n_head;
    if (*n == SIZE_MAX)
        *n = size;
    if (size != *n || width == 0 || size_mul(size, width) > MAX_TOKENS)
        return ctx_fail(l->ctx, AGON_EINVAL, "%s: head has %zu tokens of %zu outputs, log_probs has %zu", place, size,
                        width, *n);
    double *x = arena_take(l->memory, size * width, sizeof *x);
    if (!x)
        return fail_memory(l->ctx);
    for (size_t t = 0; t < size * width; t++) {
        json_t *outputs = json_array_get(array, t / width), *number = json_array_get(outputs, t % width);
        if (json_array_size(outputs) != width || !json_is_number(number))
            return ctx_fail(l->ctx, AGON_EINVAL, "%s: head[%zu] must be a list of %zu numbers", place, t / width, width);
        x[t] = json_number_value(number);
    }
    r->head = x;
    return AGON_OK;
}

/* A number; booleans too when `boolean`. Absent or null leaves *out. */
static agon_status load_number(loader *l, const char *place, json_t *object, const char *key, bool boolean,
                               double *out) {
    json_t *value = json_object_get(object, key);
    if (json_absent(value))
        return AGON_OK;
    if (boolean && json_is_boolean(value))
        *out = json_is_true(value);
    else if (json_is_number(value))
        *out = json_number_value(value);
    else
        return ctx_fail(l->ctx, AGON_EINVAL, "%s: %s must be a number%s", place, key,
                        boolean ? " or true or false" : "");
    return AGON_OK;
}

/* At most 0, but for what rounding adds. */
static agon_status check_log_probs(agon_ctx *ctx, const char *place, const char *key, const double *x, size_t n) {
    for (size_t t = 0; x && t < n; t++)
        if (x[t] > 1e-3)
            return ctx_fail(ctx, AGON_EINVAL, "%s: %s[%zu] is %g; the logarithm of a probability is 0 or less", place, key, t, x[t]);
    return AGON_OK;
}

static agon_status load_response(loader *l, const char *place, json_t *object, response *out) {
    response r = {.reward = NAN, .advantage = NAN, .label = NAN, .weight = 1};
    size_t n = SIZE_MAX;
    double mismatched = 0;
    agon_status s = check_fields(l->ctx, place, object, response_fields, COUNT(response_fields));
    if (s == AGON_OK)
        s = load_channel(l, place, object, "log_probs", &n, &r.log_prob);
    if (s == AGON_OK)
        s = load_head(l, place, object, &n, &r);
    if (s == AGON_OK && !r.log_prob && !(r.head && (l->o->needs & NEEDS_HEAD)))
        s = ctx_fail(l->ctx, AGON_EINVAL, "%s: %s is missing", place,
                     l->o->needs & NEEDS_HEAD ? "head" : "log_probs");
    const struct {
        const char *key;
        const double **out;
    } channels[] = {{"reference", &r.reference}, {"old", &r.old}, {"values", &r.values},
                    {"old_values", &r.old_values}, {"mask", &r.mask},
                    {"entropy", &r.entropy}, {"mean_log_prob", &r.mean_log_prob}, {"targets", &r.targets},
                    {"token_rewards", &r.token_rewards}};
    for (size_t i = 0; s == AGON_OK && i < COUNT(channels); i++)
        s = load_channel(l, place, object, channels[i].key, &n, channels[i].out);
    const struct {
        const char *key;
        const double *x;
    } logarithms[] = {{"log_probs", r.log_prob}, {"reference", r.reference}, {"old", r.old}, {"mean_log_prob", r.mean_log_prob}};
    for (size_t i = 0; s == AGON_OK && i < COUNT(logarithms); i++)
        s = check_log_probs(l->ctx, place, logarithms[i].key, logarithms[i].x, n);
    const struct {
        const char *key;
        double *out;
    } numbers[] = {{"reward", &r.reward}, {"advantage", &r.advantage}, {"label", &r.label},
                   {"weight", &r.weight}, {"mismatched", &mismatched}};
    for (size_t i = 0; s == AGON_OK && i < COUNT(numbers); i++)
        s = load_number(l, place, object, numbers[i].key, i == 2 || i == 4, numbers[i].out);
    if (s == AGON_OK && r.token_rewards && !(l->o->needs & TAKES_TOKEN_REWARDS))
        s = ctx_fail(l->ctx, AGON_EINVAL, "%s: %s does not read token_rewards; ppo and reinforce++ do", place, l->o->name);
    if (s != AGON_OK)
        return s;
    r.n = n;
    r.mismatched = mismatched != 0;
    const struct {
        const double *given;
        size_t n;
        double **d;
    } gradients[] = {{r.log_prob, n, &r.d_log_prob},
                     {r.values, n, &r.d_values},
                     {r.entropy, n, &r.d_entropy},
                     {r.mean_log_prob, n, &r.d_mean_log_prob},
                     {r.head, n * r.n_head, &r.d_head}};
    for (size_t i = 0; i < COUNT(gradients); i++) {
        if (!gradients[i].given)
            continue;
        *gradients[i].d = arena_take(l->memory, gradients[i].n ? gradients[i].n : 1, sizeof(double));
        if (!*gradients[i].d)
            return fail_memory(l->ctx);
    }
    *out = r;
    return AGON_OK;
}

/* The form a row is written in, refused when the objective does not take it. */
static agon_status row_form(loader *l, const char *place, json_t *object, row_kind *out) {
    if (!json_is_object(object))
        return ctx_fail(l->ctx, AGON_EINVAL, "%s: must be a JSON object", place);
    row_kind kind = json_object_get(object, "responses")                                            ? ROW_GROUP
                    : json_object_get(object, "chosen") || json_object_get(object, "rejected") ? ROW_PAIR
                                                                                               : ROW_SINGLE;
    if (!(l->o->rows & kind))
        return ctx_fail(l->ctx, AGON_EINVAL, "%s: %s takes %s", place, l->o->name,
                        l->o->rows & ROW_PAIR    ? "{\"chosen\": ..., \"rejected\": ...}"
                        : l->o->rows & ROW_SINGLE ? "single responses {\"log_probs\": [...], ...}"
                                                  : "{\"responses\": [...]}");
    *out = kind;
    return AGON_OK;
}

static agon_status load_members(loader *l, const char *place, json_t *object, row_kind kind, row *r) {
    static const char *const sides[] = {"chosen", "rejected"};
    json_t *list = json_object_get(object, "responses");
    if (kind == ROW_GROUP && (!json_is_array(list) || json_array_size(list) == 0))
        return ctx_fail(l->ctx, AGON_EINVAL, "%s: responses must be a list of one or more", place);
    r->n_responses = kind == ROW_PAIR ? 2 : kind == ROW_GROUP ? json_array_size(list) : 1;
    r->responses = arena_take(l->memory, r->n_responses, sizeof *r->responses);
    if (!r->responses)
        return fail_memory(l->ctx);
    for (size_t k = 0; k < r->n_responses; k++) {
        char where[PLACE_SIZE];
        json_t *member = kind == ROW_SINGLE ? object
                         : kind == ROW_PAIR ? json_object_get(object, sides[k])
                                            : json_array_get(list, k);
        if (kind == ROW_PAIR)
            snprintf(where, sizeof where, "%.31s: %s", place, sides[k]);
        else if (kind == ROW_GROUP)
            snprintf(where, sizeof where, "%.31s: response %zu", place, k);
        else
            snprintf(where, sizeof where, "%s", place);
        if (!member)
            return ctx_fail(l->ctx, AGON_EINVAL, "%s is missing", where);
        agon_status s = load_response(l, where, member, &r->responses[k]);
        if (s != AGON_OK)
            return s;
    }
    return AGON_OK;
}

static agon_status load_row(loader *l, size_t i, json_t *object, row *out) {
    char place[ROW_SIZE];
    snprintf(place, sizeof place, "row %zu", i);
    row_kind kind = ROW_SINGLE;
    row r = {.weight = 1};
    agon_status s = row_form(l, place, object, &kind);
    if (s == AGON_OK && kind != ROW_SINGLE) {
        s = kind == ROW_PAIR ? check_fields(l->ctx, place, object, pair_fields, COUNT(pair_fields))
                             : check_fields(l->ctx, place, object, group_fields, COUNT(group_fields));
        if (s == AGON_OK)
            s = load_number(l, place, object, "weight", false, &r.weight);
    }
    if (s == AGON_OK)
        s = load_members(l, place, object, kind, &r);
    if (s == AGON_OK)
        *out = r;
    return s;
}

/* ---- the answer ---------------------------------------------------------------------------------- */

/* Writers build into `parent` and report only memory; jansson's _new setters take the value even on failure. */
static bool put_array(json_t *parent, const char *key, const double *x, size_t n) {
    json_t *array = json_array();
    for (size_t t = 0; array && t < n; t++)
        /* -0.0 would print as "-0.0": equal, but odd to read. */
        if (json_array_append_new(array, json_real(x[t] == 0 ? 0 : x[t])) != 0) {
            json_decref(array);
            return false;
        }
    return array && json_object_set_new(parent, key, array) == 0;
}

/* As `head` was given: a number a token, or a list of outputs. */
static bool put_head(json_t *object, const response *r) {
    if (r->n_head == 1)
        return put_array(object, "d_head", r->d_head, r->n);
    json_t *tokens = json_array();
    bool set = json_object_set_new(object, "d_head", tokens) == 0;
    for (size_t t = 0; set && t < r->n; t++) {
        json_t *outputs = json_array();
        set = json_array_append_new(tokens, outputs) == 0;
        for (size_t j = 0; set && j < r->n_head; j++)
            set = json_array_append_new(outputs, json_real(r->d_head[t * r->n_head + j])) == 0;
    }
    return set;
}

static bool put_response(json_t *object, const response *r) {
    return (!r->d_log_prob || put_array(object, "d_log_probs", r->d_log_prob, r->n)) &&
           (!r->d_values || put_array(object, "d_values", r->d_values, r->n)) &&
           (!r->d_entropy || put_array(object, "d_entropy", r->d_entropy, r->n)) &&
           (!r->d_mean_log_prob || put_array(object, "d_mean_log_prob", r->d_mean_log_prob, r->n)) &&
           (!r->d_head || put_head(object, r));
}

static bool put_row(json_t *rows, const row *r, json_t *request) {
    json_t *object = json_object();
    if (!object || json_array_append_new(rows, object) != 0)
        return false;
    if (json_object_get(request, "chosen")) {
        json_t *chosen = json_object(), *rejected = json_object();
        bool set = json_object_set_new(object, "chosen", chosen) == 0;
        set = json_object_set_new(object, "rejected", rejected) == 0 && set;
        return set && put_response(chosen, &r->responses[0]) && put_response(rejected, &r->responses[1]);
    }
    if (!json_object_get(request, "responses"))
        return put_response(object, r->responses);
    json_t *list = json_array();
    if (json_object_set_new(object, "responses", list) != 0)
        return false;
    for (size_t k = 0; k < r->n_responses; k++) {
        json_t *member = json_object();
        if (json_array_append_new(list, member) != 0 || !put_response(member, &r->responses[k]))
            return false;
    }
    return true;
}

static bool put_answer(json_t *answer, const objective_result *result, const row *rows, size_t n_rows,
                       json_t *request) {
    json_t *row_list = json_array(), *metrics = json_object();
    bool set = json_object_set_new(answer, "rows", row_list) == 0;
    set = json_object_set_new(answer, "metrics", metrics) == 0 && set;
    set = set && json_object_set_new(answer, "loss", json_real(result->loss)) == 0;
    set = set && put_array(answer, "losses", result->losses, n_rows);
    for (size_t i = 0; set && i < n_rows; i++)
        set = put_row(row_list, &rows[i], json_array_get(request, i));
    /* A metric may overflow (perplexity) where the loss does not; JSON has no infinity. */
    for (size_t i = 0; set && i < result->n_metrics; i++) {
        set = json_object_set_new(metrics, result->metrics[i].name, real_or_null(result->metrics[i].value)) == 0;
    }
    return set;
}

static agon_status compute(loader *l, const double *options, json_t *list, char **out) {
    size_t n = json_array_size(list);
    row *rows = arena_take(l->memory, n, sizeof *rows);
    objective_result result = {.losses = arena_take(l->memory, n, sizeof(double))};
    json_t *answer = NULL;
    if (!rows || !result.losses)
        return fail_memory(l->ctx);
    for (size_t i = 0; i < n; i++) {
        agon_status s = load_row(l, i, json_array_get(list, i), &rows[i]);
        if (s != AGON_OK)
            return s;
    }
    agon_status s = l->o->loss(l->ctx, l->o, options, rows, n, &result);
    if (s != AGON_OK)
        return s;
    answer = json_object();
    char *text = answer && put_answer(answer, &result, rows, n, list) ? json_canonical(answer) : NULL;
    json_decref(answer);
    if (!text)
        return fail_memory(l->ctx);
    *out = text;
    return AGON_OK;
}

agon_status objective_loss_json(agon_ctx *ctx, const objective *o, const double *options, const char *request,
                                size_t n, char **answer) {
    json_t *root = NULL;
    arena *memory = NULL;
    agon_status s = json_parse(ctx, "standard input", request, n, &root);
    if (s == AGON_OK)
        s = check_fields(ctx, "the request", root, request_fields, COUNT(request_fields));
    json_t *list = root ? json_object_get(root, "rows") : NULL;
    if (s == AGON_OK && (!json_is_array(list) || json_array_size(list) == 0))
        s = ctx_fail(ctx, AGON_EINVAL, "the request needs \"rows\", a list of one row or more");
    if (s == AGON_OK && json_array_size(list) > MAX_ROWS)
        s = ctx_fail(ctx, AGON_EINVAL, "the request has %zu rows; at most %d are taken", json_array_size(list),
                     MAX_ROWS);
    if (s == AGON_OK)
        s = arena_new(ctx, 0, &memory);
    if (s != AGON_OK)
        goto done;
    loader l = {.ctx = ctx, .memory = memory, .o = o};
    s = compute(&l, options, list, answer);
done:
    arena_free(memory);
    json_decref(root);
    return s;
}
