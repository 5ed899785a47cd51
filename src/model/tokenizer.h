/* BPE tokenizers, byte-level and SentencePiece's, and chat templates.
 *
 * Token ids equal the reference tokenizer's (Hugging Face tokenizers) for the same files. Special
 * strings ("<|im_end|>") become special tokens only where the caller says so: message content never
 * parses them, nor the tokens of the family's turns that the file does not call special, so a query
 * cannot forge a turn; where a family's markup is no token (Llama 2's [INST]), it is text in either. */
#ifndef MODEL_TOKENIZER_H
#define MODEL_TOKENIZER_H

#include "agon.h"
#include "base/buffer.h"
#include "model/weights.h"



/* From an open model: GGUF metadata, or tokenizer.json (+ tokenizer_config.json) of its folder. *out
 * new. The pre-tokenizer is the one the file names; AGON_EUNSUPPORTED says which it was. */
AGON_MUST_CHECK agon_status tokenizer_new(agon_ctx *ctx, const weights *w, tokenizer **out);
void tokenizer_free(tokenizer *t);

typedef struct token_list {
    int32_t *ids; /* new: free() through token_list_free */
    size_t n, capacity;
} token_list;
void token_list_free(token_list *list);
bool token_list_push(token_list *list, int32_t id);

/* Appends the ids of text[n] to *out. parse_special: strings of special tokens become those tokens. No BOS/EOS is
 * added here. Invalid UTF-8 is encoded byte by byte. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status tokenizer_encode(agon_ctx *ctx, const tokenizer *t, const char *text,
                                             size_t n, bool parse_special, token_list *out);
/* The same of a text that goes on from these tokens, such as a completion: SentencePiece puts no space in front of it. Behind
 * nothing, or BOS alone, a text begins. `before` may be the tokens of *out. */
AGON_MUST_CHECK agon_status tokenizer_encode_more(agon_ctx *ctx, const tokenizer *t, const int32_t *before, size_t n_before,
                                                  const char *text, size_t n, bool parse_special, token_list *out);
/* Whether what follows these tokens is a text of its own: they are none, or BOS alone. */
bool tokenizer_begins_text(const tokenizer *t, const int32_t *before, size_t n_before);
/* As raw scoring sees text: parse_special, plus BOS where the model's files ask for one. */
AGON_MUST_CHECK agon_status tokenizer_encode_raw(agon_ctx *ctx, const tokenizer *t, const char *text,
                                                 size_t n, token_list *out);
/* New string of the ids' bytes (may end inside a UTF-8 sequence), *n its length. Special tokens are written when
 * show_special, else skipped. NULL on memory. */
char *tokenizer_decode(const tokenizer *t, const int32_t *ids, size_t n_ids, bool show_special,
                       size_t *n);
/* Bytes of one token, borrowed. */
const char *tokenizer_bytes(const tokenizer *t, int32_t id, size_t *n);
/* The same of the token that a decoded text begins with: SentencePiece's have no space in front there. */
const char *tokenizer_first_bytes(const tokenizer *t, int32_t id, size_t *n);
size_t tokenizer_n_vocabulary(const tokenizer *t);
bool tokenizer_is_special(const tokenizer *t, int32_t id);
int32_t tokenizer_find(const tokenizer *t, const char *text); /* -1: no such token */
/* True when generation stops at this token (EOS, end of turn). */
bool tokenizer_is_stop(const tokenizer *t, int32_t id);
bool tokenizer_stops_by_name(const tokenizer *t, int32_t id); /* special, and named like an end: every reader stops there */
int32_t tokenizer_bos(const tokenizer *t); /* -1: none */
int32_t tokenizer_eos(const tokenizer *t);
/* The end-of-turn token a trained answer ends with (ChatML's <|im_end|>), else EOS. */
int32_t tokenizer_end_of_turn(const tokenizer *t);

/* ---- for export -------------------------------------------------------------------------------- */

/* The texts of tokenizer.json and tokenizer_config.json (chat template included) of a Hugging Face folder, new
 * strings both (free()). A folder's own files are given back as they were; a GGUF's vocabulary is written anew.
 * Written only on success. AGON_ENOMEM; AGON_EUNSUPPORTED: a GGUF's scores that merges cannot express. */
AGON_MUST_CHECK agon_status tokenizer_export_json(agon_ctx *ctx, const tokenizer *t,
                                                  char **tokenizer_json,
                                                  char **tokenizer_config_json);

/* What GGUF stores of a tokenizer; everything borrowed from it. */
typedef struct tokenizer_parts {
    const char *model;         /* "gpt2": byte-level BPE; "llama": SentencePiece's */
    const char *no_gguf;       /* why GGUF cannot hold it, as the end of a sentence; NULL: it can */
    size_t n;                  /* vocabulary size, the model's when the file pads it */
    const char *const *tokens; /* [n] the kind's spelling: byte-level unicode; special tokens as they are */
    const int32_t *types;      /* [n] GGUF token types: 1 normal, 3 control, 4 user-defined, 5 unused, 6 byte */
    size_t n_merges;
    const char *const *merges; /* [n_merges] "left right" in byte-level unicode */
    const char *pre;           /* llama.cpp's name of the pre-tokenizer: "smollm", "qwen2", "llama-bpe"; NULL: it has none */
    const float *scores;       /* [n] SentencePiece: the best is merged first */
    bool space_prefix;         /* SentencePiece: a space is put in front of each text between special tokens */
    const char *spaces;        /* SentencePiece: what space_prefix cannot say, in agon's words; NULL: nothing */
    const char *chat_template; /* Jinja source, NULL when the file has none */
    int32_t bos, eos, pad, unk; /* -1: none */
    const int32_t *stops;      /* [n_stops] what ends an answer, see tokenizer_is_stop; GGUF has places for three */
    size_t n_stops;
    bool add_bos;
} tokenizer_parts;
void tokenizer_get_parts(const tokenizer *t, tokenizer_parts *out);

/* ---- chat.c ------------------------------------------------------------------------------------ */

typedef struct chat_message {
    const char *role; /* system, user, assistant; tool where the template writes it like the others */
    const char *content;
} chat_message;

/* Appends the ids of the conversation in the model's template, as the reference renders it (including the family's
 * default system message where its template adds one), with the opening of an assistant turn at the
 * end when `open_answer`. Content is encoded without parsing special strings. mask, when not NULL,
 * receives one byte a token: 1 on assistant content and its end-of-turn token.
 * AGON_EUNSUPPORTED: template unknown; the sentence tells which names --chat-template takes. */
AGON_MUST_CHECK agon_status chat_encode(agon_ctx *ctx, const tokenizer *t, const chat_message *messages,
                                        size_t n_messages, bool open_answer, token_list *out,
                                        buffer *mask);
/* The same of a whole conversation, with mask 0 on the answers that are `unlearnt` [n_messages]; NULL: none is. */
AGON_MUST_CHECK agon_status chat_encode_learnt(agon_ctx *ctx, const tokenizer *t, const chat_message *messages, size_t n_messages,
                                               const bool *unlearnt, token_list *out, buffer *mask);
/* Appends the ids of an answer's text as it stands behind a conversation that was opened for it, without the token that ends it.
 * `whole`: up to there; else it may go on. */
AGON_MUST_CHECK agon_status chat_encode_answer(agon_ctx *ctx, const tokenizer *t, const char *text, size_t n, bool parse_special,
                                               bool whole, token_list *out);
/* Whether what is sampled behind this prompt [n] is a text of its own, whose first token tokenizer_first_bytes spells: an answer
 * that the family has a space in front of, or a text without a prompt. */
bool chat_begins_text(const tokenizer *t, const int32_t *prompt, size_t n);
/* "chatml", "llama3", ... or NULL when the file's template is unknown. */
const char *chat_template_name(const tokenizer *t);
/* Uses a named family instead of the file's. AGON_EINVAL lists the names. */
AGON_MUST_CHECK agon_status chat_template_set(agon_ctx *ctx, tokenizer *t, const char *name);

#endif
