/* agon chat: a conversation in the terminal. */
#include "cli/preference.h"
#include "cli/stream.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Ctrl-C stops the answer, not the program. */
static volatile sig_atomic_t stop_answer;
static agon_ctx *answering;

static void on_interrupt(int number) {
    (void)number;
    stop_answer = 1;
    agon_interrupt(answering);
}

typedef struct conversation {
    agon_message *messages; /* [n]; their strings are owned */
    size_t n, capacity;
    bool has_system;
} conversation;

static void drop_message(conversation *c, size_t at) {
    free((char *)c->messages[at].content);
    memmove(c->messages + at, c->messages + at + 1, (--c->n - at) * sizeof *c->messages);
}

static void reset(conversation *c, bool keep_system) {
    while (c->n > (keep_system && c->has_system ? 1 : 0))
        drop_message(c, c->n - 1);
    c->has_system = c->n > 0;
}

/* `role` static, content copied. */
static bool add_message(conversation *c, const char *role, const char *content) {
    if (c->n == c->capacity) {
        size_t capacity = c->capacity ? 2 * c->capacity : 16;
        agon_message *grown = realloc(c->messages, capacity * sizeof *grown);
        if (!grown)
            return false;
        c->messages = grown;
        c->capacity = capacity;
    }
    char *copy = strdup(content);
    if (!copy)
        return false;
    c->messages[c->n++] = (agon_message){role, copy};
    return true;
}

typedef struct chat {
    opened o;
    conversation c;
    agon_sampling sampling;
    size_t context, n_answers;
    uint64_t seed;
    bool terminal;
} chat;

/* The conversation as tokens; its oldest turns are left out when there is no room for an answer. */
static agon_status encode(chat *s, int32_t **ids, size_t *n) {
    for (bool told = false;; told = true) {
        size_t first = s->c.has_system ? 1 : 0;
        agon_status status = agon_chat_tokenize(s->o.ctx, agon_model_tokenizer(s->o.model), s->c.messages, s->c.n, true, ids,
                                                n, NULL);
        if (status || *n + s->sampling.max_tokens <= s->context || s->c.n <= first + 2)
            return status;
        agon_tokens_free(*ids);
        drop_message(&s->c, first);
        if (s->c.n > first + 1 && strcmp(s->c.messages[first].role, "assistant") == 0)
            drop_message(&s->c, first);
        if (!told)
            fprintf(stderr, "(the oldest turns no longer fit the model's context and are left out)\n");
    }
}

static int on_token(void *arg, size_t request, size_t sample, int32_t token, const char *bytes, size_t n) {
    (void)request, (void)sample, (void)token;
    return stop_answer || !stream_add(arg, bytes, n);
}

/* Answers the conversation and adds what was said, also when it was stopped half way. */
static agon_status answer(chat *s) {
    int32_t *ids = NULL;
    agon_completion out = {0};
    stream live = {.to = stdout};
    size_t n = 0;
    agon_generate_options options = agon_generate_options_default();
    options.on_token = on_token;
    options.arg = &live;
    stop_answer = 0;
    agon_interrupt_clear(s->o.ctx);
    agon_status status = encode(s, &ids, &n);
    const agon_generate_request request = {.prompt = ids, .n_prompt = n, .n_samples = 1, .seed = s->seed + s->n_answers++,
                                           .adapter = s->o.adapter, .sampling = &s->sampling};
    if (!status)
        status = agon_generate(s->o.ctx, s->o.model, &request, 1, &options, &out);
    bool stopped = status == AGON_EINTERRUPTED && stop_answer;
    if (!status)
        stream_end(&live, out.text, out.n_text);
    if (!status || stopped) {
        json_t *text = safe_string(out.text ? out.text : "", out.n_text);
        status = text && add_message(&s->c, "assistant", json_string_value(text)) ? AGON_OK : AGON_ENOMEM;
        json_decref(text);
        printf("%s\n", stopped ? " (stopped)" : "");
    }
    fflush(stdout);
    agon_completion_free(&out);
    agon_tokens_free(ids);
    stream_free(&live);
    return status;
}

/* /reset, /system TEXT, /quit, /help. Returns false to leave. */
static bool obey(chat *s, const char *line) {
    if (strcmp(line, "/quit") == 0 || strcmp(line, "/exit") == 0)
        return false;
    if (strcmp(line, "/reset") == 0) {
        reset(&s->c, true);
        printf("(a new conversation)\n");
    } else if (strncmp(line, "/system", 7) == 0 && (line[7] == ' ' || !line[7])) {
        reset(&s->c, false);
        s->c.has_system = line[7] && add_message(&s->c, "system", line + 8);
        printf("(a new conversation, %s system message)\n", s->c.has_system ? "with this" : "without a");
    } else {
        printf("/reset begins anew, /system TEXT sets the system message and begins anew, /quit leaves; Ctrl-C stops an answer\n");
    }
    return true;
}

/* One line without its newline; NULL at the end. Ctrl-C at the prompt only says how to leave. */
static char *read_line(const chat *s, char **line, size_t *capacity) {
    for (;;) {
        if (s->terminal) {
            printf("> ");
            fflush(stdout);
        }
        errno = 0;
        ssize_t n = getline(line, capacity, stdin);
        if (n < 0 && errno == EINTR && s->terminal) {
            clearerr(stdin);
            printf("\n(/quit or Ctrl-D leaves)\n");
            continue;
        }
        if (n < 0)
            return NULL;
        while (n > 0 && ((*line)[n - 1] == '\n' || (*line)[n - 1] == '\r'))
            (*line)[--n] = 0;
        return *line;
    }
}

static int talk(chat *s) {
    char *line = NULL;
    size_t capacity = 0;
    int code = EXIT_FINE;
    if (s->terminal)
        printf("/help shows what else can be said here\n");
    while (code == EXIT_FINE && read_line(s, &line, &capacity)) {
        if (line[0] == '/') {
            if (!obey(s, line))
                break;
        } else if (line[0]) {
            agon_status status = add_message(&s->c, "user", line) ? answer(s) : AGON_ENOMEM;
            if (status)
                code = fail_with("chat", status, s->o.ctx);
        }
    }
    free(line);
    return code;
}

static size_t context_of(const opened *o, int *code) {
    char *text = NULL;
    agon_status status = agon_model_describe(o->ctx, o->model, &text);
    json_t *model = text ? json_loads(text, 0, NULL) : NULL;
    size_t n = (size_t)member_count(model, "context");
    *code = status ? fail_with("chat", status, o->ctx) : EXIT_FINE;
    json_decref(model);
    agon_text_free(text);
    return n;
}

static int run(int argc, char **argv) {
    const char *model = NULL, *adapter = NULL, *dtype = NULL, *chat_template = NULL, *system_message = NULL;
    chat s = {.sampling = agon_sampling_default(), .terminal = isatty(STDIN_FILENO)};
    preference_arguments preference = {0};
    preference_vectors vectors = {0};
    int64_t max_tokens = 512, seed = 0;
    s.sampling.temperature = 0.7;
    s.sampling.top_p = 0.95;
    const option_spec specs[] = {{.name = "--model", .text = &model},
                                 {.name = "--adapter", .text = &adapter},
                                 {.name = "--preference", .text = &preference.vector},
                                 {.name = "--contexts", .text = &preference.contexts},
                                 {.name = "--context", .text = &preference.context},
                                 {.name = "--dtype", .text = &dtype},
                                 {.name = "--chat-template", .text = &chat_template},
                                 {.name = "--system", .text = &system_message},
                                 {.name = "--max-tokens", .integer = &max_tokens},
                                 {.name = "--temperature", .real = &s.sampling.temperature},
                                 {.name = "--top-p", .real = &s.sampling.top_p},
                                 {.name = "--seed", .integer = &seed},
                                 {0}};
    size_t n;
    int code;
    if (!parse_options(&command_chat, argc, argv, specs, NULL, 0, &n, &code))
        return code;
    if (max_tokens < 1)
        return usage_error(&command_chat, "--max-tokens must be 1 or more");
    code = open_model("chat", model, adapter, dtype, chat_template, &s.o);
    if (code != EXIT_FINE)
        return code;
    code = apply_contexts("chat", &preference, &s.o, &vectors);
    vectors_free(&vectors);
    if (code != EXIT_FINE) {
        close_model(&s.o);
        return code;
    }
    answering = s.o.ctx;
    struct sigaction action = {.sa_handler = on_interrupt}; /* without SA_RESTART: reading a line ends */
    end_by_signals(); /* SIGTERM: also where a line is waited for */
    sigaction(SIGINT, &action, NULL);
    s.sampling.max_tokens = (size_t)max_tokens;
    s.seed = (uint64_t)seed;
    s.context = context_of(&s.o, &code);
    s.c.has_system = system_message && add_message(&s.c, "system", system_message);
    if (code == EXIT_FINE)
        code = talk(&s);
    reset(&s.c, false);
    free(s.c.messages);
    close_model(&s.o);
    return code;
}

const command command_chat = {
    "chat",
    "a conversation in the terminal",
    "chat [--model M] [--adapter DIR] [--system TEXT] [options]\n\n"
    "One line a turn; answers appear as they are written. /reset begins anew, /system TEXT sets the system message,\n"
    "/quit leaves; Ctrl-C stops the answer only.\n\n"
    "  --model M            GGUF file, Hugging Face folder or imported name (default: $AGON_MODEL, else the cached model)\n"
    "  --adapter DIR        PEFT folder, or version of a workspace (WORKSPACE[:ID]), on top of it\n"
    "  --preference X,X...  how much each dimension of an adapter of agon train --dimensions weighs (default: all alike)\n"
    "  --contexts FILE --context NAME   the vector of a context (agon data contexts)\n"
    "  --dtype f32|bf16     of the matrix products (default bf16)\n"
    "  --chat-template NAME the family to use instead of the file's template\n"
    "  --system TEXT        the system message\n"
    "  --max-tokens N       of an answer (default 512)\n"
    "  --temperature T      0: greedy (default 0.7)\n"
    "  --top-p P            (default 0.95)\n"
    "  --seed S             (default 0)\n\n"
    "  agon chat --system 'Answer in one sentence.'",
    run,
};
