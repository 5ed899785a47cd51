/* Mixed feedback: see fuse_rows.h.
 *
 *   votes of the sources -> answers of the raters (a source, or sources together) -> patterns of answers with their counts
 *   -> EM (Dawid, Skene 1979; eval/dawid_skene.c) -> q of each pattern -> rows
 *
 * Two raters or one, without gold of both classes, do not tell who is right (the model is not identified): then all are taken to be wrong equally
 * often and on both classes alike, and better than chance. Without such gold no label goes against votes that all say the same.
 *
 * A rare human label weighs more than a common critic's because its confusion says so: at flip rates of 5% and 25% a human's yes against a
 * critic's no gives q = 0.864. Rows are counted by pattern, so the bootstrap of the flip rates costs the same for any number of rows. */
#include "base/ctx.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "eval/noise_rate.h"
#include "eval/votes.h"
#include "recipe/fuse_private.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ITERATIONS = 5000, USUAL_DRAWS = 200, NO_RATER = -1, IDENTIFIED = 3 };
/* Of equal raters: what is assumed of how often they are wrong weighs as much as ten votes that were checked, one of them wrong. */
static const double ASSUMED_WRONG = 1, ASSUMED_VOTES = 10, MOST_WRONG = 0.45;

static agon_status no_memory(fuser *x) {
    return ctx_fail(x->ctx, AGON_ENOMEM, "out of memory fusing votes");
}

/* ---- votes ------------------------------------------------------------------------------------------------- */

static int source_find(const fuser *x, const char *name, size_t n) {
    for (size_t i = 0; i < x->n_sources; i++)
        if (strlen(x->sources[i].name) == n && memcmp(x->sources[i].name, name, n) == 0)
            return (int)i;
    return -1;
}

static agon_status take_source(fuser *x, size_t row, const char *name) {
    size_t n = strlen(name);
    int at = source_find(x, name, n);
    if (n == 0 || n > FUSE_MOST_NAME)
        return row_fail(x->ctx, &x->f, row, "votes: a source's name has 1 to %d bytes", FUSE_MOST_NAME);
    if (at < 0 && x->n_sources == FUSE_MOST_SOURCES)
        return row_fail(x->ctx, &x->f, row, "votes: '%.64s' is one source too many; %d are taken", name, FUSE_MOST_SOURCES);
    if (at < 0) {
        at = (int)x->n_sources++;
        x->sources[at] = (source){.rater = NO_RATER};
        memcpy(x->sources[at].name, name, n);
    }
    x->sources[at].votes++;
    return AGON_OK;
}

static agon_status check_votes(fuser *x, size_t row) {
    json_t *votes = json_object_get(x->f.rows[row], "votes"), *vote;
    const char *name;
    row_form form = row_form_of(x->f.rows[row]);
    if (form != FORM_PAIR && form != FORM_COMPLETION && form != FORM_MESSAGES)
        return row_fail(x->ctx, &x->f, row, "votes are taken on a completion, a conversation, or a pair of chosen and rejected");
    if (votes && !json_is_null(votes) && !json_is_object(votes))
        return row_fail(x->ctx, &x->f, row, "votes must be an object: {\"verifier\": true, \"critic\": false}");
    json_object_foreach(votes, name, vote) {
        if (json_is_null(vote))
            continue;
        if (!json_is_boolean(vote))
            return row_fail(x->ctx, &x->f, row, "votes: that of '%.64s' must be true or false, or left out", name);
        agon_status s = take_source(x, row, name);
        if (s)
            return s;
    }
    return AGON_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const source *)a)->name, ((const source *)b)->name);
}

static agon_status read_votes(fuser *x, const char *from) {
    agon_status s = row_file_read(x->ctx, from, &x->f);
    for (size_t i = 0; i < x->f.n && !s; i++)
        s = check_votes(x, i);
    if (!s && x->n_sources == 0)
        s = ctx_fail(x->ctx, AGON_EINVAL, "%s: no row has votes: {\"votes\": {\"verifier\": true, \"critic\": false}}", from);
    if (!s) /* results do not depend on who voted first */
        qsort(x->sources, x->n_sources, sizeof *x->sources, by_name);
    return s;
}

/* ---- raters ------------------------------------------------------------------------------------------------ */

static agon_status take_cluster(fuser *x, const char *list) {
    int rater = x->n_raters;
    size_t members = 0;
    for (const char *at = list;; at++) {
        size_t n = strcspn(at, ",");
        int i = source_find(x, at, n);
        if (i < 0)
            return ctx_fail(x->ctx, AGON_EINVAL, "together: '%.*s' votes in no row of %s", (int)(n < 64 ? n : 64), at, x->f.path);
        if (i == x->gold)
            return ctx_fail(x->ctx, AGON_EINVAL, "together: %s is the gold source; it stands alone", x->sources[i].name);
        if (x->sources[i].rater != NO_RATER)
            return ctx_fail(x->ctx, AGON_EINVAL, "together: %s is named twice", x->sources[i].name);
        x->sources[i].rater = rater;
        members++;
        if (!*(at += n))
            break;
    }
    if (members < 2)
        return ctx_fail(x->ctx, AGON_EINVAL, "together: '%.64s' is one source; name two or more, with commas between", list);
    x->n_raters++;
    return AGON_OK;
}

static agon_status take_raters(fuser *x) {
    const fuse_options *o = x->options;
    agon_status s = AGON_OK;
    x->gold = o->gold ? source_find(x, o->gold, strlen(o->gold)) : -1;
    if (o->gold && x->gold < 0)
        return ctx_fail(x->ctx, AGON_EINVAL, "gold: '%.64s' votes in no row of %s", o->gold, x->f.path);
    for (size_t i = 0; i < o->n_together && !s; i++)
        s = take_cluster(x, o->together[i]);
    for (size_t i = 0; i < x->n_sources && !s; i++)
        if (x->sources[i].rater == NO_RATER && (int)i != x->gold)
            x->sources[i].rater = x->n_raters++;
    if (!s && x->n_raters == 0)
        s = ctx_fail(x->ctx, AGON_EINVAL, "%s: only %s votes; there is nothing to fuse it with", x->f.path, o->gold);
    return s;
}

static int vote_of(const fuser *x, size_t row, size_t source_index) {
    json_t *vote = json_object_get(json_object_get(x->f.rows[row], "votes"), x->sources[source_index].name);
    return json_is_boolean(vote) ? json_is_true(vote) : -1;
}

/* What each rater says of a row: the majority of its sources that voted. */
static size_t answer_row(fuser *x, size_t row) {
    int yes[FUSE_MOST_SOURCES] = {0}, no[FUSE_MOST_SOURCES] = {0};
    size_t n = 0;
    x->truth[row] = -1;
    for (size_t i = 0; i < x->n_sources; i++) {
        int vote = vote_of(x, row, i);
        if ((int)i == x->gold)
            x->truth[row] = vote;
        else if (vote >= 0)
            *(vote ? &yes[x->sources[i].rater] : &no[x->sources[i].rater]) += 1;
    }
    for (int r = 0; r < x->n_raters; r++) {
        x->answers[row * (size_t)x->n_raters + (size_t)r] = yes[r] == no[r] ? -1 : yes[r] > no[r];
        n += yes[r] != no[r];
    }
    return n;
}

static agon_status answer_rows(fuser *x) {
    size_t n = x->f.n, least = x->options->least_votes ? x->options->least_votes : 1;
    x->answers = memory_new(size_mul(n, (size_t)x->n_raters), sizeof *x->answers);
    x->truth = memory_new(n, sizeof *x->truth);
    x->reason = memory_new(n, sizeof *x->reason);
    x->q = memory_new(n, sizeof *x->q);
    if (!x->answers || !x->truth || !x->reason || !x->q)
        return no_memory(x);
    for (size_t i = 0; i < n; i++) {
        size_t voted = answer_row(x, i);
        if (x->truth[i] < 0 && voted < least)
            x->reason[i] = voted ? "too few votes" : json_object_size(json_object_get(x->f.rows[i], "votes")) ? "its votes are tied, or null"
                                                                                                             : "no votes";
        x->n_used += !x->reason[i];
    }
    if (x->n_used == 0)
        return ctx_fail(x->ctx, AGON_EINVAL, "%s: no row has %zu votes of independent raters or a gold vote", x->f.path, least);
    return AGON_OK;
}

/* ---- patterns ---------------------------------------------------------------------------------------------- */

typedef struct place {
    const int *answers;
    size_t n, row;
    int truth;
} place;

static int pattern_order(const place *x, const place *y) {
    int order = (x->truth > y->truth) - (x->truth < y->truth);
    return order ? order : memcmp(x->answers, y->answers, x->n * sizeof *x->answers);
}

static int by_pattern(const void *a, const void *b) {
    const place *x = a, *y = b;
    int order = pattern_order(x, y);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

static agon_status count_patterns(fuser *x) {
    size_t raters = (size_t)x->n_raters, n = 0;
    place *places = memory_new(x->n_used, sizeof *places);
    x->pattern = memory_new(x->f.n, sizeof *x->pattern);
    x->pattern_answers = memory_new(size_mul(x->n_used, raters), sizeof *x->pattern_answers);
    x->pattern_truth = memory_new(x->n_used, sizeof *x->pattern_truth);
    x->count = memory_new(x->n_used, sizeof *x->count);
    if (!places || !x->pattern || !x->pattern_answers || !x->pattern_truth || !x->count) {
        free(places);
        return no_memory(x);
    }
    for (size_t i = 0; i < x->f.n; i++)
        if (!x->reason[i])
            places[n++] = (place){x->answers + i * raters, raters, i, x->truth[i]};
    qsort(places, n, sizeof *places, by_pattern);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || pattern_order(&places[i - 1], &places[i]) != 0) {
            memcpy(x->pattern_answers + x->n_patterns * raters, places[i].answers, raters * sizeof(int));
            x->pattern_truth[x->n_patterns++] = places[i].truth;
        }
        x->pattern[places[i].row] = x->n_patterns - 1;
        x->count[x->n_patterns - 1]++;
    }
    free(places);
    return AGON_OK;
}

double fuse_flip_rate(const fuser *x, const rater_model *m, const double *count, int rater, double *votes) {
    double wrong = 0;
    *votes = 0;
    for (size_t p = 0; p < x->n_patterns; p++) {
        int said = pattern_answer(x, p, rater);
        if (said < 0)
            continue;
        *votes += count[p];
        wrong += count[p] * m->posterior[p * 2 + (size_t)!said];
    }
    return *votes > 0 ? wrong / *votes : NAN;
}

/* Flip rate of raters that are all alike: 2 e (1 - e) of the rows with two votes are votes apart; rows with gold show errors themselves. */
static double equal_flip_rate(const fuser *x, const double *count) {
    double wrong = ASSUMED_WRONG, votes = ASSUMED_VOTES, apart = 0, both = 0;
    for (size_t p = 0; p < x->n_patterns; p++) {
        double said[2] = {0};
        for (int r = 0; r < x->n_raters; r++)
            if (pattern_answer(x, p, r) >= 0)
                said[pattern_answer(x, p, r)]++;
        if (x->pattern_truth[p] >= 0) {
            wrong += count[p] * said[!x->pattern_truth[p]];
            votes += count[p] * (said[0] + said[1]);
        } else if (said[0] + said[1] == 2) {
            both += count[p];
            apart += count[p] * (said[0] == 1);
        }
    }
    const double e = flip_rate_from_disagreement(both > 0 ? apart / both : 0);
    return fmin(MOST_WRONG, (wrong + 2 * both * e) / (votes + 2 * both));
}

/* Both classes as likely as each other: what raters of one bias say too often cannot be told from what is so. */
static agon_status fit_equal(const fuser *x, const double *count, rater_model *out) {
    size_t n = x->n_patterns, raters = (size_t)x->n_raters;
    double e = equal_flip_rate(x, count);
    rater_model m = {.n_items = n, .n_raters = raters, .n_classes = 2, .prior = memory_new(2, sizeof(double)),
                     .confusion = memory_new(raters, 4 * sizeof(double)), .posterior = memory_new(n, 2 * sizeof(double))};
    if (!m.prior || !m.confusion || !m.posterior) {
        rater_model_free(&m);
        return ctx_fail(x->ctx, AGON_ENOMEM, "out of memory fusing votes");
    }
    m.prior[0] = m.prior[1] = 0.5;
    for (size_t i = 0; i < 4 * raters; i++)
        m.confusion[i] = i % 4 == 0 || i % 4 == 3 ? 1 - e : e;
    for (size_t p = 0; p < n; p++) {
        double odds = 0;
        for (int r = 0; r < x->n_raters; r++)
            if (pattern_answer(x, p, r) >= 0)
                odds += pattern_answer(x, p, r) ? log((1 - e) / e) : -log((1 - e) / e);
        double q = x->pattern_truth[p] >= 0 ? x->pattern_truth[p] : 1 / (1 + exp(-odds));
        m.posterior[2 * p] = 1 - q, m.posterior[2 * p + 1] = q;
    }
    *out = m;
    return AGON_OK;
}

/* begin [n_patterns, 2]: posteriors to start from, NULL: the votes. */
static agon_status fit(fuser *x, const double *count, const double *begin, rater_model *out) {
    if (x->equal)
        return fit_equal(x, count, out);
    return dawid_skene(x->ctx, x->pattern_answers, x->gold >= 0 ? x->pattern_truth : NULL, count, begin, x->n_patterns,
                       (size_t)x->n_raters, 2, FUSE_SMOOTHING, ITERATIONS, out);
}

static void find_out_what_is_known(fuser *x) {
    bool known[2] = {false, false};
    for (size_t p = 0; p < x->n_patterns; p++)
        if (x->pattern_truth[p] >= 0)
            known[x->pattern_truth[p]] = true;
    x->gold_both = known[0] && known[1];
    x->equal = !x->gold_both && x->n_raters < IDENTIFIED;
}

/* Rows drawn again from those with a gold vote, and from the others: a draw without gold could not tell the classes apart. */
static void draw_counts(const fuser *x, rng *r, const size_t *rows, double *count) {
    size_t gold = 0;
    while (gold < x->n_used && x->truth[rows[gold]] >= 0)
        gold++;
    memset(count, 0, x->n_patterns * sizeof *count);
    for (size_t i = 0; i < x->n_used; i++)
        count[x->pattern[rows[i < gold ? rng_below(r, gold) : gold + rng_below(r, x->n_used - gold)]]]++;
}

static agon_status bootstrap(fuser *x) {
    size_t *rows = memory_new(x->n_used, sizeof *rows), n = 0;
    double *count = memory_new(x->n_patterns, sizeof *count), votes;
    rng r = rng_new(seed_derive(0, "data-fuse"));
    x->draws = memory_new(size_mul((size_t)x->n_raters, x->n_draws), sizeof *x->draws);
    agon_status s = rows && count && x->draws ? AGON_OK : no_memory(x);
    for (int gold = 1; gold >= 0 && !s; gold--)
        for (size_t i = 0; i < x->f.n; i++)
            if (!x->reason[i] && (x->truth[i] >= 0) == gold)
                rows[n++] = i;
    for (size_t d = 0; d < x->n_draws && !s; d++) {
        rater_model m = {0};
        draw_counts(x, &r, rows, count);
        s = ctx_check_interrupt(x->ctx);
        if (!s)
            s = fit(x, count, x->model.posterior, &m); /* from the estimate: a draw that ends with the classes turned is no draw of it */
        for (int k = 0; k < x->n_raters && !s; k++)
            x->draws[(size_t)k * x->n_draws + d] = fuse_flip_rate(x, &m, count, k, &votes);
        rater_model_free(&m);
    }
    free(rows);
    free(count);
    return s;
}

/* ---- rows -------------------------------------------------------------------------------------------------- */

/* The other way round: the votes spoke of the old chosen side, and rewards stay with their texts. */
static agon_status turn(fuser *x, json_t *row) {
    json_t *votes = json_object_get(row, "votes"), *vote;
    const char *name;
    agon_status s = row_swap(x->ctx, row);
    json_object_foreach(votes, name, vote)
        if (!s && json_is_boolean(vote) && json_object_set_new(votes, name, json_boolean(!json_is_true(vote))) != 0)
            s = no_memory(x);
    if (json_object_get(row, "rewards"))
        json_object_del(row, "margin"); /* they say it */
    return s ? s : row_swap_rewards(x->ctx, row);
}

/* A margin that is left agrees with q, so it is the strength of the side that q calls better, whichever it was said of: readers take none below 0. */
static agon_status make_strength(fuser *x, json_t *row) {
    double margin = json_number_value(json_object_get(row, "margin"));
    return margin >= 0 || json_object_set_new(row, "margin", json_real(-margin)) == 0 ? AGON_OK : no_memory(x);
}

/* How far the row's own numbers set the chosen side above the other: by its rewards, or by a margin and what it was said of. 0: they say nothing. */
static double own_gap(const json_t *row) {
    const json_t *rewards = json_object_get(row, "rewards"), *label = json_object_get(row, "label");
    if (json_array_size(rewards) == 2)
        return json_number_value(json_array_get(rewards, 0)) - json_number_value(json_array_get(rewards, 1));
    double better = json_is_number(label) ? json_number_value(label) : !json_is_false(label);
    return json_number_value(json_object_get(row, "margin")) * (better - 0.5);
}

/* Rewards and a margin that say the other side than q would be read as a strength of what they deny, and are refused where they are read. */
static void remove_contradiction(fuser *x, json_t *row, double q) {
    if (own_gap(row) * (q - 0.5) >= 0)
        return;
    json_object_del(row, "rewards");
    json_object_del(row, "margin");
    x->n_removed++;
}

/* q of a row. */
static double posterior_of(fuser *x, size_t row) {
    size_t p = x->pattern[row];
    double q = x->model.posterior[2 * p + 1];
    bool said[2] = {false, false};
    for (int r = 0; r < x->n_raters; r++)
        if (pattern_answer(x, p, r) >= 0)
            said[pattern_answer(x, p, r)] = true;
    bool against = x->pattern_truth[p] < 0 && !x->gold_both && said[0] != said[1] && (said[1] ? q < 0.5 : q > 0.5);
    x->n_held += against;
    return against ? 0.5 : q;
}

static agon_status label_row(fuser *x, size_t i, size_t *swapped) {
    json_t *row = x->f.rows[i];
    double q = x->q[i];
    bool pair = row_form_of(row) == FORM_PAIR, kept = true;
    agon_status s = AGON_OK;
    if (pair)
        remove_contradiction(x, row, q);
    if (!x->options->hard) {
        if (pair)
            s = make_strength(x, row);
        return s ? s : json_object_set_new(row, "label", json_real(q)) == 0 ? AGON_OK : no_memory(x);
    }
    if (pair) {
        json_object_del(row, "label");
        if (q < 0.5)
            s = turn(x, row), ++*swapped;
        if (!s)
            s = make_strength(x, row);
    } else {
        kept = json_object_set_new(row, "label", json_boolean(q > 0.5)) == 0;
    }
    kept = json_object_set_new(row, "weight", json_real(confidence_weight(q))) == 0 && kept;
    return s ? s : kept ? AGON_OK : no_memory(x);
}

static agon_status label_rows(fuser *x, size_t *swapped, size_t *written, double *effective) {
    double *weights = memory_new(x->f.n, sizeof *weights);
    agon_status s = weights ? AGON_OK : no_memory(x);
    *swapped = *written = 0;
    for (size_t i = 0; i < x->f.n && !s; i++) {
        x->q[i] = x->reason[i] ? NAN : posterior_of(x, i);
        if (x->options->hard && x->q[i] == 0.5)
            x->reason[i] = "the votes leave it undecided";
        if (x->reason[i])
            continue;
        weights[(*written)++] = confidence_weight(x->q[i]);
        s = label_row(x, i, swapped);
    }
    if (!s)
        *effective = effective_sample_size(weights, *written);
    free(weights);
    return s;
}

static agon_status write_rows(fuser *x, const char *to) {
    bool *kept = memory_new(x->f.n, sizeof *kept);
    if (!kept)
        return no_memory(x);
    for (size_t i = 0; i < x->f.n; i++)
        kept[i] = !x->reason[i];
    agon_status s = rows_write(x->ctx, to, x->f.rows, kept, x->f.n);
    free(kept);
    return s;
}

/* ---- the file --------------------------------------------------------------------------------------------- */

static void fuser_free(fuser *x) {
    row_file_free(&x->f);
    rater_model_free(&x->model);
    free(x->answers), free(x->truth), free(x->reason), free(x->pattern), free(x->pattern_answers), free(x->pattern_truth);
    free(x->count), free(x->draws), free(x->q);
}

agon_status fuse_file(agon_ctx *ctx, const char *from, const char *to, const fuse_options *options, json_t **report) {
    fuser x = {.ctx = ctx, .options = options, .n_draws = options->draws ? options->draws : USUAL_DRAWS};
    size_t swapped = 0, written = 0;
    double effective = 0;
    agon_status s = output_is_new(ctx, to);
    if (!s)
        s = read_votes(&x, from);
    if (!s)
        s = take_raters(&x);
    if (!s)
        s = answer_rows(&x);
    if (!s)
        s = count_patterns(&x);
    if (!s)
        find_out_what_is_known(&x), s = fit(&x, x.count, NULL, &x.model);
    if (!s)
        s = bootstrap(&x);
    if (!s)
        s = label_rows(&x, &swapped, &written, &effective);
    if (!s && written == 0)
        s = ctx_fail(ctx, AGON_EINVAL, "%s: the votes leave every row undecided", from);
    json_t *made = s ? NULL : fuse_report(&x, swapped, written, effective);
    if (!s && !made)
        s = no_memory(&x);
    if (!s)
        s = write_rows(&x, to);
    if (!s)
        *report = made;
    else
        json_decref(made);
    fuser_free(&x);
    return s;
}
