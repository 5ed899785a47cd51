/* Sequence tasks, see sequence.h; the alphabet is in sequence_alphabet.h.
 *
 *   compare    two numbers of four digits, the smaller first; domain: where they first differ
 *   addition   two digits + two digits, and the sum; domain: number of carries
 *   brackets   balanced () and [] of length 12; domain: greatest depth
 *   sorting    six letters and the same in order; domain: how many are of the alphabet's first half
 *   reversal   six letters and the same backwards; domain likewise
 *   agreement  noun (preposition noun)+ verb: the verb's number is the first noun's; domain: nouns in between */
#include "task/sequence_alphabet.h"
#include "base/ctx.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct family {
    const char *name;
    bool generative;
    void (*draw)(rng *r, sequence_item *s);                 /* a true statement; mark and END are added */
    void (*spoil)(rng *r, sequence_item *s);                /* one change; drawn again while it is still true */
    bool (*verify)(const int32_t *body, size_t n);          /* without mark and END */
} family;

static void push(sequence_item *s, int token) {
    assert(s->n < SEQUENCE_MAX);
    s->tokens[s->n++] = token;
}

static void push_equals(sequence_item *s) {
    push(s, SEQUENCE_EQUALS);
    s->n_source = s->n;
}

static bool all_in(const int32_t *t, size_t n, int first, int count) {
    for (size_t i = 0; i < n; i++)
        if (t[i] < first || t[i] >= first + count)
            return false;
    return true;
}

static int number(const int32_t *t, size_t n) {
    int x = 0;
    for (size_t i = 0; i < n; i++)
        x = 10 * x + (t[i] - DIGIT);
    return x;
}

/* Another token of the same kind, [first, first + count). */
static int other(rng *r, int token, int first, int count) {
    int x = first + (int)rng_below(r, (uint64_t)(count - 1));
    return x >= token ? x + 1 : x;
}

/* ---- compare --------------------------------------------------------------------------------------------- */

enum { DIGITS = 4 };

static void compare_draw(rng *r, sequence_item *s) {
    int a[DIGITS], b[DIGITS];
    size_t at = (size_t)rng_below(r, DIGITS);
    for (size_t i = 0; i < DIGITS; i++) {
        a[i] = (int)rng_below(r, 10);
        b[i] = i < at ? a[i] : (int)rng_below(r, 10);
    }
    while (a[at] == b[at])
        b[at] = (int)rng_below(r, 10);
    const int *small = a[at] < b[at] ? a : b, *large = a[at] < b[at] ? b : a;
    for (size_t i = 0; i < DIGITS; i++)
        push(s, DIGIT + small[i]);
    push_equals(s);
    for (size_t i = 0; i < DIGITS; i++)
        push(s, DIGIT + large[i]);
    s->domain = at < 2 ? (int)at : 2;
}

static void compare_spoil(rng *r, sequence_item *s) {
    (void)r;
    for (size_t i = 0; i < DIGITS; i++) {
        int32_t t = s->tokens[1 + i];
        s->tokens[1 + i] = s->tokens[2 + DIGITS + i];
        s->tokens[2 + DIGITS + i] = t;
    }
}

static bool compare_verify(const int32_t *t, size_t n) {
    return n == 2 * DIGITS + 1 && all_in(t, DIGITS, DIGIT, 10) && t[DIGITS] == SEQUENCE_EQUALS &&
           all_in(t + DIGITS + 1, DIGITS, DIGIT, 10) && number(t, DIGITS) < number(t + DIGITS + 1, DIGITS);
}

/* ---- addition -------------------------------------------------------------------------------------------- */

static void addition_draw(rng *r, sequence_item *s) {
    int a = (int)rng_below(r, 100), b = (int)rng_below(r, 100), sum = a + b;
    const int out[] = {DIGIT + a / 10, DIGIT + a % 10, PLUS, DIGIT + b / 10, DIGIT + b % 10};
    for (size_t i = 0; i < 5; i++)
        push(s, out[i]);
    push_equals(s);
    push(s, DIGIT + sum / 100);
    push(s, DIGIT + sum / 10 % 10);
    push(s, DIGIT + sum % 10);
    s->domain = (a % 10 + b % 10 >= 10) + (sum >= 100);
}

static void addition_spoil(rng *r, sequence_item *s) {
    size_t at = s->n - 2 - (size_t)rng_below(r, 2); /* tens or ones; END is last */
    s->tokens[at] = other(r, s->tokens[at], DIGIT, 10);
}

static bool addition_verify(const int32_t *t, size_t n) {
    return n == 9 && all_in(t, 2, DIGIT, 10) && t[2] == PLUS && all_in(t + 3, 2, DIGIT, 10) && t[5] == SEQUENCE_EQUALS &&
           all_in(t + 6, 3, DIGIT, 10) && number(t, 2) + number(t + 3, 2) == number(t + 6, 3);
}

/* ---- brackets -------------------------------------------------------------------------------------------- */

enum { N_BRACKETS = 12 };

static void brackets_draw(rng *r, sequence_item *s) {
    int open[N_BRACKETS], depth = 0, deepest = 0;
    for (int i = 0; i < N_BRACKETS; i++) {
        bool must_close = depth == N_BRACKETS - i, may_close = depth > 0;
        if (must_close || (may_close && rng_below(r, 2))) {
            push(s, open[--depth] == ROUND_OPEN ? ROUND_CLOSE : SQUARE_CLOSE);
        } else {
            open[depth] = rng_below(r, 2) ? ROUND_OPEN : SQUARE_OPEN;
            push(s, open[depth++]);
            deepest = depth > deepest ? depth : deepest;
        }
    }
    s->n_source = 1;
    s->domain = deepest <= 2 ? 0 : deepest == 3 ? 1 : 2;
}

static void brackets_spoil(rng *r, sequence_item *s) {
    size_t i = 1 + (size_t)rng_below(r, N_BRACKETS), j = 1 + (size_t)rng_below(r, N_BRACKETS);
    int32_t t = s->tokens[i]; /* counts of all four stay */
    s->tokens[i] = s->tokens[j];
    s->tokens[j] = t;
}

static bool brackets_verify(const int32_t *t, size_t n) {
    int open[SEQUENCE_MAX];
    size_t depth = 0;
    for (size_t i = 0; i < n; i++) {
        if (t[i] == ROUND_OPEN || t[i] == SQUARE_OPEN)
            open[depth++] = t[i];
        else if (depth == 0 || t[i] != (open[depth - 1] == ROUND_OPEN ? ROUND_CLOSE : SQUARE_CLOSE))
            return false;
        else
            depth--;
    }
    return n == N_BRACKETS && depth == 0;
}

/* ---- sorting and reversal -------------------------------------------------------------------------------- */

enum { N_LETTERS = 6 };

static void draw_letters(rng *r, sequence_item *s, int *letters) {
    for (int i = 0; i < N_LETTERS; i++) {
        letters[i] = (int)rng_below(r, 26);
        push(s, LETTER + letters[i]);
    }
    push_equals(s);
}

static void sorting_draw(rng *r, sequence_item *s) {
    int letters[N_LETTERS], n_low = 0;
    draw_letters(r, s, letters);
    for (int i = 1; i < N_LETTERS; i++)
        for (int j = i; j > 0 && letters[j - 1] > letters[j]; j--) {
            int t = letters[j];
            letters[j] = letters[j - 1];
            letters[j - 1] = t;
        }
    for (int i = 0; i < N_LETTERS; i++) {
        push(s, LETTER + letters[i]);
        n_low += letters[i] < 13;
    }
    s->domain = n_low <= 2 ? 0 : n_low == 3 ? 1 : 2;
}

/* Two neighbours of the answer in the wrong order. */
static void sorting_spoil(rng *r, sequence_item *s) {
    size_t i = s->n_source + (size_t)rng_below(r, N_LETTERS - 1);
    int32_t t = s->tokens[i];
    s->tokens[i] = s->tokens[i + 1];
    s->tokens[i + 1] = t;
}

static bool letters_form(const int32_t *t, size_t n) {
    return n == 2 * N_LETTERS + 1 && t[N_LETTERS] == SEQUENCE_EQUALS && all_in(t, N_LETTERS, LETTER, 26) &&
           all_in(t + N_LETTERS + 1, N_LETTERS, LETTER, 26);
}

static bool sorting_verify(const int32_t *t, size_t n) {
    int count[26] = {0};
    if (!letters_form(t, n))
        return false;
    for (size_t i = 0; i < N_LETTERS; i++) {
        count[t[i] - LETTER]++;
        count[t[N_LETTERS + 1 + i] - LETTER]--;
        if (i && t[N_LETTERS + i] > t[N_LETTERS + 1 + i])
            return false;
    }
    for (size_t i = 0; i < 26; i++)
        if (count[i])
            return false;
    return true;
}

static void reversal_draw(rng *r, sequence_item *s) {
    int letters[N_LETTERS], n_low = 0;
    draw_letters(r, s, letters);
    for (int i = N_LETTERS; i-- > 0;) {
        push(s, LETTER + letters[i]);
        n_low += letters[i] < 13;
    }
    s->domain = n_low <= 2 ? 0 : n_low == 3 ? 1 : 2;
}

static void reversal_spoil(rng *r, sequence_item *s) {
    size_t i = s->n_source + (size_t)rng_below(r, N_LETTERS);
    s->tokens[i] = s->tokens[1 + rng_below(r, N_LETTERS)]; /* another letter of the source */
}

static bool reversal_verify(const int32_t *t, size_t n) {
    if (!letters_form(t, n))
        return false;
    for (size_t i = 0; i < N_LETTERS; i++)
        if (t[i] != t[2 * N_LETTERS - i])
            return false;
    return true;
}

/* ---- agreement ------------------------------------------------------------------------------------------- */

static int noun(rng *r, int plural) {
    return NOUN + 2 * (int)rng_below(r, N_NOUNS) + plural;
}

static void agreement_draw(rng *r, sequence_item *s) {
    int plural = (int)rng_below(r, 2), between = 1 + (int)rng_below(r, SEQUENCE_N_DOMAINS);
    push(s, noun(r, plural));
    for (int i = 0; i < between; i++) {
        push(s, PREPOSITION + (int)rng_below(r, N_PREPOSITIONS));
        push(s, noun(r, (int)rng_below(r, 2)));
    }
    push_equals(s);
    push(s, VERB + 2 * (int)rng_below(r, N_VERBS) + plural);
    s->domain = between - 1;
}

static void agreement_spoil(rng *r, sequence_item *s) {
    (void)r;
    int32_t *verb = &s->tokens[s->n - 2];
    *verb = VERB + ((*verb - VERB) ^ 1);
}

static bool agreement_verify(const int32_t *t, size_t n) {
    if (n < 5 || n > 9 || n % 2 == 0 || t[n - 2] != SEQUENCE_EQUALS || !all_in(t + n - 1, 1, VERB, 2 * N_VERBS))
        return false;
    for (size_t i = 0; i + 2 < n; i++)
        if (i % 2 ? !all_in(t + i, 1, PREPOSITION, N_PREPOSITIONS) : !all_in(t + i, 1, NOUN, 2 * N_NOUNS))
            return false;
    return ((t[0] - NOUN) & 1) == ((t[n - 1] - VERB) & 1);
}

/* ---- the table ------------------------------------------------------------------------------------------- */

#define FAMILY(name, generative) {#name, generative, name##_draw, name##_spoil, name##_verify}
static const family families[] = {
    FAMILY(compare, false),  FAMILY(addition, true),  FAMILY(brackets, false),
    FAMILY(sorting, true),   FAMILY(reversal, true),  FAMILY(agreement, false),
};
enum { N_FAMILIES = sizeof families / sizeof *families };
_Static_assert(MARK + (int)N_FAMILIES <= (int)SEQUENCE_RIGHT && (int)SEQUENCE_MEND < (int)DIGIT, "family marks run into the verdicts");

size_t sequence_n_families(void) {
    return N_FAMILIES;
}

const char *sequence_family_name(size_t family) {
    return families[family].name;
}

size_t sequence_family_find(const char *name) {
    for (size_t f = 0; f < N_FAMILIES; f++)
        if (strcmp(families[f].name, name) == 0)
            return f;
    return SIZE_MAX;
}

bool sequence_is_generative(size_t family) {
    return families[family].generative;
}

bool sequence_verify(size_t family, const int32_t *tokens, size_t n) {
    return n >= 3 && n <= SEQUENCE_MAX && tokens[0] == MARK + (int32_t)family && tokens[n - 1] == SEQUENCE_END &&
           families[family].verify(tokens + 1, n - 2);
}

void sequence_blur(rng *r, double rate, sequence_item *item) {
    for (size_t i = item->n_source; i + 1 < item->n; i++)
        if (rng_uniform(r) < rate)
            item->tokens[i] = item->tokens[1 + rng_below(r, item->n_source - 2)];
}

/* The next of its kind where `token` is one that mistakes are planted in, else itself. */
static int32_t mistaken(int32_t token, size_t every) {
    bool digit = token >= DIGIT && token < DIGIT + 10, letter = token >= LETTER && token < LETTER + 26;
    int32_t first = digit ? DIGIT : LETTER, count = digit ? 10 : 26;
    return (digit || letter) && (size_t)(token - first) % every == 0 ? first + (token - first + 1) % count : token;
}

void sequence_plant(rng *r, size_t every, double rate, sequence_item *item) {
    for (size_t i = item->n_source; i + 1 < item->n; i++)
        if (rng_uniform(r) < rate)
            item->tokens[i] = mistaken(item->tokens[i], every);
}

size_t sequence_wrong_places(const sequence_item *truth, const sequence_item *completion, bool wrong[SEQUENCE_MAX]) {
    size_t n = 0;
    for (size_t i = truth->n_source; i < completion->n; i++) {
        bool differs = i >= truth->n || truth->tokens[i] != completion->tokens[i];
        wrong[i - truth->n_source] = differs;
        n += differs;
    }
    return n;
}

bool sequence_mend(const sequence_item *draft, const bool *wrong, sequence_item *out) {
    size_t n_answer = draft->n - draft->n_source;
    *out = (sequence_item){.domain = draft->domain};
    /* Twice the answer now, and once more when it is completed. */
    if (n_answer == 0 || draft->n_source + 3 * n_answer > SEQUENCE_MAX || draft->tokens[draft->n - 1] != SEQUENCE_END)
        return false;
    push(out, SEQUENCE_MEND);
    for (size_t i = 1; i < draft->n_source; i++)
        push(out, draft->tokens[i]);
    for (size_t i = 0; i + 1 < n_answer; i++) {
        push(out, draft->tokens[draft->n_source + i]);
        push(out, wrong[i] ? SEQUENCE_WRONG : SEQUENCE_RIGHT);
    }
    push_equals(out);
    return true;
}

double sequence_grade(const sequence_item *truth, const sequence_item *completion) {
    size_t n = truth->n > completion->n ? truth->n : completion->n, right = 0;
    for (size_t i = truth->n_source; i < truth->n && i < completion->n; i++)
        right += truth->tokens[i] == completion->tokens[i];
    return (double)right / (double)(n - truth->n_source);
}

/* A change may leave a statement true (equal letters): another change then. */
bool sequence_spoil(size_t family, rng *r, sequence_item *item) {
    const sequence_item whole = *item;
    for (int tries = 0; tries < 8; tries++) {
        families[family].spoil(r, item);
        if (!sequence_verify(family, item->tokens, item->n)) {
            item->truth = false;
            return true;
        }
        *item = whole;
    }
    return false;
}

void sequence_draw(size_t family, bool truth, rng *r, sequence_item *out) {
    do {
        *out = (sequence_item){.truth = true};
        push(out, MARK + (int)family);
        families[family].draw(r, out);
        push(out, SEQUENCE_END);
    } while (!truth && !sequence_spoil(family, r, out));
}

void sequence_add_verdict(sequence_item *item) {
    push(item, item->truth ? SEQUENCE_RIGHT : SEQUENCE_WRONG);
}

/* ---- sets without repetition ----------------------------------------------------------------------------- */

/* Open addressing. Items are the same when their sources are, where the answer follows from the source; else when all tokens are. */
typedef struct seen {
    const sequence_item **slots;
    size_t n_slots;
} seen;

static size_t key_length(const sequence_item *item) {
    return families[item->tokens[0] - MARK].generative ? item->n_source : item->n;
}

/* False when the item is there; adds it else, unless it is only a question. */
static bool add_new(seen *s, const sequence_item *item, bool add) {
    uint64_t h = 1469598103934665603ull; /* FNV-1a */
    size_t n = key_length(item);
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint64_t)item->tokens[i]) * 1099511628211ull;
    for (size_t at = (size_t)h & (s->n_slots - 1);; at = (at + 1) & (s->n_slots - 1)) {
        if (!s->slots[at]) {
            s->slots[at] = add ? item : NULL;
            return true;
        }
        if (key_length(s->slots[at]) == n && memcmp(s->slots[at]->tokens, item->tokens, n * sizeof *item->tokens) == 0)
            return false;
    }
}

agon_status sequence_draw_set(agon_ctx *ctx, size_t family, uint64_t seed, const bool *truth, const sequence_item *taken,
                              size_t n_taken, bool distinct, size_t n, sequence_item *out) {
    seen s = {.n_slots = 64};
    while (s.n_slots < 2 * (n + n_taken) + 2)
        s.n_slots *= 2;
    s.slots = calloc(s.n_slots, sizeof *s.slots);
    if (!s.slots)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu items", n);
    for (size_t i = 0; i < n_taken; i++)
        add_new(&s, &taken[i], true);
    rng r = rng_new(seed);
    size_t failed = 0;
    for (size_t i = 0; i < n && failed < 1000 + 20 * n;) {
        sequence_draw(family, truth ? *truth : i % 2 == 0, &r, &out[i]);
        if (add_new(&s, &out[i], distinct))
            i++;
        else
            failed++;
    }
    free(s.slots);
    if (failed >= 1000 + 20 * n)
        return ctx_fail(ctx, AGON_EINVAL, "the family %s has no %zu more items that differ; ask for fewer",
                        families[family].name, n);
    return AGON_OK;
}

/* ---- for people ------------------------------------------------------------------------------------------ */

static void token_text(int32_t t, char *out, size_t size) {
    static const char signs[] = "+()[]";
    if (t >= MARK && t < MARK + N_FAMILIES)
        snprintf(out, size, "%s ", families[t - MARK].name);
    else if (t >= DIGIT && t < DIGIT + 10)
        snprintf(out, size, "%c", '0' + (char)(t - DIGIT));
    else if (t >= LETTER && t < LETTER + 26)
        snprintf(out, size, "%c", 'a' + (char)(t - LETTER));
    else if (t >= SIGN && t < SIGN + 5)
        snprintf(out, size, "%c", signs[t - SIGN]);
    else if (t == SEQUENCE_EQUALS)
        snprintf(out, size, " = ");
    else if (t >= NOUN && t < VERB)
        snprintf(out, size, "noun%d%s ", (t - NOUN) / 2, (t - NOUN) % 2 ? "s" : "");
    else if (t >= VERB && t < PREPOSITION)
        snprintf(out, size, "verb%d%s", (t - VERB) / 2, (t - VERB) % 2 ? "" : "s");
    else if (t >= PREPOSITION && t < PREPOSITION + N_PREPOSITIONS)
        snprintf(out, size, "prep%d ", t - PREPOSITION);
    else if (t == SEQUENCE_RIGHT || t == SEQUENCE_WRONG)
        snprintf(out, size, t == SEQUENCE_RIGHT ? " right" : " wrong");
    else
        snprintf(out, size, t == SEQUENCE_END ? "." : "?");
}

void sequence_text(const int32_t *tokens, size_t n, char *out, size_t size) {
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < n && used + 1 < size; i++) {
        token_text(tokens[i], out + used, size - used);
        used += strlen(out + used);
    }
}
