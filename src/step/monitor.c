/* See monitor.h. */
#include "step/monitor.h"
#include "base/ctx.h"
#include "eval/multiplicity.h"
#include "eval/shift.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST = 8 };
static const double LEVEL = 0.05;

typedef struct watch {
    const char *family; /* borrowed from the table */
    size_t n, n_agreed;
    double ece, bias, p, adjusted;
} watch;

typedef struct monitor {
    actors *a;
    const trust_table *t;
    watch families[TRUST_MAX_FAMILIES];
    size_t n;
} monitor;

/* One family's judged answers; *watched: enough of them to say something. */
static agon_status look(monitor *m, const char *family, const query_list *queries, const answer_list *answers,
                        const judged_answer *judged, size_t n, double *p, bool *right) {
    watch w = {.family = family};
    for (size_t i = 0; i < n; i++) {
        const answer *x = &answers->items[judged[i].answer];
        if (isnan(x->p_raw) || strcmp(queries->items[x->query].family, family) != 0)
            continue;
        p[w.n] = trust_p(m->t, x->p_raw);
        right[w.n] = judged[i].right;
        w.n_agreed += (p[w.n] >= 0.5) == right[w.n];
        w.bias += p[w.n] - right[w.n];
        w.n++;
    }
    if (w.n < LEAST)
        return AGON_OK;
    w.bias /= (double)w.n;
    w.ece = calibration_ece(p, right, w.n);
    agon_status s = calibration_shift(m->a->ctx, p, right, w.n, &w.p);
    if (!s)
        m->families[m->n++] = w;
    return s;
}

static agon_status adjust(monitor *m) {
    double p[TRUST_MAX_FAMILIES], adjusted[TRUST_MAX_FAMILIES];
    for (size_t i = 0; i < m->n; i++)
        p[i] = m->families[i].p;
    agon_status s = m->n ? bh_adjust(m->a->ctx, p, m->n, adjusted) : AGON_OK;
    for (size_t i = 0; i < m->n && !s; i++)
        m->families[i].adjusted = adjusted[i];
    return s;
}

static agon_status add_metric(const monitor *m, const char *name, const watch *w, double value, const json_t *meta) {
    const metric_record r = {.run = run_id(m->a->run), .name = name, .scope = w->family, .iteration = m->a->iteration,
                             .n = (int64_t)w->n, .version = actors_speaker(m->a, "critic", m->t->critic), .value = value, .low = NAN, .high = NAN, .meta = meta};
    return store_add_metric(m->a->store, &r);
}

static agon_status record(void *arg, size_t i, json_t *list) {
    const monitor *m = arg;
    const watch *w = &m->families[i];
    json_t *row = json_pack("{ss sI sf sf sf sf sb}", "family", w->family, "n", (json_int_t)w->n, "agreement",
                            (double)w->n_agreed / (double)w->n, "ece", w->ece, "bias", w->bias, "p", w->adjusted, "suspended",
                            w->adjusted <= LEVEL);
    agon_status s = json_append(m->a->ctx, list, row);
    if (!s)
        s = add_metric(m, "critic.agreement", w, (double)w->n_agreed / (double)w->n, NULL);
    if (!s)
        s = add_metric(m, "critic.ece", w, w->ece, NULL);
    return s ? s : add_metric(m, "critic.bias", w, w->bias, row);
}

static json_t *input_of(const trust_table *t, const judged_answer *judged, size_t n) {
    json_t *labels = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(labels, json_string(judged[i].label));
    return json_pack("{ss so}", "critic", t->critic, "labels", labels);
}

agon_status monitor_critic(actors *a, const char *path, trust_table *t, const query_list *queries, const answer_list *answers,
                           const judged_answer *judged, size_t n, json_t **report) {
    monitor m = {.a = a, .t = t};
    const step_key key = {.path = path, .kind = "monitor"};
    double *p = memory_new(n + 1, sizeof *p);
    bool *right = memory_new(n + 1, sizeof *right);
    json_t *input = input_of(t, judged, n), *result = NULL, *row;
    size_t i;
    agon_status s = p && right ? AGON_OK : ctx_fail(a->ctx, AGON_ENOMEM, "no memory for the monitor");
    for (i = 0; i < t->n_families && !s; i++)
        s = look(&m, t->families[i].family, queries, answers, judged, n, p, right);
    if (!s)
        s = adjust(&m);
    if (!s)
        s = step_list(a->run, &key, input, m.n, record, &m, &result);
    json_array_foreach(result, i, row) {
        for (size_t k = 0; k < t->n_families; k++)
            if (strcmp(t->families[k].family, field_text(row, "family")) == 0)
                t->families[k].suspended = t->families[k].suspended || field_true(row, "suspended"); /* only a calibration lifts it */
    }
    json_decref(input);
    free(p);
    free(right);
    if (!s)
        *report = result;
    return s;
}
