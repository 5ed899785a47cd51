/* agon export: a model, with an adapter merged, for other programs. */
#include "cli/preference.h"
#include <math.h>
#include <string.h>

static int run(int argc, char **argv) {
    const char *model = NULL, *adapter = NULL, *format = NULL, *dtype = NULL, *output = NULL, *compute = NULL, *preference = NULL, *base_name = NULL;
    bool json = false;
    const option_spec specs[] = {{.name = "--model", .text = &model},   {.name = "--adapter", .text = &adapter},
                                 {.name = "--format", .text = &format}, {.name = "--dtype", .text = &dtype},
                                 {.name = "--output", .text = &output}, {.name = "--compute", .text = &compute},
                                 {.name = "--preference", .text = &preference}, {.name = "--base-name", .text = &base_name},
                                 {.name = "--json", .flag = &json},     {0}};
    size_t n;
    int code;
    if (!parse_options(&command_export, argc, argv, specs, NULL, 0, &n, &code))
        return code;
    if (!format || !output)
        return usage_error(&command_export, "--format and --output are needed");
    if (compute && strcmp(format, "peft") == 0)
        return usage_error(&command_export, "--compute is of the comparison, which --format peft does not make");
    if (base_name && strcmp(format, "peft") != 0)
        return usage_error(&command_export, "--base-name stands in an adapter's folder: it goes with --format peft");
    opened o;
    char *text = NULL;
    code = open_model_at("export", model, adapter, preference, compute, NULL, &o);
    if (code != EXIT_FINE)
        return code;
    agon_status s = agon_export_named(o.ctx, o.model, o.adapter, format, dtype, base_name, output, &text);
    json_t *j = take_answer("export", o.ctx, s, text, json, &code);
    if (j)
        printf_safe(stdout, "%s: %s in %s\n", member_text(j, "path"), member_text(j, "format"), member_text(j, "dtype"));
    if (isfinite(member_real(j, "merge_error")))
        printf("read back, its logits differ by at most %.3g\n", member_real(j, "merge_error"));
    json_decref(j);
    close_model(&o);
    return code;
}

const command command_export = {
    "export",
    "a model for other programs, with an adapter merged",
    "export --model M [--adapter DIR] --format hf|gguf|peft [--dtype T] --output PATH [--json]\n\n"
    "hf is a folder that transformers loads, gguf a file that llama.cpp loads; both with the adapter merged into the weights.\n"
    "The file is read back and compared: merge_error is the largest difference of the last logits of a fixed text. peft\n"
    "writes the adapter itself.\n\n"
    "  --model M            GGUF file, Hugging Face folder or imported name (default: $AGON_MODEL, else the cached model)\n"
    "  --adapter DIR        PEFT folder, or version of a workspace (WORKSPACE[:ID]), to merge\n"
    "  --preference X,X...  the vector of an adapter with dimensions, fixed in what is written (default: even)\n"
    "  --format F           hf, gguf or peft\n"
    "  --dtype T            f32, f16, bf16 (default), and for gguf q8_0\n"
    "  --base-name NAME     of the base in a peft folder (\"base_model_name_or_path\"), such as a name on a model hub (default:\n"
    "                       the folder it was read from)\n"
    "  --compute f32|bf16   of the matrix products in the comparison (default bf16)\n"
    "  --output PATH        must not exist\n"
    "  --json               {\"path\", \"format\", \"dtype\", \"merge_error\"}\n\n"
    "  agon export --model model.gguf --adapter tuned --format gguf --dtype q8_0 --output tuned.gguf",
    run,
};
