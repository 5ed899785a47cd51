/* Which one number a response claims: by what it opens with, by comparisons, which make a chain, by a conclusion. See comparison.c. */
#include "task/comparison_choice.h"
#include <ctype.h>
#include <string.h>

static bool starts_word(const char *text, const char *const *words, size_t n) {
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(words[i]);
        if (strncasecmp(text, words[i], length) == 0 && !isalpha((unsigned char)text[length]))
            return true;
    }
    return false;
}

static bool is_word(const char *text, const char *word) {
    return starts_word(text, &word, 1);
}

/* How much a word claims: large (> 0) or small (< 0), by comparison 1 or above all 2. names: "the largest is 98" claims it too. */
static const struct degree {
    const char *word;
    int claim;
    bool names;
} degrees[] = {
    {"larger", 1, true},   {"greater", 1, true},   {"bigger", 1, true},   {"higher", 1, true},  {"more", 1, false},
    {"largest", 2, true},  {"greatest", 2, true},  {"biggest", 2, true},  {"highest", 2, true}, {"maximum", 2, true},
    {"smaller", -1, true}, {"less", -1, false},    {"lesser", -1, true},  {"lower", -1, true},  {"fewer", -1, false},
    {"smallest", -2, true}, {"least", -2, true},   {"lowest", -2, true},  {"minimum", -2, true},
};

static const struct degree *degree_at(const char *text) {
    for (size_t i = 0; i < sizeof degrees / sizeof *degrees; i++)
        if (is_word(text, degrees[i].word))
            return &degrees[i];
    return NULL;
}

/* What is said of a number: large (> 0) or small (< 0), by comparison 1 or above all 2; 0: nothing. denied: "not the largest", "the second
 * largest". */
typedef struct claim {
    int degree;
    bool denied;
    const char *at; /* the word that says so */
} claim;

static const char *const ordinals[] = {"second", "third", "fourth", "next", "2nd", "3rd"};
enum { N_ORDINALS = sizeof ordinals / sizeof *ordinals };

static bool asks_for(const choice *c, claim said) {
    return said.degree != 0 && (said.degree > 0) == c->kind->down;
}

/* What a clause says of its subject: "is larger", "is not the second largest", "exceeds", "> 45". verb: "larger" will do. */
static claim clause(const char *text, bool verb) {
    enum { MOST_WORDS = 32 };
    static const char *const is[] = {"is", "was", "'s"}, *const not[] = {"not", "never", "isn't", "wasn't"},
                      *const exceeds[] = {"exceeds", "surpasses", "beats", "tops"},
                      *const fill[] = {"the", "a", "one", "number", "much", "clearly", "definitely", "indeed", "also", "far", "slightly"};
    bool negated = false, ordinal = false;
    for (int k = 0; k < MOST_WORDS; k++) {
        text += strspn(text, " \t*\"");
        if (*text == '>' || *text == '<')
            return (claim){*text == '>' ? 1 : -1, false, text};
        size_t n = *text == '\'' ? 1 : 0;
        while (isalnum((unsigned char)text[n]) || (text[n] == '\'' && isalpha((unsigned char)text[n + 1]) && n > 0))
            n++;
        const struct degree *d = degree_at(text);
        if (d && verb && abs(d->claim) == 1 && !ordinal)
            return (claim){negated ? -d->claim : d->claim, false, text};
        if (d && verb)
            return (claim){d->claim, negated || ordinal, text};
        if (starts_word(text, exceeds, 4))
            return (claim){1, false, text};
        bool no = starts_word(text, not, 4);
        negated |= no;
        ordinal |= starts_word(text, ordinals, N_ORDINALS);
        verb |= starts_word(text, is, 3) || (no && n > 3);
        if (!no && !starts_word(text, is, 3) && !starts_word(text, ordinals, N_ORDINALS) &&
            !starts_word(text, fill, sizeof fill / sizeof *fill))
            return (claim){0};
        text += n;
    }
    return (claim){0};
}

/* Where a sentence ends, remembered: many claims may stand in one. */
typedef struct sentence_end {
    size_t from, at; /* none between them */
} sentence_end;

static size_t find_end(const char *text, size_t from, sentence_end *known) {
    if (from < known->from || from > known->at || known->at == 0)
        *known = (sentence_end){from, from + strcspn(text + from, ".!?;\n")};
    return known->at;
}

/* Up to the blank or apostrophe behind "it": "it is", "it's". */
static size_t skip_it(const char *text) {
    size_t n = 0;
    while (n < 32 && text[n] && !strchr(" '", text[n]))
        n++;
    return n;
}

/* What is said of the number that ends at `at` before the next one starts: right behind it, in brackets, or of "it". */
static claim claim_after(const char *text, size_t at, size_t end, sentence_end *known) {
    static const char *const it[] = {"it", "this", "that", "which"};
    size_t behind = at + strspn(text + at, " \t*\"'$`");
    bool bracket = text[behind] == '(';
    claim said = clause(text + behind + bracket, bracket);
    for (; said.degree == 0 && at < end; at++)
        if (isalpha((unsigned char)text[at]) && !isalpha((unsigned char)text[at - 1]) && starts_word(text + at, it, 4))
            said = clause(text + at + skip_it(text + at), false);
    bool asked = said.degree != 0 && text[find_end(text, (size_t)(said.at - text), known)] == '?'; /* "Of 67 and 89, which is larger?" */
    return asked ? (claim){0} : said;
}

/* The word or number that ends before text[*at], *at moved to its start; false: a sentence begins there, or a sign stands there. */
static bool word_back(const char *text, size_t *at) {
    size_t i = *at;
    while (i > 0 && strchr(" \t,:$*\"'", text[i - 1]))
        i--;
    size_t end = i;
    while (i > 0 && isalnum((unsigned char)text[i - 1]))
        i--;
    *at = i;
    return i < end;
}

static bool sentence_starts(const char *text, size_t at) {
    while (at > 0 && strchr(" \t*\"'", text[at - 1]))
        at--;
    return at == 0 || strchr(".!?;\n", text[at - 1]);
}

/* What stands before a number: "the largest number [of 67, 89 and 45] is " 2, "the smaller one is " -1. */
static claim claim_before(const char *text, size_t start) {
    static const char *const be[] = {"is", "be"}, *const choice_of[] = {"of", "among", "between", "in", "from"},
                      *const fill[] = {"number", "numbers", "one", "value", "the", "these", "them", "all", "list", "given", "set",
                                       "following", "two", "three", "four", "five", "and", "or", "would", "therefore", "clearly"};
    enum { MOST_WORDS = 64 };
    bool verb = false, of = false, numbers = false;
    size_t at = start;
    for (int k = 0; k < MOST_WORDS && word_back(text, &at); k++) {
        if (isdigit((unsigned char)text[at])) {
            numbers = true;
            continue;
        }
        const struct degree *d = degree_at(text + at);
        if (d && d->names) {
            size_t p = at;
            bool any = word_back(text, &p), ordinal = any && starts_word(text + p, ordinals, N_ORDINALS);
            bool article = (ordinal ? word_back(text, &p) : any) && is_word(text + p, "the");
            bool said_of = (article ? word_back(text, &p) : p < at) && starts_word(text + p, be, 2); /* "89 is the largest, .." */
            return verb && !said_of && (of || !numbers) ? (claim){d->claim, ordinal, text + at} : (claim){0};
        }
        bool is = starts_word(text + at, be, 2), from = starts_word(text + at, choice_of, 5);
        if (!is && !from && !starts_word(text + at, fill, sizeof fill / sizeof *fill))
            return (claim){0};
        verb |= is;
        of |= from;
    }
    return (claim){0};
}

/* The last number of the text as its conclusion: "so 67", "Therefore, the final choice is 67." */
static bool concluded(const char *text, number_token *out) {
    static const char *const so[] = {"so", "therefore", "thus", "hence"},
                      *const fill[] = {"then", "the", "my", "our", "final", "right", "correct", "answer", "choice", "number", "result",
                                       "pick", "is", "it", "would", "be", "must", "i", "we", "choose", "select", "say", "go", "with"};
    size_t end = strlen(text);
    bool found = false;
    for (size_t i = 0; number_next(text, i, end, out); i = out->end)
        found = true;
    if (!found || text[out->end + strspn(text + out->end, " \t\r\n*\"').!$")])
        return false;
    for (size_t at = out->start; !sentence_starts(text, at);) {
        if (!word_back(text, &at))
            return false;
        if (starts_word(text + at, so, 4))
            return true;
        if (!starts_word(text + at, fill, sizeof fill / sizeof *fill))
            return false;
    }
    return true;
}

static int item_of(const choice *c, const number_token *t) {
    for (int i = 0; i < c->n; i++)
        if (!t->invalid && rational_equal(t->value, (rational){c->values[i], 1}))
            return i;
    return -1;
}

/* The item that a response opens with, the rest being its reason: "89", "89, because ..", "89. It is larger ..", "89 (the larger ..". */
static bool opens(const choice *c, const char *text, number_token *out) {
    static const char *const because[] = {"because", "since", "as", "it"};
    size_t at = strspn(text, " \t\r\n*\"'$`"), end = strlen(text);
    number_token next;
    if (!isdigit((unsigned char)text[at]) || !number_next(text, at, end, out) || item_of(c, out) < 0 || number_beside(text, out, &next))
        return false;
    at = out->end + strspn(text + out->end, " \t*\"'`$)");
    bool mark = text[at] && strchr(",.;!(\n", text[at]);
    size_t word = at + strspn(text + at, ",.;!( \t\r\n*\"'");
    if (starts_word(text + word, because, 4))
        return true;
    if (text[at] && !mark)
        return false;
    /* A reason compares; other numbers are other answers. */
    bool compares = !number_next(text, at, end, &next);
    for (; text[at] && !compares; at++) /* a clause passes over the blanks before it */
        compares = !strchr(" \t*\"", text[at]) && !isalpha((unsigned char)text[at - 1]) && (degree_at(text + at) || clause(text + at, false).degree != 0);
    return compares;
}

/* `t` is the one asked for: "98 is the largest", "so 98". Of two numbers every other claim contradicts it. */
static void claim_most(const choice *c, claims *s, number_token t) {
    s->torn |= s->strength >= (c->n == 2 ? 1 : 2) && !rational_equal(s->said.value, t.value);
    s->said = t;
    s->strength = 2;
}

/* `t` comes before `other` (-1: unknown), as in "98 > 45". Comparisons make a chain: what beats the one said so far replaces it, what was beaten does
 * not. */
static void claim_more(const choice *c, claims *s, number_token t, int other) {
    int item = item_of(c, &t), said = s->strength ? item_of(c, &s->said) : -1;
    if (item < 0) /* "9 > 4, so 98 > 45" */
        return;
    bool was_beaten = s->beaten >> item & 1, beats = other >= 0 && other == said;
    s->torn |= item != said && ((beats && was_beaten) || (c->n == 2 && s->strength && !was_beaten));
    if (other >= 0)
        s->beaten |= 1u << other;
    if (s->strength == 0 || (s->strength == 1 && item != said && (beats || !was_beaten))) {
        s->said = t;
        s->strength = 1;
    }
}

static void claim_last(const choice *c, claims *s, const number_token *t) {
    int item = item_of(c, t);
    s->last |= item < 0 ? 0 : 1u << item;
}

/* "45 or 98" before a claim: both are offered. */
static bool offered(const char *text, size_t start) {
    size_t at = start;
    return word_back(text, &at) && is_word(text + at, "or") && word_back(text, &at) &&
           isdigit((unsigned char)text[at]);
}

/* "the largest is 98". */
static void claim_named(const choice *c, claims *s, const char *response, number_token t, claim said) {
    number_token other;
    bool most = abs(said.degree) == 2 || c->n == 2;
    if (asks_for(c, said) && !said.denied) {
        s->torn |= number_beside(response, &t, &other);
        if (most)
            claim_most(c, s, t);
        else
            claim_more(c, s, t, -1);
    } else if (most && said.degree != 0 && asks_for(c, said) == said.denied) {
        claim_last(c, s, &t);
    }
}

/* "98 is the largest", "98 is larger than 45". */
static void claim_said(const choice *c, claims *s, const char *response, number_token t, claim said, sentence_end *known) {
    number_token other;
    size_t at = (size_t)(said.at - response);
    bool compares = number_next(response, at, find_end(response, at, known), &other);
    int item = item_of(c, &t), beaten = compares ? item_of(c, &other) : -1;
    if (said.denied) {
        if (asks_for(c, said))
            claim_last(c, s, &t);
    } else if (!asks_for(c, said)) { /* the other one comes first; of several only by comparison */
        if (abs(said.degree) == 2 || (c->n == 2 && !compares))
            claim_last(c, s, &t);
        if (beaten >= 0 && (c->n == 2 || abs(said.degree) == 1))
            claim_more(c, s, other, item);
    } else {
        s->torn |= offered(response, t.start);
        if (abs(said.degree) == 2)
            claim_most(c, s, t);
        else
            claim_more(c, s, t, beaten);
    }
}

claims comparison_claims(const choice *c, const char *response) {
    claims s = {0};
    sentence_end known = {0};
    number_token t, next;
    size_t end = strlen(response);
    if (opens(c, response, &t))
        claim_most(c, &s, t);
    for (size_t i = 0; number_next(response, i, end, &t); i = t.end) {
        claim_named(c, &s, response, t, claim_before(response, t.start));
        claim said = claim_after(response, t.end, number_next(response, t.end, end, &next) ? next.start : end, &known);
        if (said.degree != 0)
            claim_said(c, &s, response, t, said, &known);
    }
    if (s.strength && concluded(response, &t) && item_of(c, &t) >= 0)
        claim_most(c, &s, t);
    int said = s.strength ? item_of(c, &s.said) : -1;
    s.torn |= said >= 0 && (s.last | s.beaten) >> said & 1;
    return s;
}
