/* agon soup: weights of adapters interpolated. */
#include "cli/preference.h"
#include <stdlib.h>

typedef struct soup_arguments {
    const char *model, *dtype, *output, *weights;
    const char **adapters;
    bool json;
} soup_arguments;

static int mix(const soup_arguments *a, const opened *o, const double *weights, size_t n) {
    agon_adapter **members = calloc(n + 1, sizeof *members);
    agon_status s = members ? AGON_OK : AGON_ENOMEM;
    char *text = NULL;
    for (size_t i = 0; i < n && !s; i++)
        s = agon_adapter_open(o->ctx, o->model, a->adapters[i], &members[i]);
    if (!s)
        s = agon_soup(o->ctx, o->model, (const agon_adapter *const *)members, weights, n, a->output, &text);
    int code;
    json_t *j = take_answer("soup", o->ctx, s, text, a->json, &code);
    if (j)
        printf_safe(stdout, "%s: %zu adapters in one of rank %d, id %s\n", member_text(j, "path"), n, (int)member_count(j, "rank"), member_text(j, "id"));
    json_decref(j);
    for (size_t i = 0; members && i < n; i++)
        agon_adapter_free(members[i]);
    free(members);
    return code;
}

static int open_and_mix(const soup_arguments *a) {
    double *weights = NULL;
    size_t n = 0, n_adapters = 0;
    opened o;
    while (a->adapters && a->adapters[n_adapters])
        n_adapters++;
    if (!a->output || !a->weights || n_adapters < 2)
        return usage_error(&command_soup, "--adapter (twice or more), --weights and --output are needed");
    if (!parse_numbers(a->weights, &weights, &n))
        return usage_error(&command_soup, "--weights takes numbers and commas, such as 0.3,0.7");
    int code = EXIT_FINE;
    if (n != n_adapters)
        code = usage_error(&command_soup, "there are %zu weights for %zu adapters", n, n_adapters);
    if (code == EXIT_FINE)
        code = open_model("soup", a->model, NULL, a->dtype, NULL, &o);
    if (code == EXIT_FINE) {
        code = mix(a, &o, weights, n);
        close_model(&o);
    }
    free(weights);
    return code;
}

static int run(int argc, char **argv) {
    soup_arguments a = {0};
    const option_spec specs[] = {{.name = "--model", .text = &a.model},     {.name = "--adapter", .list = &a.adapters},
                                 {.name = "--weights", .text = &a.weights}, {.name = "--output", .text = &a.output},
                                 {.name = "--dtype", .text = &a.dtype},     {.name = "--json", .flag = &a.json},
                                 {0}};
    size_t n;
    int code;
    if (parse_options(&command_soup, argc, argv, specs, NULL, 0, &n, &code))
        code = open_and_mix(&a);
    free(a.adapters);
    return code;
}

const command command_soup = {
    "soup",
    "weights of adapters interpolated (rewarded soup)",
    "soup --model M --adapter DIR --adapter DIR... --weights W,W... --output DIR [--json]\n\n"
    "Adapters of one model, each trained for one dimension, become one adapter whose weights are their interpolation\n"
    "(arXiv 2306.04488): the change of each layer is the weighted sum of theirs, exactly; its rank is the sum of their\n"
    "ranks. Use it as any adapter.\n\n"
    "  --model M            GGUF file, Hugging Face folder or imported name (default: $AGON_MODEL, else the cached model)\n"
    "  --adapter DIR        PEFT folder, or version of a workspace (WORKSPACE[:ID]); twice or more\n"
    "  --weights W,W...     one an adapter, 0 or more, summing to 1\n"
    "  --output DIR         must not exist\n"
    "  --json               {\"path\", \"rank\", \"id\"}\n\n"
    "  agon soup --model model.gguf --adapter helpful --adapter harmless --weights 0.3,0.7 --output mixed",
    run,
};
