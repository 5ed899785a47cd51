/* agon bench: each kernel's rate, or that of one stream, and its share of what the machine can do. */
#include "cli/cli.h"
#include "cli/rows.h"
#include <string.h>

typedef struct bench_arguments {
    const char *group, *model;
    bool json;
    int64_t runs, out, in, rows;
} bench_arguments;

static void show_line(void *arg, const char *text) {
    const bench_arguments *a = arg;
    json_t *j = json_loads(text, 0, NULL);
    if (a->json)
        print_json_text(text);
    else if (json_object_get(j, "tokens_per_s"))
        printf("%-14s %.1f tokens/s, %.1f GB/s of weights: %.1f%% of what a plain reader of as many bytes gets", member_text(j, "kernel"),
               json_real_value(json_object_get(j, "tokens_per_s")), json_real_value(json_object_get(j, "weight_gbytes_per_s")),
               100 * json_real_value(json_object_get(j, "share_of_read")));
    else
        printf("%-14s %6lld x %-6lld %5lld rows %10.1f GFLOP/s %6.1f%% of its peak", member_text(j, "kernel"),
               member_count(j, "n_out"),
               member_count(j, "n_in"),
               member_count(j, "rows"),
               json_real_value(json_object_get(j, "gflops")), 100 * json_real_value(json_object_get(j, "share_of_peak")));
    if (!a->json && json_object_get(j, "times_bf16"))
        printf(", %.2f x bf16", json_real_value(json_object_get(j, "times_bf16")));
    if (!a->json)
        putchar('\n');
    fflush(stdout);
    json_decref(j);
}

/* What comes after the lines: the machine. */
static void show_machine(const bench_arguments *a, const char *text) {
    json_t *j = json_loads(text, 0, NULL), *peak = json_object_get(j, "peak");
    json_object_del(j, "kernels");
    if (a->json)
        print_json(j);
    else
        printf("%s, numerics %s, %lld threads: peak %.1f GFLOP/s in f32, %.1f in bf16; memory %.1f GB/s\n", member_text(j, "cpu"),
               member_text(j, "numerics"), member_count(j, "threads"),
               json_real_value(json_object_get(peak, "f32_gflops")), json_real_value(json_object_get(peak, "bf16_gflops")),
               json_real_value(json_object_get(peak, "read_gbytes_per_s")));
    json_decref(j);
}

static int measure_in(bench_arguments *a, agon_ctx *ctx, const agon_model *m) {
    agon_bench_options options = agon_bench_options_default();
    char *text = NULL;
    options.model = m;
    options.runs = (size_t)a->runs;
    options.n_out = (size_t)a->out;
    options.n_in = (size_t)a->in;
    options.rows = (size_t)a->rows;
    options.on_result = show_line;
    options.arg = a;
    agon_status s = agon_bench(ctx, a->group, &options, &text);
    int code = s ? fail_with("bench", s, ctx) : EXIT_FINE;
    if (!s)
        show_machine(a, text);
    agon_text_free(text);
    return code;
}

static int measure(bench_arguments *a) {
    agon_ctx *ctx = open_context("bench");
    if (!ctx)
        return EXIT_SYSTEM;
    int code = measure_in(a, ctx, NULL);
    close_context(ctx);
    return code;
}

static int measure_model(bench_arguments *a) {
    opened o;
    int code = open_model("bench", a->model, NULL, NULL, NULL, &o);
    if (code != EXIT_FINE)
        return code;
    code = measure_in(a, o.ctx, o.model);
    close_model(&o);
    return code;
}

static int run(int argc, char **argv) {
    bench_arguments a = {.runs = 5};
    const option_spec specs[] = {{.name = "--json", .flag = &a.json},   {.name = "--runs", .integer = &a.runs},
                                 {.name = "--out", .integer = &a.out, .of = "matmul"},
                                 {.name = "--in", .integer = &a.in, .of = "matmul"},
                                 {.name = "--rows", .integer = &a.rows, .of = "matmul"},
                                 {.name = "--model", .text = &a.model, .of = "stream"},
                                 {0}};
    size_t n = 0;
    int code;
    if (!parse_options(&command_bench, argc, argv, specs, &a.group, 1, &n, &code))
        return code;
    if (!a.group)
        return usage_error(&command_bench, "name what to measure: matmul or stream");
    if (strcmp(a.group, "matmul") != 0 && strcmp(a.group, "stream") != 0)
        return usage_error(&command_bench, "'%.40s' is neither matmul nor stream", a.group);
    const char *stray = stray_option(argc, argv, specs, a.group);
    if (stray)
        return usage_error(&command_bench, "%s has no effect on %.40s", stray, a.group);
    if (a.runs < 1 || a.out < 0 || a.in < 0 || a.rows < 0)
        return usage_error(&command_bench, "--runs must be 1 or more, sizes 0 (the usual ones) or more");
    if ((a.out == 0) != (a.in == 0))
        return usage_error(&command_bench, "--out and --in go together");
    return strcmp(a.group, "stream") == 0 ? measure_model(&a) : measure(&a);
}

const command command_bench = {
    "bench",
    "speed of the kernels",
    "bench matmul [--json] [--runs N] [--out N --in N] [--rows N]\n"
    "       agon bench stream [--model M] [--json] [--runs N]\n\n"
    "Each kernel's median rate on the shapes of a model of 135M weights, or on one of your own, and its share of the peak\n"
    "of the instruction it uses, measured in the same run. $AGON_CPU (portable, avx2, avx512, amx) picks the path,\n"
    "$AGON_NUMERICS (portable, native) the arithmetic.\n\n"
    "stream: an answer written token by token, each of which reads all weights: its share of the read bandwidth.\n\n"
    "  --json     a line a kernel, then one about the machine (docs/cli.md)\n"
    "  --runs N   of each, the median counts (default 5)\n"
    "  --out N --in N   of the weight matrix, --rows N of activations\n\n"
    "  agon bench matmul --out 1536 --in 576 --rows 64",
    run,
};
