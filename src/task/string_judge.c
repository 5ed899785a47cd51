/* Family "string": finding an answer in natural text and judging it.
 *
 * The answer is found by its form: a spelled word is a run of single letters, a letter stands alone, a word stands last, in
 * quotation marks or before "is". Naming several candidates, or the whole text over again, is no answer. */
#include "base/ctx.h"
#include "task/claim.h"
#include "task/family.h"
#include "task/number.h"
#include "task/string_puzzle.h"
#include "task/words.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- finding the answer -------------------------------------------------------------------------- */

static bool same_bytes(const char *text, span s, const char *word) {
    return s.end - s.start == strlen(word) && memcmp(text + s.start, word, s.end - s.start) == 0;
}

static bool same_word(const char *text, span s, const char *word) {
    size_t end;
    return phrase_at(text, s.start, word, &end) && end == s.end;
}

static bool is_single_letter(const char *text, span s) {
    size_t p = s.start;
    return code_is_letter(text_next(text, &p)) && p == s.end;
}

/* The last run of single letters with one `mark` between them ("c-a-t"), at least two letters. */
static bool find_spelling(const char *text, char mark, span *out) {
    size_t at = 0, n = 0;
    bool found = false;
    span s, run = {0, 0};
    while (word_next(text, &at, &s)) {
        bool joined = n > 0 && s.start == run.end + 1 && text[run.end] == mark;
        if (!is_single_letter(text, s)) {
            n = 0;
            continue;
        }
        run = (span){joined ? run.start : s.start, s.end};
        n = joined ? n + 1 : 1;
        if (n >= 2) {
            *out = run;
            found = true;
        }
    }
    return found;
}

/* What sets a word apart: quotation marks of any style, asterisks, backticks. */
static bool code_sets_apart(int32_t c) {
    return c && ((c < 128 && strchr("\"'*`", c)) || (c >= 0x2018 && c <= 0x201F) || c == 0xAB || c == 0xBB);
}

static bool set_apart_before(const char *text, size_t at) {
    size_t p = at;
    while (p > 0 && ((unsigned char)text[--p] & 0xC0) == 0x80)
        ;
    return at > 0 && code_sets_apart(text_next(text, &p));
}

static bool set_apart_after(const char *text, size_t at) {
    return code_sets_apart(text_next(text, &at));
}

static bool is_one_of(const char *text, span s, const char *const *words, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (same_word(text, s, words[i]))
            return true;
    return false;
}
#define IS_ONE_OF(text, s, words) is_one_of(text, s, words, sizeof words / sizeof *words)

/* A letter that stands alone; "a" and "I" before another word are words, also before one in quotation marks: with a "g". Not before words that
 * no article stands before ("A is the first letter"), and not behind "letter". */
static bool is_letter_answer(const char *text, span before, span s) {
    static const char *const after_letters[] = {"is", "was", "and", "because", "since", "as", "but", "which", "that", "in", "at", "the", "it",
                                                "comes", "stands"}, *const letter[] = {"letter"};
    if (!is_single_letter(text, s))
        return false;
    size_t at = s.end;
    span next;
    bool followed = text[s.end] == ' ' && word_next(text, &at, &next), other = false;
    for (size_t p = s.end; followed && p < next.start;) {
        int32_t c = text_next(text, &p);
        other |= c != ' ' && !code_sets_apart(c);
    }
    bool article = strchr("aAI", text[s.start]) && followed && !other && !IS_ONE_OF(text, next, after_letters) && !IS_ONE_OF(text, before, letter);
    return set_apart_before(text, s.start) || !article;
}

/* The last letter that stands alone and is not denied; *several: others stand there too. */
static bool find_letter(const char *text, span *out, bool *several) {
    size_t at = 0, end;
    bool found = false;
    *several = false;
    for (span s, before = {0, 0}; word_next(text, &at, &s); before = s)
        if (is_letter_answer(text, before, s) && !claim_denied(text, s.start, s.end)) {
            char letter[8] = "";
            memcpy(letter, text + s.start, s.end - s.start < 7 ? s.end - s.start : 7);
            *several = *several || (found && !phrase_at(text, out->start, letter, &end));
            *out = s;
            found = true;
        }
    return found;
}

/* Does a remark in brackets begin between two words: "house (noun)", but not "is (house)"? */
static bool opens_bracket(const char *text, span before, span s) {
    static const char *const is[] = {"is", "be", "are"};
    return before.end > 0 && memchr(text + before.end, '(', s.start - before.end) && !IS_ONE_OF(text, before, is);
}

/* The word a text gives as its answer: the first before "is" when the text begins with it, else the last in quotation marks, else
 * the last outside brackets. `skip` is the material, which may be quoted on the way. */
static bool find_word(const char *text, const char *skip, span *out) {
    size_t at = 0, n = 0, end;
    bool found = false, quoted = false, first_is = false, aside = false;
    span first = {0, 0}, last_quoted = {0, 0};
    for (span s, before = {0, 0}; word_next(text, &at, &s); n++, before = s) {
        aside = (aside && !memchr(text + before.end, ')', s.start - before.end)) || opens_bracket(text, before, s);
        if (aside)
            continue;
        first = n == 0 ? s : first;
        first_is = first_is || (n == 1 && same_word(text, s, "is") && text[at] == ' ');
        bool opens = set_apart_before(text, s.start);
        bool closes = set_apart_after(text, s.end) || (text[s.end] && strchr(".,!", text[s.end]));
        if (opens && closes && !(phrase_at(text, s.start, skip, &end) && end == s.end && !first_is)) {
            last_quoted = s;
            quoted = true;
        }
        *out = s;
        found = true;
    }
    static const char *const subjects[] = {"it", "this", "that", "here", "the", "answer"};
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++)
        first_is = first_is && !same_word(text, first, subjects[i]);
    *out = quoted ? last_quoted : first_is ? first : *out;
    return found;
}

/* ---- verify -------------------------------------------------------------------------------------- */

typedef struct judged {
    agon_ctx *ctx;
    const puzzle *p;
    const char *response;
    task_verdict *out;
} judged;

static agon_status right(const judged *j, span s, const char *said) {
    return verdict_set(j->ctx, j->out, OUTCOME_PASS, j->response, s.start, s.end, NULL, "says %s, which is right", said);
}

/* what: "the first letter of 'garden'". A sentence holds the answer, so the masked form does not cite it. */
static agon_status wrong(const judged *j, span s, const char *said, const char *what) {
    char *masked = NULL;
    const char *bare = j->p->kind->work == FIRST_WORD  ? "what comes first"
                       : j->p->kind->work == LAST_WORD ? "what comes last"
                                                       : what;
    agon_status status = task_format(j->ctx, &masked, "says %s, which is not %s", said, bare);
    if (status == AGON_OK)
        status = verdict_set(j->ctx, j->out, OUTCOME_FAIL, j->response, s.start, s.end, masked, "says %s, but %s is %s", said,
                             what, j->p->gold);
    free(masked);
    return status;
}

static agon_status none(const judged *j, const char *missing) {
    return verdict_set(j->ctx, j->out, OUTCOME_FAIL, j->response, 0, 0, NULL, "%s", missing);
}

static agon_status judge_spelling(const judged *j, const char *what) {
    bool hyphens = j->p->kind->work == SPELL_HYPHENS;
    span s;
    char said[EXCERPT_SIZE];
    if (!find_spelling(j->response, hyphens ? '-' : ' ', &s))
        return none(j, hyphens ? "does not give single letters with hyphens between them"
                               : "does not give single letters with spaces between them");
    excerpt(j->response, s.start, s.end, said);
    return same_word(j->response, s, j->p->gold) ? right(j, s, said) : wrong(j, s, said, what);
}

static agon_status judge_letter(const judged *j, const char *what) {
    span s;
    bool several;
    char said[EXCERPT_SIZE];
    if (!find_letter(j->response, &s, &several))
        return none(j, "does not name a single letter");
    if (several)
        return none(j, "names several letters instead of one");
    excerpt(j->response, s.start, s.end, said);
    return same_word(j->response, s, j->p->gold) ? right(j, s, said) : wrong(j, s, said, what);
}

/* The three words of a text that end with the one at `last`; false: fewer stand there. */
static bool three_words(const char *text, span last, span out[3]) {
    size_t at = 0, n = 0;
    for (span s; word_next(text, &at, &s) && s.start <= last.start; n++)
        out[0] = out[1], out[1] = out[2], out[2] = s;
    return n >= 3;
}

/* Is `where` a part of the sentence said over again, whole or from some word on? A word set apart is named. */
static bool in_copy(const puzzle *p, const char *response, span where) {
    char copy[FIELD_MAX + 8], word[FIELD_MAX];
    if (p->kind->material != A_SENTENCE)
        return false;
    snprintf(copy, sizeof copy, "%.*s", (int)strcspn(p->text, "."), p->text);
    span s, said[3] = {{0, 0}}, have[3] = {{0, 0}};
    for (size_t at = 0; phrase_find(response, at, copy, &s); at = s.end)
        if (where.start >= s.start && where.end <= s.end)
            return true;
    if (set_apart_before(response, where.start) || !three_words(response, where, said))
        return false;
    for (size_t at = 0; word_next(p->text, &at, &s);) {
        size_t same = 0;
        for (bool all = three_words(p->text, s, have); all && same < 3; same++) {
            snprintf(word, sizeof word, "%.*s", (int)(have[same].end - have[same].start), p->text + have[same].start);
            if (!same_word(response, said[same], word))
                break;
        }
        if (same == 3)
            return true;
    }
    return false;
}

static bool in_sentence(const puzzle *p, const char *response, span s) {
    char word[FIELD_MAX];
    span have;
    snprintf(word, sizeof word, "%.*s", (int)(s.end - s.start), response + s.start);
    return phrase_find(p->text, 0, word, &have);
}

/* Are several words of the sentence named: "dog, house", "dog or house", or words without a sentence around them: "dog house"? */
static bool several_words(const puzzle *p, const char *response, span answer) {
    static const char *const joints[] = {"or", "and", "then"}, *const frame[] = {"is", "word", "answer", "it", "it's", "last", "first", "final", "ends",
        "end", "begins", "starts", "comes", "stands", "here", "sure", "okay", "yes"};
    size_t at = 0;
    bool framed = false, listed = false, first = true;
    char said[FIELD_MAX];
    if (p->kind->material != A_SENTENCE)
        return false;
    snprintf(said, sizeof said, "%.*s", (int)(answer.end - answer.start), response + answer.start);
    for (span s, before = {0, 0}; word_next(response, &at, &s);) {
        bool joint = IS_ONE_OF(response, s, joints);
        framed |= s.start != answer.start && IS_ONE_OF(response, s, frame);
        first &= s.start >= answer.start;
        if (s.start == answer.start && before.end > 0) {
            size_t plain = before.end + strspn(response + before.end, " \t\r\n\"'*`.:");
            listed = plain < s.start && in_sentence(p, response, before) && !same_word(response, before, said) && !in_copy(p, response, before);
        }
        before = joint ? before : s;
    }
    return listed || (!framed && !first && !set_apart_before(response, answer.start));
}

static agon_status judge_word(const judged *j, const char *what) {
    span s;
    char said[EXCERPT_SIZE];
    bool exact = j->p->kind->work == UPPER_WORD || j->p->kind->work == CAPITALISE;
    if (!find_word(j->response, j->p->text, &s))
        return none(j, "has no word in it");
    if (in_copy(j->p, j->response, s))
        return none(j, "repeats the sentence instead of naming one word of it");
    if (several_words(j->p, j->response, s))
        return none(j, "names several words instead of one");
    if (claim_denied(j->response, s.start, s.end))
        return none(j, "only says what it is not");
    excerpt(j->response, s.start, s.end, said);
    bool same = exact ? same_bytes(j->response, s, j->p->gold) : same_word(j->response, s, j->p->gold);
    return same ? right(j, s, said) : wrong(j, s, said, what);
}

/* A number in digits or, when there is none, in words, by the same rules. */
static agon_status judge_number(const judged *j, const char *what) {
    rational unused, gold = {atoll(j->p->gold), 1};
    char why[FIELD_MAX * 2], masked[FIELD_MAX * 2], *digits = parse_number(j->response, &unused, NULL, NULL) ? NULL : number_words_as_digits(j->response);
    number_answer a = number_find(digits ? digits : j->response);
    free(digits);
    while (a.end > a.start && isalpha((unsigned char)j->response[a.start]) && isalpha((unsigned char)j->response[a.end]))
        a.end++; /* of the word */
    snprintf(why, sizeof why, "%s is %s", what, j->p->gold);
    snprintf(masked, sizeof masked, "which is not %s", what);
    return verdict_answer(j->ctx, j->out, j->response, a, gold, why, masked);
}

_Static_assert((int)LIST_MAX <= (int)ORDER_MAX, "a list of words is an order");

/* The words in one list, last to first. */
static agon_status judge_list(const judged *j, const char *what) {
    const puzzle *p = j->p;
    order o = {.n = (int)p->n_list};
    for (int i = 0; i < o.n; i++) {
        o.items[i] = p->list[i];
        o.right[i] = o.n - 1 - i;
    }
    order_claim s;
    order_read(&o, j->response, &s);
    if (!s.complete)
        return none(j, "does not name all the words and nothing else in one list");
    if (s.several || s.longer)
        return none(j, "does not name every word once");
    char said[EXCERPT_SIZE];
    excerpt(j->response, s.start, s.end, said);
    return s.right ? right(j, (span){s.start, s.end}, said) : wrong(j, (span){s.start, s.end}, said, what);
}

/* Exactly n times, in one run, with nothing but punctuation between them. */
static agon_status judge_repeats(const judged *j, const char *what) {
    size_t at = 0, run = 0, longest = 0, total = 0;
    span cited = {0, 0};
    for (span s; word_next(j->response, &at, &s);) {
        if (list_marker(j->response, s.start, s.end) && isdigit((unsigned char)j->response[s.start]))
            continue;
        bool same = same_word(j->response, s, j->p->text);
        run = same ? run + 1 : 0;
        total += same;
        longest = run > longest ? run : longest;
        if (same && total == 1)
            cited.start = s.start;
        cited.end = same ? s.end : cited.end;
    }
    char said[80];
    snprintf(said, sizeof said, "it %zu time%s", total, total == 1 ? "" : "s");
    if ((int64_t)longest == j->p->n && (total == longest || total == longest + 1)) /* "The word sun: sun sun sun" */
        return right(j, cited, said);
    return verdict_set(j->ctx, j->out, OUTCOME_FAIL, j->response, cited.start, cited.end, NULL, "says %s in all, but %s", said,
                       what);
}

agon_status puzzle_judge(agon_ctx *ctx, const puzzle *p, const char *response, task_verdict *out) {
    char what[FIELD_MAX + 64];
    judged j = {ctx, p, response, out};
    const char *t = p->text;
    switch (p->kind->work) {
    case SPELL_HYPHENS:
    case SPELL_SPACES:
        snprintf(what, sizeof what, "'%s' spelled out", t);
        return judge_spelling(&j, what);
    case FIRST_LETTER:
    case LAST_LETTER:
        snprintf(what, sizeof what, "the %s letter of '%s'", p->kind->work == FIRST_LETTER ? "first" : "last", t);
        return judge_letter(&j, what);
    case COUNT_LETTERS:
        snprintf(what, sizeof what, "the number of letters in '%s'", t);
        return judge_number(&j, what);
    case COUNT_LETTER:
        snprintf(what, sizeof what, "the number of times '%s' occurs in '%s'", p->letter, t);
        return judge_number(&j, what);
    case COUNT_WORDS:
        snprintf(what, sizeof what, "the number of words in '%s'", t);
        return judge_number(&j, what);
    case FIRST_WORD:
    case LAST_WORD:
        snprintf(what, sizeof what, "the %s word of '%s'", p->kind->work == FIRST_WORD ? "first" : "last", t);
        return judge_word(&j, what);
    case REVERSE_WORD:
        snprintf(what, sizeof what, "'%s' backwards", t);
        return judge_word(&j, what);
    case UPPER_WORD:
        snprintf(what, sizeof what, "'%s' in capital letters", t);
        return judge_word(&j, what);
    case CAPITALISE:
        snprintf(what, sizeof what, "'%s' with a capital first letter only", t);
        return judge_word(&j, what);
    case REVERSE_LIST:
        return judge_list(&j, "the reverse order");
    case REPEAT_WORD:
        snprintf(what, sizeof what, "'%s' is asked %lld times in a row", t, (long long)p->n);
        return judge_repeats(&j, what);
    }
    return ctx_fail(ctx, AGON_EINVAL, "string: there is no such work (%d)", (int)p->kind->work);
}

