/* Shared by the commands, see cli.h. */
#include "cli/cli.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int exit_code_of(agon_status status) {
    switch (status) {
    case AGON_OK:
        return EXIT_FINE;
    case AGON_EINVAL:
    case AGON_EFORMAT:
    case AGON_ENUMERIC:
    case AGON_EUNSUPPORTED:
        return EXIT_BAD_DATA;
    case AGON_ENOTFOUND:
        return EXIT_NOT_FOUND;
    case AGON_EIO:
    case AGON_ENOMEM:
    case AGON_EREMOTE:
        return EXIT_SYSTEM;
    case AGON_EBUSY:
        return EXIT_BUSY;
    case AGON_EMISMATCH:
        return EXIT_MISMATCH;
    case AGON_EINTERRUPTED:
        return EXIT_STOPPED;
    case AGON_EREFUSED:
    case AGON_EBUDGET:
        break;
    }
    return EXIT_OTHER;
}

int fail_with(const char *name, agon_status status, const agon_ctx *ctx) {
    say_error(name, "%s", *agon_error(ctx) ? agon_error(ctx) : agon_status_name(status));
    return exit_code_of(status);
}

const char *called_as(void) {
    return program_invocation_name;
}

int usage_error(const command *self, const char *format, ...) {
    va_list args;
    char *what = NULL;
    va_start(args, format);
    say_error(self->name, "%s; agon %s --help shows how", vasprintf(&what, format, args) >= 0 ? what : "out of memory", self->name);
    va_end(args);
    free(what);
    return EXIT_USAGE;
}

/* Letters that differ when both words are lined up at the best place: enough for "did you mean". */
size_t word_difference(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b), row[33];
    if (n > 32 || m > 32)
        return 99;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]), least = row[j] < row[j - 1] ? row[j] : row[j - 1];
            diagonal = row[j];
            row[j] = change < least + 1 ? change : least + 1;
        }
    }
    return row[m];
}

/* The nearest option, NULL when none is near. */
static const char *similar_option(const option_spec *specs, const char *word) {
    const char *best = NULL;
    size_t least = strlen(word) / 2;
    for (const option_spec *s = specs; s->name; s++) {
        size_t n = word_difference(s->name, word);
        if (n < least) {
            least = n;
            best = s->name;
        }
    }
    return best;
}

static bool take_value(const command *self, const option_spec *s, const char *value, int *code) {
    char *end = NULL;
    errno = 0;
    if (s->text)
        *s->text = value;
    if (s->integer)
        *s->integer = strtoll(value, &end, 10);
    if (s->real)
        *s->real = strtod(value, &end);
    if (end && (end == value || *end || errno || (s->real && !isfinite(*s->real)))) {
        *code = usage_error(self, "%s takes a %s, not '%.40s'", s->name, s->integer ? "whole number" : "number", value);
        return false;
    }
    if (s->list) {
        size_t n = 0;
        while (*s->list && (*s->list)[n])
            n++;
        const char **grown = realloc(*s->list, (n + 2) * sizeof *grown);
        if (!grown) {
            *code = EXIT_SYSTEM;
            return false;
        }
        grown[n] = value;
        grown[n + 1] = NULL;
        *s->list = grown;
    }
    return true;
}

/* What other tools call an option here, with words between in either of their two ways. */
static const char *option_elsewhere(const option_spec *specs, const char *name) {
    static const char *const same[][3] = {{"--learning-rate", "--lr"}, {"--num-train-epochs", "--epochs"}, {"--max-steps", "--steps"},
                                          {"--per-device-train-batch-size", "--batch"}, {"--batch-size", "--batch"}, {"--max-seq-length", "--max-length"},
                                          {"--lora-r", "--lora"}, {"--rank", "--lora"}, {"--max-grad-norm", "--clip-norm"},
                                          {"--lr-scheduler-type", "--schedule"}, {"--warmup-ratio", "--warmup"}, {"--adam-beta1", "--beta1"},
                                          {"--adam-beta2", "--beta2"}, {"--adam-epsilon", "--eps"}, {"--output-dir", "--output"},
                                          {"--model-name-or-path", "--model"}, {"--dataset", "--data"}, {"--eval-steps", "--validate-every"},
                                          {"--save-steps", "--checkpoint-every"}, {"--max-new-tokens", "--max-tokens"}, {"--n-predict", "--max-tokens"},
                                          {"--temp", "--temperature"}, {"--repeat-penalty", "--repetition-penalty"}, {"--lora-adapter", "--adapter"},
                                          {"--beta", "--set", "--set beta=NUMBER"}, {"--loss-type", "--set", "another objective, the first word"}};
    char dashed[64];
    snprintf(dashed, sizeof dashed, "%s", name);
    for (char *c = dashed; *c; c++)
        *c = *c == '_' ? '-' : *c;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        for (const option_spec *s = specs; s->name && strcmp(same[i][0], dashed) == 0; s++)
            if (strcmp(same[i][1], s->name) == 0)
                return same[i][2] ? same[i][2] : s->name;
    return NULL;
}

static bool unknown_option(const command *self, const option_spec *specs, const char *name, int *code) {
    const char *near = option_elsewhere(specs, name);
    near = near ? near : similar_option(specs, name);
    *code = near ? usage_error(self, "unknown option '%.40s'; did you mean %s?", name, near)
                 : usage_error(self, "unknown option '%.40s'", name);
    return false;
}

/* NULL: none is of this name. */
static const option_spec *find_option(const option_spec *specs, const char *word, char name[64]) {
    const char *equals = strchr(word, '=');
    snprintf(name, 64, "%.*s", (int)(equals ? equals - word : (ptrdiff_t)strlen(word)), word);
    while (specs->name && strcmp(specs->name, name) != 0)
        specs++;
    return specs->name ? specs : NULL;
}

const char *stray_option(int argc, char **argv, const option_spec *specs, const char *word) {
    char name[64];
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const option_spec *s = argv[i][0] == '-' ? find_option(specs, argv[i], name) : NULL;
        if (!s)
            continue;
        if (s->of && !strstr(s->of, word))
            return s->name;
        i += !s->flag && !strchr(argv[i], '=');
    }
    return NULL;
}

/* Whether the option stood before argv[i] already. */
static bool stands_before(char **argv, const option_spec *specs, const option_spec *option, int i) {
    char name[64];
    for (int k = 1; k < i; k++) {
        const option_spec *s = argv[k][0] == '-' ? find_option(specs, argv[k], name) : NULL;
        if (s == option)
            return true;
        k += s && !s->flag && !strchr(argv[k], '=');
    }
    return false;
}

/* The option at argv[*i]: --name VALUE, --name=VALUE or a flag. */
static bool take_option(const command *self, int argc, char **argv, const option_spec *specs, int *i, int *code) {
    char name[64];
    const char *word = argv[*i], *equals = strchr(word, '=');
    const option_spec *s = find_option(specs, word, name);
    if (!s)
        return unknown_option(self, specs, name, code);
    if (!s->list && !s->flag && stands_before(argv, specs, s, *i)) {
        *code = usage_error(self, "%s stands twice%s", name, strcmp(name, "--adapter") == 0 ? ", and one is taken (agon soup makes one of several)" : "");
        return false;
    }
    if (s->given)
        *s->given = s->name;
    if (s->flag && equals) {
        *code = usage_error(self, "%s takes no value", name);
        return false;
    }
    if (s->flag)
        return *s->flag = true;
    if (!equals && *i + 1 == argc) {
        *code = usage_error(self, "%s needs a value", name);
        return false;
    }
    return take_value(self, s, equals ? equals + 1 : argv[++*i], code);
}

/* Their names, in lines; help is given also where no context can be had, without them. */
static void print_objectives(void) {
    char *text = NULL, reason[256];
    agon_ctx *ctx = NULL;
    json_t *list = NULL, *one;
    size_t i, column = 0;
    if (!agon_ctx_new(NULL, &ctx, reason, sizeof reason) && !agon_objectives(ctx, &text))
        list = json_loads(text, 0, NULL);
    json_array_foreach(list, i, one) {
        const char *name = member_text(one, "name");
        bool wraps = i > 0 && column + 1 + strlen(name) > 118;
        printf("%s%s", i == 0 ? "  " : wraps ? "\n  " : " ", name);
        column = (i == 0 || wraps ? 2 : column + 1) + strlen(name);
    }
    fputs(list ? "\n" : "", stdout);
    json_decref(list);
    agon_text_free(text);
    agon_ctx_free(ctx);
}

static void print_usage(const command *self) {
    const char *at = strstr(self->usage, OBJECTIVES_HERE);
    printf("agon %s: %s\n\nusage: agon %.*s", self->name, self->summary, (int)(at ? at - self->usage : (ptrdiff_t)strlen(self->usage)), self->usage);
    if (at) {
        print_objectives();
        fputs(at + strlen(OBJECTIVES_HERE), stdout);
    }
    putchar('\n');
}

bool parse_options(const command *self, int argc, char **argv, const option_spec *specs,
                   const char **positional, size_t most, size_t *n_positional, int *code) {
    size_t n = 0;
    bool words_only = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (words_only || strncmp(word, "-", 1) != 0 || !word[1]) {
            if (n == most) {
                *code = usage_error(self, "'%.60s' is one word too many", word);
                return false;
            }
            positional[n++] = word;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_usage(self);
            *code = EXIT_FINE;
            return false;
        } else if (strcmp(word, "--") == 0) {
            words_only = true;
        } else if (!take_option(self, argc, argv, specs, &i, code)) {
            return false;
        }
    }
    *n_positional = n;
    return true;
}

/* The signal handler may only set a flag; it needs to find the context. */
static agon_ctx *interruptible;

static void on_signal(int number) {
    if (interruptible)
        agon_interrupt(interruptible);
    signal(number, SIG_DFL);
}

static bool environment_wrong;

bool environment_is_wrong(void) {
    return environment_wrong;
}

agon_ctx *open_context(const char *name) {
    agon_ctx *ctx = NULL;
    char reason[256];
    agon_status status = agon_ctx_new(NULL, &ctx, reason, sizeof reason);
    if (status) {
        say_error(name, "%s", *reason ? reason : agon_status_name(status));
        environment_wrong = status == AGON_EINVAL; /* nothing else is asked for here */
        return NULL;
    }
    interruptible = ctx;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its size limit is a failed write with a sentence, not a death */
    return ctx;
}

void end_by_signals(void) {
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
}

void close_context(agon_ctx *ctx) {
    interruptible = NULL;
    agon_ctx_free(ctx);
}

const char *member_text(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

json_int_t member_count(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

double member_real(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

json_t *take_answer(const char *name, const agon_ctx *ctx, agon_status status, char *text, bool json, int *code) {
    json_t *answer = NULL;
    *code = status ? fail_with(name, status, ctx) : EXIT_FINE;
    if (!status && json)
        print_json_text(text);
    else if (!status)
        answer = json_loads(text, JSON_DECODE_ANY, NULL);
    agon_text_free(text);
    return answer;
}

json_t *ask_workspace(const command *self, const char *workspace, workspace_question fn, const char *about, bool json, int *code) {
    char *text = NULL;
    agon_ctx *ctx = open_context(self->name);
    *code = EXIT_SYSTEM;
    if (!ctx)
        return NULL;
    agon_status status = fn(ctx, workspace, about, &text);
    json_t *answer = take_answer(self->name, ctx, status, text, json, code);
    close_context(ctx);
    return answer;
}

int run_question(const command *self, int argc, char **argv, workspace_question fn, void (*show)(const json_t *answer)) {
    const char *workspace = NULL, *run = NULL;
    bool json = false;
    const option_spec specs[] = {{.name = "--workspace", .text = &workspace},
                                 {.name = "--run", .text = &run},
                                 {.name = "--json", .flag = &json},
                                 {0}};
    size_t n;
    int code;
    if (!parse_options(self, argc, argv, specs, NULL, 0, &n, &code))
        return code;
    json_t *answer = ask_workspace(self, workspace, fn, run, json, &code);
    if (answer)
        show(answer);
    json_decref(answer);
    return code;
}

void print_sentences(FILE *out, const json_t *rows, size_t n) {
    size_t shown = json_array_size(rows);
    shown = shown < AGON_ROWS_NAMED ? shown : AGON_ROWS_NAMED;
    for (size_t i = 0; i < shown; i++) {
        fputs("  ", out);
        print_safe(out, member_text(json_array_get(rows, i), "sentence"));
        fputc('\n', out);
    }
    if (n > shown)
        fprintf(out, "  and %zu more\n", n - shown);
}

void print_json_text(const char *json) {
    const unsigned char *c = (const unsigned char *)json;
    for (; *c; c++) { /* outside of strings JSON has none of them */
        bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f;
        if (c1 || *c == 0x7f)
            printf("\\u%04x", c1 ? *++c : *c);
        else
            putchar(*c);
    }
    putchar('\n');
}

void print_json(const json_t *value) {
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text)
        print_json_text(text);
    free(text);
}

double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
