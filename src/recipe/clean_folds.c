/* Folds by prompt: see clean_rows.h. */
#include "base/ctx.h"
#include "base/memory.h"
#include "base/random.h"
#include "recipe/clean_rows.h"
#include <stdlib.h>
#include <string.h>

typedef struct place {
    hash256 prompt;
    size_t row;
} place;

static int by_prompt(const void *a, const void *b) {
    const place *x = a, *y = b;
    int order = memcmp(&x->prompt, &y->prompt, sizeof x->prompt);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

/* places [n] with equal prompts together; first [groups + 1] gets where each group begins. Returns their number. */
static size_t group_prompts(place *places, size_t n, size_t *first) {
    size_t groups = 0;
    qsort(places, n, sizeof *places, by_prompt);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || memcmp(&places[i - 1].prompt, &places[i].prompt, sizeof places[i].prompt) != 0)
            first[groups++] = i;
    first[groups] = n;
    return groups;
}

static void fill_folds(const place *places, const size_t *first, const size_t *order, size_t groups, size_t n_folds, size_t *fold) {
    size_t filled[CLEAN_MOST_FOLDS] = {0};
    for (size_t g = 0; g < groups; g++) {
        size_t least = 0;
        for (size_t k = 1; k < n_folds; k++)
            least = filled[k] < filled[least] ? k : least;
        for (size_t i = first[order[g]]; i < first[order[g] + 1]; i++)
            fold[places[i].row] = least, filled[least]++;
    }
}

agon_status clean_folds(agon_ctx *ctx, const row_file *f, size_t n_folds, uint64_t seed, size_t *fold) {
    size_t groups;
    place *places = memory_new(f->n, sizeof *places);
    size_t *first = memory_new(f->n + 1, sizeof *first), *order = memory_new(f->n, sizeof *order);
    agon_status s = places && first && order ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory dividing rows");
    for (size_t i = 0; i < f->n && !s; i++) {
        places[i].row = i;
        s = row_prompt_hash(ctx, f->rows[i], &places[i].prompt, NULL);
    }
    if (s)
        goto done;
    groups = group_prompts(places, f->n, first);
    if (groups < n_folds) {
        s = ctx_fail(ctx, AGON_EINVAL, "%s: %zu different prompts cannot be divided into %zu folds", f->path, groups, n_folds);
        goto done;
    }
    for (size_t g = 0; g < groups; g++)
        order[g] = g;
    rng r = rng_new(seed_derive(seed, "folds"));
    rng_shuffle(&r, order, groups);
    fill_folds(places, first, order, groups, n_folds, fold);
done:
    free(places);
    free(first);
    free(order);
    return s;
}
