/* The loop's attack, see loop.c: where to aim is aim.c's; here the waves are drawn, reworded, asked and judged. */
#include "base/ctx.h"
#include "recipe/loop_private.h"
#include <stdlib.h>
#include <string.h>

static agon_status ask_learner(loop *l, const char *path, size_t from_query, size_t n) {
    size_t from = l->answers.n;
    agon_status s = cast_ask_learner(l->c, path, l->learner, &l->queries, from_query, n, (size_t)l->config->learner.samples, &l->answers);
    if (!s)
        aim_count(&l->aim, &l->queries, &l->answers, from);
    return s;
}

/* A few of the wave's queries, spread evenly, are reworded by the attacker's language model. */
static agon_status reword(loop *l, const char *path, size_t from, size_t wanted) {
    picked which;
    size_t n = l->queries.n - from, n_rejected = 0;
    if (l->c->rules >= 2 && wanted > n) /* each once */
        wanted = n;
    agon_status s = picked_new(l->c, wanted, &which);
    for (size_t k = 0; k < wanted && n > 0 && !s; k++)
        which.items[which.n++] = from + k * n / wanted;
    if (!s)
        s = vary_queries(&l->c->actors, cast_path(l->c, "%s/vary", path), &l->queries, which.items, which.n,
                         l->c->rewords.version, &l->c->rewords.kinds, &n_rejected);
    if (!s && l->c->rules >= 2)
        n_rejected += query_list_drop_repeated(&l->queries, from + n);
    if (!s && which.n)
        cast_say(l->c, json_pack("{sI sI}", "kept", (json_int_t)(which.n - n_rejected), "rejected", (json_int_t)n_rejected),
                 "attacker reworded %zu queries, %zu kept: the rest changed the task or had been asked", which.n, which.n - n_rejected);
    free(which.items);
    return s;
}

static void say_wave(loop *l, size_t wave, size_t from_query, size_t from_answer) {
    size_t failed = 0, n = l->answers.n - from_answer;
    const answer *shown = NULL;
    for (size_t i = from_answer; i < l->answers.n; i++) {
        failed += l->answers.items[i].outcome == OUTCOME_FAIL;
        if (l->answers.items[i].outcome == OUTCOME_FAIL && *l->answers.items[i].text)
            shown = &l->answers.items[i];
    }
    json_t *attack = shown ? json_pack("{ss ss ss}", "query", l->queries.items[shown->query].text, "answer", shown->text,
                                       "critique", shown->evidence)
                           : NULL;
    cast_say(l->c, json_pack("{so?}", "attack", attack), "wave %zu: %zu queries, %zu answers, attack success %.0f%%", wave,
             l->queries.n - from_query, n, n ? 100.0 * (double)failed / (double)n : 0);
}

static agon_status attack_wave(loop *l, size_t wave, size_t n) {
    cast *c = l->c;
    draw *draws = NULL;
    size_t n_draws = 0, from = l->queries.n, from_answer = l->answers.n;
    const char *path = arena_printf(c->memory, "attack/%zu", wave);
    agon_status s = aim_wave(c, &l->aim, wave, n, l->aim.probed, &draws, &n_draws);
    if (!s)
        s = draw_queries(&c->actors, cast_path(c, "%s/draw", path), draws, n_draws, &l->queries);
    if (!s)
        s = reword(l, path, from, (size_t)(l->config->attacker.variations / l->config->attacker.waves));
    if (!s)
        s = ask_learner(l, path, from, l->queries.n - from);
    l->aim.probed = true;
    if (!s)
        say_wave(l, wave, from, from_answer);
    free(draws);
    return s;
}

/* The repository's own gold examples: data the lineage never produced. Once, with the first iteration. */
static agon_status gold(loop *l) {
    cast *c = l->c;
    draw *draws = NULL;
    size_t n = 0, from = l->queries.n, *which = NULL;
    const expert_options o = {.purpose = "demonstration", .propensity = 1, .gold = true};
    if (l->config->build.gold == 0 || c->actors.iteration > 1)
        return AGON_OK;
    agon_status s = aim_gold(c, &l->aim, (size_t)l->config->build.gold, &draws, &n);
    if (!s)
        s = draw_queries(&c->actors, cast_path(c, "gold/draw"), draws, n, &l->queries);
    if (!s && !(which = memory_new(n + 1, sizeof *which)))
        s = ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for gold examples");
    for (size_t i = 0; i < n && !s; i++)
        which[i] = from + i;
    if (!s)
        s = expert_demonstrates(&c->actors, cast_path(c, "gold/demonstrate"), &l->queries, which, n, &o, &l->answers);
    if (!s && n > 0 && loop_learns_from_pairs(l)) /* what a gold answer is preferred to */
        s = ask_learner(l, "gold", from, n);
    free(which);
    free(draws);
    return s;
}

agon_status loop_attack(loop *l) {
    const run_config *config = l->config;
    agon_status s = cast_stage(l->c, "attack");
    l->first_query = l->c->actors.iteration == 1 ? 0 : l->queries.n;
    l->first_answer = l->answers.n;
    l->first_preference = l->preferences.n;
    if (!s && l->n_file > 0) /* the user's own are asked again of every version */
        s = ask_learner(l, "attack/file", 0, l->n_file);
    if (!s)
        s = gold(l);
    size_t waves = (size_t)config->attacker.waves, n = (size_t)config->attacker.queries;
    for (size_t w = 1; w <= waves && l->n_cells && !s; w++)
        s = attack_wave(l, w, n * w / waves - n * (w - 1) / waves);
    size_t n_retired = s ? 0 : aim_retire(&l->aim);
    if (!s && n_retired > 0)
        cast_say(l->c, NULL, "%zu of %zu cells are solved and asked only now and then", n_retired, l->n_cells);
    if (!s)
        cast_say(l->c, NULL, "rejected before asking: %zu duplicates, %zu held out, %zu ill-posed", l->aim.rejected.duplicate,
                 l->aim.rejected.held_out, l->aim.rejected.ill_posed);
    return s;
}
