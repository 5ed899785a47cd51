/* Heads in training: reward and value heads learn, and their gradients are those of the whole loss. */
#include "random_rows.h"

/* A reward head learns which of two is better, whatever is trained; only then is the loss far below log 2. */
static void bt__learns_the_better_of_two(void **state) {
    agon_ctx *ctx = *state;
    for (int lora = 0; lora < 2; lora++) {
        test_data d;
        new_data(&d, 2, N_PROMPT);
        for (size_t i = 0; i < N_ROWS; i++)
            for (size_t k = 0; k < 2; k++)
                d.responses[i][k].label = d.responses[i][k].reward = NAN;
        model *m = new_model(ctx, COMPUTE_F32);
        adapter *a = lora ? new_adapter(ctx, m) : NULL;
        train_options o = options_for("bt");
        add_head(ctx, m, a, o.objective);
        o.batch_rows = 8, o.max_steps = 60, o.lr = 1e-2f;
        record r = {0};
        train_sink sink = {.on_step = record_step, .arg = &r};
        assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, &sink, NULL));
        if (!(r.first_loss > 0.3 && r.loss < 0.1))
            fail_msg("bt: loss from %g to %g with %s", r.first_loss, r.loss, lora ? "an adapter" : "all weights");
        adapter_free(a);
        model_free(m);
    }
}

static double value_metric(const train_progress *p, const char *name) {
    for (size_t i = 0; i < p->n_metrics; i++)
        if (strcmp(p->metrics[i].name, name) == 0)
            return p->metrics[i].value;
    return NAN;
}

static agon_status on_value(void *arg, const train_progress *p) {
    double *loss = arg;
    loss[p->step == 1 ? 0 : 1] = value_metric(p, "value_loss");
    return AGON_OK;
}

/* The value head fits the returns: its loss falls to a part of the first, where all values are 0. */
static void ppo__value_head_fits_returns(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    new_data(&d, 1, N_PROMPT);
    model *m = new_model(ctx, COMPUTE_F32);
    adapter *a = new_adapter(ctx, m);
    train_options o = options_for("ppo");
    add_head(ctx, m, a, o.objective);
    o.batch_rows = 8, o.max_steps = 120, o.lr = 1e-2f, o.schedule = SCHEDULE_CONSTANT;
    assert_ok(ctx, objective_set(ctx, o.objective, "value_coefficient=10", o.objective_options));
    assert_ok(ctx, objective_set(ctx, o.objective, "lambda=1", o.objective_options));
    double losses[2] = {0};
    train_sink sink = {.on_step = on_value, .arg = losses};
    assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, &sink, NULL));
    if (!(losses[0] > 0.1 && losses[1] < 0.3 * losses[0]))
        fail_msg("value loss from %g to %g", losses[0], losses[1]);
    adapter_free(a);
    model_free(m);
}

/* The loss of one step over all rows at the weights as they are; gradients are left in the parameters. */
static double loss_here(agon_ctx *ctx, model *m, adapter *a, const test_data *d, const char *name) {
    train_options o = options_for(name);
    o.batch_rows = N_ROWS, o.max_steps = 1, o.lr = 0;
    record r = {0};
    train_sink sink = {.on_step = record_step, .arg = &r};
    assert_ok(ctx, train(ctx, m, a, NULL, NULL, d->rows, N_ROWS, &o, &sink, NULL));
    return r.loss;
}

/* The trainer's gradient of whole objectives, head and factors, against central differences along one direction each. */
static void heads__gradients_match_differences(void **state) {
    agon_ctx *ctx = *state;
    static const char *const names[] = {"bt", "plackett-luce", "rm-pointwise", "prm", "cloud", "classify"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const objective *o = objective_find(names[i]);
        test_data d;
        new_data(&d, o->rows & ROW_PAIR ? 2 : o->rows & ROW_GROUP ? K : 1, N_PROMPT);
        for (size_t j = 0; j < N_ROWS; j++)
            d.responses[j][0].targets = o->needs & NEEDS_TARGETS ? d.targets[j][0] : NULL;
        model *m = new_model(ctx, COMPUTE_F32);
        adapter *a = new_adapter(ctx, m);
        add_head(ctx, m, a, o);
        parameters p;
        assert_ok(ctx, adapter_parameters(ctx, a, &p));
        rng r = rng_new(31);
        for (size_t q = 1; q + 1 < p.n; q += 2) /* B is zero at first, and so would be the gradient of A */
            for (size_t j = 0; j < p.items[q].n_rows * p.items[q].n_columns; j++)
                p.items[q].value[j] = (float)(rng_uniform(&r) - 0.5) * 0.2f;
        adapter_changed(ctx, a);
        for (size_t q = 0; q < p.n; q += q + 3 < p.n ? 3 : 1) {
            size_t n = p.items[q].n_rows * p.items[q].n_columns;
            float *kept = malloc(n * sizeof *kept), *way = malloc(n * sizeof *way);
            double predicted = 0, ends[2];
            loss_here(ctx, m, a, &d, names[i]);
            memcpy(kept, p.items[q].value, n * sizeof *kept);
            for (size_t j = 0; j < n; j++) {
                way[j] = (rng_uniform(&r) < 0.5 ? -1.0f : 1.0f) / sqrtf((float)n);
                predicted += (double)way[j] * (double)p.items[q].gradient[j];
            }
            for (int side = 0; side < 2; side++) {
                for (size_t j = 0; j < n; j++)
                    p.items[q].value[j] = kept[j] + (side ? -4e-3f : 4e-3f) * way[j];
                adapter_changed(ctx, a);
                ends[side] = loss_here(ctx, m, a, &d, names[i]);
            }
            memcpy(p.items[q].value, kept, n * sizeof *kept);
            adapter_changed(ctx, a);
            free(kept), free(way);
            double measured = (ends[0] - ends[1]) / 8e-3;
            if (!(fabs(measured - predicted) <= 0.02 * fabs(predicted) + 1e-3))
                fail_msg("%s, %s: gradient %g, differences say %g", names[i], p.items[q].name, predicted, measured);
        }
        adapter_free(a);
        model_free(m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bt__learns_the_better_of_two),
        cmocka_unit_test(ppo__value_head_fits_returns),
        cmocka_unit_test(heads__gradients_match_differences),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}
