/* Which claims of a critique hold, for the people who read one. */
#ifndef CLI_CLAIMS_H
#define CLI_CLAIMS_H

#include "cli/terminal.h"
#include <jansson.h>

/* The "claims" of a critique, one a paragraph: "fails: 42 + 25 = 68 (arithmetic)". Nothing where there are none. */
void print_claims(const terminal *t, FILE *to, const json_t *claims, size_t indent);
/* A member of a run's "critiques" in a sentence: "95.0 % [85.1, 98.9] of 118 claims that can be checked hold; 3 cannot be (60 critiques)". New, NULL on
 * memory. */
char *faithful_text(const json_t *critiques);

#endif
