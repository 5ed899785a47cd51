/* Hostile bytes without a fuzzer: every kept corpus file, every beginning of it, then seeded mutations. A reader may refuse with a
 * sentence that begins with `where`, or accept; it may not crash (the ASan build sees every byte read out of bounds, because
 * inputs are exact-size copies). */
#ifndef TESTS_FUZZ_RUN_CORPUS_H
#define TESTS_FUZZ_RUN_CORPUS_H

#include "base/file.h"
#include "base/random.h"
#include "test.h"
#include <dirent.h>

typedef agon_status (*target)(agon_ctx *ctx, const uint8_t *data, size_t n);

typedef struct counts {
    size_t accepted, refused;
} counts;

static inline void try_bytes(agon_ctx *ctx, target run, const char *where, const uint8_t *data, size_t n,
                      counts *c) {
    uint8_t *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, data, n);
    agon_status s = run(ctx, exact, n);
    free(exact);
    if (s) {
        c->refused++;
        if (!where || strncmp(agon_error(ctx), where, strlen(where)) != 0 || strlen(agon_error(ctx)) < 20)
            fail_msg("a refusal without a sentence that names the file: '%s'", agon_error(ctx));
    } else {
        c->accepted++;
    }
}

static inline void overwrite(uint8_t *data, size_t n, size_t at, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes && at + i < n; i++)
        data[at + i] = (uint8_t)(value >> 8 * i);
}

/* One random fault: a few flipped bits, a huge or off-by-one number, a run of equal bytes, a moved block. */
static inline void mutate(rng *r, uint8_t *data, size_t n) {
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

/* where NULL: nothing is ever refused. most_cut: beginnings of the file that may be accepted; 0: none are tried (targets that take long). */
static inline void run_file(agon_ctx *ctx, target run, const char *where, const uint8_t *data, size_t n, size_t n_mutations,
                            size_t most_cut) {
    counts whole = {0}, cut = {0}, mutated = {0};
    try_bytes(ctx, run, where, data, n, &whole);
    if (whole.accepted != 1)
        fail_msg("a file of the corpus is refused: %s", agon_error(ctx));
    for (size_t length = 0; most_cut && length < n; length++)
        try_bytes(ctx, run, where, data, length, &cut);
    assert_true(!where || !most_cut || cut.accepted < most_cut);
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
    assert_true(!where || mutated.refused > n_mutations / 50); /* the faults reach the checks */
}

static inline void run_corpus(const char *name, target run, const char *where, size_t n_mutations, size_t most_cut) {
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
        run_file(ctx, run, where, (const uint8_t *)data, n, n_mutations, most_cut);
        free(data);
        n_files++;
    }
    closedir(d);
    assert_true(n_files > 0);
    agon_ctx_free(ctx);
}

#endif
