/* `agon loss`: the fixed JSON form. */
#include "rows.h"

static json_t *ask(agon_ctx *ctx, const char *name, const char *setting, const char *request) {
    const objective *o = objective_find(name);
    double options[MAX_OBJECTIVE_OPTIONS];
    test_options(o, options);
    if (setting)
        assert_ok(ctx, objective_set(ctx, o, setting, options));
    char *answer = NULL;
    assert_ok(ctx, objective_loss_json(ctx, o, options, request, strlen(request), &answer));
    json_t *root = json_loads(answer, 0, NULL);
    free(answer);
    assert_non_null(root);
    return root;
}

static void refuse(agon_ctx *ctx, const char *name, const char *request, agon_status want, const char *words) {
    const objective *o = objective_find(name);
    double options[MAX_OBJECTIVE_OPTIONS];
    test_options(o, options);
    char *answer = NULL;
    assert_int_equal(objective_loss_json(ctx, o, options, request, strlen(request), &answer), want);
    assert_null(answer);
    if (!strstr(agon_error(ctx), words))
        fail_msg("\"%s\" does not say \"%s\"", agon_error(ctx), words);
}

static double d_at(json_t *answer, const char *key, size_t t) {
    return json_number_value(json_array_get(json_object_get(answer, key), t));
}

static void loss_json__answers_singles(void **state) {
    json_t *a = ask(*state, "sft", NULL,
                    "{\"rows\":[{\"log_probs\":[-1,-2,-3],\"mask\":[0,1,1]},{\"log_probs\":[-4],\"weight\":2}]}");
    assert_close(json_number_value(json_object_get(a, "loss")), 13.0 / 4, 1e-12);
    json_t *rows = json_object_get(a, "rows");
    assert_int_equal(json_array_size(rows), 2);
    assert_close(d_at(json_array_get(rows, 0), "d_log_probs", 0), 0, 0);
    assert_close(d_at(json_array_get(rows, 0), "d_log_probs", 1), -0.25, 1e-12);
    assert_close(d_at(json_array_get(rows, 1), "d_log_probs", 0), -0.5, 1e-12);
    assert_close(json_number_value(json_array_get(json_object_get(a, "losses"), 0)), 2.5, 1e-12);
    assert_close(json_number_value(json_object_get(json_object_get(a, "metrics"), "nll_sum")), 9, 1e-12);
    json_decref(a);
}

/* A token may weigh more than one; the share counts tokens. */
static void loss_json__shares_are_shares(void **state) {
    json_t *a = ask(*state, "sft", NULL, "{\"rows\":[{\"log_probs\":[-1,-2],\"mask\":[5,0]}]}");
    assert_close(json_number_value(json_object_get(json_object_get(a, "metrics"), "supervised_share")), 0.5, 0);
    json_decref(a);
}

static void loss_json__answers_pairs(void **state) {
    json_t *a = ask(*state, "dpo", "beta=0.1",
                    "{\"rows\":[{\"chosen\":{\"log_probs\":[-12],\"reference\":[-12.5]},"
                    "\"rejected\":{\"log_probs\":[-10,-4],\"reference\":[-10,-3]}}]}");
    assert_close(json_number_value(json_object_get(a, "loss")), 0.6209570477895321, 1e-9);
    json_t *r = json_array_get(json_object_get(a, "rows"), 0);
    assert_close(d_at(json_object_get(r, "chosen"), "d_log_probs", 0), 3 * -0.015419005155208351, 1e-9);
    assert_close(d_at(json_object_get(r, "rejected"), "d_log_probs", 1), 3 * 0.015419005155208351, 1e-9);
    json_decref(a);
}

static void loss_json__answers_groups_and_values(void **state) {
    json_t *a = ask(*state, "grpo", NULL,
                    "{\"rows\":[{\"responses\":[{\"log_probs\":[-1],\"reward\":1},{\"log_probs\":[-1],\"reward\":0},"
                    "{\"log_probs\":[-1],\"reward\":0},{\"log_probs\":[-1],\"reward\":1}]}]}");
    json_t *list = json_object_get(json_array_get(json_object_get(a, "rows"), 0), "responses");
    assert_int_equal(json_array_size(list), 4);
    assert_close(d_at(json_array_get(list, 0), "d_log_probs", 0), -0.8658754297607016 / 4, 1e-9);
    json_decref(a);
    a = ask(*state, "ppo", "whiten=0",
            "{\"rows\":[{\"log_probs\":[-1,-1],\"reference\":[-1,-1],\"values\":[0.5,0.25],\"reward\":1}]}");
    json_t *r = json_array_get(json_object_get(a, "rows"), 0);
    assert_int_equal(json_array_size(json_object_get(r, "d_values")), 2);
    assert_close(d_at(r, "d_values", 1), 0.1 * 0.5 * -0.75, 1e-12);
    json_decref(a);
    a = ask(*state, "kto", NULL,
            "{\"rows\":[{\"log_probs\":[-1],\"reference\":[-1],\"label\":true},"
            "{\"log_probs\":[-2],\"reference\":[-2],\"label\":false}]}");
    assert_close(json_number_value(json_object_get(a, "loss")), 0.5, 1e-12);
    json_decref(a);
}

static void loss_json__names_row_and_field(void **state) {
    agon_ctx *ctx = *state;
    refuse(ctx, "sft", "{\"rows\":[{\"log_probs\":[-1]},{\"mask\":[1]}]}", AGON_EINVAL, "row 1: log_probs");
    refuse(ctx, "sft", "{\"rows\":[{\"log_probs\":[]}]}", AGON_EINVAL, "row 0: log_probs is empty");
    refuse(ctx, "sft", "{\"rows\":[{\"log_probs\":[-1,\"x\"]}]}", AGON_EINVAL, "row 0: log_probs[1]");
    refuse(ctx, "sft", "{\"rows\":[{\"log_probs\":[-1],\"mask\":[1,1]}]}", AGON_EINVAL, "row 0: mask has 2");
    refuse(ctx, "sft", "{\"rows\":[{\"log_probs\":[-1],\"mask\":[-1]}]}", AGON_EINVAL, "row 0: mask[0]");
    refuse(ctx, "sft", "{\"rows\":[{\"log_probs\":[-1],\"mask\":[1e200]}]}", AGON_EINVAL, "row 0: mask[0]");
    refuse(ctx, "sft", "{\"rows\":[{\"log_probs\":[-1,0.5]}]}", AGON_EINVAL, "row 0: log_probs[1] is 0.5; the logarithm of a probability is 0 or less");
    refuse(ctx, "dpo", "{\"rows\":[{\"chosen\":{\"log_probs\":[-1],\"reference\":[3]},\"rejected\":{\"log_probs\":[-1],\"reference\":[-1]}}]}", AGON_EINVAL,
           "row 0: chosen: reference[0] is 3");
    refuse(ctx, "rloo", "{\"rows\":[{\"responses\":[{\"log_probs\":[-1],\"reward\":1e200},{\"log_probs\":[-1],\"reward\":-1e200}]}]}", AGON_EINVAL,
           "reward is 1e+200; it must be from -1e+06 to 1e+06");
    refuse(ctx, "sft", "{\"rows\":[{\"log_probs\":[-1],\"weight\":\"a\"}]}", AGON_EINVAL, "row 0: weight");
    refuse(ctx, "sft", "{\"rows\":[{\"log_prob\":[-1]}]}", AGON_EINVAL, "did you mean \"log_probs\"");
    refuse(ctx, "sft", "{\"rows\":[3]}", AGON_EINVAL, "row 0");
    refuse(ctx, "sft", "{\"rows\":[{\"chosen\":{},\"rejected\":{}}]}", AGON_EINVAL, "row 0");
    refuse(ctx, "sft", "{\"rows\":[]}", AGON_EINVAL, "rows");
    refuse(ctx, "sft", "[]", AGON_EINVAL, "request");
    refuse(ctx, "sft", "{\"rows\":", AGON_EFORMAT, "JSON");
    refuse(ctx, "dpo", "{\"rows\":[{\"log_probs\":[-1]}]}", AGON_EINVAL, "row 0");
    refuse(ctx, "dpo", "{\"rows\":[{\"chosen\":{\"log_probs\":[-1],\"reference\":[-1]}}]}", AGON_EINVAL,
           "row 0: rejected is missing");
    refuse(ctx, "dpo",
           "{\"rows\":[{\"chosen\":{\"log_probs\":[-1],\"reference\":[-1]},\"rejected\":{\"log_probs\":[-1]}}]}",
           AGON_EINVAL, "row 0: rejected: reference");
    refuse(ctx, "kto", "{\"rows\":[{\"log_probs\":[-1],\"reference\":[-1]}]}", AGON_EINVAL, "row 0: label");
    refuse(ctx, "grpo", "{\"rows\":[{\"responses\":[]}]}", AGON_EINVAL, "row 0: responses");
    refuse(ctx, "grpo", "{\"rows\":[{\"responses\":[{\"log_probs\":[-1],\"reward\":1}]}]}", AGON_EINVAL, "row 0");
    refuse(ctx, "ppo", "{\"rows\":[{\"log_probs\":[-1],\"reference\":[-1],\"reward\":1}]}", AGON_EINVAL,
           "row 0: values");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_json__answers_singles),
        cmocka_unit_test(loss_json__shares_are_shares),
        cmocka_unit_test(loss_json__answers_pairs),
        cmocka_unit_test(loss_json__answers_groups_and_values),
        cmocka_unit_test(loss_json__names_row_and_field),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}
