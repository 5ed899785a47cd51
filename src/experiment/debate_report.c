/* The experiment debate: its figures. See debate.h.
 *
 * An item's share is that of right verdicts over all ways of putting it (and over seeds, where these have the same items); no verdict is a wrong one. Accuracies and gains
 * are means of shares with bootstrap intervals over items, gains paired. A judge that thinks of places alone has a share of a half everywhere; what it thinks besides shows
 * in the pooled verdict: right where the mean P of the right answer over all ways of putting it is above a half (the majority, where the judge writes). */
#include "base/ctx.h"
#include "eval/calibration.h"
#include "eval/paired.h"
#include "experiment/debate.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *side_name(const debate_item *item, int answer) {
    return answer == item->right ? "right" : "wrong";
}

json_t *debate_line_json(const debate_item *item, uint64_t seed, size_t rounds, const char *const *speeches, const debate_verdict *verdicts) {
    json_t *said = json_array(), *given = json_array();
    for (size_t k = 0; k < N_DEBATE_SEATS * rounds; k++) {
        const size_t seat = k / rounds;
        json_array_append_new(said, json_pack("{s:s,s:s,s:I,s:s}", "protocol", debate_protocol_name(seat < 2 ? DEBATE_CONSULTANCY : DEBATE_DEBATE), "side",
                                              side_name(item, (int)(seat % 2)), "round", (json_int_t)(k % rounds + 1), "speech", speeches[k]));
    }
    for (size_t k = 0; k < N_DEBATE_LOOKS; k++) {
        const debate_look look = debate_look_at(k);
        const bool spoken = look.protocol == DEBATE_CONSULTANCY || look.protocol == DEBATE_DEBATE;
        if (debate_has_look(item, k))
            json_array_append_new(given, json_pack("{s:s,s:s,s:s?,s:o,s:s?}", "protocol", debate_protocol_name(look.protocol), "A", side_name(item, look.a), "first",
                                                   spoken ? side_name(item, look.first) : NULL, "p_right", real_or_null(item->right ? 1 - verdicts[k].p : verdicts[k].p), "said",
                                                   verdicts[k].said));
    }
    return json_pack("{s:I,s:s,s:s,s:s,s:s,s:s?,s:o,s:o}", "seed", (json_int_t)seed, "id", item->id, "question", item->question, "correct", item->answers[item->right], "wrong",
                     item->answers[!item->right], "passage", item->passage, "speeches", said, "verdicts", given);
}

debate_outcome debate_outcome_of(const debate_item *item, const debate_verdict *v) {
    debate_outcome o = {0};
    for (size_t i = 0; i < N_DEBATE_LOOKS; i++) {
        const debate_look look = debate_look_at(i);
        const int says = v[i].p > 0.5 ? 0 : 1; /* of the item's answers */
        o.p[i] = item->right == 0 ? v[i].p : 1 - v[i].p;
        o.says_a[i] = says == look.a;
        o.says_first[i] = says == look.first;
    }
    return o;
}

agon_status debate_gain_of(agon_ctx *ctx, const double *now, const double *before, size_t n, size_t draws, uint64_t seed, debate_gain *out) {
    bootstrap_result r;
    debate_gain g = {0};
    agon_status s = paired_bootstrap(ctx, now, before, n, draws, seed, 0.05, &r);
    if (s)
        return s;
    for (size_t i = 0; i < n; i++) {
        g.now += now[i] / (double)n;
        g.before += before[i] / (double)n;
        g.gained += now[i] > 0.5 && before[i] <= 0.5;
        g.lost += now[i] <= 0.5 && before[i] > 0.5;
    }
    g.gain = r.mean;
    g.range = r.range;
    g.p = mcnemar_exact(g.gained, g.lost);
    *out = g;
    return AGON_OK;
}

/* ---- shares ---------------------------------------------------------------------------------------------------- */

/* What of a verdict is counted. */
typedef bool (*counted)(const debate_outcome *o, size_t look);

static bool is_right(const debate_outcome *o, size_t i) {
    return o->p[i] > 0.5; /* no verdict is none, and a tie is not right either */
}

static bool says_a(const debate_outcome *o, size_t i) {
    return o->says_a[i];
}

static bool says_first(const debate_outcome *o, size_t i) {
    return o->says_first[i];
}

/* Which verdicts are looked at. */
typedef struct part {
    debate_protocol protocol;
    bool read_only; /* no others than those that could be read */
    int side;       /* 1, 0: those on the consultant of the right answer, of the wrong one; -1: all */
} part;

static bool is_there(const debate_tally *t, size_t at, size_t i) {
    return t->has_expert[at] || debate_look_at(i).protocol != DEBATE_EXPERT;
}

static bool takes(const debate_tally *t, const part *p, size_t at, size_t i) {
    const debate_look look = debate_look_at(i);
    const debate_outcome *o = &t->of[at];
    if (look.protocol != p->protocol || !is_there(t, at, i) || (p->read_only && isnan(o->p[i])))
        return false;
    return p->side < 0 || t->right[at] == (p->side ? look.first : !look.first);
}

static size_t n_clusters(const debate_tally *t) {
    return t->same_items ? t->n_items : t->l->n_seeds * t->n_items;
}

/* share [n_clusters]; NAN where nothing is looked at. */
static void shares_of(const debate_tally *t, const part *p, counted what, double *share) {
    const size_t n = n_clusters(t);
    for (size_t c = 0; c < n; c++) {
        size_t k = 0, of = 0;
        for (size_t at = c; at < t->l->n_seeds * t->n_items; at += n)
            for (size_t i = 0; i < N_DEBATE_LOOKS; i++)
                if (takes(t, p, at, i))
                    k += what(&t->of[at], i), of++;
        share[c] = of ? (double)k / (double)of : NAN;
    }
}

/* Whether each item's pooled verdict is right, 1 or 0; NAN where nothing is asked. pooled [n_clusters]. */
static void pooled_of(const debate_tally *t, debate_protocol p, double *pooled) {
    const size_t n = n_clusters(t);
    for (size_t c = 0; c < n; c++) {
        size_t of = 0, asked = 0;
        double sum = 0;
        for (size_t at = c; at < t->l->n_seeds * t->n_items; at += n)
            for (size_t i = 0; i < N_DEBATE_LOOKS; i++)
                if (takes(t, &(part){p, false, -1}, at, i)) {
                    const double x = t->of[at].p[i];
                    asked++;
                    if (!isnan(x))
                        sum += x, of++;
                }
        pooled[c] = asked ? 2 * sum > (double)of : NAN;
    }
}

static json_t *range_json(interval r) {
    return json_pack("[o,o]", real_or_null(r.low), real_or_null(r.high));
}

typedef struct figure {
    double mean;
    interval range;
    size_t n; /* clusters; 0: there is no figure */
} figure;

/* what NULL: of pooled verdicts. */
static agon_status mean_of(const debate_tally *t, const part *p, counted what, figure *out) {
    double *share = memory_new(n_clusters(t), sizeof *share);
    bootstrap_result r = {NAN, {NAN, NAN}};
    size_t n = 0;
    agon_status s = share ? AGON_OK : ctx_no_memory(t->l->ctx);
    if (!s && what)
        shares_of(t, p, what, share);
    else if (!s)
        pooled_of(t, p->protocol, share);
    for (size_t c = 0; c < n_clusters(t) && !s; c++)
        if (!isnan(share[c]))
            share[n++] = share[c];
    if (!s && n > 0)
        s = mean_bootstrap(t->l->ctx, share, n, t->draws, lab_seed(t->l, 0, "bootstrap"), 0.05, &r);
    *out = (figure){r.mean, r.range, n};
    free(share);
    return s;
}

/* KEY and KEY_interval. */
static void put_figure(json_t *out, const char *key, const figure *f) {
    char other[64];
    snprintf(other, sizeof other, "%s_interval", key);
    json_object_set_new(out, key, real_or_null(f->mean));
    json_object_set_new(out, other, range_json(f->range));
}

/* ---- a protocol ------------------------------------------------------------------------------------------------ */

/* Confidence and truth of verdicts: of each where the judge gives P; where it writes, an item's share of the verdicts that agree stands for it. */
static agon_status calibration_json(const debate_tally *t, debate_protocol p, json_t **out) {
    const size_t n = t->l->n_seeds * t->n_items;
    double *confidence = memory_new(n * N_DEBATE_LOOKS, sizeof *confidence);
    bool *right = memory_new(n * N_DEBATE_LOOKS, sizeof *right);
    size_t k = 0;
    for (size_t at = 0; at < n && confidence && right; at++) {
        double sum = 0;
        size_t of = 0;
        for (size_t i = 0; i < N_DEBATE_LOOKS; i++) {
            const double x = t->of[at].p[i];
            if (!takes(t, &(part){p, true, -1}, at, i))
                continue;
            sum += x, of++;
            if (t->likelihood)
                confidence[k] = fmax(x, 1 - x), right[k++] = x > 0.5;
        }
        if (!t->likelihood && of > 0)
            confidence[k] = fmax(sum, (double)of - sum) / (double)of, right[k++] = 2 * sum > (double)of;
    }
    agon_status s = confidence && right ? AGON_OK : ctx_no_memory(t->l->ctx);
    if (!s && !(*out = k ? json_pack("{s:s,s:I,s:f,s:f}", "of", t->likelihood ? "verdicts" : "items", "n", (json_int_t)k, "ece", calibration_ece(confidence, right, k), "brier",
                                     calibration_brier(confidence, right, k))
                         : json_null()))
        s = ctx_no_memory(t->l->ctx);
    free(confidence), free(right);
    return s;
}

static json_t *by_seed_json(const debate_tally *t, debate_protocol p) {
    json_t *all = json_array();
    for (size_t seed = 0; seed < t->l->n_seeds; seed++) {
        size_t k = 0, of = 0;
        for (size_t at = seed * t->n_items; at < (seed + 1) * t->n_items; at++)
            for (size_t i = 0; i < N_DEBATE_LOOKS; i++)
                if (takes(t, &(part){p, false, -1}, at, i))
                    k += is_right(&t->of[at], i), of++;
        json_array_append_new(all, of ? json_real((double)k / (double)of) : json_null());
    }
    return all;
}

debate_counts debate_count(const debate_tally *t, size_t n, debate_protocol p) {
    debate_counts c = {0};
    for (size_t at = 0; at < n; at++)
        for (size_t i = 0; i < N_DEBATE_LOOKS; i++)
            if (takes(t, &(part){p, false, -1}, at, i))
                c.n++, c.unparsable += isnan(t->of[at].p[i]), c.right += is_right(&t->of[at], i);
    return c;
}

static agon_status protocol_json(const debate_tally *t, debate_protocol p, json_t **out) {
    lab *l = t->l;
    figure accuracy, pooled, position, name = {NAN, {NAN, NAN}, 0};
    json_t *calibration = NULL;
    agon_status s = mean_of(t, &(part){p, false, -1}, is_right, &accuracy);
    if (!s)
        s = mean_of(t, &(part){p, false, -1}, NULL, &pooled);
    if (!s)
        s = mean_of(t, &(part){p, true, -1}, says_a, &position);
    if (!s && p == DEBATE_DEBATE)
        s = mean_of(t, &(part){p, true, -1}, says_first, &name);
    if (!s)
        s = calibration_json(t, p, &calibration);
    if (s)
        return s;
    const debate_counts c = debate_count(t, l->n_seeds * t->n_items, p);
    *out = json_pack("{s:s,s:I,s:I,s:I,s:o,s:o}", "protocol", debate_protocol_name(p), "n_items", (json_int_t)accuracy.n, "n_verdicts", (json_int_t)c.n, "unparsable",
                     (json_int_t)c.unparsable, "by_seed", by_seed_json(t, p), "calibration", calibration);
    if (!*out)
        return ctx_no_memory(l->ctx);
    put_figure(*out, "accuracy", &accuracy);
    put_figure(*out, "pooled", &pooled);
    put_figure(*out, "says_a", &position);
    if (p == DEBATE_DEBATE)
        put_figure(*out, "says_alice", &name);
    if (accuracy.n == 0)
        lab_say(l, "%-11s no item has a passage", debate_protocol_name(p));
    else
        lab_say(l, "%-11s right %5.1f%% [%.1f, %.1f] of %zu verdicts, pooled %.1f%% [%.1f, %.1f] of %zu items; %zu unparsable; says A %.0f%%; calibration error %.3f",
                debate_protocol_name(p), 100 * accuracy.mean, 100 * accuracy.range.low, 100 * accuracy.range.high, c.n, 100 * pooled.mean, 100 * pooled.range.low,
                100 * pooled.range.high, pooled.n, c.unparsable, 100 * position.mean,
                json_number_value(json_object_get(calibration, "ece")));
    return AGON_OK;
}

/* ---- gains, sides, quotes -------------------------------------------------------------------------------------- */

/* One protocol over another, by shares or by pooled verdicts, on the items that both have; *n 0: there are none. */
static agon_status gain_of(const debate_tally *t, debate_protocol a, debate_protocol b, bool pooled, debate_gain *out, size_t *n) {
    const size_t all = n_clusters(t);
    double *now = memory_new(all, sizeof *now), *before = memory_new(all, sizeof *before);
    agon_status s = now && before ? AGON_OK : ctx_no_memory(t->l->ctx);
    *out = (debate_gain){.gain = NAN, .range = {NAN, NAN}, .p = NAN};
    *n = 0;
    if (!s && pooled) {
        pooled_of(t, a, now);
        pooled_of(t, b, before);
    } else if (!s) {
        shares_of(t, &(part){a, false, -1}, is_right, now);
        shares_of(t, &(part){b, false, -1}, is_right, before);
    }
    for (size_t c = 0; c < all && !s; c++)
        if (!isnan(now[c]) && !isnan(before[c]))
            now[*n] = now[c], before[*n] = before[c], *n += 1;
    if (!s && *n > 0)
        s = debate_gain_of(t->l->ctx, now, before, *n, t->draws, lab_seed(t->l, 0, "bootstrap"), out);
    free(now), free(before);
    return s;
}

static agon_status gain_json(const debate_tally *t, debate_protocol a, debate_protocol b, json_t **out) {
    debate_gain g, pooled;
    size_t n = 0;
    agon_status s = gain_of(t, a, b, false, &g, &n);
    if (!s)
        s = gain_of(t, a, b, true, &pooled, &n);
    if (s)
        return s;
    const char *finding = lab_finding(g.range.low, g.range.high, "better", "worse"), *names[] = {debate_protocol_name(a), debate_protocol_name(b)};
    if (n > 0)
        lab_say(t->l, "%s over %s: %+.1f points [%+.1f, %+.1f] (%s); pooled %+.1f [%+.1f, %+.1f], items %zu gained, %zu lost, p %.3f", names[0], names[1], 100 * g.gain,
                100 * g.range.low, 100 * g.range.high, finding, 100 * pooled.gain, 100 * pooled.range.low, 100 * pooled.range.high, pooled.gained, pooled.lost, pooled.p);
    *out = json_pack("{s:s,s:s,s:I,s:o,s:o,s:s,s:o,s:o,s:I,s:I,s:o}", "protocol", names[0], "over", names[1], "n_items", (json_int_t)n, "gain", real_or_null(g.gain), "interval",
                     range_json(g.range), "finding", finding, "pooled", real_or_null(pooled.gain), "pooled_interval", range_json(pooled.range), "gained", (json_int_t)pooled.gained,
                     "lost", (json_int_t)pooled.lost, "mcnemar", real_or_null(pooled.p));
    return *out ? AGON_OK : ctx_no_memory(t->l->ctx);
}

/* Whom the judge follows: the right side's win rate in debates with a verdict; how often it is right after a consultant of the right side and of the wrong one. */
static agon_status sides_json(const debate_tally *t, json_t **out) {
    figure wins, right, wrong;
    agon_status s = mean_of(t, &(part){DEBATE_DEBATE, true, -1}, is_right, &wins);
    if (!s)
        s = mean_of(t, &(part){DEBATE_CONSULTANCY, false, 1}, is_right, &right);
    if (!s)
        s = mean_of(t, &(part){DEBATE_CONSULTANCY, false, 0}, is_right, &wrong);
    if (s)
        return s;
    if (!(*out = json_object()))
        return ctx_no_memory(t->l->ctx);
    put_figure(*out, "debate_won_by_right", &wins);
    put_figure(*out, "consultant_right", &right);
    put_figure(*out, "consultant_wrong", &wrong);
    lab_say(t->l, "the right side wins %.1f%% of debates [%.1f, %.1f]; after a consultant of the right side the judge is right in %.1f%%, of the wrong one in %.1f%%", 100 * wins.mean,
            100 * wins.range.low, 100 * wins.range.high, 100 * right.mean, 100 * wrong.mean);
    return AGON_OK;
}

static json_t *quotes_json(const debate_tally *t) {
    static const char *const sides[] = {"right", "wrong"};
    json_t *all = json_array();
    for (int kind = 0; kind < 2; kind++)
        for (int side = 0; side < 2; side++) {
            size_t n[2] = {0};
            for (size_t at = 0; at < t->l->n_seeds * t->n_items; at++)
                for (int v = 0; v < 2; v++)
                    n[v] += t->of[at].quotes[kind][side][v];
            const char *name = debate_protocol_name(kind ? DEBATE_DEBATE : DEBATE_CONSULTANCY);
            const double share = n[0] + n[1] ? (double)n[1] / (double)(n[0] + n[1]) : NAN;
            json_array_append_new(all, json_pack("{s:s,s:s,s:I,s:I,s:o}", "protocol", name, "side", sides[side], "verified", (json_int_t)n[1], "unverified", (json_int_t)n[0],
                                                 "verified_share", real_or_null(share)));
            lab_say(t->l, "%s, %s side: %zu quotes stand in the passage, %zu do not", name, sides[side], n[1], n[0]);
        }
    return all;
}

agon_status debate_report(const debate_tally *t, json_t **result) {
    static const debate_protocol pairs[][2] = {
        {DEBATE_DEBATE, DEBATE_NAIVE}, {DEBATE_DEBATE, DEBATE_CONSULTANCY}, {DEBATE_CONSULTANCY, DEBATE_NAIVE}, {DEBATE_EXPERT, DEBATE_NAIVE}};
    json_t *protocols = json_array(), *gains = json_array(), *sides = NULL, *quotes = NULL, *one = NULL;
    agon_status s = AGON_OK;
    for (int p = 0; p < N_DEBATE_PROTOCOLS && !s; p++) {
        s = protocol_json(t, (debate_protocol)p, &one);
        if (!s)
            json_array_append_new(protocols, one);
    }
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs && !s; i++) {
        s = gain_json(t, pairs[i][0], pairs[i][1], &one);
        if (!s)
            json_array_append_new(gains, one);
    }
    if (!s)
        s = sides_json(t, &sides);
    if (!s)
        quotes = quotes_json(t);
    if (!s && !(*result = json_pack("{s:s,s:O,s:O,s:O,s:O,s:o}", "verdict", t->likelihood ? "likelihood" : "text", "protocols", protocols, "gains", gains, "sides", sides, "quotes",
                                    quotes, "templates", debate_templates_json())))
        s = ctx_no_memory(t->l->ctx);
    json_decref(protocols), json_decref(gains), json_decref(sides), json_decref(quotes);
    return s;
}
