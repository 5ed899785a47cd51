/* quants.h against the reference implementation (tests/golden/quants.json), bit for bit. */
#include "test.h"
#include "base/json.h"
#include "model/quants.h"

typedef struct bytes {
    uint8_t *data;
    size_t n;
} bytes;

static bytes from_hex(const json_t *text) {
    size_t n = json_string_length(text) / 2;
    const char *hex = json_string_value(text);
    bytes b = {malloc(n), n};
    assert_non_null(b.data);
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        b.data[i] = (uint8_t)byte;
    }
    return b;
}

static json_t *golden(agon_ctx *ctx) {
    char path[2048];
    json_t *o = NULL;
    golden_path(path, "quants.json");
    assert_ok(ctx, json_read_file(ctx, path, &o));
    return o;
}

static void quants__dequantise_as_the_reference(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    json_t *root = golden(ctx), *entry;
    const char *name;
    size_t n_types = 0;
    json_object_foreach(json_object_get(root, "dequantize"), name, entry) {
        const quant_type *type = quant_find(name);
        assert_non_null(type);
        assert_ptr_equal(type, quant_find_gguf(type->gguf_id));
        assert_string_equal(quant_gguf_name(type->gguf_id), name);
        bytes in = from_hex(json_object_get(entry, "bytes"));
        bytes want = from_hex(json_object_get(entry, "values"));
        assert_int_equal(in.n % type->bytes, 0);
        assert_int_equal(want.n, in.n / type->bytes * type->block * 4);
        float *out = malloc(want.n);
        type->dequantize(in.data, in.n / type->bytes, out);
        if (memcmp(out, want.data, want.n) != 0)
            fail_msg("%s differs from the reference", name);
        free(out);
        free(in.data);
        free(want.data);
        n_types++;
    }
    assert_int_equal(n_types, 10); /* all but F32, which is a copy */
    json_decref(root);
    agon_ctx_free(ctx);
}

static void quants__store_as_the_reference(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    json_t *root = golden(ctx), *entry;
    const char *name;
    size_t n_types = 0;
    json_object_foreach(json_object_get(root, "quantize"), name, entry) {
        const quant_type *type = quant_find(name);
        assert_non_null(type);
        bytes want = from_hex(json_object_get(entry, "bytes"));
        bytes in = from_hex(json_object_get(entry, "values"));
        uint8_t *out = malloc(want.n);
        quant_store(type, (const float *)in.data, in.n / 4, out);
        for (size_t i = 0; i < want.n; i++)
            if (out[i] != want.data[i])
                fail_msg("%s: byte %zu is %d, the reference has %d", name, i, out[i], want.data[i]);
        free(out);
        free(in.data);
        free(want.data);
        n_types++;
    }
    assert_int_equal(n_types, 3);
    json_decref(root);
    agon_ctx_free(ctx);
}

static void quants__every_finite_half_survives_a_round_trip(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++)
        if ((h & 0x7c00) != 0x7c00)
            assert_int_equal(f16_from_f32(f16_to_f32((uint16_t)h)), h);
    assert_int_equal(f16_from_f32(65519.0f), 0x7bff);
    assert_int_equal(f16_from_f32(65520.0f), 0x7c00);
    assert_int_equal(f16_from_f32(-INFINITY), 0xfc00);
    assert_true(isnan(f16_to_f32(f16_from_f32(NAN))));
}

static void quants__halves_round_to_nearest_even(void **state) {
    (void)state;
    /* Between each two neighbouring halves: below, at and above the middle. */
    for (uint32_t h = 0; h < 0x7bff; h++) {
        float low = f16_to_f32((uint16_t)h), high = f16_to_f32((uint16_t)(h + 1));
        float middle = low + (high - low) / 2;
        assert_int_equal(f16_from_f32(middle), h % 2 ? h + 1 : h);
        assert_int_equal(f16_from_f32(nextafterf(middle, 0)), h);
        assert_int_equal(f16_from_f32(nextafterf(middle, INFINITY)), h + 1);
    }
}

static void quants__unknown_types_are_named(void **state) {
    (void)state;
    assert_null(quant_find_gguf(10));
    assert_string_equal(quant_gguf_name(10), "Q2_K");
    assert_string_equal(quant_gguf_name(20), "IQ4_NL");
    assert_string_equal(quant_gguf_name(4000000000u), "unknown");
    assert_null(quant_find("Q2_K"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quants__dequantise_as_the_reference),
        cmocka_unit_test(quants__store_as_the_reference),
        cmocka_unit_test(quants__every_finite_half_survives_a_round_trip),
        cmocka_unit_test(quants__halves_round_to_nearest_even),
        cmocka_unit_test(quants__unknown_types_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
