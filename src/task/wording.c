/* Does a rewording ask for the same task? By a closed vocabulary: what is not understood is another question.
 *
 * A text is read as a sequence of
 *   numbers     by value, in digits or words
 *   quotations  between quotation marks, byte for byte
 *   classes     phrases of which a family says that they mean the same
 *   words       any other one, whatever the case
 *   signs       any other character but the usual marks between words
 * without the words that say nothing. A rewording is accepted if its sequence is that of the query or of one of the family's own wordings of the task.
 * So whatever a word, a sign or a letter of another alphabet may mean, none is added, left out or moved.
 *
 * Other names, and remarks beside the query, are read in the same spirit: remark.c. */
#include "task/wording.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "task/number.h"
#include "task/words.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_TOKENS = 400, PHRASE_SIZE = 64 };

typedef struct token {
    enum { NUMBER, QUOTATION, CLASS, WORD, SIGN } kind;
    size_t start, end, class;
    rational value;
} token;

typedef struct form {
    const char *text; /* for quotations */
    char *digits;     /* the same by with_digits: every byte keeps its place */
    token items[MAX_TOKENS];
    size_t n;
    bool too_long;
} form;

agon_status wordings_add(agon_ctx *ctx, wordings *w, const char *pattern, const text_fill *fills, size_t n) {
    if (w->n == WORDINGS_MAX)
        return ctx_fail(ctx, AGON_EINVAL, "a task has more than %d wordings", WORDINGS_MAX);
    agon_status s = task_fill(ctx, pattern, fills, n, &w->texts[w->n]);
    w->n += !s;
    return s;
}

void wordings_free(wordings *w) {
    for (size_t i = 0; i < w->n; i++)
        free(w->texts[i]);
    *w = (wordings){0};
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Where the longest of the phrases that stand at text[at] ends; 0: none does. */
static size_t phrase_end(const char *text, size_t at, const char *list) {
    char phrase[PHRASE_SIZE];
    size_t longest = 0, end;
    for (size_t k = 0; list && alternative(list, k, phrase, sizeof phrase); k++) {
        size_t behind, before = 0, last = 0;
        if (!*phrase || !phrase_at(text, at, phrase, &end))
            continue;
        for (int32_t c; (c = text_next(phrase, &before));)
            last = (size_t)c;
        behind = end;
        bool inside = code_is_word((int32_t)last) && code_is_word(text_next(text, &behind));
        longest = !inside && end > longest ? end : longest;
    }
    return longest;
}

/* The end of the quotation that opens at text[at]; 0: none does. */
static size_t quotation_end(const char *text, size_t at) {
    const char mark = text[at];
    if (mark != '"' && !(mark == '\'' && (at == 0 || strchr(" \n(", text[at - 1]))))
        return 0;
    for (const char *p = text + at + 1; (p = strchr(p, mark)); p++) {
        size_t behind = (size_t)(p - text) + 1;
        if (mark == '"' || !code_is_word(text_next(text, &(size_t){behind})))
            return behind;
    }
    return 0;
}

static void form_add(form *f, token t) {
    if (f->n == MAX_TOKENS)
        f->too_long = true;
    else
        f->items[f->n++] = t;
}

static bool is_listed(const char *text, const token *t, const char *list) {
    return t->kind == WORD && phrase_end(text, t->start, list) == t->end;
}

/* The phrase or number at `at`; false: none starts there. */
static bool read_known(const wordings *w, const char *text, size_t at, token *out) {
    number_token number;
    size_t end;
    *out = (token){.kind = CLASS, .start = at};
    for (size_t c = 0; w->same && w->same[c]; c++)
        if ((end = phrase_end(text, at, w->same[c])) > out->end) {
            out->end = end;
            out->class = c;
        }
    if (out->end)
        return true;
    if (!number_next(text, at, strlen(text), &number) || number.start != at || number.invalid)
        return false;
    *out = (token){.kind = NUMBER, .start = at, .end = number.end, .value = number.value};
    return true;
}

/* What begins at `at`, which is no space; its end. */
static size_t read_token(const wordings *w, size_t at, form *f) {
    const char *text = f->digits;
    size_t end = quotation_end(f->text, at), next = at;
    token t;
    span s;
    if (end) {
        if (f->n > 0 && is_listed(text, &f->items[f->n - 1], w->label))
            f->n--;
        form_add(f, (token){.kind = QUOTATION, .start = at + 1, .end = end - 1});
        return end;
    }
    end = phrase_end(text, at, w->neutral);
    bool known = read_known(w, text, at, &t);
    if (known && t.end >= end) {
        form_add(f, t);
        return t.end;
    }
    if (end)
        return end;
    int32_t c = text_next(text, &next);
    if (code_is_word(c) && word_next(text, &at, &s)) {
        form_add(f, (token){.kind = WORD, .start = s.start, .end = s.end});
        return s.end;
    }
    if (c > 0x7F || !strchr(".,?!:;", (char)c))
        form_add(f, (token){.kind = SIGN, .start = at, .end = next});
    return next;
}

static int order_of(const form *a, const token *x, const form *b, const token *y) {
    size_t p = x->start, q = y->start;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->kind == CLASS)
        return x->class < y->class ? -1 : x->class > y->class;
    if (x->kind == NUMBER) { /* in some order, not that of size */
        const int64_t left = x->value.numerator - y->value.numerator, more = x->value.denominator - y->value.denominator;
        return left ? (left < 0 ? -1 : 1) : more < 0 ? -1 : more > 0;
    }
    while (p < x->end && q < y->end) {
        int32_t c = text_next(x->kind == QUOTATION ? a->text : a->digits, &p), d = text_next(x->kind == QUOTATION ? b->text : b->digits, &q);
        if (x->kind == WORD) {
            c = code_fold(c);
            d = code_fold(d);
        }
        if (c != d)
            return c < d ? -1 : 1;
    }
    return (p < x->end) - (q < y->end);
}

/* Numbers and words beside one another are a list: its members in one order. */
static void sort_lists(form *f) {
    for (size_t i = 1; i < f->n; i++)
        for (size_t k = i; k > 0; k--) {
            token *a = &f->items[k - 1], *b = &f->items[k];
            if ((a->kind != NUMBER && a->kind != WORD) || (b->kind != NUMBER && b->kind != WORD) || order_of(f, a, f, b) <= 0)
                break;
            const token swap = *a;
            *a = *b;
            *b = swap;
        }
}

/* Number words as digits, blanks behind them; "one" stays, which is mostly a pronoun. New, NULL on memory. */
static char *with_digits(const char *text) {
    char *copy = strdup(text), digits[48];
    number_token t;
    for (size_t at = 0; copy && number_words_next(text, &at, false, &t);) {
        rational_text(t.value, digits, sizeof digits);
        const size_t n = strlen(digits), room = t.end - t.start;
        if (t.value.denominator != 1 || n > room)
            continue; /* "half" and "twice" are words */
        memset(copy + t.start, ' ', room);
        memcpy(copy + t.start, digits, n);
    }
    return copy;
}

/* f->digits: new, NULL on memory. */
static agon_status read_form(agon_ctx *ctx, const wordings *w, const char *text, form *f) {
    *f = (form){.text = text, .digits = with_digits(text)};
    if (!f->digits)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a rewording is exhausted");
    for (size_t at = 0, next = 0; f->digits[at]; at = next) {
        int32_t c = text_next(f->digits, &next);
        if (!code_is_space(c))
            next = read_token(w, at, f);
    }
    if (w->any_order)
        sort_lists(f);
    return AGON_OK;
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static bool same_form(const form *a, const form *b) {
    bool same = a->n == b->n && !a->too_long && !b->too_long;
    for (size_t i = 0; i < a->n && same; i++)
        same = order_of(a, &a->items[i], b, &b->items[i]) == 0;
    return same;
}

agon_status wording_check(agon_ctx *ctx, const task_query *query, const char *text, const char **why) {
    static const char anywhere[] = "a|an|the|please|can you|could you|tell me";
    const task_family *f = family_find(query->family);
    wordings w = {.neutral = anywhere};
    form *asked = memory_new(1, sizeof *asked), *known = memory_new(1, sizeof *known);
    agon_status s = asked && known ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "memory for a rewording is exhausted");
    bool same = false;
    if (!s && f->wordings)
        s = f->wordings(ctx, query, &w);
    if (!s)
        s = read_form(ctx, &w, text, asked);
    for (size_t k = 0; k <= w.n && !s && !same; k++) {
        s = read_form(ctx, &w, k < w.n ? w.texts[k] : query->text, known);
        same = !s && same_form(asked, known);
        free(known->digits);
    }
    if (!s && !same)
        *why = "it is worded as no known question for the same";
    wordings_free(&w);
    free(asked ? asked->digits : NULL);
    free(asked);
    free(known);
    return s;
}
