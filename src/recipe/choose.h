/* What is trained on: the fresh-data floor, caps, duplicates and contamination (loop section 1, BUILD). Pure. */
#ifndef RECIPE_CHOOSE_H
#define RECIPE_CHOOSE_H

#include "recipe/aim.h"
#include "step/train_version.h"

typedef struct example_list {
    example *items;
    size_t n, capacity;
} example_list;
void example_list_free(example_list *l);
AGON_MUST_CHECK agon_status example_add(cast *c, example_list *l, const example *e); /* copies the struct; strings belong to the cast's memory */

typedef struct choice {
    size_t n_real, n_replay, n_new;
    int64_t real_tokens, replay_tokens, new_tokens; /* loss tokens */
    size_t dropped_duplicate, dropped_cap, dropped_floor, dropped_contaminated;
} choice;

/* Was it cut off at learner.max_tokens, so that its end is nobody's and not to be learnt? In runs begun before rules 10: never. x NULL: no. */
bool choose_is_cut(const cast *c, const answer *x);

/* prose.c: documents of data/real.txt, at most, as examples of origin "real" at "prose", those after the first n_read; when all are read the first
 * come again. Appends to out. Without a local model: none. */
AGON_MUST_CHECK agon_status prose_examples(cast *c, size_t documents, size_t n_read, example_list *out);
/* Chooses SFT examples from answers whose outcome is pass and that measure nothing: demonstrations (real) all, then earlier examples (replay) and new answers, cells in
 * turn, as far as real tokens keep their share: too little real data shrinks what is new, never the floor. out: empty
 * before. */
AGON_MUST_CHECK agon_status choose_examples(cast *c, const aim *a, const query_list *queries, const answer_list *answers,
                                            size_t from_answer, const example_list *earlier, example_list *out,
                                            choice *report);
/* Does it answer the task of an evaluation query, whatever its wording, or share text with an evaluation? In runs begun before rules 21: text alone. */
AGON_MUST_CHECK agon_status choose_is_held_out(cast *c, const aim *a, const example *e, bool *hit);
/* For the gate's G7, of what was chosen: is one of them held out? */
AGON_MUST_CHECK agon_status choose_check(cast *c, const aim *a, const example_list *l, bool *contaminated);
/* The same for objectives that learn from pairs of answers to one query: what people wrote against what failed (real), reviewers' preferences from
 * from_preference on, and what passed against what failed (new), earlier pairs (replay); the same floor, shares and caps. Counted are the
 * loss tokens of the chosen side. */
AGON_MUST_CHECK agon_status choose_pairs(cast *c, const aim *a, const query_list *queries, const answer_list *answers,
                                         size_t from_answer, const preference_list *preferences, size_t from_preference,
                                         const example_list *earlier, example_list *out, choice *report);

#endif
