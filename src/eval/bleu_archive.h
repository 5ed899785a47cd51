/* How much a text repeats of all texts before it: BLEU-1 to 5 (Papineni et al. 2002) against an archive that grows, the penalty of curiosity-driven red
 * teaming (Hong et al. 2024, 2402.19464; spec: loop 2.3).
 *
 * BLEU takes of each n-gram the most that any one reference has, and of the references' lengths the closest: so one hash table an order, from an n-gram to
 * the most any text had of it, stands for all texts. Asking and adding take time in proportion to the words of the text, however many there were before.
 * Words as in diversity.h; 64 bits of SHA-256 stand for a word. */
#ifndef EVAL_BLEU_ARCHIVE_H
#define EVAL_BLEU_ARCHIVE_H

#include "agon.h"

enum { BLEU_ORDERS = 5 };

typedef struct bleu_archive bleu_archive;

AGON_MUST_CHECK agon_status bleu_archive_new(agon_ctx *ctx, bleu_archive **out); /* *out new; AGON_ENOMEM */
void bleu_archive_free(bleu_archive *a);
/* bleu[n - 1]: BLEU-n of the text against all that were added, orders that the text has weighing alike, an order without a match counting 0.1 as one
 * (as self-BLEU in diversity.h). All 0 for a text without words and while nothing was added. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status bleu_archive_ask(agon_ctx *ctx, const bleu_archive *a, const char *text, double bleu[BLEU_ORDERS]);
/* A text without words adds nothing. AGON_ENOMEM: the archive is of no use any more. */
AGON_MUST_CHECK agon_status bleu_archive_add(agon_ctx *ctx, bleu_archive *a, const char *text);

#endif
