/* What every command shares: the table, option parsing, output, exit codes. Commands see agon.h only. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "agon.h"
#include "cli/table.h"
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

/* Exit codes, documented in docs/cli.md and `agon --help`. */
enum exit_code {
    EXIT_FINE = 0,
    EXIT_OTHER = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 3,
    EXIT_BAD_DATA = 4,
    EXIT_SYSTEM = 5,      /* disk, memory, network */
    EXIT_BUSY = 6,        /* another runner holds the workspace */
    EXIT_MISMATCH = 7,    /* verification failed: recorded and recomputed differ */
    EXIT_STOPPED = 8,     /* interrupted; run the same command to go on */
};
int exit_code_of(agon_status status);

typedef struct command {
    const char *name, *summary;
    const char *usage; /* after "agon ": arguments, options and an example */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
} command;

/* In a usage: here --help has the names of all objectives, as the library lists them. */
#define OBJECTIVES_HERE "\001"

/* Tokens of prompt and response that train and data take where --max-length says nothing: a check finds what a training would. */
#define DEFAULT_MAX_LENGTH 2048
#define NUMBER_TEXT_(n) #n
#define NUMBER_TEXT(n) NUMBER_TEXT_(n) /* of such a constant, for the help */

/* Rows of a report, [{"sentence"}], one a line, as many as texts name; then how many of `n` there are more. */
void print_sentences(FILE *out, const json_t *rows, size_t n);

/* One option of a command. Exactly one of the targets is set. */
typedef struct option_spec {
    const char *name;    /* "--max-tokens" */
    const char **text;   /* --name VALUE */
    int64_t *integer;
    double *real;
    bool *flag;          /* --name */
    const char ***list;  /* --name VALUE, may stand several times; new array ended by NULL */
    const char **given;  /* besides: the name of the last option here that stood, for what does not go together; NULL: not wanted */
    const char *of;      /* the subcommands it belongs to, for stray_option; NULL: all */
} option_spec;

/* Letters to change, add or leave out between two words; 99 for long ones. */
size_t word_difference(const char *a, const char *b);

/* Parses argv against specs (ended by a NULL name); other words go to positional [*n_positional <= most], options may stand anywhere, also as --name=VALUE, and end at "--". Handles --help (prints
 * `usage`, exit code EXIT_FINE in *code). Returns false when the command should end with *code: the sentence was printed. */
bool parse_options(const command *self, int argc, char **argv, const option_spec *specs,
                   const char **positional, size_t most, size_t *n_positional, int *code);

/* Of words that parse_options took: the first option that is not `of` this subcommand, where it would have no effect; NULL: none. */
const char *stray_option(int argc, char **argv, const option_spec *specs, const char *word);

/* Says what went wrong in the library and returns the exit code. */
int fail_with(const char *name, agon_status status, const agon_ctx *ctx);
int usage_error(const command *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* How this command was called, "agon" or "build/agon", for commands that the user may type next. */
const char *called_as(void);

/* A context that Ctrl-C and SIGTERM interrupt (the second time: at once). NULL: the reason was printed. */
agon_ctx *open_context(const char *name);
/* Did that fail by a variable such as AGON_CPU? That is wrong usage, whatever the command makes of it. */
bool environment_is_wrong(void);
void close_context(agon_ctx *ctx);
/* From here on both end the program at once: there is nothing to save, and what it waits for looks at no flag. */
void end_by_signals(void);

/* Prints text with what could move the cursor, reorder or hide made visible; lines and tabs stay: model output is hostile (terminal.c). */
void print_safe(FILE *to, const char *text);
/* printf whose words may be anybody's (names, paths, what a file says), as print_safe prints them. */
void printf_safe(FILE *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints "agon NAME: sentence" (NULL: "agon: sentence") to stderr as one line that is safe on a terminal, whatever it quotes. */
void say_error(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say_error_list(const char *name, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* Members of an object: borrowed text, "" when it is absent; a whole number, 0 when it is absent; NAN when it is no number. */
const char *member_text(const json_t *object, const char *key);
json_int_t member_count(const json_t *object, const char *key);
double member_real(const json_t *object, const char *key);

/* What the library said to a command: prints the sentence of a failure, or with `json` the answer `text` (new; freed here) as it is. *code is
 * the exit code. Returns the answer, new, where it is left to be shown. */
json_t *take_answer(const char *name, const agon_ctx *ctx, agon_status status, char *text, bool json, int *code);
/* The same of a question on a workspace; `about` is the run or record. */
typedef agon_status (*workspace_question)(agon_ctx *ctx, const char *workspace, const char *about, char **json);
json_t *ask_workspace(const command *self, const char *workspace, workspace_question fn, const char *about, bool json, int *code);
/* A command that has --workspace, --run and --json alone. */
int run_question(const command *self, int argc, char **argv, workspace_question fn, void (*show)(const json_t *answer));
void print_json(const json_t *value);
/* JSON and a line end to stdout; what a terminal could take for the begin of a command (U+007F to U+009F) as \u00NN. */
void print_json_text(const char *json);
/* Seconds of a clock that only goes forward, for durations. */
double seconds_now(void);

#define DECLARE_COMMAND(heading, name) extern const command command_##name;
COMMANDS(DECLARE_COMMAND)
#undef DECLARE_COMMAND

#endif
