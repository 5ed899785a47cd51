/* Family "string": work on the letters of a word and the words of a short text.
 *
 * Parameters: {"word"} or {"words": [..]} or {"sentence"}, {"n"} where a number is part of the question, and {"gold"}.
 * string_judge.c finds and judges the answer, string_draw.c has the words. The second solver reads the gold back against
 * the material. */
#include "base/buffer.h"
#include "base/ctx.h"
#include "task/family.h"
#include "task/string_puzzle.h"
#include "task/words.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const task_cell cells[] = {
    {"first_letter", 1, false, true},
    {"last_letter", 1, false, true},
    {"first_word", 1, false, true},
    {"last_word", 1, false, true},
    {"capitalise", 1, false, true},
    {"repeat_word", 2, false, true},
    {"upper_case_word", 2, false, true},
    {"count_words", 2, false, true},
    {"spell_hyphens_short", 3, true, true},
    {"spell_spaces_short", 3, true, true},
    {"reverse_list", 3, true, true},
    {"count_letters", 3, true, true},
    /* Not by default: a small model sees tokens and not letters, and the baseline is 0 to 1 of 8. Run them by name. */
    {"spell_hyphens", 4, true, false},
    {"count_letter", 4, true, false},
    {"reverse_word", 5, true, false},
};
enum { N_CELLS = sizeof cells / sizeof *cells };

static const kind kinds[] = {
    {"first_letter", FIRST_LETTER, A_WORD, 3, 8,
     {"What is the first letter of the word \"{word}\"?", "Which letter does the word \"{word}\" start with?"},
     {"Tell me the letter that the word \"{word}\" begins with.", "Name the first letter in \"{word}\"."},
     "first letter|start|starts|begin|begins|initial"},
    {"last_letter", LAST_LETTER, A_WORD, 3, 8,
     {"What is the last letter of the word \"{word}\"?", "Which letter does the word \"{word}\" end with?"},
     {"Tell me the letter that the word \"{word}\" ends with.", "Name the final letter in \"{word}\"."},
     "last letter|final letter|end|ends"},
    {"first_word", FIRST_WORD, A_SENTENCE, 4, 7,
     {"What is the first word of this sentence: \"{sentence}\"", "Which word comes first in this sentence: \"{sentence}\""},
     {"Tell me the word that begins the sentence \"{sentence}\"", "Name the first word in the sentence \"{sentence}\""},
     "first word|comes first|begins|starts"},
    {"last_word", LAST_WORD, A_SENTENCE, 4, 7,
     {"What is the last word of this sentence: \"{sentence}\"", "Which word comes last in this sentence: \"{sentence}\""},
     {"Tell me the word that ends the sentence \"{sentence}\"", "Name the final word in the sentence \"{sentence}\""},
     "last word|final word|comes last|ends"},
    {"capitalise", CAPITALISE, A_WORD, 3, 8,
     {"Write the word \"{word}\" with a capital first letter.", "Capitalize the first letter of the word \"{word}\"."},
     {"Give me the word \"{word}\" starting with a capital letter.", "Put the word \"{word}\" down with its first letter capitalized."},
     "capital|capitalize|capitalized|capitalise"},
    {"repeat_word", REPEAT_WORD, A_WORD, 3, 6,
     {"Write the word \"{word}\" {n} times.", "Repeat the word \"{word}\" {n} times."},
     {"Say the word \"{word}\" {n} times in a row.", "Put down the word \"{word}\" {n} times."}, "times"},
    {"upper_case_word", UPPER_WORD, A_WORD, 3, 6,
     {"Write the word \"{word}\" in capital letters.", "Write the word \"{word}\" in upper case."},
     {"Give me the word \"{word}\" with all letters capitalized.", "Put the word \"{word}\" into upper case letters."},
     "capital letters|upper case|uppercase|all letters capitalized|all caps"},
    {"count_words", COUNT_WORDS, A_SENTENCE, 3, 6,
     {"How many words are in this sentence: \"{sentence}\"", "Count the words in this sentence: \"{sentence}\""},
     {"Tell me how many words the sentence \"{sentence}\" has.", "Of how many words does this sentence consist: \"{sentence}\""},
     "how many words|count the words|number of words"},
    {"spell_hyphens_short", SPELL_HYPHENS, A_WORD, 3, 4,
     {"Spell the word \"{word}\" with hyphens between the letters.", "Spell \"{word}\" letter by letter with hyphens."},
     {"Write the letters of the word \"{word}\" with a hyphen between them.", "Break the word \"{word}\" into letters joined by hyphens."},
     "hyphen|hyphens"},
    {"spell_spaces_short", SPELL_SPACES, A_WORD, 3, 4,
     {"Spell the word \"{word}\" with spaces between the letters.", "Spell \"{word}\" letter by letter with spaces."},
     {"Write the letters of the word \"{word}\" with a space between them.", "Break the word \"{word}\" into letters divided by spaces."},
     "space|spaces"},
    {"reverse_list", REVERSE_LIST, A_LIST, 3, 3,
     {"Write these words in reverse order: {list}", "Reverse the order of these words: {list}"},
     {"Give me the following words from last to first: {list}", "List these words backwards, the last one first: {list}"},
     "reverse|backwards|last to first"},
    {"count_letters", COUNT_LETTERS, A_WORD, 3, 6,
     {"How many letters does the word \"{word}\" have?", "Count the letters in the word \"{word}\"."},
     {"Tell me the number of letters in \"{word}\".", "Of how many letters does the word \"{word}\" consist?"},
     "how many letters|count the letters|number of letters"},
    {"spell_hyphens", SPELL_HYPHENS, A_WORD, 5, 7,
     {"Spell the word \"{word}\" with hyphens between the letters.", "Spell \"{word}\" letter by letter with hyphens."},
     {"Write the letters of the word \"{word}\" with a hyphen between them.", "Break the word \"{word}\" into letters joined by hyphens."},
     "hyphen|hyphens"},
    {"count_letter", COUNT_LETTER, A_WORD, 5, 9,
     {"How many times does the letter \"{letter}\" occur in the word \"{word}\"?", "Count the letter \"{letter}\" in the word \"{word}\"."},
     {"Tell me how often the letter \"{letter}\" appears in \"{word}\".", "In the word \"{word}\", how many letters are \"{letter}\"?"},
     "how many|count|how often|number of"},
    {"reverse_word", REVERSE_WORD, A_WORD, 3, 5,
     {"Write the word \"{word}\" backwards.", "Reverse the letters of the word \"{word}\"."},
     {"Give me the word \"{word}\" with its letters in reverse order.", "Spell the word \"{word}\" from its last letter to its first, as one word."},
     "backwards|reverse|last letter to its first"},
};
_Static_assert(sizeof kinds / sizeof *kinds == N_CELLS, "one kind a cell");

static const kind *kind_find(const char *cell) {
    for (size_t i = 0; i < N_CELLS; i++)
        if (strcmp(kinds[i].cell, cell) == 0)
            return &kinds[i];
    return NULL;
}

/* ---- parameters ---------------------------------------------------------------------------------- */

static bool is_plain_word(const char *word) {
    size_t n = strspn(word, "abcdefghijklmnopqrstuvwxyz");
    return n >= 2 && n <= 20 && !word[n];
}

/* A sentence as `generate` makes them: words of letters, one space between them, a period. */
static bool is_plain_sentence(const char *text) {
    size_t n = strlen(text);
    if (n < 4 || n > FIELD_MAX || text[n - 1] != '.' || text[0] == ' ' || text[n - 2] == ' ' || strstr(text, "  "))
        return false;
    return strspn(text, " ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == n - 1;
}

static agon_status bad_parameters(agon_ctx *ctx, const task_query *query, const char *what) {
    return ctx_fail(ctx, AGON_EINVAL, "string/%s: %s", query->cell, what);
}

static agon_status read_list(agon_ctx *ctx, const task_query *query, puzzle *out) {
    const json_t *list = json_object_get(query->parameters, "words");
    out->n_list = json_array_size(list);
    if (out->n_list < 2 || out->n_list > LIST_MAX)
        return bad_parameters(ctx, query, "'words' must be a list of 2 to 8 words");
    for (size_t i = 0; i < out->n_list; i++) {
        out->list[i] = json_string_value(json_array_get(list, i));
        if (!out->list[i] || !is_plain_word(out->list[i]))
            return bad_parameters(ctx, query, "'words' must be words of 2 to 20 small letters");
        for (size_t k = 0; k < i; k++)
            if (strcmp(out->list[k], out->list[i]) == 0)
                return bad_parameters(ctx, query, "'words' must differ");
    }
    return AGON_OK;
}

static agon_status puzzle_read(agon_ctx *ctx, const task_query *query, puzzle *out) {
    puzzle p = {.kind = kind_find(query->cell)};
    const json_t *o = query->parameters;
    if (!p.kind)
        return bad_parameters(ctx, query, "there is no such cell");
    agon_status status = json_get_text(ctx, "string", o, "gold", true, &p.gold);
    if (status == AGON_OK && p.kind->material == A_LIST)
        status = read_list(ctx, query, &p);
    else if (status == AGON_OK)
        status = json_get_text(ctx, "string", o, p.kind->material == A_WORD ? "word" : "sentence", true, &p.text);
    if (status == AGON_OK && p.kind->work == REPEAT_WORD)
        status = json_get_int(ctx, "string", o, "n", true, &p.n);
    if (status == AGON_OK && p.kind->work == COUNT_LETTER)
        status = json_get_text(ctx, "string", o, "letter", true, &p.letter);
    if (status != AGON_OK)
        return status;
    if (p.kind->material == A_WORD && !is_plain_word(p.text))
        return bad_parameters(ctx, query, "'word' must be 2 to 20 small letters");
    if (p.kind->material == A_SENTENCE && !is_plain_sentence(p.text))
        return bad_parameters(ctx, query, "'sentence' must be plain words of letters with a period");
    if (p.kind->work == REPEAT_WORD && (p.n < 2 || p.n > 20))
        return bad_parameters(ctx, query, "'n' must be from 2 to 20");
    if (p.letter && (strlen(p.letter) != 1 || p.letter[0] < 'a' || p.letter[0] > 'z'))
        return bad_parameters(ctx, query, "'letter' must be one small letter");
    *out = p;
    return AGON_OK;
}

/* ---- solving ------------------------------------------------------------------------------------- */

static void solve_letters(const puzzle *p, buffer *b) {
    size_t n = strlen(p->text), count = 0;
    switch (p->kind->work) {
    case SPELL_HYPHENS:
    case SPELL_SPACES:
        for (size_t i = 0; i < n; i++)
            buffer_printf(b, "%s%c", i == 0 ? "" : p->kind->work == SPELL_HYPHENS ? "-" : " ", p->text[i]);
        break;
    case FIRST_LETTER:
        buffer_char(b, p->text[0]);
        break;
    case LAST_LETTER:
        buffer_char(b, p->text[n - 1]);
        break;
    case COUNT_LETTERS:
        buffer_printf(b, "%zu", n);
        break;
    case COUNT_LETTER:
        for (size_t i = 0; i < n; i++)
            count += p->text[i] == p->letter[0];
        buffer_printf(b, "%zu", count);
        break;
    case REVERSE_WORD:
        while (n-- > 0)
            buffer_char(b, p->text[n]);
        break;
    default: /* UPPER_WORD, CAPITALISE */
        for (size_t i = 0; i < n; i++)
            buffer_char(b, i == 0 || p->kind->work == UPPER_WORD ? (char)(p->text[i] - 'a' + 'A') : p->text[i]);
    }
}

static void solve_words(const puzzle *p, buffer *b) {
    size_t at = 0, n = 0;
    span s, first = {0, 0};
    if (p->kind->work == REVERSE_LIST) {
        for (size_t i = p->n_list; i-- > 0;)
            buffer_printf(b, "%s%s", p->list[i], i == 0 ? "" : ", ");
        return;
    }
    if (p->kind->work == REPEAT_WORD) {
        for (int64_t i = 0; i < p->n; i++)
            buffer_printf(b, "%s%s", i == 0 ? "" : " ", p->text);
        return;
    }
    while (word_next(p->text, &at, &s)) {
        first = n == 0 ? s : first;
        n++;
        if (p->kind->work == FIRST_WORD)
            break;
    }
    if (p->kind->work == COUNT_WORDS)
        buffer_printf(b, "%zu", n);
    else /* FIRST_WORD, LAST_WORD: s is the last one read */
        buffer_append(b, p->text + s.start, s.end - s.start);
}

static agon_status solve(agon_ctx *ctx, const puzzle *p, char **out) {
    buffer b = {0};
    if (p->kind->material == A_WORD && p->kind->work != REPEAT_WORD)
        solve_letters(p, &b);
    else
        solve_words(p, &b);
    *out = buffer_take(&b);
    return *out ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "memory for a task's answer is exhausted");
}

/* The gold once more, read off from its own side: a spelled word must lose its marks and be the word, a reversed one must
 * match from the other end, counts come down to zero. */
static bool gold_is_right(const puzzle *p) {
    const char *g = p->gold, *t = p->text;
    size_t n = t ? strlen(t) : 0, m = strlen(g);
    int64_t left = 0;
    switch (p->kind->work) {
    case SPELL_HYPHENS:
    case SPELL_SPACES:
        for (size_t i = 0; i < m; i++)
            if (i % 2 == 1 ? g[i] != (p->kind->work == SPELL_HYPHENS ? '-' : ' ') : g[i] != t[i / 2])
                return false;
        return m == 2 * n - 1;
    case FIRST_LETTER:
        return m == 1 && strchr(t, g[0]) == t;
    case LAST_LETTER:
        return m == 1 && strrchr(t, g[0]) == t + n - 1;
    case COUNT_LETTERS:
    case COUNT_LETTER:
    case COUNT_WORDS:
        left = m <= 3 && strspn(g, "0123456789") == m ? atoll(g) : -1;
        for (const char *c = t; *c; c++) /* a word begins where a letter follows no letter */
            left -= p->kind->work == COUNT_LETTERS  ? 1
                    : p->kind->work == COUNT_LETTER ? *c == p->letter[0]
                                                    : *c != ' ' && *c != '.' && (c == t || c[-1] == ' ');
        return left == 0;
    case FIRST_WORD:
        return strncmp(t, g, m) == 0 && m == strcspn(t, " .");
    case LAST_WORD:
        return m > 0 && n > m && strncmp(t + n - 1 - m, g, m) == 0 && (n == m + 1 || t[n - 2 - m] == ' ') && !strchr(g, ' ');
    case REVERSE_WORD:
        for (size_t i = 0; i < m && m == n; i++)
            if (g[i] != t[n - 1 - i])
                return false;
        return m == n;
    case UPPER_WORD:
    case CAPITALISE:
        for (size_t i = 0; i < m && m == n; i++)
            if (g[i] != (char)(i == 0 || p->kind->work == UPPER_WORD ? t[i] & ~0x20 : t[i]))
                return false;
        return m == n;
    case REPEAT_WORD:
        for (left = p->n; m >= n && strncmp(g, t, n) == 0; left--) {
            g += n;
            m -= n;
            if (*g == ' ')
                g++, m--;
        }
        return left == 0 && m == 0;
    case REVERSE_LIST:
        for (size_t i = p->n_list; i-- > 0;) {
            n = strlen(p->list[i]);
            if (strncmp(g, p->list[i], n) != 0 || (i > 0 && strncmp(g + n, ", ", 2) != 0))
                return false;
            g += n + (i > 0 ? 2 : 0);
        }
        return !*g;
    }
    return false;
}

/* ---- generate ------------------------------------------------------------------------------------ */

static json_t *draw_list(rng *r, int64_t n) {
    json_t *list = json_array();
    while ((int64_t)json_array_size(list) < n) {
        const char *word = string_word(r, 3, 6);
        bool seen = false;
        for (size_t i = 0; i < json_array_size(list); i++)
            seen = seen || strcmp(json_string_value(json_array_get(list, i)), word) == 0;
        if (!seen && json_array_append_new(list, json_string(word)) != 0)
            break;
    }
    return list;
}

static json_t *draw_material(const kind *k, rng *r) {
    char sentence[FIELD_MAX];
    int64_t n = rng_range(r, k->low, k->high);
    if (k->material == A_LIST)
        return json_pack("{s:s,s:o}", "gold", "", "words", draw_list(r, n));
    if (k->material == A_SENTENCE) {
        string_sentence(r, n, sentence, sizeof sentence);
        return json_pack("{s:s,s:s}", "gold", "", "sentence", sentence);
    }
    const char *word = string_word(r, k->low, k->high);
    json_t *o = json_pack("{s:s,s:s}", "gold", "", "word", word);
    if (k->work == REPEAT_WORD)
        json_object_set_new(o, "n", json_integer(rng_range(r, 2, 5)));
    if (k->work == COUNT_LETTER) {
        char letter[2] = {word[rng_below(r, strlen(word))], 0};
        json_object_set_new(o, "letter", json_string(letter));
    }
    return o;
}

static agon_status word_puzzle(agon_ctx *ctx, const puzzle *p, task_query *query, rng *r) {
    char list[FIELD_MAX] = "", n[24], pattern[600];
    for (size_t i = 0, used = 0; i < p->n_list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", p->list[i]);
    snprintf(n, sizeof n, "%lld", (long long)p->n);
    bool rare = query->perturbation == PERTURBATION_PARAPHRASE, distracts = query->perturbation == PERTURBATION_DISTRACTOR;
    const char *phrasing = draw_text(r, rare ? p->kind->rare : p->kind->usual, 2), *distractor = draw_distractor(r);
    snprintf(pattern, sizeof pattern, "%s%s%s", distracts ? distractor : "", distracts ? " " : "", phrasing);
    const text_fill fills[] = {{"word", p->text ? p->text : ""}, {"sentence", p->text ? p->text : ""}, {"list", list},
                               {"n", n}, {"letter", p->letter ? p->letter : ""}};
    return task_fill(ctx, pattern, fills, sizeof fills / sizeof *fills, &query->text);
}

static agon_status keep_puzzle(agon_ctx *ctx, const puzzle *p, json_t **keep) {
    char text[32];
    agon_status status = AGON_OK;
    if (p->kind->material == A_LIST) {
        char list[FIELD_MAX] = "";
        for (size_t i = 0, used = 0; i < p->n_list; i++)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", p->list[i]);
        status = keep_add(ctx, keep, "text", list); /* their order is the question */
    } else {
        status = keep_add(ctx, keep, "text", p->text);
    }
    if (status == AGON_OK && p->kind->work == REPEAT_WORD) {
        snprintf(text, sizeof text, "%lld", (long long)p->n);
        status = keep_add(ctx, keep, "number", text);
    }
    if (status == AGON_OK && p->letter) {
        snprintf(text, sizeof text, "\"%s\"", p->letter);
        status = keep_add(ctx, keep, "text", text);
    }
    return status == AGON_OK ? keep_add(ctx, keep, "any", p->kind->keep) : status;
}

static agon_status string_generate(agon_ctx *ctx, const task_cell *cell, task_query *query) {
    puzzle p = {0};
    rng r = rng_new(query->seed);
    char *gold = NULL;
    query->parameters = draw_material(kind_find(cell->name), &r);
    if (!query->parameters)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a task's parameters is exhausted");
    agon_status status = puzzle_read(ctx, query, &p);
    if (status == AGON_OK)
        status = solve(ctx, &p, &gold);
    if (status == AGON_OK && json_object_set_new(query->parameters, "gold", json_string(gold)) != 0)
        status = ctx_fail(ctx, AGON_ENOMEM, "memory for a task's parameters is exhausted");
    free(gold);
    if (status == AGON_OK)
        status = word_puzzle(ctx, &p, query, &r);
    return status == AGON_OK ? keep_puzzle(ctx, &p, &query->keep) : status;
}

static agon_status string_verify(agon_ctx *ctx, const task_query *query, const char *response, task_verdict *out) {
    puzzle p = {0};
    agon_status status = puzzle_read(ctx, query, &p);
    return status == AGON_OK ? puzzle_judge(ctx, &p, response, out) : status;
}

/* ---- demonstrate, tamper ------------------------------------------------------------------------- */

/* `answer` in the family's plain style. Where letters or words are counted, they are counted aloud: that is how a small
 * model can do it. */
static void phrase_answer(const puzzle *p, const char *answer, buffer *b) {
    size_t at = 0, n = 0;
    switch (p->kind->work) {
    case FIRST_LETTER:
    case LAST_LETTER:
        buffer_printf(b, "The %s letter of \"%s\" is \"%s\".", p->kind->work == FIRST_LETTER ? "first" : "last", p->text, answer);
        break;
    case FIRST_WORD:
    case LAST_WORD:
        buffer_printf(b, "The %s word is \"%s\".", p->kind->work == FIRST_WORD ? "first" : "last", answer);
        break;
    case COUNT_LETTERS:
        for (; p->text[n]; n++)
            buffer_printf(b, "%c %zu, ", p->text[n], n + 1);
        buffer_printf(b, "so the answer is %s.", answer);
        break;
    case COUNT_WORDS:
        for (span s; word_next(p->text, &at, &s);)
            buffer_printf(b, "%.*s %zu, ", (int)(s.end - s.start), p->text + s.start, ++n);
        buffer_printf(b, "so the answer is %s.", answer);
        break;
    case COUNT_LETTER:
        buffer_printf(b, "The answer is %s.", answer);
        break;
    default:
        buffer_text(b, answer);
    }
}

static agon_status phrase(agon_ctx *ctx, const puzzle *p, const char *answer, char **out) {
    buffer b = {0};
    phrase_answer(p, answer, &b);
    *out = buffer_take(&b);
    return *out ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "memory for a task's answer is exhausted");
}

static agon_status string_demonstrate(agon_ctx *ctx, const task_query *query, uint64_t seed, char **response) {
    puzzle p = {0};
    (void)seed; /* one plain style; the words of the query are variety enough */
    agon_status status = puzzle_read(ctx, query, &p);
    return status == AGON_OK ? phrase(ctx, &p, p.gold, response) : status;
}

/* Two neighbouring units of `width` bytes swapped, or one dropped, somewhere in the answer. */
static void fault_units(char *text, size_t width, rng *r) {
    size_t n = strlen(text), units = (n + width - 1) / width;
    if (units < 2)
        return;
    size_t k = rng_below(r, units - 1) * width;
    if (rng_below(r, 2) == 0 && text[k] != text[k + width]) {
        char c = text[k];
        text[k] = text[k + width];
        text[k + width] = c;
    } else if (units > 2) {
        memmove(text + k, text + k + width, n - k - width + 1);
    }
}

static const char *other_list_order(const puzzle *p, rng *r, char *out, size_t size) {
    size_t order[LIST_MAX], used = 0, k = rng_below(r, p->n_list - 1);
    for (size_t i = 0; i < p->n_list; i++)
        order[i] = p->n_list - 1 - i;
    size_t swap = order[k];
    order[k] = order[k + 1];
    order[k + 1] = swap;
    for (size_t i = 0; i < p->n_list; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i == 0 ? "" : ", ", p->list[order[i]]);
    return out;
}

/* A wrong answer near the right one. */
static const char *wrong_answer(const puzzle *p, rng *r, char *out, size_t size) {
    snprintf(out, size, "%s", p->gold);
    size_t n = strlen(out), words_n = p->kind->material == A_SENTENCE ? text_n_words(p->text) : 0, at = 0;
    span s = {0, 0};
    switch (p->kind->work) {
    case SPELL_HYPHENS:
    case SPELL_SPACES:
        fault_units(out, 2, r);
        return out;
    case REVERSE_WORD:
        fault_units(out, 1, r);
        return out;
    case FIRST_LETTER:
    case LAST_LETTER:
        snprintf(out, size, "%c", p->text[rng_below(r, strlen(p->text))]);
        return out;
    case COUNT_LETTERS:
    case COUNT_LETTER:
    case COUNT_WORDS:
        snprintf(out, size, "%lld", atoll(p->gold) + (rng_below(r, 2) || atoll(p->gold) == 0 ? 1 : -1));
        return out;
    case FIRST_WORD:
    case LAST_WORD:
        for (size_t k = rng_below(r, words_n) + 1; k > 0 && word_next(p->text, &at, &s); k--)
            ;
        snprintf(out, size, "%.*s", (int)(s.end - s.start), p->text + s.start);
        return out;
    case UPPER_WORD:
    case CAPITALISE:
        out[p->kind->work == CAPITALISE ? 0 : rng_below(r, n)] ^= 0x20;
        return out;
    case REPEAT_WORD:
        if (rng_below(r, 2))
            snprintf(out + n, size - n, " %s", p->text);
        else
            out[n - strlen(p->text) - 1] = 0;
        return out;
    case REVERSE_LIST:
        return other_list_order(p, r, out, size);
    }
    return out;
}

static agon_status string_tamper(agon_ctx *ctx, const task_query *query, const char *correct, uint64_t seed, char **faulty,
                                 char **claim) {
    puzzle p = {0};
    rng r = rng_new(seed);
    char answer[2 * FIELD_MAX], *text = NULL;
    (void)correct; /* a plain answer with one thing wrong is the smallest fault whatever stood around the right one */
    agon_status status = puzzle_read(ctx, query, &p);
    if (status == AGON_OK)
        status = phrase(ctx, &p, wrong_answer(&p, &r, answer, sizeof answer), &text);
    return status ? status : task_planted(ctx, query, string_verify, text, faulty, claim);
}

/* ---- check --------------------------------------------------------------------------------------- */

static agon_status string_check(agon_ctx *ctx, const task_query *query) {
    puzzle p = {0};
    span s;
    agon_status status = puzzle_read(ctx, query, &p);
    if (status != AGON_OK)
        return status;
    if (!gold_is_right(&p))
        return ctx_fail(ctx, AGON_EMISMATCH, "string/%s: the second solver does not confirm the answer '%.60s'", query->cell,
                        p.gold);
    size_t n = p.kind->material == A_LIST ? p.n_list : 1, at = 0;
    for (size_t i = 0; i < n; i++) {
        if (!phrase_find(query->text, at, p.kind->material == A_LIST ? p.list[i] : p.text, &s))
            return ctx_fail(ctx, AGON_EMISMATCH, "string/%s: the query does not show what it asks about", query->cell);
        at = s.end;
    }
    return AGON_OK;
}

static agon_status string_gold(agon_ctx *ctx, const task_query *query, char **out) {
    puzzle p = {0};
    agon_status status = puzzle_read(ctx, query, &p);
    return status == AGON_OK ? task_format(ctx, out, "%s", p.gold) : status;
}

static agon_status write_wordings(agon_ctx *ctx, const task_query *query, struct wordings *out) {
    puzzle p = {0};
    agon_status status = puzzle_read(ctx, query, &p);
    return status ? status : string_wordings(ctx, &p, out);
}

const task_family family_string = {
    .name = "string",
    .cells = cells,
    .n_cells = N_CELLS,
    .positions = true,
    .generate = string_generate,
    .verify = string_verify,
    .demonstrate = string_demonstrate,
    .tamper = string_tamper,
    .check = string_check,
    .gold = string_gold,
    .foreign = "middle|letter following|following letter|follows|followed by|preceding|precedes|vowel|consonant",
    .wordings = write_wordings,
};
