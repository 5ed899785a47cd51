/* What SentencePiece-style BPE (tokenizer_spm.c) shares with its reading of scores (tokenizer_spm_scores.c). */
#ifndef MODEL_TOKENIZER_SPM_PRIVATE_H
#define MODEL_TOKENIZER_SPM_PRIVATE_H

#include "model/tokenizer_private.h"

#define SPM_MARK "\xe2\x96\x81" /* a space as it is written */
enum { SPM_MAX_PIECE = 256 };    /* bytes of a token that is cut */

/* The bytes of the character at text[0]; 1 and *valid false where it is no UTF-8. */
size_t spm_character(const char *text, size_t n, bool *valid);
/* Merges of the scores [n], which become the tokenizer's. AGON_EFORMAT, AGON_EUNSUPPORTED: `where` has scores that no merges are. */
AGON_MUST_CHECK agon_status spm_merges_of_scores(agon_ctx *ctx, const char *where, tokenizer *t, const float *scores, size_t n);
/* What a GGUF file of this tokenizer would hold, or why there can be none: t->scores, t->no_gguf. cuts_words: merges stay inside words. */
AGON_MUST_CHECK agon_status spm_scores_of_merges(agon_ctx *ctx, tokenizer *t, bool cuts_words);

#endif
