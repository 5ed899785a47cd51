/* Hostile weight files without a fuzzer: every kept corpus file, then thousands of seeded mutations of each.
 * A reader may refuse with a sentence that names the file, or accept; it may not crash (the ASan build sees every byte
 * read out of bounds, because inputs are exact-size copies). */
#include "test.h"
#include "../../fuzz/weights_targets.h"
#include "base/random.h"
#include <dirent.h>

typedef agon_status (*target)(agon_ctx *ctx, const uint8_t *data, size_t n);

typedef struct counts {
    size_t accepted, refused;
} counts;

static void try_bytes(agon_ctx *ctx, target run, const char *where, const uint8_t *data, size_t n,
                      counts *c) {
    uint8_t *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, data, n);
    agon_status s = run(ctx, exact, n);
    free(exact);
    if (s) {
        c->refused++;
        if (strncmp(agon_error(ctx), where, strlen(where)) != 0 || strlen(agon_error(ctx)) < 20)
            fail_msg("a refusal without a sentence that names the file: '%s'", agon_error(ctx));
    } else {
        c->accepted++;
    }
}

static void overwrite(uint8_t *data, size_t n, size_t at, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes && at + i < n; i++)
        data[at + i] = (uint8_t)(value >> 8 * i);
}

/* One random fault: a few flipped bits, a huge or off-by-one number, a run of equal bytes, a moved block. */
static void mutate(rng *r, uint8_t *data, size_t n) {
    static const uint64_t huge[] = {UINT64_MAX, INT64_MAX, 1ull << 63, 1ull << 32, UINT32_MAX,
                                    INT32_MAX,  0,         1,          0x10000,    1ull << 40};
    size_t at = rng_below(r, n);
    switch (rng_below(r, 5)) {
    case 0:
        for (uint64_t k = rng_below(r, 4) + 1; k-- > 0;)
            data[rng_below(r, n)] ^= (uint8_t)(1 << rng_below(r, 8));
        break;
    case 1:
        overwrite(data, n, at, huge[rng_below(r, 10)], 8);
        break;
    case 2:
        overwrite(data, n, at, huge[rng_below(r, 10)], 4);
        break;
    case 3:
        data[at] = (uint8_t)(data[at] + (rng_below(r, 2) ? 1 : 255));
        break;
    default: {
        size_t from = rng_below(r, n), length = rng_below(r, 32) + 1;
        if (from + length <= n && at + length <= n)
            memmove(data + at, data + from, length);
    }
    }
}

static void run_file(agon_ctx *ctx, target run, const char *where, const uint8_t *data, size_t n,
                     size_t n_mutations) {
    counts whole = {0}, cut = {0}, mutated = {0};
    try_bytes(ctx, run, where, data, n, &whole);
    assert_int_equal(whole.accepted, 1);
    for (size_t length = 0; length < n; length++)
        try_bytes(ctx, run, where, data, length, &cut);
    assert_true(cut.accepted < 32); /* only what pads the last tensor to the alignment */
    uint8_t *copy = malloc(n);
    assert_non_null(copy);
    rng r = rng_new(20250117 + n);
    for (size_t i = 0; i < n_mutations; i++) {
        memcpy(copy, data, n);
        for (uint64_t k = rng_below(&r, 3) + 1; k-- > 0;)
            mutate(&r, copy, n);
        try_bytes(ctx, run, where, copy, n, &mutated);
    }
    free(copy);
    assert_true(mutated.refused > n_mutations / 50); /* the faults reach the checks */
}

static void run_corpus(const char *name, target run, const char *where, size_t n_mutations) {
    const char *root = getenv("AGON_SOURCE");
    agon_ctx *ctx = test_ctx(1, NULL);
    char folder[2048], path[4096];
    snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%s", root ? root : ".", name);
    DIR *d = opendir(folder);
    if (!d)
        fail_msg("%s is missing", folder);
    size_t n_files = 0;
    for (struct dirent *e; (e = readdir(d));) {
        char *data;
        size_t n;
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        assert_ok(ctx, file_read(ctx, path, 1 << 20, &data, &n));
        run_file(ctx, run, where, (const uint8_t *)data, n, n_mutations);
        free(data);
        n_files++;
    }
    closedir(d);
    assert_true(n_files > 0);
    agon_ctx_free(ctx);
}

static void gguf__survives_hostile_bytes(void **state) {
    (void)state;
    run_corpus("fuzz_gguf", fuzz_gguf, "fuzz.gguf", 30000);
}

static void safetensors__survives_hostile_bytes(void **state) {
    (void)state;
    run_corpus("fuzz_safetensors", fuzz_safetensors, "fuzz.safetensors", 20000);
}

static void hf_config__survives_hostile_bytes(void **state) {
    (void)state;
    run_corpus("fuzz_hf_config", fuzz_hf_config, "fuzz.json", 20000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf__survives_hostile_bytes),
        cmocka_unit_test(safetensors__survives_hostile_bytes),
        cmocka_unit_test(hf_config__survives_hostile_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
