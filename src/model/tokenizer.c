/* The tokenizer: text to ids and back.
 *
 * Encoding, as Hugging Face tokenizers does it: added tokens are cut out first (leftmost, longest), the text between them is
 * normalised, and the tokenizer's kind makes symbols of it and merges them. Two additions: where special strings are not to be
 * parsed they stay text, those of the chat family's turns too, and bytes that are not UTF-8 are encoded one by one. */
#include "model/tokenizer_private.h"
#include "base/ctx.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- token lists ---------------------------------------------------------------------------------- */

void token_list_free(token_list *list) {
    if (!list)
        return;
    free(list->ids);
    *list = (token_list){0};
}

bool token_list_push(token_list *list, int32_t id) {
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? size_mul(list->capacity, 2) : 64;
        int32_t *ids = realloc(list->ids, size_mul(capacity, sizeof *ids));
        if (!ids)
            return false;
        list->ids = ids;
        list->capacity = capacity;
    }
    list->ids[list->n++] = id;
    return true;
}

/* ---- kinds ------------------------------------------------------------------------------------------ */

static const tokenizer_kind *const kinds[] = {&tokenizer_sentencepiece, &tokenizer_byte_level};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

const tokenizer_kind *tokenizer_kind_of_json(const json_t *model) {
    size_t i = 0;
    while (i + 1 < N_KINDS && !kinds[i]->claims(model))
        i++;
    return kinds[i];
}

const tokenizer_kind *tokenizer_kind_of_gguf(const char *model) {
    for (size_t i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i]->gguf_model, model) == 0)
            return kinds[i];
    return NULL;
}

/* ---- building ------------------------------------------------------------------------------------- */

static agon_status no_memory(agon_ctx *ctx) {
    return ctx_fail(ctx, AGON_ENOMEM, "no memory for the tokenizer");
}

agon_status tokenizer_alloc(agon_ctx *ctx, size_t n, tokenizer **out) {
    if (n == 0 || n > MAX_TOKENS)
        return ctx_fail(ctx, AGON_EFORMAT, "a vocabulary of %zu tokens (1 to %d are possible)", n,
                        MAX_TOKENS);
    tokenizer *t = memory_new(1, sizeof *t);
    if (!t)
        return no_memory(ctx);
    t->n = n;
    t->bos = t->eos = t->pad = t->unk = -1;
    agon_status s = arena_new(ctx, 0, &t->arena);
    if (!s) {
        t->spelling = arena_take(t->arena, n, sizeof *t->spelling);
        t->bytes = arena_take(t->arena, n, sizeof *t->bytes);
        t->n_bytes = arena_take(t->arena, n, sizeof *t->n_bytes);
        t->types = arena_take(t->arena, n, sizeof *t->types);
        t->stops = arena_take(t->arena, 64, sizeof *t->stops);
        if (!t->spelling || !t->bytes || !t->n_bytes || !t->types || !t->stops)
            s = no_memory(ctx);
    }
    if (s) {
        tokenizer_free(t);
        return s;
    }
    for (size_t i = 0; i < n; i++)
        t->types[i] = TOKEN_UNUSED;
    *out = t;
    return AGON_OK;
}

void tokenizer_free(tokenizer *t) {
    if (!t)
        return;
    pretokenizer_free(t->pretokenizer);
    arena_free(t->arena);
    free(t->json_text);
    free(t->config_text);
    free(t);
}

agon_status tokenizer_set_token(agon_ctx *ctx, tokenizer *t, int32_t id, const char *spelling,
                                int32_t type) {
    if (id < 0 || (size_t)id >= t->n)
        return ctx_fail(ctx, AGON_EFORMAT, "token id %d of '%.40s' is outside the vocabulary of %zu", id,
                        spelling, t->n);
    t->spelling[id] = arena_copy(t->arena, spelling);
    t->types[id] = type;
    return t->spelling[id] ? AGON_OK : no_memory(ctx);
}

static agon_status name_unused(agon_ctx *ctx, tokenizer *t, size_t id) {
    if (!t->spelling[id])
        t->spelling[id] = arena_printf(t->arena, "[PAD%zu]", id);
    t->bytes[id] = "";
    return t->spelling[id] ? AGON_OK : no_memory(ctx);
}

static agon_status set_bytes(agon_ctx *ctx, tokenizer *t, size_t id) {
    char *bytes = arena_take(t->arena, size_add(strlen(t->spelling[id]), 1), 1);
    if (!bytes)
        return no_memory(ctx);
    t->n_bytes[id] = (uint32_t)t->kind->bytes(t->spelling[id], t->types[id], bytes);
    t->bytes[id] = bytes;
    return AGON_OK;
}

agon_status tokenizer_index(agon_ctx *ctx, tokenizer *t) {
    if (!vocabulary_init(&t->vocabulary, t->arena, t->n))
        return no_memory(ctx);
    for (size_t i = 0; i < t->n; i++) {
        agon_status s = t->types[i] == TOKEN_UNUSED ? name_unused(ctx, t, i) : set_bytes(ctx, t, i);
        if (s)
            return s;
        if (t->types[i] != TOKEN_UNUSED)
            vocabulary_add(&t->vocabulary, t->spelling[i], strlen(t->spelling[i]), (int32_t)i);
    }
    bool any = false;
    for (int b = 0; b < 256; b++) {
        buffer spelling = {0};
        bool ok = t->kind->spell_byte(&spelling, (uint8_t)b);
        t->byte_ids[b] = ok ? vocabulary_find(&t->vocabulary, spelling.data, spelling.size) : -1;
        any = any || t->byte_ids[b] >= 0;
        buffer_free(&spelling);
        if (!ok)
            return no_memory(ctx);
    }
    if (!any)
        return ctx_fail(ctx, AGON_EFORMAT, "the vocabulary has no token for any single byte");
    return AGON_OK;
}

agon_status tokenizer_merges_init(agon_ctx *ctx, tokenizer *t, size_t n) {
    if (n > 4 * (size_t)MAX_TOKENS)
        return ctx_fail(ctx, AGON_EFORMAT, "%zu merges are more than a tokenizer can have", n);
    t->merge_texts = arena_take(t->arena, n + 1, sizeof *t->merge_texts);
    if (!t->merge_texts || !merge_table_init(&t->merges, t->arena, n))
        return no_memory(ctx);
    t->n_merges = n;
    return AGON_OK;
}

agon_status tokenizer_add_merge(agon_ctx *ctx, tokenizer *t, const char *where, size_t rank,
                                const char *left, size_t n_left, const char *right, size_t n_right) {
    char *both = arena_take(t->arena, size_add(size_add(n_left, n_right), 2), 1);
    if (!both)
        return no_memory(ctx);
    memcpy(both, left, n_left);
    memcpy(both + n_left, right, n_right);
    int32_t l = vocabulary_find(&t->vocabulary, left, n_left);
    int32_t r = vocabulary_find(&t->vocabulary, right, n_right);
    int32_t merged = vocabulary_find(&t->vocabulary, both, n_left + n_right);
    if (l < 0 || r < 0 || merged < 0)
        return ctx_fail(ctx, AGON_EFORMAT,
                        "%s: merge %zu ('%.*s' with '%.*s') uses or makes a token that the vocabulary lacks",
                        where, rank, (int)(n_left < 40 ? n_left : 40), left,
                        (int)(n_right < 40 ? n_right : 40), right);
    if (!tokenizer_is_special(t, merged)) /* text cannot make one */
        merge_table_add(&t->merges, l, r, (int32_t)rank, merged);
    memmove(both + n_left + 1, both + n_left, n_right);
    both[n_left] = ' ';
    t->merge_texts[rank] = both;
    return AGON_OK;
}

static int compare_added(const void *a, const void *b) {
    const added_token *x = a, *y = b;
    int c = memcmp(x->text, y->text, x->n < y->n ? x->n : y->n);
    if (c)
        return c;
    return x->n < y->n ? -1 : x->n > y->n ? 1 : x->id - y->id;
}

void tokenizer_sort_added(tokenizer *t) {
    if (t->n_added > 1)
        qsort(t->added, t->n_added, sizeof *t->added, compare_added);
}

bool tokenizer_add_stop(tokenizer *t, int32_t id) {
    if (id < 0 || (size_t)id >= t->n || tokenizer_is_stop(t, id) || t->n_stops == 64)
        return false;
    t->stops[t->n_stops++] = id;
    return true;
}

/* Tokens whose name says that they end an answer. */
static const char *const ends[] = {"<|im_end|>",  "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>",
                                   "<|endoftext|>", "<|end|>",    "</s>"};

bool tokenizer_stops_by_name(const tokenizer *t, int32_t id) {
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (tokenizer_is_special(t, id) && vocabulary_find(&t->vocabulary, ends[i], strlen(ends[i])) == id)
            return true;
    return false;
}

agon_status tokenizer_finish(agon_ctx *ctx, tokenizer *t) {
    (void)ctx;
    tokenizer_sort_added(t);
    for (size_t i = 0; i < t->n_added; i++)
        t->has_normalized_added = t->has_normalized_added || t->added[i].normalized;
    tokenizer_add_stop(t, t->eos);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        int32_t id = vocabulary_find(&t->vocabulary, ends[i], strlen(ends[i]));
        if (tokenizer_is_special(t, id))
            tokenizer_add_stop(t, id);
    }
    chat_recognise(t);
    return AGON_OK;
}

/* ---- added tokens ---------------------------------------------------------------------------------- */

/* `added` is sorted, so the tokens that share the first k bytes with the text are a range, which is
 * narrowed byte by byte; the last one that ends inside the text is the longest. */
const added_token *tokenizer_added_at(const tokenizer *t, const char *text, size_t n, bool normalized) {
    const added_token *best = NULL;
    size_t low = 0, high = t->n_added;
    for (size_t k = 0; low < high; k++) {
        for (; low < high && t->added[low].n == k; low++) /* the shortest sorts first */
            if (k > 0 && t->added[low].normalized == normalized && (!best || best->n < k))
                best = &t->added[low];
        if (k == n)
            break;
        uint8_t want = (uint8_t)text[k];
        size_t a = low, b = high;
        while (a < b) { /* first with byte >= want */
            size_t middle = a + (b - a) / 2;
            if ((uint8_t)t->added[middle].text[k] < want)
                a = middle + 1;
            else
                b = middle;
        }
        low = a;
        b = high;
        while (a < b) { /* first with byte > want */
            size_t middle = a + (b - a) / 2;
            if ((uint8_t)t->added[middle].text[k] <= want)
                a = middle + 1;
            else
                b = middle;
        }
        high = a;
    }
    return best;
}

bool added_is_held(const added_token *token) {
    return token->special || token->turn;
}

bool tokenizer_is_space(int32_t c) {
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
           c == 0x3000;
}

static bool is_word(utf8proc_int32_t c) {
    utf8proc_category_t k = utf8proc_category(c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_ND) || k == UTF8PROC_CATEGORY_PC;
}

/* The character that starts at text[0] or ends at text[n]; -1 at the end or when it is not UTF-8. */
static utf8proc_int32_t first_character(const char *text, size_t n, size_t *used) {
    utf8proc_int32_t c = -1;
    utf8proc_ssize_t k = n ? utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)(n < 4 ? n : 4), &c) : 0;
    *used = k > 0 ? (size_t)k : 0;
    return k > 0 ? c : -1;
}

static utf8proc_int32_t last_character(const char *text, size_t n, size_t *used) {
    size_t k = 1;
    while (k < 4 && k < n && ((uint8_t)text[n - k] & 0xc0) == 0x80)
        k++;
    utf8proc_int32_t c = n ? first_character(text + n - k, k, used) : -1;
    if (n == 0 || *used != k) {
        *used = 0;
        return -1;
    }
    return c;
}

typedef struct added_match {
    const added_token *token;
    size_t start, end;
} added_match;

/* The options of one found token: word boundaries, and white space it swallows on either side. */
static bool accept_match(const char *text, size_t n, size_t done, added_match *m) {
    size_t used;
    if (m->token->single_word && (is_word(last_character(text, m->start, &used)) ||
                                  is_word(first_character(text + m->end, n - m->end, &used))))
        return false;
    if (m->token->strip_left)
        while (m->start > done && tokenizer_is_space(last_character(text, m->start, &used)))
            m->start -= used;
    if (m->start < done)
        m->start = done;
    if (m->token->strip_right)
        while (m->end < n && tokenizer_is_space(first_character(text + m->end, n - m->end, &used)))
            m->end += used;
    return true;
}

/* ---- encoding -------------------------------------------------------------------------------------- */

/* The length of the valid UTF-8 that text starts with. */
size_t utf8_valid_length(const char *text, size_t n) {
    size_t at = 0;
    while (at < n) {
        if ((uint8_t)text[at] < 0x80) {
            at++;
            continue;
        }
        utf8proc_int32_t c;
        size_t left = n - at < 4 ? n - at : 4;
        utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)left, &c);
        if (k <= 0)
            break;
        at += (size_t)k;
    }
    return at;
}

static agon_status encode_normalised(encoder *e, const char *text, size_t n, size_t base);

/* A token whose own text is normalized has a space in front, be it the one that is put in front of the text. */
static bool take_space(encoder *e, const char *text, size_t base, size_t done, added_match *m) {
    size_t k = m->start;
    if (k == 0 || (k == 1 && base == e->piece && text[0] == ' ')) {
        e->piece = SIZE_MAX; /* no other space is put there */
        return true;
    }
    if (k == done || text[k - 1] != ' ')
        return false;
    m->start--;
    return true;
}

/* One pass over the text for the added tokens that are matched before (normalized false) or after
 * normalisation; what lies between goes on to the next stage. */
static agon_status encode_added(encoder *e, const char *text, size_t n, size_t base, bool normalized,
                                agon_status (*next)(encoder *, const char *, size_t, size_t)) {
    size_t done = 0, at = 0;
    agon_status s = AGON_OK;
    while (!s && at < n) {
        const added_token *token = tokenizer_added_at(e->t, text + at, n - at, normalized);
        if (!token) {
            at++;
            continue;
        }
        added_match m = {token, at, at + token->n};
        at = m.end;
        if ((added_is_held(token) && !e->parse_special) || !accept_match(text, n, done, &m))
            continue;
        if (normalized && e->t->added_behind_space && !take_space(e, text, base, done, &m))
            continue;
        if (m.start > done)
            s = next(e, text + done, m.start - done, base + done);
        token_sink_add(e->sink, token->id, base + m.end);
        done = m.end;
        if (at < done)
            at = done;
    }
    if (!s && done < n)
        s = next(e, text + done, n - done, base + done);
    return s;
}

agon_status tokenizer_normalise(agon_ctx *ctx, const tokenizer *t, const char *text, size_t n, char **out,
                                size_t *n_out) {
    static const int forms[] = {
        [FORM_NFC] = UTF8PROC_COMPOSE,
        [FORM_NFD] = UTF8PROC_DECOMPOSE,
        [FORM_NFKC] = UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
        [FORM_NFKD] = UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
    };
    bool ascii = true;
    for (size_t i = 0; ascii && i < n; i++)
        ascii = (uint8_t)text[i] < 0x80;
    if (t->form == FORM_NONE || ascii)
        return AGON_OK;
    buffer result;
    buffer_init(&result, SIZE_MAX / 2);
    while (n > 0) { /* stretches of valid UTF-8, invalid bytes as they are */
        size_t valid = utf8_valid_length(text, n);
        utf8proc_uint8_t *piece = NULL;
        if (valid > 0) {
            utf8proc_ssize_t m = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)valid, &piece,
                                              UTF8PROC_STABLE | forms[t->form]);
            if (m < 0 || !buffer_append(&result, piece, (size_t)m))
                result.failed = true;
            free(piece);
        }
        if (valid < n)
            buffer_append(&result, text + valid++, 1);
        text += valid;
        n -= valid;
    }
    if (result.failed) {
        buffer_free(&result);
        return no_memory(ctx);
    }
    *n_out = result.size;
    *out = buffer_take(&result);
    return AGON_OK;
}

static agon_status encode_normalised(encoder *e, const char *text, size_t n, size_t base) {
    char *changed = NULL;
    agon_status s = tokenizer_normalise(e->ctx, e->t, text, n, &changed, &n);
    if (s)
        return s;
    if (changed)
        text = changed;
    e->piece = base;
    s = e->t->has_normalized_added ? encode_added(e, text, n, base, true, e->t->kind->encode)
                                   : e->t->kind->encode(e, text, n, base);
    free(changed);
    return s;
}

agon_status tokenizer_encode_run(agon_ctx *ctx, const tokenizer *t, const char *text, size_t n, bool parse_special,
                                 text_start start, token_sink *sink) {
    encoder e = {.ctx = ctx, .t = t, .parse_special = parse_special, .start = start, .sink = sink};
    agon_status s = encode_added(&e, text, n, 0, false, encode_normalised);
    bpe_scratch_free(&e.scratch);
    buffer_free(&e.spelling);
    if (!s && sink->failed)
        s = ctx_fail(ctx, AGON_ENOMEM, "no memory for the tokens of a text of %zu bytes", n);
    return s;
}

static agon_status encode_text(agon_ctx *ctx, const tokenizer *t, const char *text, size_t n, bool parse_special, text_start start,
                               token_list *out) {
    size_t before = out->n;
    token_sink sink = {.ids = out};
    agon_status s = tokenizer_encode_run(ctx, t, text, n, parse_special, start, &sink);
    if (s)
        out->n = before;
    return s;
}

agon_status tokenizer_encode(agon_ctx *ctx, const tokenizer *t, const char *text, size_t n,
                             bool parse_special, token_list *out) {
    return encode_text(ctx, t, text, n, parse_special, TEXT_BEGINS, out);
}

bool tokenizer_begins_text(const tokenizer *t, const int32_t *before, size_t n_before) {
    return n_before == 0 || (n_before == 1 && t->bos >= 0 && before[0] == t->bos);
}

agon_status tokenizer_encode_more(agon_ctx *ctx, const tokenizer *t, const int32_t *before, size_t n_before, const char *text,
                                  size_t n, bool parse_special, token_list *out) {
    text_start start = TEXT_GOES_ON;
    if (tokenizer_begins_text(t, before, n_before))
        start = TEXT_BEGINS;
    else if (tokenizer_is_special(t, before[n_before - 1]))
        start = TEXT_AFTER_TOKEN;
    return encode_text(ctx, t, text, n, parse_special, start, out);
}

agon_status tokenizer_encode_raw(agon_ctx *ctx, const tokenizer *t, const char *text, size_t n,
                                 token_list *out) {
    size_t before = out->n;
    if (t->add_bos && t->bos >= 0 && !token_list_push(out, t->bos))
        return no_memory(ctx);
    agon_status s = tokenizer_encode(ctx, t, text, n, true, out);
    if (s)
        out->n = before;
    return s;
}

/* ---- decoding and questions ------------------------------------------------------------------------ */

char *tokenizer_decode(const tokenizer *t, const int32_t *ids, size_t n_ids, bool show_special, size_t *n) {
    buffer text = {0};
    bool first = true;
    for (size_t i = 0; i < n_ids; i++) {
        size_t m;
        const char *bytes = first ? tokenizer_first_bytes(t, ids[i], &m) : tokenizer_bytes(t, ids[i], &m);
        if (ids[i] < 0 || (size_t)ids[i] >= t->n || t->types[ids[i]] == TOKEN_UNUSED || (!show_special && tokenizer_is_special(t, ids[i])))
            continue;
        buffer_append(&text, bytes, m);
        first = false;
    }
    size_t size = text.size;
    char *result = buffer_take(&text);
    if (result && n)
        *n = size;
    return result;
}

const char *tokenizer_bytes(const tokenizer *t, int32_t id, size_t *n) {
    if (id < 0 || (size_t)id >= t->n) {
        *n = 0;
        return "";
    }
    *n = t->n_bytes[id];
    return t->bytes[id];
}

const char *tokenizer_first_bytes(const tokenizer *t, int32_t id, size_t *n) {
    if (id < 0 || (size_t)id >= t->n || !t->first_bytes)
        return tokenizer_bytes(t, id, n);
    *n = t->n_first_bytes[id];
    return t->first_bytes[id];
}

size_t tokenizer_n_vocabulary(const tokenizer *t) {
    return t->n;
}

bool tokenizer_is_special(const tokenizer *t, int32_t id) {
    return id >= 0 && (size_t)id < t->n &&
           (t->types[id] == TOKEN_CONTROL || t->types[id] == TOKEN_UNKNOWN);
}

/* A special token by its text, else an ordinary token by its spelling or by the bytes it stands for. */
int32_t tokenizer_find(const tokenizer *t, const char *text) {
    int32_t id = vocabulary_find(&t->vocabulary, text, strlen(text));
    if (id >= 0)
        return id;
    buffer spelling = {0};
    if (t->kind->spell(&spelling, text, strlen(text)) && spelling.data)
        id = vocabulary_find(&t->vocabulary, spelling.data, spelling.size);
    buffer_free(&spelling);
    return id;
}

bool tokenizer_is_stop(const tokenizer *t, int32_t id) {
    for (size_t i = 0; i < t->n_stops; i++)
        if (t->stops[i] == id)
            return true;
    return false;
}

int32_t tokenizer_bos(const tokenizer *t) {
    return t->bos;
}

int32_t tokenizer_eos(const tokenizer *t) {
    return t->eos;
}

int32_t tokenizer_end_of_turn(const tokenizer *t) {
    const char *text = t->family ? chat_end_of_turn(t->family) : NULL;
    int32_t id = text ? vocabulary_find(&t->vocabulary, text, strlen(text)) : -1;
    return id >= 0 ? id : t->eos;
}
