/* agon tokenize: text to token ids, as raw scoring sees it. */
#include "cli/rows.h"
#include <stdlib.h>
#include <string.h>

static void print_tokens(const agon_tokenizer *t, const int32_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++) {
        size_t m = 0;
        const char *text = agon_token_bytes(t, ids[i], &m);
        json_t *shown = safe_string(text, m);
        char *quoted = json_dumps(shown, JSON_ENCODE_ANY);
        printf_safe(stdout, "%7d  %s\n", ids[i], quoted ? quoted : "");
        free(quoted);
        json_decref(shown);
    }
}

/* The text, or with --chat one row of messages. */
static agon_status encode(agon_ctx *ctx, const agon_tokenizer *t, const char *text, size_t n, bool chat, bool plain,
                          int32_t **ids, size_t *n_ids, int *code) {
    if (!chat)
        return agon_tokenize(ctx, t, text, n, !plain, !plain, ids, n_ids);
    const agon_message message = {"user", text};
    if (strlen(text) != n) {
        fprintf(stderr, "agon tokenize: the text holds a NUL character, which a chat message cannot\n");
        *code = EXIT_BAD_DATA;
        return AGON_EINVAL;
    }
    return agon_chat_tokenize(ctx, t, &message, 1, true, ids, n_ids, NULL);
}

static int tokenize(const char *model, const char *chat_template, bool json, bool chat, bool plain) {
    size_t n = 0, n_ids = 0;
    char *text = read_all("tokenize", stdin, &n);
    int32_t *ids = NULL;
    agon_tokenizer *t = NULL;
    agon_ctx *ctx = text ? open_context("tokenize") : NULL;
    int code = ctx ? EXIT_FINE : EXIT_SYSTEM;
    if (!ctx) {
        free(text);
        return code;
    }
    agon_status s = open_tokenizer(ctx, model, chat_template, &t);
    if (!s)
        s = encode(ctx, t, text, n, chat, plain, &ids, &n_ids, &code);
    if (s && code == EXIT_FINE) {
        code = fail_with("tokenize", s, ctx);
    } else if (!s && json) {
        json_t *answer = json_pack("{s:o}", "tokens", json_numbers(ids, n_ids));
        print_json(answer);
        json_decref(answer);
    } else if (!s) {
        print_tokens(t, ids, n_ids);
    }
    agon_tokens_free(ids);
    agon_tokenizer_free(t);
    close_context(ctx);
    free(text);
    return code;
}

static int run(int argc, char **argv) {
    const char *model = NULL, *chat_template = NULL;
    bool json = false, chat = false, plain = false;
    const option_spec specs[] = {{.name = "--model", .text = &model},
                                 {.name = "--json", .flag = &json},
                                 {.name = "--chat", .flag = &chat},
                                 {.name = "--plain", .flag = &plain},
                                 {.name = "--chat-template", .text = &chat_template},
                                 {0}};
    size_t n;
    int code;
    if (!parse_options(&command_tokenize, argc, argv, specs, NULL, 0, &n, &code))
        return code;
    if (plain && chat)
        return usage_error(&command_tokenize, "--plain and --chat do not go together: a chat template's special strings are tokens");
    if (chat_template && !chat)
        return usage_error(&command_tokenize, "--chat-template goes with --chat");
    return tokenize(model, chat_template, json, chat, plain);
}

const command command_tokenize = {
    "tokenize",
    "text on stdin to token ids",
    "tokenize [--model M] [--json] [--plain | --chat [--chat-template NAME]]\n\n"
    "Reads text from stdin; special strings such as <|im_end|> become their tokens.\n\n"
    "  --model M            GGUF file, Hugging Face folder or imported name (default: $AGON_MODEL, else the cached model)\n"
    "  --json               {\"tokens\": [...]}\n"
    "  --plain              special strings stay text, nothing is put in front\n"
    "  --chat               the text is one user message in the model's chat template\n"
    "  --chat-template NAME the family to use instead of the file's template\n\n"
    "  printf 'Hello world' | agon tokenize --model model.gguf --json",
    run,
};
