/* Rows judged by models that have not seen them: see clean_rows.h.
 *
 *   folds     by prompt: clean_folds.c
 *   base      mean and summed log_prob of every response, once: the second judge, and what the implicit reward is measured against
 *   fold k    a new adapter trained on the other folds (pairs: dpo; labels: classify, a class head; answers: sft), asked about fold k after each epoch
 *   decision  clean_decide.c, of the epoch after which the labels as given are explained best
 *
 * Nothing is kept between calls: what takes long is the training, and the same call gives the same bits. */
#include "recipe/clean_rows.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/utf8.h"
#include "eval/interval.h"
#include "eval/noise_rate.h"
#include "train/data.h"
#include "train/row_file.h"
#include "train/score_rows.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMED_ROWS = 16, SHOWN = 10, EXCERPT = 60 };
/* A training pass beside a forward pass. */
static const double TRAINED_COST = 3;

typedef struct cleaner {
    agon_ctx *ctx;
    model *m;
    const clean_options *options;
    clean_kind kind;
    const objective *judge;
    row_file all, f; /* the file; its rows that are judged: those with a weight, [n] */
    size_t *at;      /* [n] where they are in `all` */
    dataset *d;
    const train_row *rows; /* [n] */
    size_t n, width;       /* width: responses a row */
    size_t *fold;          /* [n] */
    bool *planted;         /* [n] by the truth; NULL: none given */
    response_score *base, *judged; /* [n, width], [epochs, n, width] */
    double *scores, *labels;       /* [CLEAN_N_JUDGES, n] of one epoch, [n] */
    double *nats;                  /* [epochs] of the judge that is believed */
    size_t epoch;                  /* the one that decides */
    double n_tokens;
} cleaner;

static agon_status no_memory(cleaner *x) {
    return ctx_fail(x->ctx, AGON_ENOMEM, "out of memory cleaning rows");
}

static void say(const cleaner *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const cleaner *x, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (x->options->on_line)
        x->options->on_line(x->options->arg, text);
}

/* ---- what is judged ----------------------------------------------------------------------------------------- */

static agon_status clean_kind_of(agon_ctx *ctx, const objective *o, clean_kind *out) {
    const unsigned more = NEEDS_OLD | NEEDS_REWARD | NEEDS_VALUES | NEEDS_ADVANTAGE | NEEDS_TARGETS;
    if (o->rows & ROW_PAIR)
        *out = CLEAN_PAIRS;
    else if ((o->rows & ROW_SINGLE) && (o->needs & NEEDS_LABEL))
        *out = CLEAN_LABELS;
    else if ((o->rows & ROW_SINGLE) && !(o->needs & more))
        *out = CLEAN_ANSWERS;
    else
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "rows of %s have neither pairs, nor labels, nor answers to imitate; there is nothing to clean",
                        o->name);
    return AGON_OK;
}

static agon_status check_options(agon_ctx *ctx, const clean_options *o) {
    if (o->folds < 2 || o->folds > CLEAN_MOST_FOLDS)
        return ctx_fail(ctx, AGON_EINVAL, "folds: 2 to %d, not %zu", CLEAN_MOST_FOLDS, o->folds);
    if (o->rank == 0 || o->epochs == 0 || o->batch_rows == 0 || !(o->lr > 0) || !isfinite(o->lr))
        return ctx_fail(ctx, AGON_EINVAL, "the adapter's rank, the epochs, the batch and the learning rate must be above 0");
    if (!isnan(o->drop_rate) && !(o->drop_rate > 0 && o->drop_rate < 1))
        return ctx_fail(ctx, AGON_EINVAL, "the share to drop is %g; it lies between 0 and 1", o->drop_rate);
    return AGON_OK;
}

static agon_status check_kind(agon_ctx *ctx, clean_kind kind, const clean_options *o) {
    if (kind == CLEAN_ANSWERS && o->soft)
        return ctx_fail(ctx, AGON_EINVAL, "answers to imitate have no label, so there are no soft ones");
    if (kind == CLEAN_ANSWERS && isnan(o->drop_rate))
        return ctx_fail(ctx, AGON_EINVAL, "answers to imitate have no label that could be found wrong; state the share of the largest losses "
                                          "to drop, such as 0.2");
    return AGON_OK;
}

/* Labels that are given, not shares: a row that is half right is no finding. */
static agon_status take_label(cleaner *x, size_t i) {
    json_t *label = json_object_get(x->f.rows[i], "label");
    double y = json_is_boolean(label) ? json_is_true(label) : json_is_number(label) ? json_number_value(label) : NAN;
    if (x->kind == CLEAN_PAIRS && json_absent(label))
        y = 1;
    if (x->kind == CLEAN_ANSWERS)
        return AGON_OK;
    if (x->kind == CLEAN_PAIRS && y != 1)
        return row_fail(x->ctx, &x->f, i, "label is a share; pairs to clean have none (agon data fuse --hard decides them)");
    if (y != 0 && y != 1)
        return row_fail(x->ctx, &x->f, i, "label must be true or false, 1 or 0, to be cleaned");
    x->labels[i] = y;
    return AGON_OK;
}

static agon_status check_length(cleaner *x, size_t i) {
    size_t most = model_get_config(x->m)->max_context;
    for (size_t k = 0; k < x->rows[i].n_responses; k++)
        if (x->rows[i].n_prompt + x->rows[i].responses[k].n > most)
            return row_fail(x->ctx, &x->f, i, "prompt and response have %zu tokens and the model's context is %zu",
                            x->rows[i].n_prompt + x->rows[i].responses[k].n, most);
    return AGON_OK;
}

/* Rows of weight 0 are not in the dataset: nobody trains on them, and they are written as they are. */
static agon_status take_weighted(cleaner *x) {
    size_t k = 0;
    x->f = (row_file){.path = x->all.path, .rows = memory_new(x->n, sizeof *x->f.rows), .lines = memory_new(x->n, sizeof *x->f.lines)};
    x->at = memory_new(x->n, sizeof *x->at);
    if (!x->f.rows || !x->f.lines || !x->at)
        return no_memory(x);
    for (size_t i = 0; i < x->n; i++, k++) {
        while (k < x->all.n && x->all.lines[k] != x->rows[i].line)
            k++;
        if (k == x->all.n)
            return ctx_fail(x->ctx, AGON_EMISMATCH, "%s changed while it was read", x->all.path);
        x->f.rows[i] = json_incref(x->all.rows[k]);
        x->f.lines[i] = x->all.lines[k];
        x->at[i] = k;
        x->f.n++;
    }
    if (x->n < x->all.n)
        say(x, "%zu of %zu rows have weight 0: they are not judged, and written as they are", x->all.n - x->n, x->all.n);
    return AGON_OK;
}

static agon_status read_rows(cleaner *x, const char *from) {
    static const char *const judges[] = {"dpo", "classify", "sft"};
    agon_status s = row_file_read(x->ctx, from, &x->all);
    x->judge = objective_find(judges[x->kind]);
    if (!s)
        s = dataset_read(x->ctx, model_tokenizer(x->m), from, x->judge, x->options->max_length, &x->d);
    if (s)
        return s;
    x->rows = dataset_rows(x->d, &x->n);
    x->width = x->kind == CLEAN_PAIRS ? 2 : 1;
    s = take_weighted(x);
    if (s)
        return s;
    x->fold = memory_new(x->n, sizeof *x->fold);
    x->base = memory_new(x->n, x->width * sizeof *x->base);
    x->judged = memory_new(size_mul(x->n, x->options->epochs), x->width * sizeof *x->judged);
    x->nats = memory_new(x->options->epochs, sizeof *x->nats);
    x->scores = memory_new(x->n, CLEAN_N_JUDGES * sizeof *x->scores);
    x->labels = memory_new(x->n, sizeof *x->labels);
    if (!x->fold || !x->base || !x->judged || !x->nats || !x->scores || !x->labels)
        return no_memory(x);
    for (size_t i = 0; i < x->n && !s; i++) {
        s = x->rows[i].n_responses == x->width ? check_length(x, i)
                                               : row_fail(x->ctx, &x->f, i, "completions are no single response; nothing here can be judged");
        if (!s)
            s = take_label(x, i);
        x->n_tokens += (double)row_n_tokens(&x->rows[i]);
    }
    return s;
}

/* ---- truth -------------------------------------------------------------------------------------------------- */

static int by_line(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static agon_status take_truth(void *arg, const char *where, json_t *object) {
    cleaner *x = arg;
    int64_t line = 0;
    agon_status s = json_get_int(x->ctx, where, object, "line", true, &line);
    if (s)
        return s;
    const size_t wanted = line > 0 ? (size_t)line : 0;
    if (!bsearch(&wanted, x->all.lines, x->all.n, sizeof wanted, by_line))
        return ctx_fail(x->ctx, AGON_EINVAL, "%s: line %lld of %s has no row; is this its truth?", where, (long long)line, x->f.path);
    const size_t *found = bsearch(&wanted, x->f.lines, x->f.n, sizeof wanted, by_line);
    if (found)
        x->planted[found - x->f.lines] = true;
    return AGON_OK;
}

/* Looked at once the decision is made, but read first: a wrong path should not cost an hour. */
static agon_status read_truth(cleaner *x) {
    if (!x->options->truth)
        return AGON_OK;
    x->planted = memory_new(x->n, sizeof *x->planted);
    return x->planted ? jsonl_read(x->ctx, x->options->truth, take_truth, x) : no_memory(x);
}

/* ---- judges ------------------------------------------------------------------------------------------------- */

/* The judge of one fold in training. */
typedef struct watch {
    cleaner *x;
    size_t fold, n_own;
    adapter *judge;
    size_t *own;            /* [n] the fold's rows */
    response_score *scores; /* [n, width] scratch */
} watch;

static agon_status judge_own(const watch *w, size_t epoch) {
    cleaner *x = w->x;
    agon_status s = rows_score(x->ctx, x->m, w->judge, x->rows, w->own, w->n_own, w->scores);
    for (size_t i = 0; i < w->n_own && !s; i++)
        memcpy(x->judged + (epoch * x->n + w->own[i]) * x->width, w->scores + i * x->width, x->width * sizeof *w->scores);
    return s == AGON_ENUMERIC ? ctx_prefix(x->ctx, s, "a judge is of no use after its training, a lower learning rate may mend it") : s;
}

static agon_status on_step(void *arg, const train_progress *p) {
    const watch *w = arg;
    const size_t epochs = w->x->options->epochs, reached = p->step * epochs / p->n_steps;
    agon_status s = AGON_OK;
    for (size_t epoch = (p->step - 1) * epochs / p->n_steps; epoch < reached && !s; epoch++)
        s = judge_own(w, epoch);
    if (s)
        return s;
    if (p->step * 10 / p->n_steps > (p->step - 1) * 10 / p->n_steps)
        say(w->x, "fold %zu of %zu: step %zu of %zu, loss %.4f", w->fold + 1, w->x->options->folds, p->step, p->n_steps, p->loss);
    return ctx_check_interrupt(w->x->ctx);
}

static agon_status train_judge(watch *w, const train_row *rows, size_t n) {
    const cleaner *x = w->x;
    const clean_options *o = x->options;
    uint64_t seed = seed_derivef(o->seed, "fold %zu", w->fold);
    const adapter_options shape = {.rank = o->rank, .alpha = 2 * (float)o->rank, .seed = seed};
    train_options t = train_options_default();
    const train_sink sink = {.on_step = on_step, .arg = w};
    t.objective = x->judge;
    objective_defaults(x->judge, t.objective_options);
    t.batch_rows = o->batch_rows;
    t.epochs = o->epochs;
    t.lr = (float)o->lr;
    t.seed = seed;
    agon_status s = adapter_new(x->ctx, x->m, &shape, &w->judge);
    if (!s)
        s = train_add_head(x->ctx, x->m, w->judge, x->judge, t.objective_options, seed);
    return s ? s : train(x->ctx, x->m, w->judge, NULL, NULL, rows, n, &t, &sink, NULL);
}

/* Trains on the rows outside the fold and scores those inside, after each epoch. */
static agon_status judge_fold(cleaner *x, size_t fold) {
    train_row *others = memory_new(x->n, sizeof *others);
    size_t n_others = 0;
    watch w = {.x = x, .fold = fold, .own = memory_new(x->n, sizeof *w.own), .scores = memory_new(x->n, x->width * sizeof *w.scores)};
    agon_status s = others && w.own && w.scores ? AGON_OK : no_memory(x);
    for (size_t i = 0; i < x->n && !s; i++) {
        if (x->fold[i] == fold)
            w.own[w.n_own++] = i;
        else
            others[n_others++] = x->rows[i];
    }
    if (!s)
        s = train_judge(&w, others, n_others);
    adapter_free(w.judge);
    free(others);
    free(w.own);
    free(w.scores);
    return s;
}

static double mean_log_prob(const response_score *r) {
    return r->length > 0 ? r->log_prob / r->length : 0;
}

static double sigmoid(double x) {
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

/* What both judges say of row i after an epoch. */
static void judge_row(cleaner *x, size_t epoch, size_t i) {
    const response_score *base = x->base + i * x->width, *judged = x->judged + (epoch * x->n + i) * x->width;
    double values[MAX_OBJECTIVE_OPTIONS], *first = &x->scores[i], *second = &x->scores[x->n + i];
    objective_defaults(x->judge, values);
    switch (x->kind) {
    case CLEAN_PAIRS: /* values[0] is dpo's beta */
        *first = values[0] * ((judged[0].log_prob - base[0].log_prob) - (judged[1].log_prob - base[1].log_prob));
        *second = mean_log_prob(&base[0]) - mean_log_prob(&base[1]);
        break;
    case CLEAN_LABELS:
        *first = sigmoid(judged[0].head);
        *second = exp(fmin(mean_log_prob(&base[0]), 0));
        break;
    case CLEAN_ANSWERS: *first = mean_log_prob(&judged[0]); break;
    }
}

/* Passes over all tokens, in forward passes: the base once; after each epoch each row judged once; and trained in all folds but one. */
static double forward_passes(const cleaner *x) {
    double reference = x->kind == CLEAN_PAIRS ? 1 : 0, folds = (double)x->options->folds - 1, epochs = (double)x->options->epochs;
    return (x->kind != CLEAN_ANSWERS) + epochs + folds * (reference + TRAINED_COST * epochs);
}

/* Says how long it will take, by the first rows. */
static agon_status estimate(cleaner *x) {
    size_t n = x->n < TIMED_ROWS ? x->n : TIMED_ROWS;
    agon_status s = rows_score(x->ctx, x->m, NULL, x->rows, NULL, 1, x->base); /* the first pass reads the weights from the disk */
    double tokens = 0, start = monotonic_seconds();
    if (!s)
        s = rows_score(x->ctx, x->m, NULL, x->rows, NULL, n, x->base);
    for (size_t i = 0; i < n; i++)
        tokens += (double)row_n_tokens(&x->rows[i]);
    double seconds = (monotonic_seconds() - start) / tokens * x->n_tokens * forward_passes(x);
    if (!s)
        say(x, "%zu rows, %.0f tokens, %zu folds: about %.0f %s", x->n, x->n_tokens, x->options->folds,
            ceil(seconds < 90 ? seconds : seconds / 60), seconds < 90 ? "seconds" : "minutes");
    return s;
}

static agon_status judge_rows(cleaner *x) {
    agon_status s = estimate(x);
    if (!s && x->kind != CLEAN_ANSWERS)
        s = rows_score(x->ctx, x->m, NULL, x->rows, NULL, x->n, x->base);
    for (size_t fold = 0; fold < x->options->folds && !s; fold++)
        s = judge_fold(x, fold);
    return s;
}

/* ---- what is written ---------------------------------------------------------------------------------------- */

typedef struct ranked {
    double evidence;
    size_t row;
} ranked;

static int least_first(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->evidence != y->evidence)
        return x->evidence < y->evidence ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static json_t *why(const cleaner *x, const clean_decision *d, size_t i) {
    char text[256];
    const char *judge = clean_judge_name(x->kind, d->judge);
    if (x->kind == CLEAN_PAIRS)
        snprintf(text, sizeof text, "the %s of a model that has not seen this pair is %.3g higher for %s: P(right) %.3f", judge,
                 fabs(d->evidence[i]), d->evidence[i] < 0 ? "rejected" : "chosen", d->p_right[i]);
    else if (x->kind == CLEAN_LABELS)
        snprintf(text, sizeof text, "by the %s of a model that has not seen this row the label %s has probability %.3f", judge,
                 x->labels[i] > 0.5 ? "true" : "false", d->p_right[i]);
    else
        snprintf(text, sizeof text, "among the largest losses: %.3f nats a token under a model that has not seen this row", -d->evidence[i]);
    return json_string(text);
}

static json_t *finding_json(const cleaner *x, const clean_decision *d, size_t i) {
    json_t *given = x->kind == CLEAN_PAIRS ? json_string("chosen") : x->kind == CLEAN_LABELS ? json_boolean(x->labels[i] > 0.5) : json_null();
    return json_pack("{s:o,s:I,s:o,s:o,s:o,s:o}", "file", utf8_json(x->f.path), "line", (json_int_t)x->f.lines[i], "given", given, "p_right",
                     real_or_null(d->p_right[i]), "margin", json_real(d->evidence[i]), "why", why(x, d, i));
}

/* The beginning of what the row says, cut between characters. */
static json_t *excerpt(const json_t *row) {
    json_t *chosen = json_object_get(row, "chosen");
    const char *text = row_form_of(row) == FORM_TEXT   ? json_string_value(json_object_get(row, "text"))
                       : json_is_string(chosen)        ? json_string_value(chosen)
                       : json_array_size(chosen)       ? json_string_value(json_object_get(json_array_get(chosen, json_array_size(chosen) - 1), "content"))
                                                       : row_response(row);
    size_t n = text ? strlen(text) : 0;
    if (n > EXCERPT)
        for (n = EXCERPT; n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80;)
            n--;
    return json_stringn(text ? text : "", n);
}

/* The rows that go, the least evidence first: [n_drop] new. */
static ranked *rank(const cleaner *x, const clean_decision *d) {
    ranked *list = memory_new(d->n_drop + 1, sizeof *list);
    size_t n = 0;
    for (size_t i = 0; i < x->n && list; i++)
        if (d->drop[i])
            list[n++] = (ranked){d->evidence[i], i};
    if (list)
        qsort(list, n, sizeof *list, least_first);
    return list;
}

static agon_status soften(cleaner *x, const clean_decision *d) {
    for (size_t i = 0; i < x->n; i++) {
        double right = d->believed ? d->p_right[i] : 1, p = x->kind == CLEAN_LABELS && x->labels[i] < 0.5 ? 1 - right : right;
        if (json_object_set_new(x->f.rows[i], "label", json_real(p)) != 0)
            return no_memory(x);
    }
    return AGON_OK;
}

static agon_status write_files(cleaner *x, const clean_decision *d, json_t *const *findings, const char *to, const char *dropped) {
    bool *kept = memory_new(x->all.n, sizeof *kept);
    agon_status s = !kept ? no_memory(x) : x->options->soft ? soften(x, d) : AGON_OK;
    for (size_t i = 0; i < x->all.n && kept; i++)
        kept[i] = true;
    for (size_t i = 0; i < x->n && kept; i++)
        kept[x->at[i]] = x->options->soft || !d->drop[i];
    if (!s)
        s = rows_write_two(x->ctx, &(rows_output){dropped, findings, NULL, d->n_drop}, &(rows_output){to, x->all.rows, kept, x->all.n});
    free(kept);
    return s;
}

static json_t *quality_json(const cleaner *x, const clean_decision *d) {
    if (!x->planted)
        return json_null();
    flag_quality q = flags_measure(d->drop, x->planted, x->n);
    interval precision = clopper_pearson(q.n_both, q.n_flagged, 0.05), recall = clopper_pearson(q.n_both, q.n_noisy, 0.05);
    return json_pack("{s:I,s:I,s:o,s:[f,f],s:o,s:[f,f]}", "planted", (json_int_t)q.n_noisy, "found", (json_int_t)q.n_both, "precision",
                     real_or_null(q.precision), "precision_ci95", precision.low, precision.high, "recall", real_or_null(q.recall), "recall_ci95",
                     recall.low, recall.high);
}

static json_t *report_json(const cleaner *x, const clean_decision *d, json_t *const *findings, const ranked *list, const char *dropped) {
    static const char *const kinds[] = {"pairs", "labels", "answers"};
    json_t *first = json_array(), *judges = json_array(), *nats = json_array();
    for (size_t i = 0; i < d->n_drop && i < SHOWN; i++) {
        json_t *one = json_copy(findings[i]);
        json_object_set_new(one, "text", excerpt(x->f.rows[list[i].row]));
        json_array_append_new(first, one);
    }
    for (size_t k = 0; k < CLEAN_N_JUDGES && isfinite(d->nats[k]); k++)
        json_array_append_new(judges, json_pack("{s:s,s:f}", "name", clean_judge_name(x->kind, k), "nats", d->nats[k]));
    for (size_t epoch = 0; epoch < x->options->epochs; epoch++)
        json_array_append_new(nats, json_real(x->nats[epoch]));
    return json_pack("{s:I,s:I,s:I,s:I,s:s,s:s,s:o,s:b,s:o,s:I,s:I,s:o,s:o,s:I,s:o,s:o,s:o}", "rows", (json_int_t)x->all.n, "weightless",
                     (json_int_t)(x->all.n - x->n), "truncated", (json_int_t)dataset_n_truncated(x->d), "written",
                     (json_int_t)(x->options->soft ? x->all.n : x->all.n - d->n_drop), "kind", kinds[x->kind], "judge",
                     clean_judge_name(x->kind, d->judge), "judges", judges, "believed", (int)d->believed,
                     "ignorant_nats", real_or_null(d->ignorant_nats), "epoch", (json_int_t)x->epoch + 1, "folds",
                     (json_int_t)x->options->folds, "nats_by_epoch", nats, "noise_rate", real_or_null(d->noise_rate), "n_dropped", (json_int_t)d->n_drop, "dropped", utf8_json(dropped), "first", first, "quality",
                     quality_json(x, d));
}

/* By the epoch after which the judge that is believed then explains the labels as given best; of equal ones the earliest. */
static agon_status decide(cleaner *x, clean_decision *best) {
    const clean_scores scores = {.n = x->n, .kind = x->kind, .judges = {x->scores, x->kind == CLEAN_ANSWERS ? NULL : x->scores + x->n},
                                 .labels = x->labels, .fold = x->fold, .n_folds = x->options->folds, .rows = x->rows};
    agon_status s = AGON_OK;
    for (size_t epoch = 0; epoch < x->options->epochs && !s; epoch++) {
        clean_decision d = {0};
        for (size_t i = 0; i < x->n; i++)
            judge_row(x, epoch, i);
        s = clean_decide(x->ctx, &scores, x->options->drop_rate, &d);
        if (s)
            break;
        x->nats[epoch] = d.nats[d.judge];
        if (epoch > 0 && !(x->nats[epoch] < x->nats[x->epoch])) {
            clean_decision_free(&d);
            continue;
        }
        clean_decision_free(best);
        *best = d, x->epoch = epoch;
    }
    return s;
}

static agon_status finish(cleaner *x, const char *to, const char *dropped, json_t **report) {
    clean_decision d = {0};
    agon_status s = decide(x, &d);
    if (s) {
        clean_decision_free(&d);
        return s;
    }
    ranked *list = rank(x, &d);
    json_t **findings = memory_new(d.n_drop + 1, sizeof *findings), *made = NULL;
    if (!list || !findings)
        s = no_memory(x);
    for (size_t i = 0; i < d.n_drop && !s; i++)
        if (!(findings[i] = finding_json(x, &d, list[i].row)))
            s = no_memory(x);
    if (!s && !(made = report_json(x, &d, findings, list, dropped)))
        s = no_memory(x);
    if (!s)
        s = write_files(x, &d, findings, to, dropped);
    if (!s)
        *report = made;
    else
        json_decref(made);
    for (size_t i = 0; findings && i < d.n_drop; i++)
        json_decref(findings[i]);
    free(findings);
    free(list);
    clean_decision_free(&d);
    return s;
}

static void cleaner_free(cleaner *x) {
    dataset_free(x->d);
    row_file_free(&x->f);
    row_file_free(&x->all);
    free(x->at), free(x->fold), free(x->planted), free(x->base), free(x->judged), free(x->nats), free(x->scores), free(x->labels);
}

agon_status clean_file(agon_ctx *ctx, model *m, const char *from, const char *to, const clean_options *options, json_t **report) {
    cleaner x = {.ctx = ctx, .m = m, .options = options};
    char dropped[4096];
    agon_status s = check_options(ctx, options);
    if (!s && snprintf(dropped, sizeof dropped, "%s.dropped", to) >= (int)sizeof dropped)
        s = ctx_fail(ctx, AGON_EINVAL, "the name of the file to write is too long");
    if (!s)
        s = clean_kind_of(ctx, options->objective, &x.kind);
    if (!s)
        s = check_kind(ctx, x.kind, options);
    if (!s)
        s = outputs_are_new(ctx, to, dropped);
    if (!s)
        s = read_rows(&x, from);
    if (!s)
        s = read_truth(&x);
    if (!s)
        s = clean_folds(ctx, &x.f, options->folds, options->seed, x.fold);
    if (!s)
        s = judge_rows(&x);
    if (!s)
        s = finish(&x, to, dropped, report);
    cleaner_free(&x);
    return s;
}
