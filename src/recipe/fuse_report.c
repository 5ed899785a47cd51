/* What agon data fuse tells of the raters and of the labels, see fuse_rows.h. */
#include "base/json.h"
#include "eval/agreement.h"
#include "eval/interval.h"
#include "recipe/fuse_private.h"
#include <math.h>
#include <string.h>

enum { MOST_LISTED = 1000 };

/* 95% of the draws; a draw may hold no vote of a rare rater. */
static json_t *draws_json(double *draws, size_t n_draws) {
    size_t n = 0;
    for (size_t d = 0; d < n_draws; d++)
        if (isfinite(draws[d]))
            draws[n++] = draws[d];
    if (n == 0 || n < n_draws / 2)
        return json_null();
    const interval range = interval_of_draws(draws, n);
    return json_pack("[f,f]", range.low, range.high);
}

static json_t *gold_json(const fuser *x, int rater) {
    size_t n = 0, wrong = 0;
    for (size_t p = 0; p < x->n_patterns; p++) {
        int said = pattern_answer(x, p, rater);
        if (said < 0 || x->pattern_truth[p] < 0)
            continue;
        n += (size_t)x->count[p];
        wrong += said != x->pattern_truth[p] ? (size_t)x->count[p] : 0;
    }
    if (n == 0)
        return json_null();
    interval i = clopper_pearson(wrong, n, 0.05);
    return json_pack("{s:I,s:I,s:f,s:[f,f]}", "n", (json_int_t)n, "wrong", (json_int_t)wrong, "rate", (double)wrong / (double)n, "ci95",
                     i.low, i.high);
}

/* "critic+critic2", and the members' votes where there are several. */
static json_t *members_json(const fuser *x, int rater, char *name, size_t size) {
    json_t *list = json_array();
    size_t at = 0;
    *name = '\0';
    for (size_t i = 0; i < x->n_sources; i++) {
        if (x->sources[i].rater != rater)
            continue;
        int wrote = snprintf(name + at, size - at, "%s%s", at ? "+" : "", x->sources[i].name);
        at += (size_t)wrote < size - at ? (size_t)wrote : 0;
        json_array_append_new(list, json_pack("{s:s,s:I}", "source", x->sources[i].name, "votes", (json_int_t)x->sources[i].votes));
    }
    return list;
}

/* Nothing that was seen tells how often the raters are wrong. */
static bool is_assumed(const fuser *x) {
    bool pinned = false;
    for (size_t p = 0; p < x->n_patterns; p++)
        pinned = pinned || x->pattern_truth[p] >= 0;
    return x->equal && x->n_raters < 2 && !pinned;
}

static json_t *rater_json(fuser *x, int rater) {
    char name[FUSE_MOST_SOURCES * (FUSE_MOST_NAME + 1) + 1];
    const double *c = x->model.confusion + (size_t)rater * 4;
    double votes, yes = 0, e = fuse_flip_rate(x, &x->model, x->count, rater, &votes);
    for (size_t p = 0; p < x->n_patterns; p++)
        yes += pattern_answer(x, p, rater) == 1 ? x->count[p] : 0;
    double smooth = votes > 0 ? (e * votes + FUSE_SMOOTHING) / (votes + 2 * FUSE_SMOOTHING) : 0.5;
    json_t *members = members_json(x, rater, name, sizeof name);
    json_t *out = json_pack("{s:s,s:I,s:I,s:[[f,f],[f,f]],s:o,s:o,s:f,s:f,s:f,s:o}", "source", name, "votes", (json_int_t)votes, "yes",
                            (json_int_t)yes, "confusion", c[0], c[1], c[2], c[3], "flip_rate", real_or_null(e), "flip_ci95",
                            is_assumed(x) ? json_null() : draws_json(x->draws + (size_t)rater * x->n_draws, x->n_draws), "weight", log((1 - smooth) / smooth), "yes_weight",
                            log(c[3] / c[1]), "no_weight", log(c[0] / c[2]), "against_gold", gold_json(x, rater));
    if (json_array_size(members) > 1)
        json_object_set(out, "members", members);
    json_decref(members);
    return out;
}

static json_t *notes_json(const fuser *x, size_t pinned) {
    json_t *notes = json_array();
    if (x->gold < 0 && !x->equal)
        json_array_append_new(notes, json_string("no gold: which class is the good one is told by the majority of the votes alone; where most "
                                                 "votes are wrong, all labels are reversed"));
    if (x->equal)
        json_array_append_new(notes, json_sprintf("fewer than three independent raters and no gold of both classes: votes alone do not tell who is right, so it "
                                                  "was assumed that %s, wrong in %.3f of the votes, on both classes alike, and that both classes are as likely%s",
                                                  x->n_raters > 1 ? "both raters are equally good" : "the rater is better than chance", x->model.confusion[1],
                                                  x->n_raters > 1 ? "" : "; nothing but a gold vote could show how often"));
    if (pinned && !x->gold_both)
        json_array_append_new(notes, json_string("gold has one class only: it pins its own rows, and says nothing of the other class"));
    if (x->n_held)
        json_array_append_new(notes, json_sprintf("%zu rows have label 1/2: by the rates and shares alone they would go against all of their votes, which takes gold",
                                                  x->n_held));
    if (x->n_removed)
        json_array_append_new(notes, json_sprintf("%zu pairs had rewards or a margin that say the other side than the label: these were taken out", x->n_removed));
    if (x->gold >= 0 && pinned < 20)
        json_array_append_new(notes, json_string("fewer than 20 gold rows: look at the intervals before believing the rates"));
    if (x->options->n_together)
        json_array_append_new(notes, json_string("sources together are one rater: the majority of those that voted; a tie is no vote"));
    return notes;
}

static json_t *left_out_json(const fuser *x) {
    json_t *list = json_array();
    for (size_t i = 0; i < x->f.n && json_array_size(list) < MOST_LISTED; i++)
        if (x->reason[i])
            json_array_append_new(list, json_pack("{s:I,s:s}", "line", (json_int_t)x->f.lines[i], "reason", x->reason[i]));
    return list;
}

json_t *fuse_report(fuser *x, size_t swapped, size_t written, double effective) {
    json_t *sources = json_array();
    size_t pinned = 0;
    const double alpha = krippendorff_alpha(x->pattern_answers, x->count, x->n_patterns, (size_t)x->n_raters, 2);
    for (size_t i = 0; i < x->f.n; i++)
        pinned += x->truth[i] >= 0;
    for (int r = 0; r < x->n_raters; r++)
        json_array_append_new(sources, rater_json(x, r));
    return json_pack("{s:I,s:I,s:I,s:I,s:b,s:s?,s:I,s:f,s:f,s:o,s:o,s:I,s:o,s:o}", "rows", (json_int_t)x->f.n, "written", (json_int_t)written, "swapped",
                     (json_int_t)swapped, "contradicted", (json_int_t)x->n_removed, "hard", (int)x->options->hard, "gold", x->options->gold, "pinned",
                     (json_int_t)pinned, "prior", x->model.prior[1], "effective_sample_size", effective, "agreement", real_or_null(alpha), "sources", sources,
                     "n_left_out", (json_int_t)(x->f.n - written), "left_out", left_out_json(x), "notes", notes_json(x, pinned));
}
