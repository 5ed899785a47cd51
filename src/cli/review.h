/* The terminal reviewer's parts: the screen and the keys. */
#ifndef CLI_REVIEW_H
#define CLI_REVIEW_H

#include "agon.h"
#include "cli/terminal.h"
#include <jansson.h>

/* review_import.c: answers from JSON lines, `path` "-" from stdin; all lines are read before one is recorded. reviewer: of lines that name none; NULL. Returns an
 * exit code; the sentence was printed. */
int review_import(agon_ctx *ctx, const char *workspace, const char *reviewer, const char *path, bool json);

/* One open item (agon_reviews_json) with its keys; `head` stands above it. */
void review_draw(FILE *to, const terminal *t, const json_t *item, const char *head);

/* One key: a byte, or EOF at the end of input, Ctrl-C and Ctrl-D. Waits; single keys on a terminal, where nothing is echoed. */
int review_key(void);
/* One line of text typed by the reviewer, new; NULL when it is empty. */
char *review_line(const char *prompt);
/* `text` in $VISUAL or $EDITOR; the text as it was saved, new; NULL: unchanged, emptied, no editor, or it failed (then *problem says so). */
char *review_edit(const char *text, const char **problem);

#endif
