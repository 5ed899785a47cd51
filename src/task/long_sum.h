/* Sums of two numbers of 2^level digits as sequence items (sequence.h; they share its alphabet and are none of its families): a hard sum falls into two
 * easier ones of the same form, the high digits with what the low ones carry.
 *
 * A question is [level, carry, a0, b0, a1, b1, ..., '='], the lowest digits first; its answer is the sum's digits, the lowest first, then what is carried
 * out of it (0 or 1) and END. */
#ifndef TASK_LONG_SUM_H
#define TASK_LONG_SUM_H

#include "task/sequence.h"

enum { LONG_SUM_LEVELS = 4, LONG_SUM_NONE = -1 }; /* 1, 2, 4 and 8 digits */

/* A question with its right answer, at a level below LONG_SUM_LEVELS. Questions are of two kinds that share none: one in five is held out, but for the 200 of
 * level 0, which all may come. */
void long_sum_draw(rng *r, size_t level, bool held_out, sequence_item *out);
size_t long_sum_level(const sequence_item *question);
/* The question of its low half of digits, with its own carry, or of its high half with this one (0 or 1); without an answer. The level is 1 at least. */
sequence_item long_sum_low(const sequence_item *question);
sequence_item long_sum_high(const sequence_item *question, int carry);
/* What the answer to the low half carries. */
int long_sum_carry(const sequence_item *question, int64_t low);
/* The sum that both halves' answers make. */
int64_t long_sum_join(const sequence_item *question, int64_t low, int64_t high);
/* The number that a completion answers; LONG_SUM_NONE where it is no answer (a token that is no digit, too few or too many, no END, a carry above 1). */
int64_t long_sum_answer(const sequence_item *completion);
/* Gives the question this answer, below 2 * 10^digits. */
void long_sum_set_answer(sequence_item *question, int64_t sum);
int64_t long_sum_truth(const sequence_item *question);

#endif
