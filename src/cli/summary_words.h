/* Parts of the closing table of a run that are told in words: its gate, its expert, what its critiques taught. */
#ifndef CLI_SUMMARY_WORDS_H
#define CLI_SUMMARY_WORDS_H

#include "cli/terminal.h"
#include <jansson.h>

typedef struct summary_table {
    terminal t;
    FILE *to;
    size_t name; /* cells of the first column */
} summary_table;

/* Beside the gains of promoted versions. */
#define GAIN_OF_PROMOTED "gain on the items that decided: it overstates, most where p is near alpha"

void summary_title(const summary_table *t, const char *text);
/* "name  text", broken under the text. */
void summary_line(const summary_table *t, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Under a heading "name value, name value"; nothing where there are no members. */
void summary_members(const summary_table *t, const char *heading, const json_t *object);

/* " +12.0 points [+3.1, +20.2]" of {"gain" or `key`, "ci95"}; without an interval where there is none. */
void write_points(FILE *to, const json_t *row, const char *key);

/* "+3.0 points [+0.2, +5.8] on 539 tasks; chance alone does that with p = ..." of a gate's G1. */
void write_gain(FILE *to, const json_t *g);

/* Of a summary: its "gate", "budget", "critiques" and "learnability"; nothing where they are absent. */
void print_gate(const summary_table *t, const json_t *gate);
void print_expert(const summary_table *t, const json_t *budget);
void print_faithful(const summary_table *t, const json_t *critiques);
void print_lessons(const summary_table *t, const json_t *learnability);

#endif
