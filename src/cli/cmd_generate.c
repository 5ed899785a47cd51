/* agon generate: completions of prompts. */
#include "cli/preference.h"
#include "cli/row_sampling.h"
#include "cli/rows.h"
#include "cli/stream.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct generate_arguments {
    const char *model, *adapter, *dtype, *chat_template;
    preference_arguments preference;
    const char **stop, **biases, *allowed;
    bool json, chat;
    int64_t n, max_tokens, seed, top_k;
    agon_sampling sampling;
} generate_arguments;

/* The rows, their results, and how far they were printed: in the order of the input, each as soon as it is complete. */
typedef struct job {
    const generate_arguments *arguments;
    agon_generate_request *requests; /* [n] */
    int32_t **prompts;               /* [n] */
    row_sampling **own;              /* [n] a row's own options, NULL: the command's */
    size_t *lines;                   /* [n] of the input, 0: the command's own prompt */
    size_t n, capacity, n_out;
    preference_vectors vectors;
    agon_completion *out; /* [n_out], row after row as many as it asks for */
    size_t next_out;      /* the first of row `next` */
    size_t *n_done;       /* [n] */
    size_t next;
    stream *stream; /* NULL: print when complete */
    agon_ctx *ctx;  /* borrowed */
} job;

static void job_free(job *j) {
    for (size_t i = 0; i < j->n; i++) {
        agon_tokens_free(j->prompts[i]);
        row_sampling_free(j->own[i]);
    }
    for (size_t i = 0; j->out && i < j->n_out; i++)
        agon_completion_free(&j->out[i]);
    free(j->requests);
    free(j->prompts);
    free(j->own);
    free(j->lines);
    free(j->out);
    free(j->n_done);
    vectors_free(&j->vectors);
}

/* ---- reading ------------------------------------------------------------------------------------------ */

/* Takes the ids and the options, also on failure. */
static bool add_request_take(job *j, size_t line, int32_t *ids, size_t n, size_t n_samples, uint64_t seed, row_sampling *own, const agon_adapter *adapter) {
    if (j->n == j->capacity) {
        size_t capacity = j->capacity ? 2 * j->capacity : 64;
        agon_generate_request *requests = realloc(j->requests, capacity * sizeof *requests);
        j->requests = requests ? requests : j->requests;
        int32_t **prompts = realloc(j->prompts, capacity * sizeof *prompts);
        j->prompts = prompts ? prompts : j->prompts;
        row_sampling **grown = realloc(j->own, capacity * sizeof(row_sampling *));
        j->own = grown ? grown : j->own;
        size_t *lines = realloc(j->lines, capacity * sizeof *lines);
        j->lines = lines ? lines : j->lines;
        if (!requests || !prompts || !grown || !lines) {
            agon_tokens_free(ids);
            row_sampling_free(own);
            return false;
        }
        j->capacity = capacity;
    }
    j->prompts[j->n] = ids;
    j->own[j->n] = own;
    j->lines[j->n] = line;
    j->requests[j->n++] = (agon_generate_request){.prompt = ids,
                                                  .n_prompt = n,
                                                  .n_samples = n_samples,
                                                  .seed = seed,
                                                  .adapter = adapter,
                                                  .sampling = own ? &own->options : &j->arguments->sampling};
    return true;
}

/* A row that cannot be answered is named by its line, before anything is generated. */
static int check_row(const opened *o, size_t line, const int32_t *ids, size_t n, const agon_sampling *sampling) {
    const agon_generate_request only_checked = {.prompt = ids, .n_prompt = n, .n_samples = 0, .sampling = sampling};
    agon_status s = agon_generate(o->ctx, o->model, &only_checked, 1, NULL, NULL);
    return s ? fail_in_row("generate", line, s, o->ctx) : EXIT_FINE;
}

/* `line` 0: the row is the command's own prompt. */
static int read_row(job *j, const opened *o, json_t *row, size_t line) {
    const json_t *own_seed = json_object_get(row, "seed");
    row_sampling *own = NULL;
    int32_t *ids = NULL;
    size_t n = 0, n_samples = row_n_samples("generate", line, row, (size_t)j->arguments->n);
    const agon_adapter *adapter;
    if (!n_samples)
        return EXIT_BAD_DATA;
    if (own_seed && !json_is_integer(own_seed))
        return row_error("generate", line, "\"seed\" must be a whole number");
    int code = row_sampling_read("generate", line, row, j->vectors.contexts, &j->arguments->sampling, &own);
    if (code == EXIT_FINE)
        code = read_prompt("generate", line, o->ctx, agon_model_tokenizer(o->model), row, j->arguments->chat, &ids, &n);
    if (code == EXIT_FINE)
        code = row_adapter("generate", line, row, o, &j->vectors, &adapter);
    if (code == EXIT_FINE)
        code = check_row(o, line, ids, n, own ? &own->options : &j->arguments->sampling);
    if (code != EXIT_FINE) {
        agon_tokens_free(ids);
        row_sampling_free(own);
        return code;
    }
    uint64_t seed = (uint64_t)(own_seed ? json_integer_value(own_seed) : j->arguments->seed);
    return add_request_take(j, line, ids, n, n_samples, seed, own, adapter) ? EXIT_FINE : EXIT_SYSTEM;
}

static int read_rows(job *j, const opened *o, char *text) {
    size_t line = 0;
    int code = EXIT_FINE;
    json_t *row;
    while (code == EXIT_FINE && (row = next_row("generate", &text, &line, &code))) {
        code = read_row(j, o, row, line);
        json_decref(row);
    }
    return code;
}

/* The whole of a text as one prompt. */
static int read_text(job *j, const opened *o, const char *text, size_t n) {
    json_t *row = json_pack("{s:o}", "prompt", safe_string(text, n));
    int code = row ? read_row(j, o, row, 0) : EXIT_SYSTEM;
    json_decref(row);
    return code;
}

/* ---- writing ------------------------------------------------------------------------------------------ */

static void print_row_json(const agon_completion *out, size_t n) {
    json_t *list = json_array();
    for (size_t k = 0; k < n; k++) {
        const agon_completion *c = &out[k];
        json_array_append_new(list, json_pack("{s:o,s:o,s:o,s:s}", "text", safe_string(c->text, c->n_text), "tokens",
                                              json_numbers(c->tokens, c->n_tokens), "log_probs",
                                              json_floats(c->log_probs, c->n_tokens), "finish",
                                              c->stopped ? "stop" : "length"));
    }
    json_t *answer = json_pack("{s:o}", "completions", list);
    print_json(answer);
    json_decref(answer);
}

static void print_row_text(const agon_completion *out, size_t n) {
    for (size_t k = 0; k < n; k++) {
        stream s = {.to = stdout};
        if (n > 1)
            printf("%s--- sample %zu of %zu ---\n", k ? "\n" : "", k + 1, n);
        stream_end(&s, out[k].text, out[k].n_text);
        putchar('\n');
    }
}

static void on_done(void *arg, size_t request, size_t sample) {
    job *j = arg;
    (void)sample;
    j->n_done[request]++;
    while (!j->stream && j->next < j->n && j->n_done[j->next] == j->requests[j->next].n_samples) {
        const size_t n = j->requests[j->next++].n_samples;
        (j->arguments->json ? print_row_json : print_row_text)(&j->out[j->next_out], n);
        j->next_out += n;
        fflush(stdout);
    }
    if (ferror(stdout)) /* nobody gets the rest */
        agon_interrupt(j->ctx);
}

static int on_token(void *arg, size_t request, size_t sample, int32_t token, const char *bytes, size_t n) {
    job *j = arg;
    (void)request, (void)sample, (void)token;
    return stream_add(j->stream, bytes, n) ? 0 : 1;
}

static int generate_rows(job *j, const opened *o) {
    stream live = {.to = stdout, .stop = j->arguments->sampling.stop, .n_stop = j->arguments->sampling.n_stop};
    agon_generate_options options = agon_generate_options_default();
    options.on_done = on_done;
    options.arg = j;
    if (j->n == 0)
        return EXIT_FINE;
    for (size_t i = 0; i < j->n; i++)
        j->n_out += j->requests[i].n_samples;
    j->out = calloc(j->n_out, sizeof *j->out);
    j->n_done = calloc(j->n, sizeof *j->n_done);
    if (!j->out || !j->n_done)
        return EXIT_SYSTEM;
    if (j->n_out == 1 && !j->arguments->json && isatty(STDOUT_FILENO)) {
        j->stream = &live;
        options.on_token = on_token;
    }
    agon_status s = agon_generate(o->ctx, o->model, j->requests, j->n, &options, j->out);
    if (!s && j->stream)
        stream_end(&live, j->out[0].text, j->out[0].n_text);
    if (j->stream)
        putchar('\n');
    stream_free(&live);
    if (s == AGON_EINTERRUPTED && ferror(stdout))
        return EXIT_FINE; /* main says what was not written */
    return s ? fail_of_request("generate", j->lines, j->n, s, o->ctx) : EXIT_FINE;
}

/* What the command line asks for, checked by itself: a row is not to blame for it. */
static int check_sampling(const generate_arguments *a, const opened *o) {
    const int32_t any = 0;
    const agon_generate_request only_checked = {.prompt = &any, .n_prompt = 1, .n_samples = 0, .sampling = &a->sampling};
    agon_status s = agon_generate(o->ctx, o->model, &only_checked, 1, NULL, NULL);
    return s == AGON_EINVAL ? usage_error(&command_generate, "%s", agon_error(o->ctx)) : s ? fail_with("generate", s, o->ctx) : EXIT_FINE;
}

static int generate_input(const generate_arguments *a, char *text, size_t n, bool one_prompt) {
    opened o;
    job j = {.arguments = a};
    int code = open_model("generate", a->model, a->adapter, a->dtype, a->chat_template, &o);
    if (code != EXIT_FINE)
        return code;
    j.ctx = o.ctx;
    code = apply_contexts("generate", &a->preference, &o, &j.vectors);
    if (code == EXIT_FINE)
        code = check_sampling(a, &o);
    if (code == EXIT_FINE)
        code = one_prompt ? read_text(&j, &o, text, n) : read_rows(&j, &o, text);
    if (code == EXIT_FINE)
        code = generate_rows(&j, &o);
    job_free(&j);
    close_model(&o);
    return code;
}

/* ---- the command -------------------------------------------------------------------------------------- */

static char *join_words(const char **words, size_t n) {
    size_t size = 1;
    for (size_t i = 0; i < n; i++)
        size += strlen(words[i]) + 1;
    char *text = malloc(size), *at = text;
    for (size_t i = 0; text && i < n; i++)
        at += sprintf(at, "%s%s", i ? " " : "", words[i]);
    return text;
}

static int check_arguments(const command *self, const generate_arguments *a) {
    if (a->n < 1 || a->n > 100000)
        return usage_error(self, "--n must be from 1 to 100000");
    if (a->max_tokens < 1 || a->max_tokens > 1 << 24)
        return usage_error(self, "--max-tokens must be from 1 to 16777216");
    if (a->top_k < 0 || a->top_k > 1 << 24)
        return usage_error(self, "--top-k must be from 0 (off) to 16777216");
    for (size_t i = 0; a->stop && a->stop[i]; i++)
        if (!*a->stop[i])
            return usage_error(self, "--stop takes a text that is not empty");
    return EXIT_FINE;
}

/* The lists of the command line; *biases and *allowed new. */
static int take_lists(generate_arguments *a, agon_logit_bias **biases, int32_t **allowed) {
    agon_sampling *s = &a->sampling;
    s->stop = a->stop;
    while (a->stop && a->stop[s->n_stop])
        s->n_stop++;
    while (a->biases && a->biases[s->n_logit_bias])
        s->n_logit_bias++;
    if (s->n_logit_bias && !parse_biases(a->biases, s->n_logit_bias, biases))
        return usage_error(&command_generate, "--logit-bias takes ID=BIAS, such as 198=-100");
    if (a->allowed && !parse_ids(a->allowed, allowed, &s->n_allowed))
        return usage_error(&command_generate, "--allowed-tokens takes ID,ID,...");
    s->logit_bias = *biases;
    s->allowed = *allowed;
    return EXIT_FINE;
}

static int run(int argc, char **argv) {
    enum { MAX_WORDS = 4096 };
    generate_arguments a = {.n = 1, .max_tokens = 256, .sampling = agon_sampling_default()};
    const char *words[MAX_WORDS];
    const option_spec specs[] = {{.name = "--model", .text = &a.model},
                                 {.name = "--adapter", .text = &a.adapter},
                                 {.name = "--preference", .text = &a.preference.vector},
                                 {.name = "--contexts", .text = &a.preference.contexts},
                                 {.name = "--context", .text = &a.preference.context},
                                 {.name = "--dtype", .text = &a.dtype},
                                 {.name = "--chat-template", .text = &a.chat_template},
                                 {.name = "--json", .flag = &a.json},
                                 {.name = "--chat", .flag = &a.chat},
                                 {.name = "--n", .integer = &a.n},
                                 {.name = "--max-tokens", .integer = &a.max_tokens},
                                 {.name = "--temperature", .real = &a.sampling.temperature},
                                 {.name = "--seed", .integer = &a.seed},
                                 {.name = "--top-p", .real = &a.sampling.top_p},
                                 {.name = "--top-k", .integer = &a.top_k},
                                 {.name = "--min-p", .real = &a.sampling.min_p},
                                 {.name = "--repetition-penalty", .real = &a.sampling.repetition_penalty},
                                 {.name = "--frequency-penalty", .real = &a.sampling.frequency_penalty},
                                 {.name = "--presence-penalty", .real = &a.sampling.presence_penalty},
                                 {.name = "--logit-bias", .list = &a.biases},
                                 {.name = "--allowed-tokens", .text = &a.allowed},
                                 {.name = "--stop", .list = &a.stop},
                                 {0}};
    size_t n_words = 0, n = 0;
    int code = EXIT_FINE;
    char *text = NULL;
    agon_logit_bias *biases = NULL;
    int32_t *allowed = NULL;
    if (parse_options(&command_generate, argc, argv, specs, words, MAX_WORDS, &n_words, &code) &&
        (code = check_arguments(&command_generate, &a)) == EXIT_FINE &&
        (code = take_lists(&a, &biases, &allowed)) == EXIT_FINE) {
        a.sampling.max_tokens = (size_t)a.max_tokens;
        a.sampling.top_k = (int32_t)a.top_k;
        bool lines = a.json && !n_words;
        code = EXIT_SYSTEM;
        text = n_words ? join_words(words, n_words) : lines ? read_lines("generate", stdin, &code) : read_all("generate", stdin, &n);
        if (text)
            code = generate_input(&a, text, n_words ? strlen(text) : n, !lines);
    }
    free(text);
    free(biases);
    free(allowed);
    free(a.stop);
    free(a.biases);
    return code;
}

const command command_generate = {
    "generate",
    "completions of prompts",
    "generate [--model M] [--json] [--chat] [--n K] [--max-tokens N] [--temperature T] [options] [PROMPT...]\n\n"
    "The prompt is the words given, or all of stdin. With --json and no words, stdin is JSON lines: {\"prompt\": \"...\"} or\n"
    "{\"messages\": [...]} (chat template), with \"seed\", \"preference\", \"max_tokens\", \"temperature\", \"stop\", \"logit_bias\" and so\n"
    "on where a row has its own (docs/cli.md). All rows run in one continuous batch; what a row gets depends on its prompt,\n"
    "the seed and the options only, not on the other rows or the threads. Rows with equal prompts and seeds get equal answers;\n"
    "--n K asks for K different ones.\n\n"
    "  --model M            GGUF file, Hugging Face folder or imported name (default: $AGON_MODEL, else the cached model)\n"
    "  --adapter DIR        PEFT folder, or version of a workspace (WORKSPACE[:ID]), on top of it\n"
    "  --preference X,X...  how much each dimension of an adapter of agon train --dimensions weighs (default: all alike)\n"
    "  --contexts FILE      preference vectors of contexts (agon data contexts): --context NAME, or a row's \"context\",\n"
    "                       chooses; one that was not seen, or none, is the base: --preference, else the file's\n"
    "  --dtype f32|bf16     of the matrix products (default bf16)\n"
    "  --chat               a prompt is one user message in the model's chat template\n"
    "  --chat-template NAME the family to use instead of the file's template\n"
    "  --n K                samples a prompt (default 1)\n"
    "  --max-tokens N       of an answer (default 256)\n"
    "  --temperature T      0: greedy, else from 0.0001 on (default 1); log_probs are of log_softmax(logits / T)\n"
    "  --seed S             (default 0)\n"
    "  --top-k K, --top-p P, --min-p P   cut the distribution (default: off)\n"
    "  --repetition-penalty R, --frequency-penalty F, --presence-penalty F   of tokens that were there (default: off)\n"
    "  --logit-bias ID=B    adds B to a token's logit; may stand several times (ids: agon tokenize)\n"
    "  --allowed-tokens ID,ID,...   no other token is written\n"
    "  --stop TEXT          ends an answer before TEXT; may stand several times\n"
    "  --json               {\"completions\": [{\"text\", \"tokens\", \"log_probs\", \"finish\": \"stop|length\"}]} a line\n\n"
    "  agon generate --chat --temperature 0 What is the capital of France?\n"
    "  echo '{\"prompt\": \"Once upon a time\"}' | agon generate --model model.gguf --json --n 4 --seed 7",
    run,
};
