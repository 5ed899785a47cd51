/* The tokenizer's parts, shared by tokenizer.c, its kinds (tokenizer_bytes.c, tokenizer_spm.c), bpe.c, pretokenizer.c,
 * tokenizer_json.c and chat.c. */
#ifndef MODEL_TOKENIZER_PRIVATE_H
#define MODEL_TOKENIZER_PRIVATE_H

#include "base/json.h"
#include "base/memory.h"
#include "model/tokenizer.h"

/* ---- bpe.c: vocabulary, merges, one word -------------------------------------------------------- */

enum { MAX_TOKENS = 1 << 21 }; /* a vocabulary; ids above it are refused before anything is allocated */

/* Text to id; open addressing, keys borrowed from the tokenizer's arena. */
typedef struct vocabulary {
    struct vocabulary_slot {
        const char *text;
        uint32_t n;
        int32_t id; /* -1: free */
    } *slots;
    size_t n_slots; /* a power of two */
} vocabulary;

bool vocabulary_init(vocabulary *v, arena *a, size_t n_entries);
/* The first of two equal texts stays. */
void vocabulary_add(vocabulary *v, const char *text, size_t n, int32_t id);
int32_t vocabulary_find(const vocabulary *v, const char *text, size_t n); /* -1: none */

/* (left, right) to (rank, merged). */
typedef struct merge_table {
    struct merge_slot {
        int32_t left, right, rank, merged; /* left -1: free */
    } *slots;
    size_t n_slots;
} merge_table;

bool merge_table_init(merge_table *m, arena *a, size_t n_entries);
/* The later of two equal pairs wins, as in the reference. */
void merge_table_add(merge_table *m, int32_t left, int32_t right, int32_t rank, int32_t merged);
int32_t merge_table_find(const merge_table *m, int32_t left, int32_t right); /* what they make; -1: no merge */

/* Working memory of one encoding; grows, freed by bpe_scratch_free. */
typedef struct bpe_scratch {
    struct bpe_symbol *symbols;
    size_t n_symbols, symbol_capacity;
    struct bpe_candidate *heap;
    size_t n_heap;
} bpe_scratch;
void bpe_scratch_free(bpe_scratch *s);

/* Where ids go, with the end of each token as a byte offset into the text given to the encoder. */
typedef struct token_sink {
    token_list *ids;
    buffer *ends; /* size_t each; NULL: not wanted */
    bool failed;  /* out of memory */
} token_sink;
void token_sink_add(token_sink *sink, int32_t id, size_t end);

/* One word: begin with room for n symbols, add them (`end`: byte offset of its end in the word), then merge them and emit
 * their ids; `start` is the word's offset for token_sink. begin is false when there is no memory. */
bool bpe_begin(bpe_scratch *scratch, size_t n);
void bpe_add(bpe_scratch *scratch, int32_t id, size_t end);
void bpe_finish(const merge_table *merges, bpe_scratch *scratch, size_t start, token_sink *sink);

/* GPT-2's printable spelling of bytes. byte_spelling: code point of a byte; byte_of_spelling: the byte
 * of a code point, or -1. */
int32_t byte_spelling(uint8_t byte);
int byte_of_spelling(int32_t code_point);
/* Appends the spelling of n bytes. */
bool byte_spell(buffer *out, const char *bytes, size_t n);

/* ---- pretokenizer.c ------------------------------------------------------------------------------ */

typedef enum normal_form { FORM_NONE, FORM_NFC, FORM_NFD, FORM_NFKC, FORM_NFKD } normal_form;

typedef struct pretokenizer pretokenizer;

/* From the JSON of tokenizer.json ("pre_tokenizer"; NULL or null: none). AGON_EUNSUPPORTED names a kind
 * this reader does not know; AGON_EFORMAT a pattern that does not compile. *out new. */
AGON_MUST_CHECK agon_status pretokenizer_new(agon_ctx *ctx, const char *where, const json_t *json,
                                             pretokenizer **out);
void pretokenizer_free(pretokenizer *p);
/* The steps in words; two pre-tokenizers with the same signature cut alike. Borrowed. */
const char *pretokenizer_signature(const pretokenizer *p);
AGON_MUST_CHECK agon_status normal_form_parse(agon_ctx *ctx, const char *where, const json_t *json,
                                              normal_form *out);

/* Calls `word` for each word of valid UTF-8 text[n]; `start` is its offset. A word may point outside
 * `text` (a prefixed space). */
typedef void (*pretokenizer_word)(void *arg, const char *word, size_t n, size_t start);
AGON_MUST_CHECK agon_status pretokenizer_run(agon_ctx *ctx, const pretokenizer *p, const char *text,
                                             size_t n, pretokenizer_word word, void *arg);

/* Named pre-tokenizers of GGUF files, as the JSON that tokenizer.json would hold. */
typedef struct named_pretokenizer {
    const char *name; /* llama.cpp's spelling */
    const char *normalizer, *pre_tokenizer; /* JSON texts; normalizer may be "null" */
    bool ignore_merges; /* a word that is a token is taken whole */
    bool add_bos;       /* when the file does not say */
} named_pretokenizer;
const named_pretokenizer *named_pretokenizer_find(const char *name); /* NULL: unknown */
const named_pretokenizer *named_pretokenizer_at(size_t i);           /* NULL after the last */

/* ---- the tokenizer ------------------------------------------------------------------------------- */

enum token_type { TOKEN_NORMAL = 1, TOKEN_UNKNOWN = 2, TOKEN_CONTROL = 3, TOKEN_USER = 4, TOKEN_UNUSED = 5, TOKEN_BYTE = 6 };

/* A string that is cut out of the text before any word is formed. */
typedef struct added_token {
    const char *text;
    size_t n;
    int32_t id;
    bool special, single_word, strip_left, strip_right, normalized;
    bool turn; /* marks a turn of the chat family, whatever the file calls it */
} added_token;

typedef struct chat_family chat_family;
typedef struct tokenizer_kind tokenizer_kind;
typedef struct spaces spaces; /* tokenizer_spm.c */

struct tokenizer {
    const tokenizer_kind *kind;
    arena *arena;
    size_t n;
    const char **spelling; /* [n] in the kind's spelling; added tokens as they are */
    const char **bytes;    /* [n] what a token decodes to */
    uint32_t *n_bytes;     /* [n] */
    const char **first_bytes; /* [n] where decoding begins; NULL: the same */
    uint32_t *n_first_bytes;
    int32_t *types;        /* [n] enum token_type */
    vocabulary vocabulary;
    merge_table merges;
    const char **merge_texts;
    size_t n_merges;
    int32_t byte_ids[256]; /* -1: the vocabulary has no such byte, and it is dropped as the reference does */
    bool ignore_merges, add_bos;
    normal_form form;
    pretokenizer *pretokenizer;
    added_token *added; /* sorted by text */
    size_t n_added;
    bool has_normalized_added;
    int32_t bos, eos, pad, unk;
    const char *pre, *chat_template;
    const chat_family *family;
    const char *default_system; /* the template's own, NULL: none */
    bool chat_bos;              /* the template writes BOS first */
    bool chat_tools;            /* it writes a tool's messages as agon does */
    bool chat_system_first;     /* it writes a system message only as the first */
    bool chat_trims, chat_trims_answers; /* it trims message content, that of answers */
    bool chat_alternates;       /* it refuses what is not user, assistant, user, ... */
    bool chat_opens_thinking;   /* the opening of an answer includes <think> */
    int32_t *stops;
    size_t n_stops;
    char *json_text, *config_text; /* a folder's own files, NULL for GGUF */
    const spaces *spaces;          /* SentencePiece's: what becomes of spaces */
    const float *scores;           /* [n], borrowed or of the arena */
    bool added_behind_space;       /* normalized added tokens are found behind a space only, which they take */
    const char *no_gguf, *no_json; /* why a format cannot hold it; NULL: it can */
};

/* An empty tokenizer with room for n tokens, all TOKEN_UNUSED. *out new. */
AGON_MUST_CHECK agon_status tokenizer_alloc(agon_ctx *ctx, size_t n, tokenizer **out);
/* Sets a token's spelling (copied) and type; a second spelling of an id replaces the first. */
AGON_MUST_CHECK agon_status tokenizer_set_token(agon_ctx *ctx, tokenizer *t, int32_t id,
                                                const char *spelling, int32_t type);
/* Adds merge `rank` of two spellings, each [n]. AGON_EFORMAT when a part or the result is no token. */
AGON_MUST_CHECK agon_status tokenizer_add_merge(agon_ctx *ctx, tokenizer *t, const char *where,
                                                size_t rank, const char *left, size_t n_left,
                                                const char *right, size_t n_right);
/* After all tokens: bytes, vocabulary, byte ids. */
AGON_MUST_CHECK agon_status tokenizer_index(agon_ctx *ctx, tokenizer *t);
/* Room for n merges. AGON_EFORMAT: more than a tokenizer can have. */
AGON_MUST_CHECK agon_status tokenizer_merges_init(agon_ctx *ctx, tokenizer *t, size_t n);
/* After everything: sorts added tokens, recognises the chat family, lists stop tokens. */
AGON_MUST_CHECK agon_status tokenizer_finish(agon_ctx *ctx, tokenizer *t);
void tokenizer_sort_added(tokenizer *t);
bool tokenizer_add_stop(tokenizer *t, int32_t id);

/* From the texts of tokenizer.json and tokenizer_config.json (NULL: none); `chat_template` overrides the
 * config's (NULL: none); n_vocabulary is the model's (0: the file's). *out new. */
AGON_MUST_CHECK agon_status tokenizer_from_json(agon_ctx *ctx, const char *where, const char *json,
                                                size_t n_json, const char *config, size_t n_config,
                                                const char *chat_template, size_t n_vocabulary,
                                                tokenizer **out);
/* From what a GGUF file stores. */
AGON_MUST_CHECK agon_status tokenizer_from_parts(agon_ctx *ctx, const char *where,
                                                 const tokenizer_parts *parts, size_t n_vocabulary,
                                                 tokenizer **out);

/* What stands before a text. Byte-level tokenizers do not ask. */
typedef enum text_start { TEXT_BEGINS, TEXT_AFTER_TOKEN, TEXT_GOES_ON } text_start;

/* Encodes one run of text, with token ends where wanted. */
AGON_MUST_CHECK agon_status tokenizer_encode_run(agon_ctx *ctx, const tokenizer *t, const char *text, size_t n,
                                                 bool parse_special, text_start start, token_sink *sink);
/* The added token, of those matched before or behind normalisation, that starts exactly at text[0..n), longest first; NULL: none. */
const added_token *tokenizer_added_at(const tokenizer *t, const char *text, size_t n, bool normalized);
/* True of tokens that stay text where special strings are not parsed. */
bool added_is_held(const added_token *token);
/* n bytes in the tokenizer's normal form: *out new when it changed anything, else NULL. */
AGON_MUST_CHECK agon_status tokenizer_normalise(agon_ctx *ctx, const tokenizer *t, const char *text,
                                                size_t n, char **out, size_t *n_out);

/* ---- kinds ----------------------------------------------------------------------------------------- */

/* One call of tokenizer_encode_run. */
typedef struct encoder {
    agon_ctx *ctx;
    const tokenizer *t;
    bool parse_special;
    text_start start; /* before offset 0 */
    size_t piece;     /* offset of the text between two tokens that are cut out before it is normalised */
    token_sink *sink;
    bpe_scratch scratch;
    buffer spelling;
    size_t base; /* offset of the piece being cut */
} encoder;

/* What one kind of BPE does in its own way. A kind is a file and an entry of the table in tokenizer.c. */
struct tokenizer_kind {
    const char *gguf_model;             /* tokenizer.ggml.model */
    int32_t bos, eos, unk;              /* where a GGUF file does not name them; -1: none */
    bool add_bos;
    bool (*claims)(const json_t *model); /* whether this is the kind of tokenizer.json's "model"; the table's first that says so */
    /* What a spelling stands for, into out [strlen(spelling) + 1]; its length. */
    size_t (*bytes)(const char *spelling, int32_t type, char *out);
    /* Appends how the vocabulary spells a text, and a byte that is a token. False: no memory. */
    bool (*spell)(buffer *out, const char *text, size_t n);
    bool (*spell_byte)(buffer *out, uint8_t byte);
    /* The rest of tokenizer.json, when tokens and merges are read. AGON_EUNSUPPORTED names what the kind does not know. */
    agon_status (*read_json)(agon_ctx *ctx, const char *where, const json_t *root, tokenizer *t);
    /* The rest of a GGUF file, merges too, when the tokens are read. */
    agon_status (*read_parts)(agon_ctx *ctx, const char *where, const tokenizer_parts *parts, tokenizer *t);
    /* Emits the ids of text[n] between added tokens, in normal form; `base` is its offset. */
    agon_status (*encode)(encoder *e, const char *text, size_t n, size_t base);
    /* Sets normalizer, pre_tokenizer, post_processor, decoder and the model's options of a tokenizer.json. False: no memory. */
    bool (*write_json)(const tokenizer *t, json_t *root, json_t *model);
    /* What only this kind stores in GGUF. */
    void (*get_parts)(const tokenizer *t, tokenizer_parts *out);
};
extern const tokenizer_kind tokenizer_byte_level, tokenizer_sentencepiece;
const tokenizer_kind *tokenizer_kind_of_json(const json_t *model); /* the last of the table where none claims it */
const tokenizer_kind *tokenizer_kind_of_gguf(const char *model);   /* NULL: none */

/* The post-processor that puts BOS in front; NULL: the tokenizer has none. */
json_t *tokenizer_bos_json(const tokenizer *t);

/* The length of the valid UTF-8 that text[n] begins with. */
size_t utf8_valid_length(const char *text, size_t n);

/* White space as Unicode has it (and the reference's \\s). */
bool tokenizer_is_space(int32_t code_point);

/* chat_recognise.c, chat_family.c */
void chat_recognise(tokenizer *t);
const char *chat_end_of_turn(const chat_family *family); /* text of the token, NULL: EOS */

#endif
