/* Statements of sequence tasks in plain words, for models that read text. See sequence.h.
 *
 *   compare    482 is less than 4821.            sorting    q w e r t y in order: e q r t w y.
 *   addition   45 + 38 = 83.                     reversal   q w e r t y backwards: y t r e w q.
 *   brackets   Balanced: ( [ ] ) ( ).            agreement  The dogs near the cat sleep.
 *
 * Letters and brackets stand apart, so that a tokenizer sees each; numbers lose their leading zeros. */
#include "task/sequence_alphabet.h"
#include <stdio.h>
#include <string.h>

static const char *const nouns[N_NOUNS] = {"dog",    "cat",    "bird",   "horse",  "boy",     "girl",    "teacher", "doctor",
                                           "farmer", "king",   "friend", "lawyer", "singer",  "student", "driver",  "soldier",
                                           "artist", "guest",  "actor",  "sister", "brother", "worker",  "writer",  "cousin"};
static const char *const verbs[N_VERBS] = {"sleep", "sing", "wait", "laugh", "smile", "walk", "listen", "work", "run", "dream"};
static const char *const prepositions[N_PREPOSITIONS] = {"near", "behind", "beside", "with", "before", "by"};

/* What stands for the mark and for '=', by the family's name. */
typedef struct frame {
    const char *family, *mark, *equals;
} frame;
static const frame frames[] = {{"compare", "", " is less than"}, {"addition", "", " ="},          {"brackets", "Balanced:", ""},
                               {"sorting", "", " in order:"},    {"reversal", "", " backwards:"}, {"agreement", "", ""}};

static const frame *frame_of(int32_t mark) {
    static const frame none = {"", "", " ="};
    size_t family = mark >= MARK ? (size_t)(mark - MARK) : SIZE_MAX;
    for (size_t i = 0; family < sequence_n_families() && i < sizeof frames / sizeof *frames; i++)
        if (strcmp(frames[i].family, sequence_family_name(family)) == 0)
            return &frames[i];
    return &none;
}

static bool is_digit(int32_t t) {
    return t >= DIGIT && t < DIGIT + 10;
}

/* The number that begins at token i. */
static unsigned long long value_at(const int32_t *tokens, size_t n, size_t i) {
    unsigned long long x = 0;
    for (; i < n && is_digit(tokens[i]); i++)
        x = 10 * x + (unsigned long long)(tokens[i] - DIGIT);
    return x;
}

/* A token with the space before it; the first digit of a number stands for all of them. */
static void piece_of(const int32_t *tokens, size_t n, size_t i, const frame *f, char *out, size_t size) {
    static const char signs[] = "+()[]";
    int32_t t = tokens[i];
    if (i == 0)
        snprintf(out, size, "%s", f->mark);
    else if (t == SEQUENCE_END || t == SEQUENCE_EQUALS)
        snprintf(out, size, "%s", t == SEQUENCE_END ? "." : f->equals);
    else if (is_digit(t) && i > 0 && is_digit(tokens[i - 1]))
        snprintf(out, size, "%s", "");
    else if (is_digit(t))
        snprintf(out, size, " %llu", value_at(tokens, n, i));
    else if (t >= LETTER && t < LETTER + 26)
        snprintf(out, size, " %c", 'a' + (char)(t - LETTER));
    else if (t >= SIGN && t < SIGN + 5)
        snprintf(out, size, " %c", signs[t - SIGN]);
    else if (t >= NOUN && t < VERB)
        snprintf(out, size, " the %s%s", nouns[(t - NOUN) / 2], (t - NOUN) % 2 ? "s" : "");
    else if (t >= VERB && t < PREPOSITION)
        snprintf(out, size, " %s%s", verbs[(t - VERB) / 2], (t - VERB) % 2 ? "" : "s");
    else if (t >= PREPOSITION && t < PREPOSITION + N_PREPOSITIONS)
        snprintf(out, size, " %s", prepositions[t - PREPOSITION]);
    else
        snprintf(out, size, " ?");
}

void sequence_words(const int32_t *tokens, size_t n, char *out, size_t size) {
    const frame *f = frame_of(n > 0 ? tokens[0] : -1);
    char piece[64];
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < n && used + 1 < size; i++) {
        piece_of(tokens, n, i, f, piece, sizeof piece);
        snprintf(out + used, size - used, "%s", piece + (used == 0 && piece[0] == ' '));
        used += strlen(out + used);
    }
    if (strncmp(out, "the ", 4) == 0)
        out[0] = 'T';
}
