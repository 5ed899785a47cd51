/* What the loop will not be able to do with the tasks of its run file, said before anything is spent: warnings, no refusals. */
#include "base/ctx.h"
#include "base/utf8.h"
#include "eval/interval.h"
#include "recipe/attempts.h"
#include "recipe/loop_private.h"
#include "recipe/own_rows.h"
#include "recipe/recipe_private.h"
#include <math.h>
#include <stdarg.h>
#include <string.h>

static agon_status say(agon_ctx *ctx, json_t *sentences, const char *format, ...) PRINTF_LIKE(3, 4);
static agon_status say(agon_ctx *ctx, json_t *sentences, const char *format, ...) {
    char text[1024];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    return json_array_append_new(sentences, utf8_json(text)) == 0 ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "no memory for a warning");
}

static bool has_queue(const run_config *config) {
    return strcmp(config->human.backend, "queue") == 0;
}

static size_t n_verifiable(const own_rows *own) { /* of the queries held out */
    return own->n_held_out - own->n_held_out_unverifiable;
}

/* Held-out queries whose answers people are asked to judge. */
static size_t n_for_people(const run_config *config, const own_rows *own) {
    const size_t left = own->n_held_out_unverifiable, most = has_queue(config) ? (size_t)config->human.gate_items : 0;
    return left < most ? left : most;
}

/* Of them and `drawn` generated ones, those that can be judged, as the gate counts: sets of rows that are held out together, since rules 24. */
static size_t n_evidence(const run_config *config, const own_rows *own, const run_past *past, size_t drawn) {
    const size_t people = n_for_people(config, own), open = own->n_held_out_sets_unverifiable;
    if (past->rules > 0 && past->rules < 24)
        return n_verifiable(own) + drawn + people;
    return own->n_held_out_sets - open + drawn + (open < people ? open : people);
}

/* Of the attempts that the run file allows, the first on which no outcome of the held-out queries could show a gain. Each may spend less than
 * the one before, also than those of other runs of the workspace. */
static agon_status warn_of_gate(agon_ctx *ctx, const run_config *config, const own_rows *own, const run_past *past, json_t *sentences) {
    const bool cells = config->tasks.cells.n > 0 || !config->tasks.file;
    const size_t drawn = cells ? (size_t)config->evaluate.tasks : 0, people = n_for_people(config, own), n = n_verifiable(own) + drawn + people;
    const size_t sets = n_evidence(config, own, past, drawn);
    const bool in_sets = sets < n;
    const bool more_people = has_queue(config) && own->n_held_out_unverifiable > people;
    int64_t n_earlier = 0;
    char held_out[560] = "", effect[100] = "no candidate can be promoted", asked[100] = "", before[120] = "", counted[120] = "";
    agon_status s = AGON_OK;
    if (past->store && own->n_held_out > 0 && (past->rules == 0 || past->rules >= 12))
        s = attempts_of_others(ctx, past->store, config->name, own->held_out, own->n_held_out + drawn, &n_earlier);
    if (s)
        return s;
    const size_t first = 1 + (size_t)(past->n_gates + n_earlier), end = 1 + (size_t)(config->iterations + n_earlier);
    size_t attempt = first;
    while (attempt < end && gate_least_gains(config->gate.alpha, attempt) <= sets)
        attempt++;
    if (attempt >= end || strcmp(config->learner.by.backend, "local") != 0) /* else nothing is trained */
        return AGON_OK;
    if (n_earlier > 0)
        snprintf(before, sizeof before, " (gates of other runs in this workspace decided on them already, %lld times)", (long long)n_earlier);
    if (own->n > 0)
        snprintf(held_out, sizeof held_out, " (%zu of the %zu in %.300s are held out, by a hash of the text; %zu of them have an answer or a verifier%s)",
                 own->n_held_out, own->n, config->tasks.file, n_verifiable(own), drawn ? "; the others are generated" : "");
    if (attempt > first)
        snprintf(effect, sizeof effect, "from attempt %zu on no candidate can be promoted", attempt);
    if (people > 0)
        snprintf(asked, sizeof asked, " and people are asked about %zu more", people);
    if (in_sets)
        snprintf(counted, sizeof counted, ", in %zu sets of rows that go together (one \"group\", near-duplicates)", sets);
    return say(ctx, sentences, "of the held-out queries at most %zu can be verified%s%s%s, but the gate's G1 asks for a gain on %zu%s at least%s: %s; %s%s", n - people, held_out,
               asked, counted, gate_least_gains(config->gate.alpha, attempt), in_sets ? " sets" : "", before, effect, more_people ? "raise human.gate_items, so that people judge held-out answers, or " : "",
               own->n > 0 ? "add rows with an answer or a verifier, about five for each that is missing (a run that began keeps the rows it read)" : "raise evaluate.tasks");
}

/* G5 asked of rows of which too few are held out; or a limit so small beside the number of answers that a candidate approved and right alike mostly fails. */
static agon_status warn_of_approval(agon_ctx *ctx, const run_config *config, const own_rows *own, const run_past *past, json_t *sentences) {
    const double limit = config->gate.over_approval, parted = 0.1, width = 1.96 / limit; /* half of the interval: 1.96 sqrt(parted / n) */
    const size_t drawn = config->tasks.cells.n > 0 || !config->tasks.file ? (size_t)config->evaluate.tasks : 0, most = (size_t)config->gate.approval_items,
                 known = n_evidence(config, own, past, drawn), n = known < most ? known : most;
    if (limit == 0)
        return AGON_OK;
    if (over_approval_least(n) > limit)
        return say(ctx, sentences, "gate.over_approval is %g, but of the held-out queries at most %zu can be judged, which show an index below %.4f at the least: no candidate can be "
                   "promoted; %zu are needed", limit, n, over_approval_least(n), over_approval_items(limit));
    if ((double)n >= parted * width * width)
        return AGON_OK;
    return say(ctx, sentences, "gate.over_approval is %g: with %zu held-out answers a candidate that is approved as much more as it is right more is only promoted where one of the two "
               "changes without the other on at most %.1f %% of them; 10 %% needs about %.0f (gate.approval_items, evaluate.tasks)",
               limit, n, 100 * (double)n / (width * width), ceil(parted * width * width));
}

/* Of the attacker's queries none is generated where the file names no cells; a small number looks like a limit on the rows. */
static agon_status warn_of_all_rows(agon_ctx *ctx, const run_config *config, const own_rows *own, json_t *sentences) {
    const size_t asked = own->n - own->n_held_out;
    if (config->tasks.cells.n > 0 || !config->tasks.file || asked <= (size_t)config->attacker.queries || !run_config_gives(config, "attacker", "queries"))
        return AGON_OK;
    return say(ctx, sentences, "attacker.queries is %lld and limits nothing here: no query is generated, and all %zu rows of %.300s that are not held out are asked in each iteration, "
               "learner.samples (%lld) answers each; for fewer name a file of fewer rows", (long long)config->attacker.queries, asked, config->tasks.file,
               (long long)config->learner.samples);
}

/* G6 asked of a critic, which people audit in so small parts that candidates are rejected until it has stood for some iterations. */
static agon_status warn_of_audits(agon_ctx *ctx, const run_config *config, const own_rows *own, const run_past *past, json_t *sentences) {
    const bool verifies = config->tasks.cells.n > 0 || !config->tasks.file || own->n > own->n_unverifiable;
    const size_t n = verifies ? (size_t)config->human.audits / 2 : (size_t)config->human.audits;
    size_t needed = 1;
    const bool pooled = past->rules > 0 && past->rules < 15; /* an earlier critic's audits speak too */
    if (pooled || config->gate.audit_agreement == 0 || !loop_critic_may_decide(config) || own->n_unverifiable == 0)
        return AGON_OK;
    while (clopper_pearson_lower(needed, needed, 0.05) < config->gate.audit_agreement)
        needed++;
    if (n >= needed)
        return AGON_OK;
    return say(ctx, sentences, "gate.audit_agreement is %g, which takes %zu audits of a critic's labels that all agree, and a critic gets about %zu an iteration, which speak for no "
               "other: a candidate that learnt from its labels is rejected until it has stood that long. Raise human.audits, or lower the share", config->gate.audit_agreement, needed, n);
}

/* Audits and demonstrations are counted by iteration, the budget is not. */
static agon_status warn_of_labels(agon_ctx *ctx, const run_config *config, const own_rows *own, json_t *sentences) {
    const int64_t verdicts = 2 * (int64_t)n_for_people(config, own), wanted = config->iterations * (config->human.audits + config->human.demonstrations + verdicts);
    if (config->iterations * verdicts > config->human.labels)
        return say(ctx, sentences, "the gate may ask people for %lld verdicts (two of each of human.gate_items in an iteration), and human.labels allows %lld in all; "
                   "raise human.labels, or lower human.gate_items", (long long)(config->iterations * verdicts), (long long)config->human.labels);
    if (wanted <= config->human.labels)
        return AGON_OK;
    return say(ctx, sentences, "human.labels allows %lld expert labels in all, and %lld iterations may ask for %lld: audits (%lld), demonstrations (%lld)%s are counted for each. Not all will be "
               "asked for; raise human.labels, now or while the run goes on, or lower the others", (long long)config->human.labels, (long long)config->iterations, (long long)wanted,
               (long long)config->human.audits, (long long)config->human.demonstrations, verdicts > 0 ? " and the gate's verdicts" : "");
}

static agon_status warn_of_tasks(agon_ctx *ctx, const run_config *config, const own_rows *own, const run_past *past, json_t *sentences) {
    agon_status s = AGON_OK;
    if (own->n_unverifiable > 0 && strcmp(config->human.backend, "simulated") == 0)
        s = say(ctx, sentences, "human.backend is simulated: that expert judges by the verifier, so it can judge none of the %zu of %zu queries in %.300s that have "
                "neither an answer nor a verifier; with 'human: {backend: queue}' people judge them (agon review)",
                own->n_unverifiable, own->n, config->tasks.file);
    if (!s && config->human.gate_items > 0 && n_for_people(config, own) == 0)
        s = say(ctx, sentences, "human.gate_items is %lld and asks nobody here: %s", (long long)config->human.gate_items,
                !has_queue(config) ? "the simulated expert knows what the verifier knows; with 'human: {backend: queue}' people judge held-out answers (agon review)"
                                   : "no held-out query of tasks.file is one that only people can judge");
    if (!s)
        s = warn_of_labels(ctx, config, own, sentences);
    if (!s && config->gate.critic && own->n_held_out_unverifiable < (size_t)config->human.gate_items + 2)
        s = say(ctx, sentences, "gate.critic has nothing to judge beside people: of %.300s %zu queries that only people can judge are held out, and it needs human.gate_items (%lld) and 2 more; the gate "
                "counts without it. Add rows, about five for each that is missing", config->tasks.file, own->n_held_out_unverifiable, (long long)config->human.gate_items);
    if (!s)
        s = warn_of_all_rows(ctx, config, own, sentences);
    if (!s)
        s = warn_of_approval(ctx, config, own, past, sentences);
    if (!s)
        s = warn_of_audits(ctx, config, own, past, sentences);
    return s ? s : warn_of_gate(ctx, config, own, past, sentences);
}

agon_status loop_warn(agon_ctx *ctx, const run_config *config, const run_past *past, json_t *sentences) {
    own_rows own;
    const bool each_alone = past->rules > 0 && past->rules < 13;
    agon_status s = own_rows_of_run(ctx, config, past->queries, each_alone, &own);
    const bool unread = s && s != AGON_ENOMEM && s != AGON_EINTERRUPTED; /* the run says what is wrong with the rows */
    if (unread)
        s = AGON_OK;
    else if (!s && (own.n > 0 || !config->tasks.file))
        s = warn_of_tasks(ctx, config, &own, past, sentences);
    own_rows_free(&own);
    return s;
}
