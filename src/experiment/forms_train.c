/* The experiment critique-forms: a form of feedback as training rows, trained at equal tokens. See critique_forms.c. */
#include "base/clock.h"
#include "base/ctx.h"
#include "base/random.h"
#include "experiment/critique_forms.h"
#include "train/row_spans.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[N_FORMS] = {"score", "span", "span-reward", "retry", "masked", "full", "refined"};

const char *form_name(form f) {
    return names[f];
}

/* ---- rows ---------------------------------------------------------------------------------------------------- */

typedef struct pool_rows {
    train_row *rows;
    size_t *tokens; /* trained on in each row */
    size_t n;
} pool_rows;

/* The verifier's span on the draft's tokens: as weights 0, or as rewards that sum to -1. */
static agon_status place_span(forms *x, form f, const forms_answer *a, train_response *r) {
    size_t(*offsets)[2] = arena_take(x->round, a->n, sizeof *offsets);
    double *values = arena_take(x->round, a->n, sizeof *values);
    float *out = arena_take(x->round, a->n, sizeof *out);
    const text_span span = {a->span_start, a->span_end, -1};
    if (!offsets || !values || !out)
        return ctx_no_memory(x->l->ctx);
    agon_status s = token_offsets(x->l->ctx, model_tokenizer(x->m), a->tokens, a->n, a->text, strlen(a->text), false, offsets);
    if (s)
        return s;
    span_rewards((const size_t(*)[2])offsets, a->n, &span, span.end > span.start, SPAN_SPREAD, values);
    for (size_t t = 0; t < a->n; t++)
        out[t] = f == FORM_RELC ? (float)values[t] : values[t] < 0 ? 0 : 1;
    if (f == FORM_RELC)
        r->token_rewards = out;
    else
        r->mask = out;
    return AGON_OK;
}

static agon_status add_row(forms *x, form f, const forms_query *q, const forms_answer *a, pool_rows *out) {
    train_response *r = arena_take(x->round, 1, sizeof *r);
    if (!r)
        return ctx_no_memory(x->l->ctx);
    *r = (train_response){.tokens = a->tokens, .n = a->n, .reward = f == FORM_RELC ? 0 : NAN, .advantage = NAN, .label = NAN, .weight = 1};
    agon_status s = f == FORM_SPAN || f == FORM_RELC ? place_span(x, f, a, r) : AGON_OK;
    size_t tokens = 0;
    for (size_t t = 0; t < a->n && !s; t++)
        tokens += !r->mask || r->mask[t] > 0;
    if (s || tokens == 0)
        return s;
    out->tokens[out->n] = tokens;
    out->rows[out->n++] = (train_row){.prompt = q->prompt, .n_prompt = q->n_prompt, .responses = r, .n_responses = 1, .weight = 1};
    return AGON_OK;
}

static agon_status demonstrate(forms *x, size_t seed, size_t i, forms_answer *out) {
    const int32_t *tokens = NULL;
    size_t n = 0;
    char *text = NULL;
    agon_status s = task_demonstrate(x->l->ctx, &x->queries[i].task, lab_seed(x->l, 0, "refined %zu %zu", seed, i), &text);
    if (!s)
        s = forms_turn(x, x->round, text, tokenizer_end_of_turn(model_tokenizer(x->m)), &tokens, &n);
    if (!s)
        *out = (forms_answer){.tokens = tokens, .n = n, .ended = true, .pass = true};
    free(text);
    return s;
}

/* What the k-th failed draft gives; nothing: `out` is untouched. */
static agon_status from_failed(forms *x, size_t seed, form f, size_t k, pool_rows *out) {
    size_t i = x->failed[k];
    const forms_answer *draft = &x->drafts[i], *again = f == FORM_RETRY    ? &x->tries[TRY_RETRY][k]
                                                        : f == FORM_MASKED ? &x->tries[TRY_MASKED][k]
                                                        : f == FORM_FULL   ? &x->tries[TRY_FULL][k]
                                                                           : NULL;
    forms_answer refined;
    if (f == FORM_SCORE || ((f == FORM_SPAN || f == FORM_RELC) && (!draft->ended || draft->span_start == draft->span_end)) ||
        (again && !(again->pass && again->ended)))
        return AGON_OK;
    agon_status s = f == FORM_REFINED ? demonstrate(x, seed, i, &refined) : AGON_OK;
    return s ? s : add_row(x, f, &x->queries[i], f == FORM_REFINED ? &refined : again ? again : draft, out);
}

static agon_status pool_of(forms *x, size_t seed, form f, pool_rows *out) {
    *out = (pool_rows){arena_take(x->round, x->n_queries, sizeof *out->rows), arena_take(x->round, x->n_queries, sizeof *out->tokens), 0};
    agon_status s = out->rows && out->tokens ? AGON_OK : ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < x->n_queries && !s; i++)
        if (x->drafts[i].pass && x->drafts[i].ended)
            s = add_row(x, f, &x->queries[i], &x->drafts[i], out);
    for (size_t k = 0; k < x->n_failed && !s; k++)
        s = from_failed(x, seed, f, k, out);
    return s;
}

/* Rows in random order, again and again, up to the budget of trained tokens: equal to within a row under every form. */
static agon_status draw_rows(forms *x, uint64_t seed, const pool_rows *pool, train_row **rows, size_t *n, size_t *tokens) {
    size_t *order = arena_take(x->round, pool->n + 1, sizeof *order), most = x->budget + 1, at = 0;
    train_row *list = arena_take(x->round, most, sizeof *list);
    if (!order || !list)
        return ctx_no_memory(x->l->ctx);
    *n = *tokens = 0;
    rng r = rng_new(seed);
    while (*tokens < x->budget && pool->n > 0) {
        if (at % pool->n == 0) {
            for (size_t i = 0; i < pool->n; i++)
                order[i] = i;
            rng_shuffle(&r, order, pool->n);
        }
        size_t row = order[at++ % pool->n];
        list[(*n)++] = pool->rows[row];
        *tokens += pool->tokens[row];
    }
    *rows = list;
    return AGON_OK;
}

/* ---- training ------------------------------------------------------------------------------------------------ */

static agon_status on_step(void *arg, const train_progress *p) {
    (void)p;
    return ctx_check_interrupt(arg);
}

static agon_status learn(forms *x, uint64_t seed, form f, const train_row *rows, size_t n, adapter *a) {
    train_options o = train_options_default();
    o.objective = objective_find(f == FORM_RELC ? "reinforce++" : "sft");
    objective_defaults(o.objective, o.objective_options);
    o.batch_rows = x->batch;
    o.epochs = 1;
    o.lr = (float)x->lr;
    o.warmup = 0.05;
    o.seed = seed;
    const train_sink sink = {.on_step = on_step, .arg = x->l->ctx};
    return train(x->l->ctx, x->m, a, NULL, NULL, rows, n, &o, &sink, NULL);
}

static agon_status ask_test(forms *x, size_t seed, form f, const adapter *a, double *scores) {
    char key[64];
    const forms_query **which = arena_take(x->round, x->n_test, sizeof *which);
    forms_answer *answers = arena_take(x->round, x->n_test, sizeof *answers);
    agon_status s = which && answers ? AGON_OK : ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < x->n_test && !s; i++)
        which[i] = &x->test[i];
    snprintf(key, sizeof key, "test %zu %s", seed, names[f]);
    if (!s)
        s = forms_ask(x, x->round, key, a, which, NULL, x->n_test, 0, x->l->seed, x->max_tokens, true, answers);
    for (size_t i = 0; i < x->n_test && !s; i++)
        scores[i] = answers[i].pass;
    return s;
}

static agon_status run_form(forms *x, size_t seed, form f, double *out) {
    uint64_t own = lab_seed(x->l, 0, "order %zu", seed);
    pool_rows pool = {0};
    train_row *rows = NULL;
    size_t n = 0, tokens = 0;
    adapter *a = NULL;
    const adapter_options shape = {.rank = x->rank, .alpha = 2 * (float)x->rank, .seed = own};
    agon_status s = pool_of(x, seed, f, &pool);
    if (!s)
        s = draw_rows(x, own, &pool, &rows, &n, &tokens);
    if (!s)
        s = adapter_new(x->l->ctx, x->m, &shape, &a);
    if (!s && n > 0)
        s = learn(x, own, f, rows, n, a);
    if (!s && n > 0)
        s = ask_test(x, seed, f, a, out);
    for (size_t i = 0; n == 0 && i < x->n_test; i++)
        out[i] = NAN; /* an adapter that learnt nothing says nothing about the form */
    adapter_free(a);
    out[x->n_test] = (double)pool.n, out[x->n_test + 1] = (double)n, out[x->n_test + 2] = (double)tokens;
    out[x->n_test + 3] = pool.n ? (double)n / (double)pool.n : 0;
    return s;
}

agon_status forms_train(forms *x, size_t seed, form f, double *out) {
    lab *l = x->l;
    char key[160];
    bool found = false;
    double right = 0;
    snprintf(key, sizeof key, "%s|form %zu %s", x->base, seed, names[f]);
    agon_status s = lab_recall(l, l->ctx, key, out, x->n_test + FORMS_FIGURES, &found);
    if (s || found)
        return s;
    s = run_form(x, seed, f, out);
    if (!s)
        s = lab_keep(l, l->ctx, key, out, x->n_test + FORMS_FIGURES);
    for (size_t i = 0; i < x->n_test && !s; i++)
        right += out[i] / (double)x->n_test;
    if (!s && out[x->n_test + 1] == 0)
        lab_say_seed(l, seed, "%-12s nothing to train on", names[f]);
    else if (!s)
        lab_say_seed(l, seed, "%-12s %4.0f rows in its pool, %.0f tokens trained: %.1f%% of test answers right", names[f],
                     out[x->n_test], out[x->n_test + 2], 100 * right);
    return s;
}

/* ---- how long it takes --------------------------------------------------------------------------------------- */

agon_status forms_try(forms *x, double *answer, double *row, double *tokens) {
    enum { N_TRIAL = 16 };
    forms_query queries[N_TRIAL] = {0};
    const forms_query *which[N_TRIAL];
    forms_answer answers[N_TRIAL];
    train_row rows[N_TRIAL];
    pool_rows pool = {rows, (size_t[N_TRIAL]){0}, 0};
    adapter *a = NULL;
    const adapter_options shape = {.rank = x->rank, .alpha = 1, .seed = 1};
    agon_status s = forms_draw(x, x->round, "forms trial", x->l->seed, N_TRIAL, queries);
    for (size_t i = 0; i < N_TRIAL; i++)
        which[i] = &queries[i];
    double start = processor_seconds();
    if (!s)
        s = forms_ask(x, x->round, NULL, NULL, which, NULL, N_TRIAL, x->temperature, x->l->seed, x->max_tokens, true, answers);
    *answer = (processor_seconds() - start) / N_TRIAL;
    for (size_t i = 0; i < N_TRIAL && !s; i++)
        s = add_row(x, FORM_SCORE, which[i], &answers[i], &pool);
    if (!s)
        s = adapter_new(x->l->ctx, x->m, &shape, &a);
    start = processor_seconds();
    if (!s && pool.n > 0)
        s = learn(x, 1, FORM_SCORE, pool.rows, pool.n, a);
    *row = (processor_seconds() - start) / N_TRIAL;
    *tokens = 1;
    for (size_t i = 0; i < pool.n; i++)
        *tokens += (double)pool.tokens[i] / N_TRIAL;
    adapter_free(a);
    forms_queries_free(queries, N_TRIAL);
    return s;
}
