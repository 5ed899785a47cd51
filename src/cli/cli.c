/* Shared by the commands, see cli.h. */
#include "cli/cli.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
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
    fprintf(stderr, "agon %s: %s\n", name, *agon_error(ctx) ? agon_error(ctx) : agon_status_name(status));
    return exit_code_of(status);
}

int usage_error(const command *self, const char *format, ...) {
    va_list args;
    fprintf(stderr, "agon %s: ", self->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "; agon %s --help shows how\n", self->name);
    return EXIT_USAGE;
}

/* The option whose name shares the most letters at its start with the word. */
static const char *similar_option(const option_spec *specs, const char *word) {
    const char *best = NULL;
    size_t most = 2; /* the dashes */
    for (const option_spec *s = specs; s->name; s++) {
        size_t n = 0;
        while (word[n] && word[n] == s->name[n])
            n++;
        if (n > most) {
            most = n;
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
    if (s->integer) {
        long long n = strtoll(value, &end, 10);
        *s->integer = n;
    }
    if (s->real)
        *s->real = strtod(value, &end);
    if (end && (end == value || *end || errno)) {
        *code = usage_error(self, "%s takes a number, not '%.40s'", s->name, value);
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

bool parse_options(const command *self, int argc, char **argv, const option_spec *specs,
                   const char **positional, size_t most, size_t *n_positional, int *code) {
    size_t n = 0;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            printf("agon %s: %s\n\nusage: agon %s\n", self->name, self->summary, self->usage);
            *code = EXIT_FINE;
            return false;
        }
        if (strncmp(word, "--", 2) != 0) {
            if (n == most) {
                *code = usage_error(self, "'%.60s' is one word too many", word);
                return false;
            }
            positional[n++] = word;
            continue;
        }
        const option_spec *s = specs;
        while (s->name && strcmp(s->name, word) != 0)
            s++;
        if (!s->name) {
            const char *near = similar_option(specs, word);
            *code = near ? usage_error(self, "unknown option '%.40s'; did you mean %s?", word, near)
                         : usage_error(self, "unknown option '%.40s'", word);
            return false;
        }
        if (s->flag) {
            *s->flag = true;
            continue;
        }
        if (i + 1 == argc) {
            *code = usage_error(self, "%s needs a value", word);
            return false;
        }
        if (!take_value(self, s, argv[++i], code))
            return false;
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

agon_ctx *open_context(const char *name) {
    agon_ctx *ctx = NULL;
    char reason[256];
    agon_status status = agon_ctx_new(NULL, &ctx, reason, sizeof reason);
    if (status) {
        fprintf(stderr, "agon %s: %s\n", name, *reason ? reason : agon_status_name(status));
        return NULL;
    }
    interruptible = ctx;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    signal(SIGPIPE, SIG_IGN);
    return ctx;
}

void close_context(agon_ctx *ctx) {
    interruptible = NULL;
    agon_ctx_free(ctx);
}

void print_safe(FILE *to, const char *text) {
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if ((*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f)
            fprintf(to, "\\x%02x", *p);
        else
            fputc(*p, to);
    }
}

const char *member_text(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

json_t *ask_workspace(const command *self, const char *workspace, workspace_question fn, const void *arg, int *code) {
    char *text = NULL;
    agon_ctx *ctx = open_context(self->name);
    if (!ctx) {
        *code = EXIT_SYSTEM;
        return NULL;
    }
    agon_status status = fn(ctx, workspace, arg, &text);
    json_t *value = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    *code = status ? fail_with(self->name, status, ctx) : EXIT_FINE;
    agon_text_free(text);
    close_context(ctx);
    return value;
}

void print_json(const json_t *value) {
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text)
        puts(text);
    free(text);
}
