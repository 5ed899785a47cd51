/* PEFT adapter folders: what is written comes back; variants of other arithmetic are refused by name. */
#include "../../weights_fixtures.h"
#include "base/json.h"

static agon_status factors(void *arg, agon_ctx *ctx, const char *name, size_t n, float *out) {
    (void)arg;
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        out[i] = fixture_value(name, i, 0);
    return AGON_OK;
}

static const peft_info example = {
    .rank = 3, .alpha = 7.5, .n_targets = 2, .targets = {"q_proj", "down_proj"}, .base_name = "tiny"};

static fixture_folder example_folder(agon_ctx *ctx) {
    fixture_folder f = fixture_folder_new();
    model_config c = fixture_config("llama");
    assert_ok(ctx, export_peft(ctx, f.path, &c, &example, factors, NULL));
    return f;
}

static void peft__comes_back(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    fixture_folder f = example_folder(ctx);
    peft_info info;
    weights *w = NULL;
    float values[3 * 48];
    assert_ok(ctx, peft_open(ctx, f.path, &info, &w));
    assert_int_equal(info.rank, 3);
    assert_true(info.alpha == 7.5);
    assert_string_equal(info.base_name, "tiny");
    assert_int_equal(info.n_targets, 2);
    assert_int_equal(weights_n_tensors(w), 2 * 2 * 2); /* layers, modules, factors */
    const char *a = "model.layers.1.mlp.down_proj.lora_A.weight"; /* [3, 48] */
    const char *b = "model.layers.1.self_attn.q_proj.lora_B.weight"; /* [64, 3] */
    assert_ok(ctx, weights_read(ctx, w, a, 3 * 48, values));
    for (size_t i = 0; i < 3 * 48; i++)
        assert_true(values[i] == fixture_value(a, i, 0));
    assert_true(weights_has(w, b));
    for (size_t i = 0; i < weights_n_tensors(w); i++)
        if (strcmp(weights_tensor(w, i).name, b) == 0) {
            assert_int_equal(weights_tensor(w, i).n_rows, 64);
            assert_int_equal(weights_tensor(w, i).n_columns, 3);
        }
    weights_free(w);
    fixture_remove(&f);
    agon_ctx_free(ctx);
}

/* Sets one member of adapter_config.json; value taken, NULL removes. */
static void set_member(agon_ctx *ctx, const fixture_folder *f, const char *key, json_t *value) {
    char path[256];
    json_t *o = NULL;
    assert_ok(ctx, json_read_file(ctx, fixture_path(path, f, "adapter_config.json"), &o));
    if (value)
        json_object_set_new(o, key, value);
    else
        json_object_del(o, key);
    char *text = json_dumps(o, 0);
    assert_ok(ctx, file_write(ctx, path, text, strlen(text)));
    free(text);
    json_decref(o);
}

static void peft__rank_stabilised_scaling_becomes_alpha(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    fixture_folder f = example_folder(ctx);
    peft_info info;
    weights *w = NULL;
    set_member(ctx, &f, "use_rslora", json_true());
    assert_ok(ctx, peft_open(ctx, f.path, &info, &w));
    assert_close(info.alpha / 3, 7.5 / sqrt(3), 1e-12);
    weights_free(w);
    fixture_remove(&f);
    agon_ctx_free(ctx);
}

static void peft__other_variants_are_refused_by_name(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    const struct {
        const char *key;
        json_t *value;
        agon_status status;
        const char *says;
    } cases[] = {
        {"use_dora", json_true(), AGON_EUNSUPPORTED, "use_dora"},
        {"rank_pattern", json_pack("{s:i}", "q_proj", 4), AGON_EUNSUPPORTED, "rank_pattern"},
        {"modules_to_save", json_pack("[s]", "lm_head"), AGON_EUNSUPPORTED, "modules_to_save"},
        {"modules_to_save", json_pack("[s,s]", "score", "lm_head"), AGON_EUNSUPPORTED, "modules_to_save"},
        {"modules_to_save", json_string("score"), AGON_EUNSUPPORTED, "modules_to_save"},
        {"alora_invocation_tokens", json_pack("[i,i]", 5, 6), AGON_EUNSUPPORTED, "alora_invocation_tokens"},
        {"layer_replication", json_pack("[[i,i],[i,i]]", 0, 2, 1, 2), AGON_EUNSUPPORTED, "layer_replication"},
        {"lora_bias", json_true(), AGON_EUNSUPPORTED, "lora_bias"},
        {"use_bdlora", json_pack("{s:i}", "nblocks", 2), AGON_EUNSUPPORTED, "use_bdlora"},
        {"arrow_config", json_pack("{s:i}", "top_k", 3), AGON_EUNSUPPORTED, "arrow_config"},
        {"kasa_config", json_pack("{s:f}", "beta", 0.1), AGON_EUNSUPPORTED, "kasa_config"},
        {"monteclora_config", json_pack("{s:i}", "num_samples", 4), AGON_EUNSUPPORTED, "monteclora_config"},
        {"init_lora_weights", json_string("pissa_niter_4"), AGON_EUNSUPPORTED, "pissa_niter_4"},
        {"init_lora_weights", json_string("olora"), AGON_EUNSUPPORTED, "olora"},
        {"init_lora_weights", json_string("corda"), AGON_EUNSUPPORTED, "corda"},
        {"init_lora_weights", json_string("loftq"), AGON_EUNSUPPORTED, "loftq"},
        {"init_lora_weights", json_string("lora_ga"), AGON_EUNSUPPORTED, "lora_ga"},
        {"bias", json_string("all"), AGON_EUNSUPPORTED, "all"},
        {"peft_type", json_string("IA3"), AGON_EUNSUPPORTED, "IA3"},
        {"r", json_integer(4), AGON_EFORMAT, "the rank is 4"},
        {"r", json_integer(0), AGON_EFORMAT, "rank"},
        {"r", json_string("3"), AGON_EFORMAT, "'r'"},
        {"lora_alpha", NULL, AGON_EFORMAT, "lora_alpha"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture_folder f = example_folder(ctx);
        peft_info info;
        weights *w = NULL;
        set_member(ctx, &f, cases[i].key, cases[i].value);
        assert_refused(ctx, peft_open(ctx, f.path, &info, &w), cases[i].status, f.path, cases[i].says);
        fixture_remove(&f);
    }
    agon_ctx_free(ctx);
}

/* PEFT saves a sequence classifier under both names that its head may have. */
static void peft__reward_heads_are_read_by_either_list(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    json_t *lists[] = {json_pack("[s]", "score"), json_pack("[s,s]", "classifier", "score")};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        fixture_folder f = example_folder(ctx);
        peft_info info;
        weights *w = NULL;
        set_member(ctx, &f, "modules_to_save", lists[i]);
        assert_ok(ctx, peft_open(ctx, f.path, &info, &w));
        weights_free(w);
        fixture_remove(&f);
    }
    agon_ctx_free(ctx);
}

/* PEFT writes every field: what is null, false, empty or without effect on the arithmetic is read. */
static void peft__unset_variants_are_read(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const char *const unset[] = {"alora_invocation_tokens", "layer_replication", "use_bdlora", "arrow_config", "kasa_config",
                                        "monteclora_config", "megatron_config", "eva_config", "modules_to_save"};
    fixture_folder f = example_folder(ctx);
    peft_info info;
    weights *w = NULL;
    for (size_t i = 0; i < sizeof unset / sizeof unset[0]; i++)
        set_member(ctx, &f, unset[i], json_null());
    set_member(ctx, &f, "lora_bias", json_false());
    set_member(ctx, &f, "rank_pattern", json_object());
    set_member(ctx, &f, "megatron_core", json_string("megatron.core"));
    set_member(ctx, &f, "qalora_group_size", json_integer(16));
    set_member(ctx, &f, "lora_dropout", json_real(0.1));
    json_t *starts[] = {json_true(), json_false(), json_null(), json_string("gaussian"), json_string("eva"), json_string("orthogonal")};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        set_member(ctx, &f, "init_lora_weights", starts[i]);
        assert_ok(ctx, peft_open(ctx, f.path, &info, &w));
        weights_free(w);
    }
    fixture_remove(&f);
    agon_ctx_free(ctx);
}

static void peft__a_factor_without_its_partner_is_named(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    fixture_folder f = example_folder(ctx);
    char path[256];
    peft_info info;
    weights *w = NULL;
    fixture_image file = fixture_read(ctx, fixture_path(path, &f, "adapter_model.safetensors"));
    char *name = memmem(file.data, file.n, "layers.1.mlp.down_proj.lora_B", 29);
    assert_non_null(name);
    name[7] = '7'; /* now of another layer */
    assert_ok(ctx, file_write(ctx, path, file.data, file.n));
    assert_refused(ctx, peft_open(ctx, f.path, &info, &w), AGON_EFORMAT, "down_proj.lora_", "no partner");
    memcpy(name + 22, "bias_B", 6);
    assert_ok(ctx, file_write(ctx, path, file.data, file.n));
    assert_refused(ctx, peft_open(ctx, f.path, &info, &w), AGON_EUNSUPPORTED, "down_proj", "no LoRA factor");
    free(file.data);
    fixture_remove(&f);
    agon_ctx_free(ctx);
}

static void export_peft__unknown_modules_are_refused(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    fixture_folder f = fixture_folder_new();
    model_config c = fixture_config("llama");
    peft_info info = example;
    snprintf(info.targets[1], sizeof info.targets[1], "norm");
    assert_refused(ctx, export_peft(ctx, f.path, &c, &info, factors, NULL), AGON_EINVAL, "'norm'",
                   "down_proj");
    fixture_remove(&f);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peft__comes_back),
        cmocka_unit_test(peft__rank_stabilised_scaling_becomes_alpha),
        cmocka_unit_test(peft__other_variants_are_refused_by_name),
        cmocka_unit_test(peft__reward_heads_are_read_by_either_list),
        cmocka_unit_test(peft__unset_variants_are_read),
        cmocka_unit_test(peft__a_factor_without_its_partner_is_named),
        cmocka_unit_test(export_peft__unknown_modules_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
