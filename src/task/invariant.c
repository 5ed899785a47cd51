/* Does a language model's rewording still ask the same? (loop 2.8; the attacker's variations)
 *
 * The keep list of a query holds what its meaning hangs on: {"kind", "value"} with kind
 *   number  occurs in digits or as a number word
 *   name    occurs as written (RENAME: other names may stand there, as many as before)
 *   text    a word or phrase occurs, whatever the case
 *   any     one of several phrases, separated by "|", occurs: the usual wordings of one constraint
 * Beyond the list: the numbers of both texts are the same multiset ("twice" and "half" count as numbers), what stands in quotation
 * marks stays, no name is new, a question or an order is there, the answer is not said, the length is within bounds.
 * DISTRACTOR: the query stands there word for word, and what is added asks, orders and limits nothing.
 * Otherwise nothing else is asked for (a sentence where a letter was, yes or no, the opposite), no "not" is added, and in stories who gives, buys,
 * loses and shares stays; in word problems the numbers keep their order too, with two people names and numbers together; and the family sees that
 * no other operation or part is asked for (family.h: foreign, differs).
 * Such a list of suspicions never ends, so what it lets pass must also be worded as a question that is known to ask for the task (wording.h).
 * Rejecting a good rewording costs one of many; passing a changed question costs a wrong label, so doubt rejects. */
#include <stdlib.h>
#include <string.h>
#include "base/buffer.h"
#include "base/ctx.h"
#include "task/family.h"
#include "task/number.h"
#include "task/wording.h"
#include "task/words.h"

enum { MAX_NUMBERS = 64, MAX_NAMES = 64, MAX_BYTES = 4096 };

typedef struct variation {
    agon_ctx *ctx;
    const task_query *query;
    const task_family *family;
    task_perturbation perturbation;
    const char *text;
    char **reason; /* set: rejected */
} variation;

#define REJECT(v, ...) task_format((v)->ctx, (v)->reason, __VA_ARGS__)

/* ---- numbers ------------------------------------------------------------------------------------- */

typedef struct numbers {
    rational values[MAX_NUMBERS]; /* in the order of the text */
    size_t at[MAX_NUMBERS], n;
    bool too_many;
} numbers;

static void numbers_add(numbers *out, rational value, size_t at) {
    if (out->n == MAX_NUMBERS) {
        out->too_many = true;
        return;
    }
    size_t i = out->n++;
    for (; i > 0 && out->at[i - 1] > at; i--) {
        out->values[i] = out->values[i - 1];
        out->at[i] = out->at[i - 1];
    }
    out->values[i] = value;
    out->at[i] = at;
}

/* Digits, then number words, where "one" is left out: it is mostly a pronoun or an article. */
static void numbers_read(const char *text, numbers *out) {
    size_t length = strlen(text), at = 0;
    number_token token;
    *out = (numbers){0};
    for (size_t from = 0; number_next(text, from, length, &token); from = token.end)
        numbers_add(out, token.value, token.start);
    while (number_words_next(text, &at, false, &token))
        numbers_add(out, token.value, token.start);
}

static size_t numbers_count(const numbers *list, rational value) {
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++)
        n += list->values[i].numerator == value.numerator && list->values[i].denominator == value.denominator;
    return n;
}

static agon_status check_numbers(const variation *v) {
    numbers before, after;
    char value[64];
    numbers_read(v->query->text, &before);
    numbers_read(v->text, &after);
    if (before.too_many || after.too_many)
        return REJECT(v, "it holds more than %d numbers", MAX_NUMBERS);
    for (size_t i = 0; i < before.n; i++)
        if (numbers_count(&after, before.values[i]) < numbers_count(&before, before.values[i])) {
            rational_text(before.values[i], value, sizeof value);
            return before.values[i].denominator < 0 ? REJECT(v, "the word twice, double or triple is gone")
                                                    : REJECT(v, "the number %s is gone", value);
        }
    for (size_t i = 0; i < after.n; i++)
        if (numbers_count(&after, after.values[i]) > numbers_count(&before, after.values[i])) {
            rational_text(after.values[i], value, sizeof value);
            return after.values[i].denominator < 0 ? REJECT(v, "it adds the word twice, double or triple")
                                                   : REJECT(v, "it adds the number %s", value);
        }
    /* Who has 12 and gets 5 is not who has 5 and gets 12. */
    for (size_t i = 0; v->family->number_order && i < before.n; i++)
        if (!rational_equal(before.values[i], after.values[i]))
            return REJECT(v, "its numbers stand in another order");
    return AGON_OK;
}

/* ---- names --------------------------------------------------------------------------------------- */

/* Capitalised words that are no names, wherever they stand. */
static bool is_common(const char *text, span s) {
    static const char *const common[] = {
        "i", "i'm", "i'd", "i'll", "i've", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "json",
        "english", "ok",
    };
    size_t end;
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (phrase_at(text, s.start, common[i], &end) && end == s.end)
            return true;
    return false;
}

/* Words that often begin a sentence and are no names. */
static bool is_starter(const char *text, span s) {
    static const char *const starters[] = {
        "a", "an", "the", "this", "that", "these", "those", "there", "here", "it", "he", "she", "they", "we", "you", "his", "her",
        "their", "my", "our", "your", "its", "if", "when", "while", "after", "before", "then", "now", "today", "yesterday",
        "how", "what", "which", "who", "where", "why", "can", "could", "would", "will", "do", "does", "did", "is", "are", "was",
        "in", "on", "at", "from", "for", "to", "of", "with", "by", "each", "every", "all", "some", "both", "and", "but", "or",
        "so", "as", "given", "suppose", "imagine", "find", "give", "tell", "write", "calculate", "compute", "work", "please",
        "count", "list", "say", "name", "spell", "put", "sort", "order", "let", "consider", "determine", "add", "together",
        "altogether", "later", "next", "finally", "first", "one", "two", "three", "four", "five", "six", "seven", "eight",
        "nine", "ten", "answer", "question", "out", "also", "not", "no", "yes", "during", "once", "since", "everyone", "people",
    };
    size_t end;
    for (size_t i = 0; i < sizeof starters / sizeof *starters; i++)
        if (phrase_at(text, s.start, starters[i], &end) && end == s.end)
            return true;
    return false;
}

typedef struct names {
    span at[MAX_NAMES];
    size_t n;
} names;

static bool spans_equal(const char *a, span x, const char *b, span y) {
    return x.end - x.start == y.end - y.start && memcmp(a + x.start, b + y.start, x.end - x.start) == 0;
}

static bool names_have(const char *text, const names *list, const char *other, span s) {
    for (size_t i = 0; i < list->n; i++)
        if (spans_equal(text, list->at[i], other, s))
            return true;
    return false;
}

/* "Tom's" names Tom. */
static span without_genitive(const char *text, span s) {
    if (s.end - s.start > 2 && text[s.end - 1] == 's' && text[s.end - 2] == '\'')
        s.end -= 2;
    return s;
}

/* Distinct capitalised words that may be names. inside_only: at the start of a sentence any word is capitalised, so there only what
 * also occurs inside one counts. */
static void names_read(const char *text, bool inside_only, names *out) {
    size_t at = 0, last = 0;
    bool start = true;
    *out = (names){0};
    for (span s; word_next(text, &at, &s); last = s.end) {
        for (size_t i = last; i < s.start; i++)
            start = start || strchr(".?!:\"\n", text[i]);
        size_t p = s.start;
        int32_t first = text_next(text, &p);
        span bare = without_genitive(text, s);
        bool counts = code_is_upper(first) && bare.end > p && !is_common(text, s) && !(start && (inside_only || is_starter(text, s)));
        start = false;
        if (counts && out->n < MAX_NAMES && !names_have(text, out, text, bare))
            out->at[out->n++] = bare;
    }
}

static bool holds_exactly(const char *text, const char *name) {
    size_t at = 0, n = strlen(name);
    for (span s; word_next(text, &at, &s);) {
        span bare = without_genitive(text, s);
        if (bare.end - bare.start == n && memcmp(text + bare.start, name, n) == 0)
            return true;
    }
    return strchr(name, ' ') && strstr(text, name);
}

static size_t kept_names(const task_query *query) {
    size_t n = 0, i;
    const json_t *entry;
    json_array_foreach(query->keep, i, entry) {
        const char *kind = json_string_value(json_object_get(entry, "kind"));
        n += kind && strcmp(kind, "name") == 0;
    }
    return n;
}

static agon_status check_names(const variation *v) {
    names before, inside, all;
    size_t kept = kept_names(v->query);
    char name[EXCERPT_SIZE];
    names_read(v->query->text, false, &before);
    names_read(v->text, true, &inside);
    names_read(v->text, false, &all);
    if (v->perturbation == PERTURBATION_RENAME && kept > 0) {
        if (all.n != kept)
            return REJECT(v, "it has %zu name%s where %zu %s expected", all.n, all.n == 1 ? "" : "s", kept,
                          kept == 1 ? "is" : "are");
        return AGON_OK;
    }
    for (size_t i = 0; i < inside.n; i++)
        if (!names_have(v->query->text, &before, v->text, inside.at[i]) &&
            !phrase_find(v->query->text, 0, excerpt(v->text, inside.at[i].start, inside.at[i].end, name), &(span){0, 0}))
            return REJECT(v, "it adds the name %s", excerpt(v->text, inside.at[i].start, inside.at[i].end, name));
    return AGON_OK;
}

/* Where two people have things, who stands before which number tells who has what: names and numbers keep their sequence. Names by number (from
 * 0) in the order of their first mention, so that renamed stories compare. */
static agon_status sequence(const variation *v, const char *text, buffer *out) {
    names list;
    numbers have;
    size_t n = 0, at = 0;
    names_read(text, false, &list);
    numbers_read(text, &have);
    for (span s; word_next(text, &at, &s);) {
        span bare = without_genitive(text, s);
        for (; n < have.n && have.at[n] < bare.start; n++)
            buffer_char(out, '#');
        for (size_t i = 0; i < list.n; i++)
            if (spans_equal(text, list.at[i], text, bare))
                buffer_char(out, (char)('A' + i));
    }
    for (; n < have.n; n++)
        buffer_char(out, '#');
    return out->failed ? ctx_fail(v->ctx, AGON_ENOMEM, "memory for a rewording is exhausted") : AGON_OK;
}

/* "49 more cookies": what one has is said by what another has. */
static size_t count_more(const char *text) {
    static const char *const more[] = {"more", "fewer", "less"};
    numbers have;
    size_t n = 0, end;
    numbers_read(text, &have);
    for (size_t i = 0; i < have.n; i++) {
        size_t at = have.at[i] + strcspn(text + have.at[i], " ");
        for (size_t k = 0; k < 3; k++)
            n += text[at] == ' ' && phrase_at(text, at + 1, more[k], &end);
    }
    return n;
}

static agon_status check_owners(const variation *v) {
    if (kept_names(v->query) < 2 || v->perturbation == PERTURBATION_DISTRACTOR)
        return AGON_OK;
    buffer before = {0}, after = {0};
    agon_status status = sequence(v, v->query->text, &before);
    if (!status)
        status = sequence(v, v->text, &after);
    if (!status && (before.size != after.size || memcmp(before.data, after.data, before.size) != 0))
        status = REJECT(v, "its names and numbers stand in another sequence");
    else if (!status && count_more(v->text) > count_more(v->query->text))
        status = REJECT(v, "it tells a number by another one");
    buffer_free(&before);
    buffer_free(&after);
    return status;
}

/* ---- the keep list and quotations ---------------------------------------------------------------- */

static bool holds_any(const char *text, const char *list) {
    char phrase[256];
    span s;
    for (size_t k = 0; alternative(list, k, phrase, sizeof phrase); k++)
        if (phrase_find(text, 0, phrase, &s))
            return true;
    return false;
}

static bool in_list(const char *word, const char *list) {
    char phrase[64];
    size_t end;
    for (size_t k = 0; alternative(list, k, phrase, sizeof phrase); k++)
        if (strlen(phrase) == strlen(word) && phrase_at(word, 0, phrase, &end))
            return true;
    return false;
}

static bool holds_number(const char *text, const char *value) {
    numbers have, want;
    numbers_read(text, &have);
    numbers_read(value, &want);
    for (size_t i = 0; i < want.n; i++)
        if (numbers_count(&have, want.values[i]) == 0)
            return strcmp(value, "1") == 0; /* "one" is not counted as a number */
    return true;
}

static agon_status check_kept(const variation *v) {
    size_t i;
    const json_t *entry;
    span s;
    json_array_foreach(v->query->keep, i, entry) {
        const char *kind = json_string_value(json_object_get(entry, "kind"));
        const char *value = json_string_value(json_object_get(entry, "value"));
        if (!kind || !value)
            return ctx_fail(v->ctx, AGON_EINVAL, "keep list: entry %zu has no kind or value", i + 1);
        if (strcmp(kind, "number") == 0 && !holds_number(v->text, value))
            return REJECT(v, "the number %s is gone", value);
        if (strcmp(kind, "name") == 0 && v->perturbation != PERTURBATION_RENAME && !holds_exactly(v->text, value))
            return REJECT(v, "the name %s is gone", value);
        if (strcmp(kind, "text") == 0 && !phrase_find(v->text, 0, value, &s))
            return REJECT(v, "the text '%s' is gone", value);
        if (strcmp(kind, "any") == 0 && !holds_any(v->text, value))
            return REJECT(v, "the condition is gone: none of '%s' occurs", value);
    }
    return AGON_OK;
}

/* Does the phrase stand somewhere between quotation marks of any style? */
static bool is_quoted(const char *text, const char *phrase) {
    size_t at = 0;
    for (span s; phrase_find(text, at, phrase, &s); at = s.end) {
        size_t end = s.end + strspn(text + s.end, ".!?,");
        bool opens = s.start > 0 && (strchr("\"'`*", text[s.start - 1]) || (unsigned char)text[s.start - 1] & 0x80);
        if (opens && text[end] && (strchr("\"'`*", text[end]) || (unsigned char)text[end] & 0x80))
            return true;
    }
    return false;
}

/* What stands between double quotation marks in the query, word by word: without them a word to work on becomes a thing to talk about. */
static agon_status check_quotes(const variation *v) {
    for (const char *p = v->query->text; (p = strchr(p, '"'));) {
        const char *end = strchr(p + 1, '"');
        if (!end)
            break;
        char quoted[600];
        size_t n = (size_t)(end - p) - 1;
        span s;
        if (n > 0 && n < sizeof quoted) {
            memcpy(quoted, p + 1, n);
            quoted[n] = 0;
            if (!phrase_find(v->text, 0, quoted, &s))
                return REJECT(v, "the quoted text '%s' is gone", quoted);
            if (!is_quoted(v->text, quoted))
                return REJECT(v, "'%s' is no longer quoted", quoted);
        }
        p = end + 1;
    }
    return AGON_OK;
}

/* ---- question, answer, form ---------------------------------------------------------------------- */

/* A question mark outside quotation marks, or an order among the words. */
static bool asks(const char *text) {
    static const char *const orders[] = {
        "write", "give", "list", "spell", "count", "reverse", "sort", "find", "calculate", "compute", "tell", "say", "name",
        "put", "make", "answer", "determine", "work out", "solve", "describe", "compose", "ask", "repeat", "order", "arrange",
        "capitalize", "capitalise", "break", "state", "provide", "create", "show", "choose", "pick", "add", "subtract",
        "multiply", "divide", "convert", "think of", "suggest", "pose", "copy", "rewrite", "generate", "produce", "explain",
        "how many", "how much", "what is", "what are",
    };
    span s;
    if (strchr(text, '?'))
        return true;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        if (phrase_find(text, 0, orders[i], &s))
            return true;
    return false;
}

static size_t count_phrase(const char *text, const char *phrase) {
    size_t n = 0, at = 0;
    for (span s; phrase_find(text, at, phrase, &s); at = s.end)
        n++;
    return n;
}

/* The added words of a distractor, when the rest is the query as it was. */
static bool added_words(const variation *v, char *out, size_t size) {
    span whole = text_trim(v->text), query = text_trim(v->query->text);
    const char *text = v->text + whole.start, *original = v->query->text + query.start;
    size_t n = whole.end - whole.start, m = query.end - query.start;
    if (n <= m || n - m >= size)
        return false;
    bool behind = memcmp(text + n - m, original, m) == 0 && strchr(" \n", text[n - m - 1]);
    if (!behind && !(memcmp(text, original, m) == 0 && strchr(" \n", text[m])))
        return false;
    memcpy(out, behind ? text : text + m, n - m);
    out[n - m] = 0;
    return true;
}

/* A remark that has nothing to do with the task says how things are: it does not ask, order, limit or point at the task. */
static agon_status check_remark(const variation *v) {
    static const char *const pointing[] = {
        "must", "should", "shall", "need", "needs", "only", "always", "never", "not", "don't", "do not", "use", "using", "avoid",
        "keep", "include", "instead", "ignore", "forget", "please", "the task", "the question", "the answer", "the sentence",
        "the word", "the words", "the number", "the numbers", "the following", "below", "above", "example", "hint", "correct",
        "wrong", "true", "false", "you", "your", "twice", "half", "more", "fewer", "less",
    };
    char words[400];
    span s;
    if (v->perturbation != PERTURBATION_DISTRACTOR)
        return AGON_OK;
    if (!added_words(v, words, sizeof words))
        return REJECT(v, "the query does not stand there word for word");
    if (text_n_words(words) > 20 || strpbrk(words, "\"*<>[]{}:;") || asks(words))
        return REJECT(v, "what it adds is no plain remark");
    for (size_t i = 0; i < sizeof pointing / sizeof *pointing; i++)
        if (phrase_find(words, 0, pointing[i], &s))
            return REJECT(v, "what it adds may concern the task: '%s'", pointing[i]);
    return AGON_OK;
}

/* "not" and the like, unless the query has it or a usual wording of its condition is what holds it ("not more than"). */
static const char *negation_added(const variation *v) {
    static const char *const negations[] = {"not", "never", "neither", "except", "isn't", "aren't", "don't", "doesn't", "didn't",
                                            "can't", "cannot", "won't", "wasn't", "weren't"};
    char phrase[256];
    span s;
    for (size_t i = 0; i < sizeof negations / sizeof *negations; i++) {
        bool usual = phrase_find(v->query->text, 0, negations[i], &s) || !phrase_find(v->text, 0, negations[i], &s);
        size_t e;
        const json_t *entry;
        json_array_foreach(v->query->keep, e, entry) {
            const char *kind = json_string_value(json_object_get(entry, "kind"));
            const char *value = json_string_value(json_object_get(entry, "value"));
            for (size_t k = 0; !usual && kind && value && strcmp(kind, "any") == 0 && alternative(value, k, phrase, sizeof phrase); k++)
                usual = phrase_find(phrase, 0, negations[i], &s) && phrase_find(v->text, 0, phrase, &s);
        }
        if (!usual)
            return negations[i];
    }
    return NULL;
}

/* A sentence that opens, or goes on after a comma, with a verb to be answered by yes or no. */
static bool asks_yes_or_no(const char *text) {
    static const char verbs[] = "is|are|was|were|does|do|did|isn't|aren't|doesn't";
    span sentences[32], s;
    size_t n = text_sentences(text, sentences, 32);
    for (size_t i = 0; i < n && i < 32; i++) {
        size_t at = sentences[i].start, last = at;
        bool question = memchr(text + at, '?', sentences[i].end - at), opens = true;
        while (word_next(text, &at, &s) && s.start < sentences[i].end) {
            char word[EXCERPT_SIZE];
            size_t p = s.start;
            opens = opens && (i == 0 || code_is_upper(text_next(text, &p))); /* 'the sentence "It rains." is' goes on */
            opens = opens || (question && memchr(text + last, ',', s.start - last));
            if (opens && s.end - s.start < 10 && in_list(excerpt(text, s.start, s.end, word), verbs))
                return true;
            opens = false;
            last = s.end;
        }
    }
    return false;
}

/* What asks for the opposite, or for yes or no. */
static agon_status check_sense(const variation *v) {
    static const char *const opposites[][2] = {
        {"larger|largest|greater|greatest|bigger|biggest|higher|highest", "smaller|smallest|less|lesser|least|lower|lowest"},
        {"ascending|go up", "descending|go down|largest to smallest|highest to the lowest|highest to lowest"},
        {"descending|go down", "ascending|go up|smallest to largest|lowest to the highest|lowest to highest"},
        {"smaller|smallest|less|lesser|least|lower|lowest", "larger|largest|greater|greatest|bigger|biggest|higher|highest"},
    };
    const char *query = v->query->text, *negation;
    if (v->perturbation == PERTURBATION_DISTRACTOR)
        return AGON_OK;
    if ((negation = negation_added(v)))
        return REJECT(v, "it adds the word '%s'", negation);
    if (asks_yes_or_no(v->text) && !asks_yes_or_no(query))
        return REJECT(v, "it asks for yes or no");
    for (size_t i = 0; v->family->direction && i < sizeof opposites / sizeof *opposites; i++)
        if (holds_any(query, opposites[i][0]) && !holds_any(query, opposites[i][1]) && holds_any(v->text, opposites[i][1]))
            return REJECT(v, "it holds the opposite of what is asked: '%s'", opposites[i][1]);
    return AGON_OK;
}

/* Things to write that the query does not ask for; and in stories, what happens to the things that are counted. */
static agon_status check_meaning(const variation *v) {
    static const char *const things[] = {
        "sentence|sentences", "question|questions", "story|stories", "poem|poems", "paragraph|paragraphs", "title|titles",
        "essay", "code", "joke", "explain|explanation", "why", "how to", "how far|difference", "how many|how much|how often|number of|count",
    };
    static const char *const events[] = {
        "gives|give|gave|giving|given", "buys|buy|bought|buying", "loses|lose|lost|losing", "takes|take|took|taking|away",
        "sold|sells|sell|selling", "shares|share|shared|sharing|equally|divided", "each|every|per|apiece", "than",
        "at first|originally|in the beginning|to begin with", "cheaper|discount|off", "costs|cost|price|priced", "get on|gets on|got on", "get off|gets off|got off",
    };
    static const char places[] = "after|before|next|behind|second|third|like|rhymes|opposite";
    if (v->perturbation == PERTURBATION_DISTRACTOR)
        return AGON_OK;
    for (size_t i = 0; i < sizeof things / sizeof *things; i++)
        if (holds_any(v->text, things[i]) && !holds_any(v->query->text, things[i]))
            return REJECT(v, "it speaks of something else: '%s'", things[i]);
    for (size_t i = 0; v->family->events && i < sizeof events / sizeof *events; i++)
        if (holds_any(v->text, events[i]) != holds_any(v->query->text, events[i]))
            return REJECT(v, "what happens is not the same: '%s'", events[i]);
    if (v->family->positions && holds_any(v->text, places) && !holds_any(v->query->text, places))
        return REJECT(v, "it may speak of something else: '%s'", places);
    return AGON_OK;
}

/* What the family knows of its own questions. */
static agon_status check_family(const variation *v) {
    const task_family *f = family_find(v->query->family);
    char phrase[64];
    const char *why = NULL;
    span s;
    if (!f || v->perturbation == PERTURBATION_DISTRACTOR)
        return AGON_OK;
    for (size_t k = 0; f->foreign && alternative(f->foreign, k, phrase, sizeof phrase); k++)
        if (phrase_find(v->text, 0, phrase, &s) && !phrase_find(v->query->text, 0, phrase, &s))
            return REJECT(v, "it may speak of something else: '%s'", phrase);
    agon_status status = f->differs ? f->differs(v->ctx, v->query, v->text, &why) : AGON_OK;
    return status || !why ? status : REJECT(v, "%s", why);
}

static size_t count_exactly(const char *text, const char *words) {
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, words)); p++)
        n++;
    return n;
}

/* The gold answer said more often than in the query (common words aside), or announced. Numbers were compared before. */
static agon_status check_answer(const variation *v) {
    char *gold = NULL;
    agon_status status = task_gold(v->ctx, v->query, &gold);
    if (status != AGON_OK)
        return status == AGON_EUNSUPPORTED ? AGON_OK : status;
    if (gold && *gold && strspn(gold, "0123456789-./") != strlen(gold) && strlen(gold) > 1 &&
        !is_starter(gold, (span){0, strlen(gold)}) && (count_phrase(v->text, gold) > count_phrase(v->query->text, gold) ||
                                                       count_exactly(v->text, gold) > count_exactly(v->query->text, gold)))
        status = REJECT(v, "it gives the answer away");
    else if (count_phrase(v->text, "the answer is") > count_phrase(v->query->text, "the answer is"))
        status = REJECT(v, "it says what the answer is");
    free(gold);
    return status;
}

static agon_status check_form(const variation *v) {
    size_t before = text_n_words(v->query->text), after = text_n_words(v->text);
    span s = text_trim(v->text);
    for (size_t at = 0; v->text[at];) {
        size_t start = at;
        int32_t c = text_next(v->text, &at);
        if (c == 0xFFFD || (c < ' ' && c != '\n' && c != '\t') || c == 0x7F)
            return REJECT(v, "byte %zu is no plain text", start);
    }
    if (strlen(v->text) > MAX_BYTES)
        return REJECT(v, "it is longer than %d bytes", MAX_BYTES);
    if (strstr(v->text, "<|") || strstr(v->text, "|>"))
        return REJECT(v, "it holds a chat marker");
    if (s.end - s.start == strlen(v->query->text) && memcmp(v->text + s.start, v->query->text, s.end - s.start) == 0)
        return REJECT(v, "it is the same wording");
    if (after < 3 || after * 5 < before * 2)
        return REJECT(v, "it has %zu words, the query has %zu: too short", after, before);
    if (after > 3 * before + 12)
        return REJECT(v, "it has %zu words, the query has %zu: too long", after, before);
    if (asks(v->query->text) && !asks(v->text))
        return REJECT(v, "it asks nothing");
    return AGON_OK;
}

/* The doubts above know what changes a question; only what is known to ask the same goes on from here. */
static agon_status check_wording(const variation *v) {
    const char *why = NULL;
    char words[400];
    agon_status status;
    span s = text_trim(v->text);
    char *text = strndup(v->text + s.start, s.end - s.start);
    if (!text)
        return ctx_fail(v->ctx, AGON_ENOMEM, "memory for a rewording is exhausted");
    if (v->perturbation == PERTURBATION_DISTRACTOR)
        status = added_words(v, words, sizeof words) ? wording_check_remark(v->ctx, v->query, words, &why) : AGON_OK;
    else if (v->perturbation == PERTURBATION_RENAME && kept_names(v->query) > 0)
        status = wording_check_names(v->ctx, v->query, text, &why);
    else
        status = wording_check(v->ctx, v->query, text, &why);
    free(text);
    return status || !why ? status : REJECT(v, "%s", why);
}

static agon_status check_variation(agon_ctx *ctx, const task_query *query, task_perturbation perturbation, const char *text, bool by_wording,
                                   bool *ok, char **reason) {
    static agon_status (*const checks[])(const variation *) = {check_form,  check_remark, check_numbers, check_kept,
                                                               check_quotes, check_names,  check_answer,  check_sense,
                                                               check_meaning, check_family, check_owners};
    char *why = NULL;
    variation v = {ctx, query, query->family ? family_find(query->family) : NULL, perturbation, text, &why};
    if (!v.family)
        return ctx_fail(ctx, AGON_EINVAL, "the query has no known task family");
    agon_status status = AGON_OK;
    for (size_t i = 0; i < sizeof checks / sizeof *checks && status == AGON_OK && !why; i++)
        status = checks[i](&v);
    if (by_wording && !status && !why)
        status = check_wording(&v);
    if (status != AGON_OK) {
        free(why);
        return status;
    }
    *ok = !why;
    *reason = why;
    return AGON_OK;
}

agon_status task_variation_check(agon_ctx *ctx, const task_query *query, task_perturbation perturbation, const char *text, bool *ok, char **reason) {
    return check_variation(ctx, query, perturbation, text, true, ok, reason);
}

agon_status task_variation_check_first(agon_ctx *ctx, const task_query *query, task_perturbation perturbation, const char *text, bool *ok, char **reason) {
    return check_variation(ctx, query, perturbation, text, false, ok, reason);
}

agon_status task_variation(agon_ctx *ctx, const task_query *query, task_perturbation perturbation, const char *text,
                           task_query *out) {
    span s = text_trim(text);
    task_query q = *query;
    q.perturbation = perturbation;
    q.text = strndup(text + s.start, s.end - s.start);
    q.parameters = json_deep_copy(query->parameters);
    q.keep = json_deep_copy(query->keep);
    if (!q.text || (query->parameters && !q.parameters) || (query->keep && !q.keep)) {
        task_query_free(&q);
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a reworded query is exhausted");
    }
    *out = q;
    return AGON_OK;
}
