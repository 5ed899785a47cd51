/* Answers to a run's questions from a file, such as a labelling tool writes: agon review --import. */
#include "cli/review.h"
#include "cli/rows.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One line's answer, its strings borrowed from the row. Returns an exit code; the sentence was printed. */
static int take(size_t line, const json_t *row, const char *reviewer, agon_review_answer *out) {
    static const char *const known[] = {"id", "verdict", "text", "note", "reviewer", "seconds", NULL};
    const json_t *seconds = json_object_get(row, "seconds");
    const char **const texts[] = {&out->review, &out->verdict, &out->text, &out->note, &out->reviewer};
    *out = agon_review_answer_default();
    int code = check_fields("review", line, row, known);
    for (size_t i = 0; i < sizeof texts / sizeof *texts && code == EXIT_FINE; i++) {
        const json_t *value = json_object_get(row, known[i]);
        *texts[i] = value && !json_is_null(value) ? whole_text(value) : NULL;
        if (value && !json_is_null(value) && !*texts[i])
            code = row_error("review", line, "%s must be a text", known[i]);
    }
    if (code == EXIT_FINE && (!out->review || !out->verdict))
        code = row_error("review", line, "%s is missing; a line is {\"id\", \"verdict\", \"text\"?, \"note\"?, \"reviewer\"?, \"seconds\"?}", out->review ? "verdict" : "id");
    if (code == EXIT_FINE && seconds && !json_is_null(seconds) && !(json_is_number(seconds) && json_number_value(seconds) >= 0))
        code = row_error("review", line, "seconds must be a number, 0 or more");
    out->seconds = json_number_value(seconds);
    out->reviewer = out->reviewer ? out->reviewer : reviewer;
    return code;
}

/* Every line is read before the first is recorded. */
static int check_all(char *text) {
    size_t line = 0;
    int code = EXIT_FINE;
    char *copy = strdup(text), *at = copy;
    json_t *row = NULL;
    if (!copy)
        return row_error("review", 0, "out of memory"), EXIT_SYSTEM;
    while (code == EXIT_FINE && (row = next_row("review", &at, &line, &code))) {
        agon_review_answer a;
        code = take(line, row, NULL, &a);
        json_decref(row);
    }
    free(copy);
    return code;
}

int review_import(agon_ctx *ctx, const char *workspace, const char *reviewer, const char *path, bool json) {
    const bool from_stdin = strcmp(path, "-") == 0;
    FILE *f = from_stdin ? stdin : fopen(path, "r");
    size_t line = 0, n = 0;
    int code = EXIT_FINE;
    if (!f) {
        say_error("review", "%s: %s", path, strerror(errno));
        return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_SYSTEM;
    }
    char *text = read_lines("review", f, &code), *at = text;
    if (!from_stdin)
        fclose(f);
    json_t *row = NULL;
    if (text)
        code = check_all(text);
    while (text && code == EXIT_FINE && (row = next_row("review", &at, &line, &code))) {
        agon_review_answer a;
        code = take(line, row, reviewer, &a);
        agon_status s = code == EXIT_FINE ? agon_review(ctx, workspace, &a) : AGON_OK;
        if (s)
            code = fail_in_row("review", line, s, ctx);
        n += code == EXIT_FINE;
        json_decref(row);
    }
    if (text && code != EXIT_FINE && n > 0)
        fprintf(stderr, "the %zu answers before it are recorded; the same call after mending records them again, which changes nothing\n", n);
    if (text && code == EXIT_FINE && json) {
        json_t *answer = json_pack("{sI}", "recorded", (json_int_t)n);
        print_json(answer);
        json_decref(answer);
    } else if (text && code == EXIT_FINE) {
        printf("recorded: %zu answer%s\n", n, n == 1 ? "" : "s");
    }
    free(text);
    return code;
}
