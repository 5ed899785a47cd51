/* agon import: a model file or folder into the cache, under a name. */
#include "cli/cli.h"

static int run(int argc, char **argv) {
    const char *path = NULL, *name = NULL;
    bool json = false, linked = false;
    const option_spec specs[] = {{.name = "--name", .text = &name}, {.name = "--link", .flag = &linked}, {.name = "--json", .flag = &json}, {0}};
    size_t n;
    int code;
    if (!parse_options(&command_import, argc, argv, specs, &path, 1, &n, &code))
        return code;
    if (!path)
        return usage_error(&command_import, "name a GGUF file or a Hugging Face folder");
    if (name && !*name)
        return usage_error(&command_import, "--name takes a name that is not empty");
    agon_ctx *ctx = open_context("import");
    char *text = NULL;
    if (!ctx)
        return EXIT_SYSTEM;
    agon_status s = (linked ? agon_import_linked : agon_import)(ctx, path, name, &text);
    json_t *j = take_answer("import", ctx, s, text, json, &code);
    if (j)
        printf_safe(stdout, "%s: %s, %.1f million parameters, chat template %s, id %.16s\nuse it as --model %s\n", member_text(j, "name"),
               member_text(j, "architecture"), (double)member_count(j, "parameters") / 1e6,
               *member_text(j, "chat_template") ? member_text(j, "chat_template") : "unknown", member_text(j, "id"),
               member_text(j, "name"));
    json_decref(j);
    close_context(ctx);
    return code;
}

const command command_import = {
    "import",
    "a model file or folder into the cache, under a name",
    "import PATH [--name N] [--link] [--json]\n\n"
    "Reads and checks every tensor and the tokenizer of a GGUF file or Hugging Face folder, then copies it into\n"
    "the cache folder (${XDG_CACHE_HOME:-~/.cache}/agon/models), whole or not at all.\n\n"
    "  --name N   how --model will call it (default: the file's name without .gguf)\n"
    "  --link     hard links instead of copies, where that can be: who writes into the original changes the model\n"
    "  --json     {\"name\", \"path\", \"id\", \"architecture\", \"parameters\", \"bytes\", \"chat_template\"}; bytes 0: it was there\n\n"
    "  agon import Downloads/model.gguf --name mine && agon chat --model mine",
    run,
};
