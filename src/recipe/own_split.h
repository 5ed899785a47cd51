/* Which of the user's own rows are held out: a fifth, by a hash of the text, rows that ask nearly the same on one side together. */
#ifndef RECIPE_OWN_SPLIT_H
#define RECIPE_OWN_SPLIT_H

#include "agon.h"

typedef struct own_text {
    const char *text, *group; /* borrowed; the row's "group", NULL without one */
    size_t with;              /* out: the first row that goes to the same side with it, itself where none before does */
    bool held_out;            /* out */
} own_text;

/* Fills `with` and `held_out` of rows[n]. Of rows that go together the side is that of the one whose hash is least, so their order does not matter, and
 * a row close to no other is where recipe_holds_out says. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status own_split(agon_ctx *ctx, own_text *rows, size_t n);

/* Is a row with this text, close to no other, held out? A fixed fifth. Runs begun before rules 13 held every row out by this alone. */
bool recipe_holds_out(const char *text);

#endif
