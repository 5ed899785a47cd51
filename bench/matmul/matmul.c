/* Speed of the matrix products at the shapes of a 135M model: GFLOP/s and GB/s of weights, median of
 * several runs. Arguments: number of threads (0: all), CPU path, "native". */
#include "base/ctx.h"
#include "base/memory.h"
#include "base/random.h"
#include "compute/compute.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct sample {
    size_t n_out, n_in;
} sample;

static const sample shapes[] = {{576, 576}, {192, 576}, {1536, 576}, {576, 1536}, {49152, 576}};
static const size_t row_counts[] = {1, 4, 16, 64, 256};
enum { N_SHAPES = sizeof shapes / sizeof *shapes, N_ROWS = sizeof row_counts / sizeof *row_counts, RUNS = 7 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    double d = *(const double *)a - *(const double *)b;
    return (d > 0) - (d < 0);
}

typedef enum what { FORWARD, F32, DX, DW, HEAD } what;

typedef struct job {
    agon_ctx *ctx;
    matrix *bf16, *f32;
    float *x, *y, *dw;
    size_t rows;
} job;

static void run_once(const job *j, what w) {
    size_t n_out = matrix_n_out(j->bf16), n_in = matrix_n_in(j->bf16);
    switch (w) {
    case FORWARD:
        matmul(j->ctx, j->x, j->rows, j->bf16, NULL, 1, false, j->y);
        break;
    case F32:
        matmul(j->ctx, j->x, j->rows, j->f32, NULL, 1, false, j->y);
        break;
    case DX:
        matmul_dx(j->ctx, j->y, j->rows, j->bf16, 1, false, j->x);
        break;
    case DW:
        matmul_dw(j->ctx, COMPUTE_BF16, j->y, j->x, j->rows, n_out, n_in, 1, j->dw);
        break;
    case HEAD:
        head_log_prob(j->ctx, j->bf16, j->x, j->rows, NULL, 1, j->y, NULL, NULL, NULL);
        break;
    }
}

static double gflops(const job *j, what w) {
    double seconds[RUNS];
    double flop = 2.0 * (double)(j->rows * matrix_n_out(j->bf16) * matrix_n_in(j->bf16));
    int repeat = 1 + (int)(2e7 / flop);
    run_once(j, w);
    for (int i = 0; i < RUNS; i++) {
        double start = now();
        for (int r = 0; r < repeat; r++)
            run_once(j, w);
        seconds[i] = (now() - start) / repeat;
    }
    qsort(seconds, RUNS, sizeof *seconds, ascending);
    return flop / seconds[RUNS / 2] * 1e-9;
}

int main(int argc, char **argv) {
    agon_ctx_options options = agon_ctx_options_default();
    options.n_threads = argc > 1 ? atoi(argv[1]) : 0;
    options.cpu = argc > 2 ? argv[2] : NULL;
    options.numerics = argc > 3 && strcmp(argv[3], "native") == 0 ? AGON_NUMERICS_NATIVE : AGON_NUMERICS_PORTABLE;
    job j = {0};
    char reason[256];
    if (agon_ctx_new(&options, &j.ctx, reason, sizeof reason) != AGON_OK) {
        fprintf(stderr, "%s\n", reason);
        return 1;
    }
    printf("threads %d, path %s; GFLOP/s\n%-12s %5s %8s %8s %8s %8s %8s\n", j.ctx->n_threads,
           cpu_path_name(j.ctx->cpu), "n_out x n_in", "rows", "bf16", "f32", "dx", "dw", "head");
    rng r = rng_new(1);
    for (size_t s = 0; s < N_SHAPES; s++) {
        size_t n_out = shapes[s].n_out, n_in = shapes[s].n_in, most = row_counts[N_ROWS - 1];
        float *w = memory_new(n_out * n_in, sizeof *w);
        j.x = memory_new(most * n_in, sizeof *j.x);
        j.y = memory_new(most * n_out, sizeof *j.y);
        j.dw = memory_new(n_out * n_in, sizeof *j.dw);
        if (!w || !j.x || !j.y || !j.dw)
            return 1;
        for (size_t i = 0; i < n_out * n_in; i++)
            w[i] = (float)rng_uniform(&r) - 0.5f;
        for (size_t i = 0; i < most * n_in; i++)
            j.x[i] = (float)rng_uniform(&r) - 0.5f;
        if (matrix_new(j.ctx, COMPUTE_BF16, n_out, n_in, 3, w, &j.bf16) ||
            matrix_new(j.ctx, COMPUTE_F32, n_out, n_in, 3, w, &j.f32))
            return 1;
        for (size_t i = 0; i < N_ROWS; i++) {
            j.rows = row_counts[i];
            bool head = n_out > 8192;
            printf("%5zu x %-5zu %5zu %8.1f %8.1f %8.1f %8.1f", n_out, n_in, j.rows, gflops(&j, FORWARD),
                   gflops(&j, F32), gflops(&j, DX), gflops(&j, DW));
            if (head)
                printf(" %8.1f", gflops(&j, HEAD));
            printf("\n");
            fflush(stdout);
        }
        matrix_free(j.bf16);
        matrix_free(j.f32);
        free(w);
        free(j.x);
        free(j.y);
        free(j.dw);
    }
    agon_ctx_free(j.ctx);
    return 0;
}
