/* Packed weight matrices and the three products of a linear layer.
 *
 * Layout of a pack of K x N (columns are outputs of the product): panels of 16 columns, each k after
 * k; bf16 keeps pairs of k together, [N/16][K/2][16][2], so that one 64-byte load gives sixteen even
 * and sixteen odd operands and the AMX instruction can read the same bytes. K is padded to 32, N to
 * 16, with zeros. dx = dy W reads the same pack (matrix_sliced.c). 8-bit weights: matrix_q8.c.
 *
 * Tasks are cut by rows and by column panels, never along K; deep products are several jobs, one after the other along K. Blocking: the rounded rows of a task stay
 * in the L2 cache while the panels stream through it once (`agon bench matmul` measures it). */
#include "compute/matrix.h"
#include "base/memory.h"
#include "base/slab.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- packing ----------------------------------------------------------------------------------- */

agon_status pack_new(agon_ctx *ctx, compute_dtype dtype, size_t n, size_t k, pack *out) {
    pack p = {.n = n, .k = k, .k_padded = dtype == COMPUTE_BF16 ? round_up(k, K_BLOCK) : k};
    size_t size = dtype == COMPUTE_BF16 ? sizeof(uint16_t) : sizeof(float);
    p.panel_bytes = size_mul(size_mul(p.k_padded, LANES_N), size);
    p.data = slab_new(&ctx->weights, round_up(n, LANES_N) / LANES_N, p.panel_bytes);
    if (!p.data)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for a weight matrix of %zu x %zu", n, k);
    *out = p;
    return AGON_OK;
}

/* Where element (column n, depth k) of a pack is, in elements. */
static inline size_t bf16_at(const pack *p, size_t n, size_t k) {
    return (n / LANES_N) * (p->panel_bytes / sizeof(uint16_t)) + (k / 2) * 2 * LANES_N +
           (n % LANES_N) * 2 + (k & 1);
}
static inline size_t f32_at(const pack *p, size_t n, size_t k) {
    return (n / LANES_N) * (p->panel_bytes / sizeof(float)) + k * LANES_N + n % LANES_N;
}

float pack_value(const pack *p, compute_dtype dtype, size_t n, size_t k) {
    if (p->q8)
        return pack_value_q8(p, n, k);
    return dtype == COMPUTE_F32 ? ((const float *)p->data)[f32_at(p, n, k)]
                                : bf16_to_float(((const uint16_t *)p->data)[bf16_at(p, n, k)]);
}

/* ---- the matrix -------------------------------------------------------------------------------- */

agon_status matrix_new(agon_ctx *ctx, compute_dtype dtype, size_t n_out, size_t n_in, const float *w, matrix **out) {
    assert(n_out > 0 && n_in > 0);
    matrix *m = calloc(1, sizeof *m);
    if (!m)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for a weight matrix");
    m->dtype = dtype;
    m->n_out = n_out;
    m->n_in = n_in;
    agon_status status = pack_new(ctx, dtype, n_out, n_in, &m->pack);
    if (status) {
        matrix_free(m);
        return status;
    }
    matrix_set(ctx, m, w);
    *out = m;
    return AGON_OK;
}

void matrix_free(matrix *m) {
    if (!m)
        return;
    slab_free(m->pack.data);
    matrix_freeze(m);
    free(m);
}

size_t matrix_n_in(const matrix *m) {
    return m->n_in;
}

size_t matrix_bytes(const matrix *m) {
    return sizeof *m + round_up(m->n_out, LANES_N) / LANES_N * m->pack.panel_bytes + (m->low ? matrix_masters_predict(m->dtype, m->n_out, m->n_in) : 0);
}

size_t matrix_predict(compute_dtype dtype, size_t n_out, size_t n_in) {
    size_t size = dtype == COMPUTE_BF16 ? sizeof(uint16_t) : sizeof(float), depth = dtype == COMPUTE_BF16 ? K_BLOCK : 1;
    return size_mul(size_mul(round_up(n_out, LANES_N), round_up(n_in, depth)), size);
}

void matrix_row(const matrix *m, size_t row, float *out) {
    assert(row < m->n_out);
    for (size_t i = 0; i < m->n_in; i++) {
        float value = pack_value(&m->pack, m->dtype, row, i);
        out[i] = m->pack.q8 ? bf16_to_float(bf16_from_float(value)) : value;
    }
}

/* ---- products with packed weights -------------------------------------------------------------- */

enum {
    PANELS_MIN = 8,               /* a task's columns must repay the rounding of its rows */
    FINISHED_FLOATS = 160 * 1024, /* results that a task finishes at a time, a part of the L2 cache */
};

size_t product_row_block(const agon_ctx *ctx, compute_dtype dtype, size_t k_padded, size_t n_rows, size_t cap, size_t blocks) {
    const products *p = products_of(ctx, dtype);
    size_t most = size_min(cap, p->row_floats / (k_padded / (p->pairs ? 2 : 1) + 2 * LANES_N));
    const size_t step = most < p->row_step ? p->least_step : p->row_step;
    most = most < step ? most + (most == 0) : most / step * step;
    size_t n_blocks = (n_rows + most - 1) / most;
    if (n_rows >= blocks * (most / 2))
        n_blocks = round_up(n_blocks, blocks);
    size_t even = n_blocks ? round_up((n_rows + n_blocks - 1) / n_blocks, step) : most;
    return even < most ? even : most;
}

size_t product_row_width(const products *p, size_t k) {
    const size_t width = round_up(k, K_BLOCK) / (p->pairs ? 2 : 1);
    return width + (width / LANES_N % 2 ? 2 * LANES_N : LANES_N);
}

/* product_rows, rounded from float `at` of the scratch memory on. */
static const void *rows_at(agon_ctx *ctx, compute_dtype dtype, const float *x, size_t ldx, size_t n_rows, size_t k, int thread, size_t at,
                           size_t *lda) {
    if (dtype == COMPUTE_F32) {
        *lda = ldx;
        return x;
    }
    const products *p = products_of(ctx, dtype);
    *lda = product_row_width(p, k);
    float *a = ctx_scratch(ctx, thread) + at;
    assert(at + n_rows * *lda <= SLICE_AT);
    p->round_rows(x, ldx, n_rows, k, 1.0f, a, *lda);
    return a;
}

const void *product_rows(agon_ctx *ctx, compute_dtype dtype, const float *x, size_t ldx, size_t n_rows,
                         size_t k, int thread, size_t *lda) {
    return rows_at(ctx, dtype, x, ldx, n_rows, k, thread, 0, lda);
}

void product_weights(const pack *w, compute_dtype dtype, size_t panel, size_t first_k, gemm *g) {
    assert(first_k == 0 || !w->q8);
    g->kind = w->q8 ? GEMM_Q8 : dtype == COMPUTE_BF16 ? GEMM_BF16 : GEMM_F32;
    g->w = (const char *)w->data + panel * w->panel_bytes +
           first_k * LANES_N * (dtype == COMPUTE_BF16 ? sizeof(uint16_t) : sizeof(float));
    g->panel_bytes = w->panel_bytes;
}

void product_multiply(agon_ctx *ctx, compute_dtype dtype, int thread, const gemm *g) {
    const products *p = products_of(ctx, dtype);
    if (g->kind == GEMM_Q8 && g->n_rows > p->q8_rows)
        product_multiply_q8(ctx, p, thread, g);
    else
        p->multiply(g);
}

typedef struct product_job {
    agon_ctx *ctx;
    const product *p;
    size_t row_block;
    /* Columns are cut in units of so many panels, counted through the parts: part i has n_units[i] from first_unit[i] on. */
    size_t unit, first_unit[MATMUL_PARTS], n_units[MATMUL_PARTS];
    size_t units_per_task, n_unit_tasks;
    size_t units_at_once; /* of a task that are multiplied and finished together */
    size_t additions_at;  /* where rows of additions are rounded: behind the task's own while these are needed again */
} product_job;

/* Rows and columns of a part that a task has; n_cols may be 0. */
typedef struct product_block {
    size_t row, n_rows, column, n_cols;
} product_block;

/* Columns and depths of a product with w. */
static size_t columns_of(const pack *w, bool turned) {
    return turned ? w->k : w->n;
}
static size_t depths_of(const pack *w, bool turned) {
    return turned ? w->n : w->k;
}
static size_t count_panels(const product_part *part) {
    return round_up(columns_of(part->w, part->turned), LANES_N) / LANES_N;
}

/* Of part i, `n` units from `first` on. */
static product_block block_of(const product_job *j, size_t i, size_t row, size_t first, size_t n_units) {
    const size_t before = j->first_unit[i], n = columns_of(j->p->parts[i].w, j->p->parts[i].turned), width = j->unit * LANES_N;
    size_t from = first > before ? first - before : 0, end = first + n_units;
    end = size_min(end > before ? end - before : 0, j->n_units[i]);
    return (product_block){row, size_min(j->row_block, j->p->n_rows - row), from * width,
                           from < end ? size_min(end * width, n) - from * width : 0};
}

static gemm block_gemm(const product_part *part, const product_block *b, compute_dtype dtype, size_t k, float scale, bool accumulate) {
    return (gemm){.n_rows = b->n_rows,
                  .k = dtype == COMPUTE_BF16 ? round_up(k, K_BLOCK) : k,
                  .n_cols = b->n_cols,
                  .y = part->y + b->row * part->ldy + b->column,
                  .ldy = part->ldy,
                  .scale = scale,
                  .accumulate = accumulate};
}

/* The product of w's panels from a column on, or of its transpose's. */
static void multiply_block(agon_ctx *ctx, compute_dtype dtype, int thread, const pack *w, bool turned, size_t column, size_t first_k, gemm *g) {
    if (turned) {
        product_multiply_turned(ctx, dtype, thread, w, column / LANES_N, first_k, g);
        return;
    }
    product_weights(w, dtype, column / LANES_N, first_k, g);
    product_multiply(ctx, dtype, thread, g);
}

/* The block's additions. */
static void add_products(agon_ctx *ctx, const product_part *part, const product_block *b, size_t at, int thread) {
    for (const matmul_addition *a = part->additions; a < part->additions + part->n_additions; a++) {
        const compute_dtype dtype = a->w->dtype;
        const pack *w = &a->w->pack;
        const size_t k = depths_of(w, part->turned), first = b->row > a->first ? b->row : a->first;
        const size_t end = size_min(b->row + b->n_rows, a->first + a->n_rows);
        if (first >= end)
            continue;
        const product_block rows = {first, end - first, b->column, b->n_cols};
        gemm g = block_gemm(part, &rows, dtype, k, a->scale, true);
        g.a = rows_at(ctx, dtype, a->x + (first - a->first) * k, k, rows.n_rows, k, thread, at, &g.lda);
        multiply_block(ctx, dtype, thread, w, part->turned, b->column, 0, &g);
    }
}

/* What follows the products, on the block. */
static void finish_block(const product_job *j, const product_block *blocks) {
    const product *p = j->p;
    const kernels *k = kernels_of(j->ctx);
    for (size_t i = 0; i < p->n_parts; i++) {
        const product_part *part = &p->parts[i];
        const product_block *b = &blocks[i];
        for (size_t row = b->row; part->rotate && b->n_cols && row < b->row + b->n_rows; row++)
            k->rope(part->y + row * part->ldy + b->column, b->n_cols / p->head_dim, p->head_dim, p->rotation + row * p->head_dim, 1);
    }
    for (size_t row = blocks->row; p->swiglu && row < blocks->row + blocks->n_rows; row++) {
        const size_t at = row * p->parts->ldy + blocks->column;
        k->swiglu(p->parts[0].y + at, p->parts[1].y + at, blocks->n_cols, p->swiglu + at);
    }
}

/* `n_units` from `first` on, of rows that are rounded. */
static void multiply_units(const product_job *j, const void *a, size_t lda, size_t row, size_t first, size_t n_units, int thread) {
    const product *p = j->p;
    product_block blocks[MATMUL_PARTS];
    for (size_t i = 0; i < p->n_parts; i++) {
        const product_part *part = &p->parts[i];
        const product_block *b = &blocks[i];
        blocks[i] = block_of(j, i, row, first, n_units);
        if (!b->n_cols)
            continue;
        gemm g = block_gemm(part, b, p->dtype, p->k, p->scale, p->accumulate);
        g.a = a;
        g.lda = lda;
        g.bias = part->bias ? part->bias + b->column : NULL;
        g.resume = p->resume;
        multiply_block(j->ctx, p->dtype, thread, part->w, part->turned, b->column, p->first_k, &g);
    }
    for (size_t i = 0; i < p->n_parts; i++)
        if (blocks[i].n_cols)
            add_products(j->ctx, &p->parts[i], &blocks[i], j->additions_at, thread);
    finish_block(j, blocks);
}

/* A task: some rows by some units. */
static void product_task(void *arg, size_t task, int thread) {
    const product_job *j = arg;
    const product *p = j->p;
    const size_t row = task / j->n_unit_tasks * j->row_block, first = task % j->n_unit_tasks * j->units_per_task;
    size_t lda = 0;
    const void *a = product_rows(j->ctx, p->dtype, p->x + row * p->ldx, p->ldx, size_min(j->row_block, p->n_rows - row), p->k, thread, &lda);
    for (size_t unit = 0; unit < j->units_per_task; unit += j->units_at_once)
        multiply_units(j, a, lda, row, first + unit, size_min(j->units_at_once, j->units_per_task - unit), thread);
}

/* Panels that hold whole heads, where heads are turned. */
static size_t unit_panels(const product *p) {
    size_t unit = 1;
    for (size_t i = 0; i < p->n_parts; i++)
        while (p->parts[i].rotate && unit * LANES_N % p->head_dim)
            unit++;
    return unit;
}

static size_t rows_of_task(agon_ctx *ctx, const product *p) {
    const products *k = products_of(ctx, p->dtype);
    const size_t most = p->parts->turned && p->n_rows > 2 * k->most_rows ? k->most_turned_rows : k->most_rows;
    const size_t blocks = (size_t)ctx->n_threads;
    size_t rows = product_row_block(ctx, p->dtype, round_up(p->k, K_BLOCK), p->n_rows, most, blocks);
    for (const product_part *part = p->parts; part < p->parts + p->n_parts; part++)
        for (const matmul_addition *a = part->additions; a < part->additions + part->n_additions; a++)
            rows = size_min(rows, product_row_block(ctx, a->w->dtype, round_up(depths_of(&a->w->pack, part->turned), K_BLOCK), p->n_rows, most, blocks));
    return rows;
}

/* A task of many columns finishes them some at a time, while they are in the cache. */
static void cut_columns(product_job *j) {
    const product *p = j->p;
    const products *k = products_of(j->ctx, p->dtype);
    const size_t fit = FINISHED_FLOATS / (j->row_block * p->n_parts * j->unit * LANES_N), own = j->row_block * product_row_width(k, p->k);
    size_t added = 0;
    for (const product_part *part = p->parts; part < p->parts + p->n_parts; part++)
        for (const matmul_addition *a = part->additions; a < part->additions + part->n_additions; a++) {
            const size_t width = product_row_width(k, depths_of(&a->w->pack, part->turned));
            added = added > width ? added : width;
        }
    if (fit >= j->units_per_task || own + j->row_block * added > SLICE_AT)
        return;
    j->units_at_once = fit > 2 ? fit / 2 * 2 : 2;
    j->additions_at = own;
}

/* A product of one job. */
static void run_whole(agon_ctx *ctx, const product *p) {
    product_job j = {.ctx = ctx, .p = p, .row_block = rows_of_task(ctx, p), .unit = unit_panels(p)};
    size_t n_row_blocks = (p->n_rows + j.row_block - 1) / j.row_block, n_units = 0;
    for (size_t i = 0; i < p->n_parts; i++) {
        j.n_units[i] = (count_panels(&p->parts[i]) + j.unit - 1) / j.unit;
        j.first_unit[i] = p->swiglu ? 0 : n_units; /* a task of SwiGLU has the same columns of both parts */
        n_units = j.first_unit[i] + j.n_units[i];
    }
    const bool few = p->n_rows < 16;
    const size_t n_tasks = (few ? 4 : products_of(ctx, p->dtype)->tasks) * (size_t)ctx->n_threads;
    size_t parts = (n_tasks + n_row_blocks - 1) / n_row_blocks, least = few ? 2 : PANELS_MIN, panels = round_up((n_units * j.unit + parts - 1) / parts, 2);
    j.units_per_task = ((panels > least ? panels : least) + j.unit - 1) / j.unit;
    j.n_unit_tasks = (n_units + j.units_per_task - 1) / j.units_per_task;
    j.units_at_once = j.units_per_task;
    if (p->swiglu)
        cut_columns(&j);
    pool_run(ctx->pool, n_row_blocks * j.n_unit_tasks, product_task, &j);
}

/* Of more depths than a task has room for in many rows of its own: a sum of slices, each a job whose chains go on from the one before. */
static bool is_deep(const product *p) {
    enum { FEW_ROWS = 48 };
    const product_part *part = p->parts;
    const size_t most = part->turned ? turned_depth(p->dtype) : 3 * SLICE_DEPTH;
    return p->k > most && p->n_rows > FEW_ROWS && p->n_parts == 1 && p->scale == 1.0f && !part->bias && !part->rotate && !p->swiglu &&
           (part->turned || !part->w->q8);
}

static void run_slices(agon_ctx *ctx, const product *p) {
    const size_t most = turned_depth(p->dtype), n = (p->k + most - 1) / most, depth = round_up((p->k + n - 1) / n, K_BLOCK);
    product slice = *p;
    slice.accumulate = false;
    slice.parts->n_additions = 0;
    for (size_t k = 0; k < p->k; k += depth, slice.x += depth, slice.first_k += depth) {
        slice.k = size_min(depth, p->k - k);
        slice.resume = p->resume || k > 0;
        run_whole(ctx, &slice);
    }
}

/* y + the chains' sums, which wait in the shared scratch memory. */
static void run_deep_accumulating(agon_ctx *ctx, const product *p) {
    product rows = *p;
    product_part *part = rows.parts;
    float *y = part->y;
    const size_t width = columns_of(part->w, part->turned), most = CTX_SHARED_FLOATS / width;
    assert(most > 0 && part->ldy == width);
    part->y = ctx_scratch(ctx, ctx->n_threads);
    for (size_t row = 0; row < p->n_rows; row += most, rows.x += most * p->ldx) {
        rows.n_rows = size_min(most, p->n_rows - row);
        run_slices(ctx, &rows);
        add_in_place(ctx, y + row * width, part->y, rows.n_rows * width);
    }
}

static void run_deep(agon_ctx *ctx, const product *p) {
    const product_part *part = p->parts;
    if (p->accumulate && !p->resume)
        run_deep_accumulating(ctx, p);
    else
        run_slices(ctx, p);
    for (const matmul_addition *a = part->additions; a < part->additions + part->n_additions; a++)
        product_run(ctx, &(product){.dtype = a->w->dtype, .x = a->x, .ldx = depths_of(&a->w->pack, part->turned), .n_rows = a->n_rows,
                                    .k = depths_of(&a->w->pack, part->turned), .scale = a->scale, .accumulate = true, .n_parts = 1,
                                    .parts = {{.w = &a->w->pack, .y = part->y + a->first * part->ldy, .ldy = part->ldy, .turned = part->turned}}});
}

void product_run(agon_ctx *ctx, const product *p) {
    assert(p->n_parts > 0 && p->n_parts <= MATMUL_PARTS);
    if (p->n_rows == 0)
        return;
    if (is_deep(p))
        run_deep(ctx, p);
    else
        run_whole(ctx, p);
}

void matmul_run(agon_ctx *ctx, const matmul_job *job) {
    const matrix *first = job->parts->w;
    assert(job->n_parts > 0 && job->n_parts <= MATMUL_PARTS);
    assert(!job->swiglu || (job->n_parts == 2 && first->n_out == job->parts[1].w->n_out));
    product p = {.dtype = first->dtype, .x = job->x, .ldx = first->n_in, .n_rows = job->n_rows, .k = first->n_in, .scale = 1.0f,
                 .accumulate = job->accumulate, .rotation = job->rotation, .head_dim = job->head_dim, .swiglu = job->swiglu,
                 .n_parts = job->n_parts};
    for (size_t i = 0; i < job->n_parts; i++) {
        const matmul_part *part = &job->parts[i];
        assert(part->w->dtype == p.dtype && part->w->n_in == p.k);
        assert(!part->rotate || (job->rotation && part->w->n_out % job->head_dim == 0));
        p.parts[i] = (product_part){&part->w->pack, part->y, part->w->n_out, part->bias, part->additions, part->n_additions, false, part->rotate};
    }
    product_run(ctx, &p);
}

void matmul(agon_ctx *ctx, const float *x, size_t n_rows, const matrix *w, const float *bias,
            float scale, bool accumulate, float *y) {
    product_run(ctx, &(product){.dtype = w->dtype, .x = x, .ldx = w->n_in, .n_rows = n_rows, .k = w->n_in,
                                .scale = scale, .accumulate = accumulate,
                                .n_parts = 1, .parts = {{.w = &w->pack, .y = y, .ldy = w->n_out, .bias = bias}}});
}

void matmul_dx(agon_ctx *ctx, const float *dy, size_t n_rows, const matrix *w, float scale,
               bool accumulate, float *dx) {
    product_run(ctx, &(product){.dtype = w->dtype, .x = dy, .ldx = w->n_out, .n_rows = n_rows, .k = w->n_out,
                                .scale = scale, .accumulate = accumulate,
                                .n_parts = 1, .parts = {{.w = &w->pack, .y = dx, .ldy = w->n_in, .turned = true}}});
}

void matmul_dx_run(agon_ctx *ctx, size_t n_rows, const matmul_addition *terms, size_t n_terms, float *dx) {
    const matrix *w = terms->w;
    bool deep = false;
    assert(n_terms > 0);
    for (size_t i = 0; i < n_terms; i++) {
        assert(terms[i].w->n_in == w->n_in && terms[i].first == 0 && terms[i].n_rows == n_rows);
        deep |= terms[i].w->n_out > turned_depth(terms[i].w->dtype);
    }
    for (size_t i = 0; i < n_terms && deep; i++) /* an addition inside a task would leave it few rows */
        matmul_dx(ctx, terms[i].x, n_rows, terms[i].w, terms[i].scale, i > 0, dx);
    if (deep)
        return;
    product_run(ctx, &(product){.dtype = w->dtype, .x = terms->x, .ldx = w->n_out, .n_rows = n_rows, .k = w->n_out, .scale = terms->scale,
                                .n_parts = 1,
                                .parts = {{.w = &w->pack, .y = dx, .ldy = w->n_in, .additions = terms + 1,
                                           .n_additions = n_terms - 1, .turned = true}}});
}

/* ---- weight gradients --------------------------------------------------------------------------
 *
 * Both operands are packed once, in blocks, into the scratch memory that the tasks share, then multiplied block by block;
 * as many rows at a time as fit there. */

enum { DW_OUT = 96, DW_IN = 192, DW_ROWS = 512 /* of pairs, half as many of floats: a panel of them takes half the L1 cache */ };

typedef struct dw_job {
    const weight_gradient *g;
    const products *k;
    size_t ld_dw;
    size_t n_out_blocks, n_in_blocks;
    size_t row, n_rows, padded; /* the rows packed now */
    size_t lda, a_floats, b_floats; /* of a block */
    float *a, *b;
} dw_job;

/* Layout of blocks of `padded` rows; returns the floats all of them take. */
static size_t dw_layout(dw_job *j, size_t padded) {
    const size_t share = j->k->pairs ? 2 : 1;
    j->n_out_blocks = (j->g->n_out + DW_OUT - 1) / DW_OUT;
    j->n_in_blocks = (j->g->n_in + DW_IN - 1) / DW_IN;
    j->padded = padded;
    j->lda = j->k->dw_by_row ? padded / 2 + LANES_N : DW_OUT;
    j->a_floats = (j->k->dw_by_row ? DW_OUT : padded / share) * j->lda;
    j->b_floats = padded / share * DW_IN;
    return j->n_out_blocks * j->a_floats + j->n_in_blocks * j->b_floats;
}

static void dw_pack_task(void *arg, size_t task, int thread) {
    (void)thread;
    const dw_job *j = arg;
    const weight_gradient *w = j->g;
    const bool bf16 = w->dtype == COMPUTE_BF16;
    if (task < j->n_out_blocks) {
        size_t out = task * DW_OUT;
        j->k->dw_rows(w->dy + j->row * w->ld_dy + out, w->ld_dy, j->n_rows, j->padded, size_min(DW_OUT, w->n_out - out),
                      w->scale, bf16, j->a + task * j->a_floats, j->lda);
        return;
    }
    size_t block = task - j->n_out_blocks, in = block * DW_IN;
    j->k->dw_panels(w->x + j->row * w->ldx + in, w->ldx, j->n_rows, j->padded, size_min(DW_IN, w->n_in - in), bf16,
                    j->b + block * j->b_floats);
}

static void dw_task(void *arg, size_t task, int thread) {
    (void)thread;
    const dw_job *j = arg;
    const weight_gradient *w = j->g;
    size_t out = task / j->n_in_blocks, in = task % j->n_in_blocks;
    j->k->multiply(&(gemm){.kind = w->dtype == COMPUTE_BF16 ? GEMM_BF16_DW : GEMM_F32_DW,
                           .a = j->a + out * j->a_floats, .lda = j->lda,
                           .n_rows = size_min(DW_OUT, w->n_out - out * DW_OUT), .k = j->padded,
                           .w = j->b + in * j->b_floats,
                           .panel_bytes = j->padded * LANES_N * (j->k->pairs ? sizeof(uint16_t) : sizeof(float)),
                           .n_cols = size_min(DW_IN, w->n_in - in * DW_IN),
                           .y = w->dw + out * DW_OUT * j->ld_dw + in * DW_IN, .ldy = j->ld_dw, .resume = true});
}

static size_t dw_rows_at_once(const dw_job *j) {
    return size_min(j->k->pairs ? DW_ROWS : DW_ROWS / 2, round_up(j->g->n_rows, K_BLOCK));
}

static void weight_gradient_slice(agon_ctx *ctx, const weight_gradient *g, size_t ld_dw) {
    dw_job j = {.g = g, .k = products_of(ctx, g->dtype), .ld_dw = ld_dw, .a = ctx_scratch(ctx, ctx->n_threads)};
    const size_t most = dw_rows_at_once(&j);
    for (j.row = 0; j.row < g->n_rows; j.row += most) {
        j.n_rows = size_min(most, g->n_rows - j.row);
        dw_layout(&j, round_up(j.n_rows, K_BLOCK));
        j.b = j.a + j.n_out_blocks * j.a_floats;
        pool_run(ctx->pool, j.n_out_blocks + j.n_in_blocks, dw_pack_task, &j);
        pool_run(ctx->pool, j.n_out_blocks * j.n_in_blocks, dw_task, &j);
    }
}

void weight_gradient_run(agon_ctx *ctx, const weight_gradient *g) {
    weight_gradient slice = *g;
    dw_job j = {.g = &slice, .k = products_of(ctx, g->dtype)};
    while (dw_layout(&j, dw_rows_at_once(&j)) > CTX_SHARED_FLOATS) { /* sums go through memory once, whatever that packs again */
        size_t *const more = slice.n_out > slice.n_in ? &slice.n_out : &slice.n_in;
        *more = round_up(*more / 2, DW_OUT);
    }
    const size_t n_out = slice.n_out, n_in = slice.n_in;
    for (size_t out = 0; out < g->n_out; out += n_out)
        for (size_t in = 0; in < g->n_in; in += n_in) {
            slice = *g;
            slice.dy += out;
            slice.x += in;
            slice.dw += out * g->n_in + in;
            slice.n_out = size_min(n_out, g->n_out - out);
            slice.n_in = size_min(n_in, g->n_in - in);
            weight_gradient_slice(ctx, &slice, g->n_in);
        }
}

void matmul_dw(agon_ctx *ctx, compute_dtype dtype, const float *dy, const float *x, size_t n_rows,
               size_t n_out, size_t n_in, float scale, float *dw) {
    weight_gradient_run(ctx, &(weight_gradient){dtype, dy, n_out, x, n_in, n_rows, n_out, n_in, scale, dw});
}
