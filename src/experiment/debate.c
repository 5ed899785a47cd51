/* Does a debate help a judge who cannot see what the debaters see? (Irving et al. 2018, 1805.00899; Khan et al. 2024, 2402.06782; spec: loop 4.6)
 *
 *   items      a question, a right and a wrong answer, and a passage that debaters see and the judge does not: rows of the user's (`data`), or invented ones
 *   debater    any backend: argues for the answer it is given, `rounds` times, at most `words` words, and may quote the passage; a program checks every quote
 *   judge      any backend, a weaker one where there is one: P(A) against P(B) where it can score (`verdict: likelihood`), else the last line of what it writes (`text`)
 *   protocols  naive: question and answers; consultancy: and a consultant of one answer, both answers in turn; debate: and a debater of each; expert: and the passage
 *   looks      each protocol under both orders of the answers, debates under both names too (Alice speaks first): what the judge thinks of places cancels, and is told
 *
 * A stage is the speeches of a few items, or the verdicts on them: with another judge the debates there are are judged anew, with more items they go on. */
#include "base/clock.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/utf8.h"
#include "experiment/debate.h"
#include "experiment/experiment.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 8, ENOUGH_VERDICTS = 40, EXAMPLE_SIZE = 160, STAGE_KEY_SIZE = 2 * HASH_HEX_SIZE + 64, PROMPT_TOKENS_MORE = 400, MOST_PER_MINUTE = 1000000 };
static const double most_unparsable = 0.2;

#define ROLE(temperature)                                                                                                                                               \
    "{\"backend\": \"local\", \"model\": \"\", \"url\": \"\", \"name\": \"\", \"key_env\": \"\", \"command\": \"\", \"script\": \"\", \"timeout\": 120.0, "               \
    "\"per_minute\": 0, \"temperature\": " temperature "}"
static const char defaults[] =
    "{\"data\": \"\", \"items\": 40, \"model\": \"\", \"numerics\": \"portable\", \"seed\": 1, \"seeds\": 1, \"rounds\": 3, \"words\": 150, \"verdict\": \"auto\","
    "\"draws\": 2000, \"debater\": " ROLE("0.7") ", \"judge\": " ROLE("0.0") "}";
/* What a stage depends on of these is in its key. */
static const char *const aside[] = {"data", "items", "model", "verdict", "draws", "debater", "judge", NULL};

typedef struct debate_role {
    const char *name;
    const json_t *settings;
    backend_config by;
    double temperature;
    model *m;                     /* of a local one; NULL: it is none */
    char model_id[HASH_HEX_SIZE]; /* "": none */
    char id[HASH_HEX_SIZE];       /* what decides what it says */
} debate_role;

typedef struct debate {
    lab *l;
    debate_roles roles;
    debate_role debater, judge;
    size_t n_items, draws;
    const char *verdict;
    bool from_file;
    arena *memory;     /* of a seed's items */
    arena *chunk;      /* of what is said about a few of them */
    debate_item *items; /* [n_items] */
    json_t *lines;     /* of debates.jsonl */
    char example[N_DEBATE_PROTOCOLS][EXAMPLE_SIZE + 128]; /* of a text that was no verdict: "on ID it wrote '...'" */
} debate;

/* ---- options --------------------------------------------------------------------------------------------------- */

/* A role's text; NULL where it is empty. */
static char *text_of(const debate_role *r, const char *key) {
    const char *text = json_string_value(json_object_get(r->settings, key));
    return text && *text ? (char *)(uintptr_t)text : NULL; /* backend_config is also a run file's, which owns its texts */
}

static agon_status number_of(const lab *l, const debate_role *r, const char *key, double low, double high, double *out) {
    *out = json_number_value(json_object_get(r->settings, key));
    return *out >= low && *out <= high ? AGON_OK : ctx_fail(l->ctx, AGON_EINVAL, "%s: %s is %g; it must be from %g to %g", r->name, key, *out, low, high);
}

static agon_status take_role(lab *l, const char *name, debate_role *r) {
    double per_minute = 0;
    *r = (debate_role){.name = name, .settings = json_object_get(l->settings, name)};
    char *backend = text_of(r, "backend");
    r->by = (backend_config){.backend = backend ? backend : (char *)(uintptr_t) "", .url = text_of(r, "url"), .name = text_of(r, "name"),
                             .key_env = text_of(r, "key_env"), .command = text_of(r, "command"), .script = text_of(r, "script")};
    agon_status s = number_of(l, r, "timeout", 0.1, 86400, &r->by.timeout);
    if (!s)
        s = number_of(l, r, "per_minute", 0, MOST_PER_MINUTE, &per_minute);
    if (!s)
        s = number_of(l, r, "temperature", 0, 100, &r->temperature);
    r->by.per_minute = (int64_t)per_minute;
    return s ? s : backend_config_check(l->ctx, name, &r->by);
}

static bool is_local(const debate_role *r) {
    return strcmp(r->by.backend, "local") == 0;
}

static agon_status take_options(lab *l, void *arg) {
    debate *x = arg;
    x->l = l;
    const lab_whole whole[] = {{"items", 4, 100000, &x->n_items}, {"rounds", 1, DEBATE_MOST_ROUNDS, &x->roles.rounds}, {"words", 5, DEBATE_MOST_WORDS, &x->roles.words},
                               {"draws", 100, 1000000, &x->draws}, {0}};
    agon_status s = lab_options(l, whole, &(lab_fraction){0});
    if (!s)
        s = lab_numerics(l);
    x->verdict = json_string_value(json_object_get(l->settings, "verdict"));
    if (!s && strcmp(x->verdict, "auto") != 0 && strcmp(x->verdict, "likelihood") != 0 && strcmp(x->verdict, "text") != 0)
        s = ctx_fail(l->ctx, AGON_EINVAL, "verdict is '%.40s'; it must be auto, likelihood or text", x->verdict);
    if (!s)
        s = take_role(l, "debater", &x->debater);
    if (!s)
        s = take_role(l, "judge", &x->judge);
    x->from_file = *json_string_value(json_object_get(l->settings, "data")) != '\0';
    x->roles.temperature = x->debater.temperature;
    x->roles.judge_temperature = x->judge.temperature;
    return s;
}

/* ---- roles and items -------------------------------------------------------------------------------------------- */

/* What decides a role's words: not how its server is reached. */
static agon_status identify(const lab *l, debate_role *r) {
    char *script = NULL, *text = NULL;
    size_t n = 0;
    agon_status s = r->by.script ? file_read(l->ctx, r->by.script, (size_t)1 << 26, &script, &n) : AGON_OK;
    if (s)
        return s;
    const hash256 of_script = hash_bytes(script ? script : "", n);
    json_t *all = json_pack("{s:s,s:s?,s:s?,s:s,s:o,s:f}", "backend", r->by.backend, "name", r->by.name, "command", r->by.command, "model", r->model_id, "script", json_hash(&of_script),
                            "temperature", r->temperature);
    text = all ? json_canonical(all) : NULL;
    json_decref(all);
    free(script);
    if (!text)
        return ctx_no_memory(l->ctx);
    const hash256 id = hash_text(text);
    hash_hex(&id, r->id);
    free(text);
    return AGON_OK;
}

static agon_status open_role(debate *x, debate_role *r, const debate_role *before, backend **out) {
    lab *l = x->l;
    const char *own = text_of(r, "model"), *common = json_string_value(json_object_get(l->settings, "model"));
    const char *other = before ? text_of(before, "model") : NULL;
    agon_status s = AGON_OK;
    if (is_local(r) && before && before->m && strcmp(own ? own : "", other ? other : "") == 0)
        r->m = before->m, memcpy(r->model_id, before->model_id, sizeof r->model_id);
    else if (is_local(r))
        s = lab_open_named(l, own ? own : common, &r->m, r->model_id);
    if (s)
        return ctx_prefix(l->ctx, s, "%s", r->name);
    s = identify(l, r);
    return s ? s : backend_open(l->ctx, r->name, &r->by, r->m, out);
}

static agon_status open_all(debate *x) {
    lab *l = x->l;
    agon_status s = arena_new(l->ctx, 0, &x->memory);
    if (!s)
        s = arena_new(l->ctx, 0, &x->chunk);
    if (!s)
        s = open_role(x, &x->debater, NULL, &x->roles.debater);
    if (!s)
        s = open_role(x, &x->judge, &x->debater, &x->roles.judge);
    if (s)
        return s;
    const bool can = (backend_capabilities(x->roles.judge) & CAN_SCORE) != 0;
    if (!can && strcmp(x->verdict, "likelihood") == 0)
        return ctx_fail(l->ctx, AGON_EINVAL, "verdict: likelihood needs a judge that scores, which a %s one does not; leave it out, or say text", x->judge.by.backend);
    x->roles.likelihood = can && strcmp(x->verdict, "text") != 0;
    return AGON_OK;
}

static void close_all(debate *x) {
    backend_free(x->roles.debater);
    backend_free(x->roles.judge);
    if (x->judge.m != x->debater.m)
        model_free(x->judge.m);
    model_free(x->debater.m);
    arena_free(x->memory);
    arena_free(x->chunk);
    json_decref(x->lines);
    x->roles.debater = x->roles.judge = NULL;
    x->judge.m = x->debater.m = NULL;
    x->memory = x->chunk = NULL;
    x->items = NULL;
    x->lines = NULL;
}

/* The seed's items; of a file, the same under each, and n_items as many as it has. */
static agon_status take_items(debate *x, size_t seed) {
    lab *l = x->l;
    if (x->from_file && x->items)
        return AGON_OK;
    if (x->from_file)
        return debate_read_items(l->ctx, json_string_value(json_object_get(l->settings, "data")), x->n_items, x->memory, &x->items, &x->n_items);
    arena_reset(x->memory);
    x->items = arena_take(x->memory, x->n_items, sizeof *x->items);
    return x->items ? debate_draw_items(l->ctx, lab_seed(l, seed, "items"), x->n_items, x->memory, x->items) : ctx_no_memory(l->ctx);
}

/* ---- a few items ------------------------------------------------------------------------------------------------- */

typedef struct few {
    size_t seed, from, n;
    uint64_t seeds[CHUNK];
    char speeches_key[STAGE_KEY_SIZE], verdicts_key[STAGE_KEY_SIZE];
    const char **speeches;    /* [n, N_DEBATE_SEATS, rounds] */
    debate_verdict *verdicts; /* [n, N_DEBATE_LOOKS] */
} few;

static void hash_more(hash256 *h, const char *text) {
    const hash256 both[2] = {*h, hash_text(text ? text : "")};
    *h = hash_bytes(both, sizeof both);
}

/* Speeches depend on the items, the debater and what it is asked; verdicts on the judge too. */
static agon_status name_stages(const debate *x, few *f) {
    json_t *list = debate_templates_json();
    char *templates = list ? json_canonical(list) : NULL, hex[HASH_HEX_SIZE];
    hash256 h = hash_text(x->debater.id);
    hash_more(&h, templates);
    for (size_t i = f->from; i < f->from + f->n; i++) {
        const debate_item *item = &x->items[i];
        hash_more(&h, item->id), hash_more(&h, item->question), hash_more(&h, item->answers[0]), hash_more(&h, item->answers[1]), hash_more(&h, item->passage);
    }
    hash_hex(&h, hex);
    snprintf(f->speeches_key, sizeof f->speeches_key, "speeches %zu %zu|%s", f->seed, f->from, hex);
    hash_more(&h, x->judge.id);
    hash_hex(&h, hex);
    snprintf(f->verdicts_key, sizeof f->verdicts_key, "%s %zu %zu|%s", x->roles.likelihood ? "likelihood" : "text", f->seed, f->from, hex);
    agon_status s = templates ? AGON_OK : ctx_no_memory(x->l->ctx);
    json_decref(list);
    free(templates);
    return s;
}

static agon_status keep(const debate *x, const char *key, const json_t *list) {
    char *text = list ? json_dumps(list, JSON_COMPACT) : NULL;
    agon_status s = text ? lab_keep_bytes(x->l, x->l->ctx, key, text, strlen(text)) : ctx_no_memory(x->l->ctx);
    free(text);
    return s;
}

/* *list of n members; NULL: there is no such stage. */
static agon_status recall(const debate *x, const char *key, size_t n, json_t **list) {
    char *data = NULL;
    size_t size = 0;
    *list = NULL;
    agon_status s = lab_recall_bytes(x->l, x->l->ctx, key, &data, &size);
    if (!s && data)
        s = json_parse(x->l->ctx, "a stage of the debates", data, size, list);
    if (!s && *list && json_array_size(*list) != n)
        s = ctx_fail(x->l->ctx, AGON_EFORMAT, "a stage of the debates is of another form; remove the folder's stages");
    free(data);
    return s;
}

static agon_status speak(debate *x, few *f) {
    const size_t n = f->n * N_DEBATE_SEATS * x->roles.rounds;
    json_t *list = NULL;
    f->speeches = arena_take(x->chunk, n, sizeof *f->speeches);
    agon_status s = f->speeches ? recall(x, f->speeches_key, n, &list) : ctx_no_memory(x->l->ctx);
    if (!s && !list) {
        s = debate_speak(x->l->ctx, &x->roles, x->items + f->from, f->seeds, f->n, x->chunk, f->speeches);
        json_t *said = json_array();
        for (size_t i = 0; i < n && !s; i++)
            json_array_append_new(said, json_string(f->speeches[i]));
        if (!s)
            s = keep(x, f->speeches_key, said);
        json_decref(said);
        return s;
    }
    for (size_t i = 0; i < n && !s; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        f->speeches[i] = arena_copy(x->chunk, text ? text : "");
        s = f->speeches[i] ? AGON_OK : ctx_no_memory(x->l->ctx);
    }
    json_decref(list);
    return s;
}

static agon_status judge(debate *x, few *f) {
    const size_t n = f->n * N_DEBATE_LOOKS;
    json_t *list = NULL;
    f->verdicts = arena_take(x->chunk, n, sizeof *f->verdicts);
    agon_status s = f->verdicts ? recall(x, f->verdicts_key, n, &list) : ctx_no_memory(x->l->ctx);
    if (!s && !list) {
        s = debate_judge(x->l->ctx, &x->roles, x->items + f->from, f->speeches, f->seeds, f->n, x->chunk, f->verdicts);
        json_t *given = json_array();
        for (size_t i = 0; i < n && !s; i++)
            json_array_append_new(given, json_pack("[o,s?]", real_or_null(f->verdicts[i].p), f->verdicts[i].said));
        if (!s)
            s = keep(x, f->verdicts_key, given);
        json_decref(given);
        return s;
    }
    for (size_t i = 0; i < n && !s; i++) {
        const json_t *one = json_array_get(list, i), *p = json_array_get(one, 0);
        f->verdicts[i] = (debate_verdict){json_is_number(p) ? json_number_value(p) : NAN, arena_copy(x->chunk, json_string_value(json_array_get(one, 1)))};
    }
    json_decref(list);
    return s;
}

/* ---- verdicts that are none --------------------------------------------------------------------------------------- */

static void keep_example(debate *x, const few *f, size_t i) {
    for (size_t k = 0; k < N_DEBATE_LOOKS; k++) {
        const debate_verdict *v = &f->verdicts[i * N_DEBATE_LOOKS + k];
        char *example = x->example[debate_look_at(k).protocol], shown[EXAMPLE_SIZE];
        if (!v->said || *example)
            continue;
        const size_t n = strlen(v->said), tail = n > EXAMPLE_SIZE / 4 ? n - EXAMPLE_SIZE / 4 : 0; /* its end, where the verdict was to be */
        utf8_escape(shown, sizeof shown, v->said + tail, n - tail);
        snprintf(example, sizeof x->example[0], "; on %.100s it ended '%s'", x->items[f->from + i].id, shown);
    }
}

/* AGON_EREMOTE where too many verdicts of a protocol could not be read, once there are enough to say so. */
static agon_status check_unparsable(const debate *x, const debate_tally *t, size_t n, bool last) {
    for (int p = 0; p < N_DEBATE_PROTOCOLS; p++) {
        debate_counts c = debate_count(t, n, (debate_protocol)p);
        if ((c.n >= ENOUGH_VERDICTS || last) && (double)c.unparsable > most_unparsable * (double)c.n)
            return ctx_fail(x->l->ctx, AGON_EREMOTE, "%zu of the judge's %zu verdicts under %s could not be read, which is more than %.0f %%: %s%s", c.unparsable, c.n,
                            debate_protocol_name((debate_protocol)p), 100 * most_unparsable,
                            x->roles.likelihood ? "its scores are no finite numbers" : "its last line must be Answer: A or Answer: B", x->example[p]);
    }
    return AGON_OK;
}

/* ---- the experiment ------------------------------------------------------------------------------------------------ */

static agon_status note(debate *x, debate_tally *t, const few *f, size_t i) {
    const debate_item *item = &x->items[f->from + i];
    const size_t at = f->seed * t->n_items + f->from + i, rounds = x->roles.rounds;
    debate_outcome o = debate_outcome_of(item, f->verdicts + i * N_DEBATE_LOOKS);
    agon_status s = AGON_OK;
    for (size_t k = 0; k < N_DEBATE_SEATS * rounds && !s; k++) {
        const size_t seat = k / rounds;
        size_t *quotes = o.quotes[seat / 2][(int)(seat % 2) != item->right];
        s = debate_count_quotes(x->l->ctx, item, f->speeches[i * N_DEBATE_SEATS * rounds + k], &quotes[1], &quotes[0]);
    }
    t->of[at] = o;
    t->right[at] = item->right;
    t->has_expert[at] = item->passage != NULL;
    keep_example(x, f, i);
    if (!s && json_array_append_new(x->lines, debate_line_json(item, x->l->seed + f->seed, rounds, f->speeches + i * N_DEBATE_SEATS * rounds, f->verdicts + i * N_DEBATE_LOOKS)) != 0)
        s = ctx_no_memory(x->l->ctx);
    return s;
}

static void say_so_far(const debate *x, const debate_tally *t, const few *f) {
    char shares[200] = "";
    size_t at = 0;
    for (int p = 0; p < N_DEBATE_PROTOCOLS; p++) {
        const debate_counts c = debate_count(t, f->seed * t->n_items + f->from + f->n, (debate_protocol)p);
        if (c.n > 0)
            at += (size_t)snprintf(shares + at, sizeof shares - at, "%s %s %.0f%%", at ? "," : "", debate_protocol_name((debate_protocol)p), 100 * (double)c.right / (double)c.n);
    }
    lab_say_seed(x->l, f->seed, "item %zu of %zu: right so far%s", f->from + f->n, t->n_items, shares);
}

static few few_of(const debate *x, size_t seed, size_t from) {
    few f = {.seed = seed, .from = from, .n = x->n_items - from < CHUNK ? x->n_items - from : CHUNK};
    for (size_t i = 0; i < f.n; i++)
        f.seeds[i] = lab_seed(x->l, seed, "item %zu", from + i);
    return f;
}

static agon_status hold(debate *x, debate_tally *t, size_t seed, size_t from) {
    few f = few_of(x, seed, from);
    arena_reset(x->chunk);
    agon_status s = name_stages(x, &f);
    if (!s)
        s = speak(x, &f);
    if (!s)
        s = judge(x, &f);
    for (size_t i = 0; i < f.n && !s; i++)
        s = note(x, t, &f, i);
    if (!s)
        say_so_far(x, t, &f);
    if (!s)
        s = check_unparsable(x, t, seed * t->n_items + from + f.n, false);
    return s ? s : ctx_check_interrupt(x->l->ctx);
}

static agon_status run(void *arg, json_t **result) {
    debate *x = arg;
    lab *l = x->l;
    agon_status s = open_all(x);
    if (!s)
        s = take_items(x, 0);
    const size_t n = l->n_seeds * x->n_items;
    debate_tally t = {.l = l, .likelihood = x->roles.likelihood, .same_items = x->from_file, .n_items = x->n_items, .draws = x->draws};
    t.of = lab_take(l, n, sizeof *t.of);
    t.has_expert = lab_take(l, n, sizeof *t.has_expert);
    t.right = lab_take(l, n, sizeof *t.right);
    x->lines = json_array();
    if (!s)
        s = x->lines ? lab_taken(l) : ctx_no_memory(l->ctx);
    for (size_t seed = 0; seed < l->n_seeds && !s; seed++) {
        s = take_items(x, seed);
        for (size_t from = 0; from < x->n_items && !s; from += CHUNK)
            s = hold(x, &t, seed, from);
    }
    if (!s)
        s = check_unparsable(x, &t, n, true);
    if (!s)
        s = debate_report(&t, result);
    if (!s) {
        json_object_set_new(*result, "debater", utf8_json(is_local(&x->debater) ? x->debater.id : backend_name(x->roles.debater)));
        json_object_set_new(*result, "judge", utf8_json(is_local(&x->judge) ? x->judge.id : backend_name(x->roles.judge)));
        s = lab_write_lines(l, "debates.jsonl", x->lines);
    }
    close_all(x);
    return s;
}

/* ---- memory and time ----------------------------------------------------------------------------------------------- */

/* The longest prompt of a role: passage, question and answers, and all that may be said. */
static agon_status longest_prompt(debate *x, const model *m, size_t *out) {
    const size_t said = 2 * x->roles.rounds * debate_speech_tokens(x->roles.words), context = model_get_config(m)->max_context;
    agon_status s = AGON_OK;
    *out = 0;
    for (size_t i = 0; i < x->n_items && !s; i++) {
        const debate_item *item = &x->items[i];
        const char *const texts[] = {item->passage ? item->passage : "", item->question, item->answers[0], item->answers[1]};
        size_t n = said + PROMPT_TOKENS_MORE;
        for (size_t k = 0; k < 4 && !s; k++) {
            token_list list = {0};
            s = tokenizer_encode_raw(x->l->ctx, model_tokenizer(m), texts[k], strlen(texts[k]), &list);
            n += list.n;
            token_list_free(&list);
        }
        *out = n > *out ? n : *out;
    }
    *out = *out < context ? *out : context;
    return s;
}

static agon_status admit(debate *x, const debate_role *r, bool judges) {
    size_t longest = 0;
    if (!is_local(r))
        return AGON_OK;
    agon_status s = longest_prompt(x, r->m, &longest);
    if (s)
        return s;
    forecast f = forecast_new(x->l->ctx, r->m, 1, 1);
    if (judges && x->roles.likelihood)
        forecast_scoring(&f, longest > BACKEND_SCORE_TOKENS ? longest : BACKEND_SCORE_TOKENS, 2, true);
    else
        forecast_generation(&f, CHUNK * (judges ? N_DEBATE_LOOKS : N_DEBATE_SEATS), 1, longest,
                            judges ? DEBATE_VERDICT_TOKENS : debate_speech_tokens(x->roles.words));
    return lab_admit(x->l, &f);
}

/* Minutes by the first item, where both roles compute here; what others take nobody knows. */
static agon_status expect(void *arg, double *minutes) {
    debate *x = arg;
    agon_status s = open_all(x);
    if (!s)
        s = take_items(x, 0);
    if (!s)
        s = admit(x, &x->debater, false);
    if (!s && (x->judge.m != x->debater.m || x->roles.likelihood))
        s = admit(x, &x->judge, true);
    const double n = (double)(x->l->n_seeds * x->n_items);
    if (!s)
        lab_say(x->l, "%.0f items: the debater speaks %.0f times, the judge gives %.0f verdicts, %s", n, n * (double)(N_DEBATE_SEATS * x->roles.rounds), n * N_DEBATE_LOOKS,
                x->roles.likelihood ? "each P(A) against P(B)" : "each read from the last line of what it writes");
    if (!s && is_local(&x->debater) && is_local(&x->judge)) {
        few f = few_of(x, 0, 0);
        f.speeches = arena_take(x->chunk, N_DEBATE_SEATS * x->roles.rounds, sizeof *f.speeches);
        f.verdicts = arena_take(x->chunk, N_DEBATE_LOOKS, sizeof *f.verdicts);
        const double start = processor_seconds();
        s = f.speeches && f.verdicts ? debate_speak(x->l->ctx, &x->roles, x->items, f.seeds, 1, x->chunk, f.speeches) : ctx_no_memory(x->l->ctx);
        if (!s)
            s = debate_judge(x->l->ctx, &x->roles, x->items, f.speeches, f.seeds, 1, x->chunk, f.verdicts);
        *minutes = n * (processor_seconds() - start) / 60 / x->l->ctx->n_threads;
    } else if (!s) {
        lab_say(x->l, "how long who does not compute here takes is not known and not counted");
    }
    close_all(x);
    return s;
}

const experiment experiment_debate = {
    .name = "debate",
    .summary = "whether a debate of two helps a judge who cannot see what they see",
    .defaults = defaults,
    .aside = aside,
    .size = sizeof(debate),
    .options = take_options,
    .minutes = expect,
    .run = run,
};
