/* The loop's refinement, see loop.c: failed queries are answered again with a critique, the verifier's evidence or what the model critic says without having
 * seen it (refine.words), and what a critique is worth is measured against a critique of something else and against simply trying again (loop 3.6,
 * learnable). The verifier judges what comes of it. */
#include "base/ctx.h"
#include "base/random.h"
#include "eval/curriculum.h"
#include "recipe/loop_private.h"
#include "role/critic.h"
#include "role/learner.h"
#include <stdlib.h>
#include <string.h>

/* The first failed, non-empty answer of every query that nothing passed, in an order drawn by seed. */
static agon_status failures(loop *l, size_t most, picked *out) {
    agon_status s = picked_new(l->c, l->answers.n, out);
    bool *passed = memory_new(l->queries.n + 1, sizeof *passed), *listed = memory_new(l->queries.n + 1, sizeof *listed);
    if (!s && (!passed || !listed))
        s = ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for failures");
    for (size_t i = l->first_answer; i < l->answers.n && !s; i++)
        if (l->answers.items[i].outcome == OUTCOME_PASS)
            passed[l->answers.items[i].query] = true;
    for (size_t i = l->first_answer; i < l->answers.n && !s; i++) {
        const answer *x = &l->answers.items[i];
        if (x->outcome != OUTCOME_FAIL || !*x->text || !x->evidence || passed[x->query] || listed[x->query])
            continue;
        listed[x->query] = true;
        out->items[out->n++] = i;
    }
    free(passed);
    free(listed);
    if (s)
        return s;
    rng r = rng_new(seed_derivef((uint64_t)l->config->seed, "refine|%lld", (long long)l->c->actors.iteration));
    rng_shuffle(&r, out->items, out->n);
    out->n = out->n < most ? out->n : most;
    return AGON_OK;
}

/* Beside CRITIQUE_FULL and CRITIQUE_MASKED: another item's critique in these forms, and none. */
enum { FORM_PLACEBO = 2, FORM_RETRY = 3, FORM_PLACEBO_FULL = 4, N_FORMS };

static bool is_placebo(int form) {
    return form == FORM_PLACEBO || form == FORM_PLACEBO_FULL;
}

static bool by_critic(const loop *l) {
    return strcmp(l->config->refine.words, "critic") == 0;
}

/* What is said of the failures; those of which nothing is are left out. */
static agon_status criticise_failures(loop *l, picked *failed) {
    size_t kept = 0;
    if (!by_critic(l))
        return critique_answers(&l->c->actors, cast_path(l->c, "critique"), &l->answers, failed->items, failed->n);
    agon_status s = write_critiques(&l->c->actors, cast_path(l->c, "critique/written"), &l->queries, &l->answers, failed->items, failed->n, l->critic);
    for (size_t i = 0; i < failed->n && !s; i++)
        if (*l->answers.items[failed->items[i]].words)
            failed->items[kept++] = failed->items[i];
    if (!s && kept < failed->n)
        cast_say(l->c, NULL, "the critic had no words for %zu of %zu failures", failed->n - kept, failed->n);
    failed->n = s ? failed->n : kept;
    return s;
}

/* New string. */
static agon_status words_of(loop *l, const answer *x, int form, char **out) {
    if (!by_critic(l))
        return critique_words(&l->c->actors, x, form == FORM_PLACEBO ? CRITIQUE_MASKED : form == FORM_PLACEBO_FULL ? CRITIQUE_FULL : form, out);
    *out = strdup(x->words);
    return *out ? AGON_OK : ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for a critique");
}

/* The message that asks for a better answer: with the critique in a form, with another item's, or with none. */
static agon_status refine_message(loop *l, const picked *drafts, size_t i, int form, const char **out) {
    const answer *x = &l->answers.items[drafts->items[i]];
    const answer *about = is_placebo(form) ? &l->answers.items[drafts->items[(i + 1) % drafts->n]] : x;
    char *words = NULL, *message = NULL;
    agon_status s = form == FORM_RETRY ? AGON_OK : words_of(l, about, form, &words);
    if (!s)
        s = learner_refine_prompt(l->c->actors.ctx, l->queries.items[x->query].text, words, &message);
    if (!s && !(*out = arena_copy(l->c->memory, message)))
        s = ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for a prompt");
    free(words);
    free(message);
    return s;
}

/* Asks for refinements of the drafts, `samples` each, and verifies them; they are appended to the answers. */
static agon_status refine_drafts(loop *l, const char *name, const char *kind, const picked *drafts, int form, size_t samples,
                                 double temperature) {
    cast *c = l->c;
    ask *asks = memory_new(drafts->n + 1, sizeof *asks);
    size_t from = l->answers.n;
    agon_status s = asks ? AGON_OK : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory to refine");
    for (size_t i = 0; i < drafts->n && !s; i++) {
        const answer *x = &l->answers.items[drafts->items[i]];
        const char *critique = is_placebo(form) || form == FORM_RETRY ? "" : x->critique[form];
        asks[i] = (ask){x->query, drafts->items[i], NULL, *critique ? critique : x->id};
        s = refine_message(l, drafts, i, form, &asks[i].prompt);
    }
    const ask_options o = {.version = l->learner,
                           .kind = kind,
                           .template_id = learner_refine_template(form != FORM_RETRY),
                           .samples = samples,
                           .max_tokens = (size_t)l->config->learner.max_tokens,
                           .temperature = temperature,
                           .top_p = temperature > 0 ? l->config->learner.top_p : 1,
                           .first_slot = form == FORM_PLACEBO_FULL ? samples : 0};
    if (!s)
        s = respond(&c->actors, cast_path(c, "%s/respond", name), &l->queries, asks, drafts->n, &o, &l->answers);
    if (!s)
        s = verify_answers(&c->actors, cast_path(c, "%s/verify", name), &l->queries, &l->answers, from);
    free(asks);
    return s;
}

/* A form's placebo is of the same form; before rules 25 it was masked for both. */
static int placebo_of(const loop *l, int form) {
    return form == CRITIQUE_FULL && !by_critic(l) && l->c->rules >= 25 ? FORM_PLACEBO_FULL : FORM_PLACEBO;
}

static agon_status measure_uplift(loop *l, const double *score[N_FORMS], size_t n, json_t **out) {
    enum { DRAWS = 2000 };
    const char *const names[] = {by_critic(l) ? "critic" : "full", "masked"};
    double *before = memory_new(n + 1, sizeof *before); /* every draft failed */
    json_t *report = json_pack("{sI}", "n", (json_int_t)n);
    agon_status s = before && report ? AGON_OK : ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for learnability");
    for (int form = 0; form < (by_critic(l) ? 1 : 2) && !s; form++) {
        critic_uplift u;
        bootstrap_result retry;
        s = critic_uplift_measure(l->c->actors.ctx, before, score[form], score[placebo_of(l, form)], n, DRAWS, (uint64_t)l->config->seed, 0.05, &u);
        if (!s)
            s = paired_bootstrap(l->c->actors.ctx, score[form], score[FORM_RETRY], n, DRAWS, (uint64_t)l->config->seed, 0.05, &retry);
        if (!s)
            json_object_set_new(report, names[form],
                                json_pack("{sf sf sf s[ff] s[ff]}", "uplift", u.uplift, "over_placebo", u.net, "over_retry", retry.mean, "ci95", u.net_range.low,
                                          u.net_range.high, "over_retry_ci95", retry.range.low, retry.range.high));
    }
    free(before);
    if (s)
        json_decref(report);
    else
        *out = report;
    return s;
}

/* How much does a critique help, in each form, beyond a critique of something else and beyond simply trying again? */
static agon_status learnability(loop *l, const picked *failed) {
    const char *const names[] = {by_critic(l) ? "learnability/critic" : "learnability/full", "learnability/masked", "learnability/placebo", "learnability/retry",
                                 "learnability/placebo_full"};
    picked some = {failed->items, failed->n < (size_t)l->config->refine.learnability ? failed->n
                                                                                      : (size_t)l->config->refine.learnability};
    const double *score[N_FORMS] = {0};
    const char *kind = l->c->rules >= 1 ? "probe" : "refinement";
    agon_status s = AGON_OK;
    if (some.n < 2)
        return AGON_OK;
    for (int form = 0; form < N_FORMS && !s; form++) {
        if ((form == CRITIQUE_MASKED && by_critic(l)) /* it cannot quote what it has not seen */ ||
            (form == FORM_PLACEBO_FULL && placebo_of(l, CRITIQUE_FULL) != form))
            continue;
        size_t from = l->answers.n;
        double *right = arena_take(l->c->memory, some.n, sizeof *right);
        s = right ? refine_drafts(l, names[form], kind, &some, form, 1, 0)
                  : ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for learnability");
        for (size_t i = 0; i < some.n && !s; i++)
            right[i] = l->answers.items[from + i].outcome == OUTCOME_PASS;
        score[form] = right;
    }
    json_decref(l->learnability);
    l->learnability = NULL;
    if (!s)
        s = measure_uplift(l, score, some.n, &l->learnability);
    if (!s && by_critic(l))
        cast_say(l->c, json_pack("{sO}", "learnability", l->learnability), "the critic's words on %zu failures: %+.0f points over placebo, %+.0f over a plain retry", some.n,
                 100 * field_real(json_object_get(l->learnability, "critic"), "over_placebo"), 100 * field_real(json_object_get(l->learnability, "critic"), "over_retry"));
    else if (!s)
        cast_say(l->c, json_pack("{sO}", "learnability", l->learnability),
                 "critiques on %zu failures: full %+.0f points over placebo, masked %+.0f", some.n,
                 100 * field_real(json_object_get(l->learnability, "full"), "over_placebo"),
                 100 * field_real(json_object_get(l->learnability, "masked"), "over_placebo"));
    return s;
}

agon_status loop_refine(loop *l) {
    picked failed = {0};
    size_t n_passed = 0, from;
    int form = by_critic(l) || strcmp(l->config->refine.form, "full") == 0 ? CRITIQUE_FULL : CRITIQUE_MASKED;
    agon_status s = cast_stage(l->c, "refine");
    size_t queries = (size_t)l->config->refine.queries, learn = (size_t)l->config->refine.learnability;
    if (!s)
        s = failures(l, queries > learn ? queries : learn, &failed);
    if (!s)
        s = criticise_failures(l, &failed);
    if (!s)
        s = learnability(l, &failed);
    from = l->answers.n;
    failed.n = failed.n < queries ? failed.n : queries;
    if (!s)
        s = refine_drafts(l, "refine", "refinement", &failed, form, (size_t)l->config->refine.samples, cast_temperature(l->c));
    for (size_t i = from; i < l->answers.n && !s; i++)
        n_passed += l->answers.items[i].outcome == OUTCOME_PASS;
    if (!s)
        cast_say(l->c, NULL, "refined %zu failures with %s critiques: %zu of %zu answers now pass", failed.n,
                 by_critic(l) ? "the critic's" : l->config->refine.form, n_passed, l->answers.n - from);
    free(failed.items);
    return s;
}
