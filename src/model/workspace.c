/* Working memory of forward and backward, see model_private.h: two growing blocks under one limit. */
#include "model/model_private.h"
#include "base/available.h"
#include "base/spare.h"
#include <assert.h>
#include <stdlib.h>

enum { ALIGNMENT = 64, WORTH_ASKING = 1 << 26 /* below it, what the system says is no help */ };

size_t workspace_size(size_t n, size_t size) {
    size_t bytes = size_add(size_mul(n, size), ALIGNMENT - 1);
    return bytes == SIZE_MAX ? bytes : bytes & ~(size_t)(ALIGNMENT - 1);
}

agon_status workspace_new(agon_ctx *ctx, size_t limit_bytes, workspace **out) {
    workspace *w = calloc(1, sizeof *w);
    if (!w)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory making a workspace");
    w->limit = limit_bytes ? limit_bytes : SIZE_MAX;
    *out = w;
    return AGON_OK;
}

agon_status workspace_plans(agon_ctx *ctx, workspace *w, region r, arena **out) {
    arena_free(w->regions[r].plans);
    w->regions[r].plans = NULL;
    agon_status status = arena_new(ctx, 0, &w->regions[r].plans);
    *out = w->regions[r].plans;
    return status;
}

void workspace_free(workspace *w) {
    if (!w)
        return;
    for (int r = 0; r < N_REGIONS; r++) {
        free(w->regions[r].data);
        arena_free(w->regions[r].plans);
    }
    free(w);
}

void workspace_leave(agon_ctx *ctx, workspace *w) {
    for (int r = 0; w && r < N_REGIONS; r++) {
        spare_give(ctx, w->regions[r].data, w->regions[r].capacity);
        w->regions[r].data = NULL;
    }
    workspace_free(w);
}

static void drop(workspace *w, region r) {
    free(w->regions[r].data);
    w->regions[r].data = NULL;
    w->regions[r].capacity = 0;
}

/* Gives memory back where sizes of earlier batches would leave too little for these needs. */
static void fit(workspace *w, size_t stored, size_t scratch) {
    size_t s = w->regions[REGION_STORED].capacity, t = w->regions[REGION_SCRATCH].capacity;
    if (size_add(stored > s ? stored : s, scratch > t ? scratch : t) <= w->limit)
        return;
    drop(w, REGION_STORED);
    drop(w, REGION_SCRATCH);
}

/* `reserved`: what the other region will need. */
static agon_status begin(agon_ctx *ctx, workspace *w, region r, size_t bytes, size_t reserved) {
    w->regions[r].used = 0;
    if (bytes <= w->regions[r].capacity)
        return AGON_OK;
    drop(w, r);
    if (r == REGION_SCRATCH && !w->state && size_add(bytes, w->regions[REGION_STORED].capacity) > w->limit)
        drop(w, REGION_STORED);
    size_t other = w->regions[r == REGION_STORED ? REGION_SCRATCH : REGION_STORED].capacity;
    other = other > reserved ? other : reserved;
    size_t room = w->limit > other ? w->limit - other : 0;
    if (bytes > room)
        return ctx_fail(ctx, AGON_ENOMEM,
                        "this batch needs %zu MiB of working memory and %zu MiB are allowed: use shorter sequences "
                        "or fewer responses in a group",
                        (bytes >> 20) + 1, room >> 20);
    if (bytes >= WORTH_ASKING) {
        agon_status status = memory_check(ctx, bytes, "this batch", "use shorter sequences or fewer responses in a group");
        if (status)
            return status;
    }
    /* A little more than asked for, so that slowly growing batches do not move it each time. */
    size_t capacity = workspace_size(size_add(bytes, bytes / 8), 1);
    if (capacity > room)
        capacity = workspace_size(bytes, 1);
    w->regions[r].data = w->limit == SIZE_MAX ? spare_take(ctx, capacity, &capacity) : memory_raw(capacity, 1);
    if (!w->regions[r].data)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory: a batch needs %zu MiB of working memory",
                        (bytes >> 20) + 1);
    w->regions[r].capacity = capacity;
    return AGON_OK;
}

agon_status workspace_begin(agon_ctx *ctx, workspace *w, region r, size_t bytes) {
    return begin(ctx, w, r, bytes, 0);
}

agon_status workspace_begin_both(agon_ctx *ctx, workspace *w, size_t stored, size_t scratch) {
    fit(w, stored, scratch);
    agon_status status = begin(ctx, w, REGION_SCRATCH, scratch, stored);
    return status ? status : begin(ctx, w, REGION_STORED, stored, scratch);
}

void *workspace_take(workspace *w, region r, size_t n, size_t size) {
    size_t bytes = workspace_size(n, size);
    assert(bytes <= w->regions[r].capacity - w->regions[r].used);
    void *p = w->regions[r].data + w->regions[r].used;
    w->regions[r].used += bytes;
    return p;
}
