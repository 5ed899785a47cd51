/* Family "string": work on the letters of a word and the words of a short text.
 *
 * Parameters: {"word"} or {"words": [..]} or {"sentence"}, {"n"} where a number is part of the question, and {"gold"}.
 * The answer is found in natural text by its form: a spelled word is a run of single letters, a letter stands alone, a
 * word stands last, in quotation marks or before "is". Naming several candidates, or the whole text over again, is no
 * answer. The second solver works backwards through the text, the first forwards. */
#include "base/buffer.h"
#include "base/ctx.h"
#include "task/family.h"
#include "task/words.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum work {
    SPELL_HYPHENS, SPELL_SPACES, FIRST_LETTER, LAST_LETTER, COUNT_LETTERS, COUNT_LETTER, COUNT_WORDS, FIRST_WORD,
    LAST_WORD, REVERSE_WORD, REVERSE_LIST, UPPER_WORD, CAPITALISE, REPEAT_WORD,
} work;

/* What a parameter object holds beside "gold". */
typedef enum material { A_WORD, A_SENTENCE, A_LIST } material;

typedef struct kind {
    const char *cell;
    work work;
    material material;
    int64_t low, high; /* letters of the word, words of the sentence or list */
    const char *usual[2], *rare[2];
    const char *keep; /* wordings of which a rewording needs one */
} kind;

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
    /* Not by default: so small a model sees tokens and not letters, and learned none of these from examples. */
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

/* Common words of 3 to 9 letters. */
static const char *const words[] = {
    "cat", "dog", "sun", "map", "cup", "hat", "pen", "bus", "key", "box", "egg", "ice", "fox", "bag", "bed", "car", "toy",
    "jam", "leg", "net", "owl", "pot", "rug", "sky", "tea", "van", "web", "zoo", "arm", "bee", "cow", "day", "ear", "fan",
    "gas", "ink", "jet", "lip", "mud", "nut", "oak", "pie", "red", "sea", "top", "bird", "fish", "tree", "moon", "star",
    "book", "door", "milk", "rain", "snow", "wind", "hand", "foot", "lamp", "road", "ship", "king", "bell", "cake", "desk",
    "farm", "gold", "hill", "iron", "jump", "kite", "leaf", "nose", "park", "rose", "salt", "tent", "wolf", "yard", "boat",
    "coat", "duck", "face", "gate", "home", "lake", "mind", "neck", "pipe", "ring", "sand", "team", "wall", "apple",
    "bread", "chair", "dance", "eagle", "field", "grape", "horse", "juice", "knife", "lemon", "mouse", "night", "ocean",
    "paper", "queen", "river", "stone", "table", "uncle", "voice", "water", "youth", "zebra", "beach", "cloud", "dream",
    "earth", "flame", "glass", "heart", "light", "music", "nurse", "piano", "smile", "train", "wheel", "plant", "sugar",
    "ant", "axe", "bat", "bow", "can", "cap", "den", "dot", "fig", "fin", "fog", "gem", "gum", "ham", "hen", "hut", "jar",
    "job", "jug", "kid", "lid", "log", "mat", "men", "mix", "mop", "oil", "pan", "paw", "pig", "pin", "ram", "rat", "rib",
    "saw", "six", "tap", "tie", "tub", "wax", "bean", "bark", "barn", "belt", "bone", "bowl", "bulb", "cave", "chin", "clay",
    "corn", "crab", "crow", "dawn", "deer", "dish", "drum", "dust", "fern", "film", "flag", "fork", "frog", "goat", "harp",
    "hawk", "herb", "hook", "horn", "joke", "knee", "lace", "lawn", "lime", "lion", "mask", "meal", "mint", "mole", "nest",
    "oven", "palm", "path", "pear", "plum", "poem", "pond", "port", "raft", "rope", "sail", "seed", "shoe", "silk", "soap",
    "song", "soup", "swan", "tail", "tide", "toad", "town", "vase", "vine", "wave", "wing", "wool", "worm", "actor", "badge",
    "basin", "berry", "brush", "cabin", "camel", "candy", "chalk", "cliff", "coast", "crown", "daisy", "ferry", "fence",
    "ghost", "glove", "honey", "hotel", "igloo", "jewel", "koala", "ladle", "magic", "melon", "novel", "olive", "onion",
    "panda", "peach", "pearl", "petal", "pilot", "porch", "raven", "robin", "sauce", "shelf", "skirt", "snail", "spoon",
    "squid", "straw", "tiger", "torch", "tower", "tulip", "violin", "walrus", "wizard", "basket", "beaver", "butter",
    "button", "camera", "castle", "cherry", "copper", "cotton", "desert", "dragon", "finger", "forest", "helmet", "insect",
    "kettle", "ladder", "lizard", "meadow", "mirror", "museum", "napkin", "pepper", "pillow", "pocket", "potato", "puzzle",
    "ribbon", "rocket", "saddle", "salmon", "shadow", "spider", "statue", "sunset", "tunnel", "turtle", "valley", "velvet",
    "animal", "bottle", "candle", "doctor", "engine", "family", "garden", "hammer", "island", "jacket", "kitten", "letter",
    "market", "needle", "orange", "pencil", "rabbit", "school", "ticket", "window", "yellow", "bridge", "carpet", "dinner",
    "flower", "guitar", "monkey", "planet", "silver", "spring", "summer", "winter", "blanket", "captain", "diamond",
    "evening", "feather", "giraffe", "holiday", "journey", "kitchen", "library", "machine", "picture", "rainbow", "teacher",
    "village", "weather", "banana", "balloon", "cabbage", "mountain", "elephant", "sandwich", "building", "computer",
    "daughter", "football", "hospital", "internet", "language", "magazine", "notebook", "question", "umbrella", "vacation",
    "chocolate", "breakfast", "butterfly", "crocodile", "pineapple", "telephone", "adventure", "classroom", "dangerous",
};
enum { N_WORDS = sizeof words / sizeof *words };

static const kind *kind_find(const char *cell) {
    for (size_t i = 0; i < N_CELLS; i++)
        if (strcmp(kinds[i].cell, cell) == 0)
            return &kinds[i];
    return NULL;
}

/* ---- parameters ---------------------------------------------------------------------------------- */

enum { LIST_MAX = 8, FIELD_MAX = 200 };
typedef struct puzzle { /* texts borrowed from the query */
    const kind *kind;
    const char *text; /* the word or the sentence */
    const char *list[LIST_MAX];
    size_t n_list;
    int64_t n;          /* REPEAT_WORD */
    const char *letter; /* COUNT_LETTER */
    const char *gold;
} puzzle;

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

static const char *draw_word(rng *r, int64_t low, int64_t high) {
    for (;;) {
        const char *word = draw_text(r, words, N_WORDS);
        int64_t n = (int64_t)strlen(word);
        if (n >= low && n <= high)
            return word;
    }
}

/* "The old dog sleeps near the house." with the given number of words, 3 to 7. */
static void draw_sentence(rng *r, int64_t n_words, char *out, size_t size) {
    static const char *const who[] = {"dog", "cat", "teacher", "farmer", "boy", "girl", "doctor", "bird", "horse", "child",
                                      "baker", "nurse", "king", "sailor", "painter", "driver", "singer", "woman"};
    static const char *const how[] = {"old", "young", "happy", "tired", "quiet", "little", "brave", "clever", "hungry"};
    static const char *const does[] = {"sleeps", "waits", "sings", "walks", "works", "smiles", "rests", "sits", "stays",
                                       "plays", "talks", "reads"};
    static const char *const when[] = {"today", "outside", "alone", "again", "here", "slowly", "inside"};
    static const char *const where[] = {"house", "river", "garden", "school", "window", "market", "station", "bridge",
                                        "lake", "forest", "church", "table"};
    static const char *const near[] = {"near", "behind", "by"};
    const char *w = draw_text(r, who, 18), *h = draw_text(r, how, 9), *d = draw_text(r, does, 12),
               *t = draw_text(r, when, 7), *p = draw_text(r, where, 12), *b = draw_text(r, near, 3);
    switch (n_words) {
    case 3:
        snprintf(out, size, "The %s %s.", w, d);
        break;
    case 4:
        snprintf(out, size, "The %s %s %s.", w, d, t);
        break;
    case 5:
        snprintf(out, size, "The %s %s %s %s.", h, w, d, t);
        break;
    case 6:
        snprintf(out, size, "The %s %s %s the %s.", w, d, b, p);
        break;
    default:
        snprintf(out, size, "The %s %s %s %s the %s.", h, w, d, b, p);
    }
    static const char *const starts[] = {"The", "My", "Our", "This", "One", "Every", "That", "Her", "His"};
    char rest[FIELD_MAX];
    snprintf(rest, sizeof rest, "%s", out + 3);
    snprintf(out, size, "%s%s", draw_text(r, starts, 9), rest);
}

static json_t *draw_list(rng *r, int64_t n) {
    json_t *list = json_array();
    while ((int64_t)json_array_size(list) < n) {
        const char *word = draw_word(r, 3, 6);
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
        draw_sentence(r, n, sentence, sizeof sentence);
        return json_pack("{s:s,s:s}", "gold", "", "sentence", sentence);
    }
    const char *word = draw_word(r, k->low, k->high);
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
    puzzle p;
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

/* A letter that stands alone; "a" and "I" before another word are words. */
static bool is_letter_answer(const char *text, span s) {
    if (!is_single_letter(text, s))
        return false;
    bool quoted = s.start > 0 && (text[s.start - 1] == '"' || text[s.start - 1] == '\'');
    size_t p = s.end;
    int32_t after = text_next(text, &p), beyond = after == ' ' ? text_next(text, &p) : 0;
    bool article = strchr("aAI", text[s.start]) && beyond && code_is_word(beyond);
    return quoted || !article;
}

/* The last letter that stands alone; *several: others stand there too. */
static bool find_letter(const char *text, span *out, bool *several) {
    size_t at = 0, end;
    bool found = false;
    *several = false;
    for (span s; word_next(text, &at, &s);)
        if (is_letter_answer(text, s)) {
            char letter[8] = "";
            memcpy(letter, text + s.start, s.end - s.start < 7 ? s.end - s.start : 7);
            *several = *several || (found && !phrase_at(text, out->start, letter, &end));
            *out = s;
            found = true;
        }
    return found;
}

/* The word a text gives as its answer: the first before "is" when the text begins with it, else the last in quotation marks, else
 * the last. `skip` is the material, which may be quoted on the way. */
static bool find_word(const char *text, const char *skip, span *out) {
    size_t at = 0, n = 0, end;
    bool found = false, quoted = false, first_is = false;
    span first = {0, 0}, last_quoted = {0, 0};
    for (span s; word_next(text, &at, &s); n++) {
        first = n == 0 ? s : first;
        first_is = first_is || (n == 1 && same_word(text, s, "is") && text[at] == ' ');
        bool opens = s.start > 0 && strchr("\"'*", text[s.start - 1]), closes = text[s.end] && strchr("\"'*.,!", text[s.end]);
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

/* A number in digits or, when there is none, the last number word up to twenty. */
static int64_t number_word(const char *text, span *out) {
    static const char *const names[] = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
                                        "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
                                        "eighteen", "nineteen", "twenty"};
    size_t at = 0;
    int64_t n = -1;
    for (span s; word_next(text, &at, &s);)
        for (int64_t i = 0; i <= 20; i++)
            if (same_word(text, s, names[i])) {
                n = i;
                *out = s;
            }
    return n;
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

/* Is `where` a part of the sentence said over again? */
static bool in_copy(const puzzle *p, const char *response, span where) {
    char copy[FIELD_MAX + 8];
    if (p->kind->material != A_SENTENCE)
        return false;
    snprintf(copy, sizeof copy, "%.*s", (int)strcspn(p->text, "."), p->text);
    span s;
    for (size_t at = 0; phrase_find(response, at, copy, &s); at = s.end)
        if (where.start >= s.start && where.end <= s.end)
            return true;
    return false;
}

static agon_status judge_word(const judged *j, const char *what) {
    span s;
    char said[EXCERPT_SIZE];
    bool exact = j->p->kind->work == UPPER_WORD || j->p->kind->work == CAPITALISE;
    if (!find_word(j->response, j->p->text, &s))
        return none(j, "has no word in it");
    if (in_copy(j->p, j->response, s))
        return none(j, "repeats the sentence instead of naming one word of it");
    excerpt(j->response, s.start, s.end, said);
    bool same = exact ? same_bytes(j->response, s, j->p->gold) : same_word(j->response, s, j->p->gold);
    return same ? right(j, s, said) : wrong(j, s, said, what);
}

static agon_status judge_number(const judged *j, const char *what) {
    rational value;
    span s = {0, 0};
    char said[64] = "";
    int64_t n = -1;
    if (parse_number(j->response, &value, &s.start, &s.end)) {
        rational gold = {atoll(j->p->gold), 1};
        char why[FIELD_MAX * 2], masked[FIELD_MAX * 2];
        snprintf(why, sizeof why, "%s is %s", what, j->p->gold);
        snprintf(masked, sizeof masked, "which is not %s", what);
        return verdict_number(j->ctx, j->out, j->response, gold, why, masked);
    }
    n = number_word(j->response, &s);
    if (n < 0)
        return none(j, "gives no number");
    snprintf(said, sizeof said, "%.*s", (int)(s.end - s.start), j->response + s.start);
    return n == atoll(j->p->gold) ? right(j, s, said) : wrong(j, s, said, what);
}

/* The words of the list where they occur in the response; the last n_list of them count, and only a repeat of the question
 * may stand before them. */
static agon_status judge_list(const judged *j, const char *what) {
    const puzzle *p = j->p;
    span where[2 * LIST_MAX + 1];
    size_t which[2 * LIST_MAX + 1], n = 0, at = 0;
    char said[EXCERPT_SIZE];
    for (span s; n <= 2 * p->n_list && word_next(j->response, &at, &s);)
        for (size_t i = 0; i < p->n_list; i++)
            if (same_word(j->response, s, p->list[i])) {
                where[n] = s;
                which[n++] = i;
                break;
            }
    if (n != p->n_list && n != 2 * p->n_list)
        return n < p->n_list ? none(j, "does not name all the words") : none(j, "does not name every word once");
    size_t first = n - p->n_list;
    bool ok = true;
    for (size_t i = 0; i < p->n_list; i++)
        ok = ok && which[first + i] == p->n_list - 1 - i;
    for (size_t i = 0; i < first; i++)
        ok = ok && which[i] == i;
    span s = {where[first].start, where[n - 1].end};
    excerpt(j->response, s.start, s.end, said);
    return ok ? right(j, s, said) : wrong(j, s, said, what);
}

/* Exactly n times, in one run, with nothing but punctuation between them. */
static agon_status judge_repeats(const judged *j, const char *what) {
    size_t at = 0, run = 0, longest = 0, total = 0;
    span cited = {0, 0};
    for (span s; word_next(j->response, &at, &s);) {
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

static agon_status string_verify(agon_ctx *ctx, const task_query *query, const char *response, task_verdict *out) {
    puzzle p;
    char what[FIELD_MAX + 64];
    agon_status status = puzzle_read(ctx, query, &p);
    if (status != AGON_OK)
        return status;
    judged j = {ctx, &p, response, out};
    const char *t = p.text;
    switch (p.kind->work) {
    case SPELL_HYPHENS:
    case SPELL_SPACES:
        snprintf(what, sizeof what, "'%s' spelled out", t);
        return judge_spelling(&j, what);
    case FIRST_LETTER:
    case LAST_LETTER:
        snprintf(what, sizeof what, "the %s letter of '%s'", p.kind->work == FIRST_LETTER ? "first" : "last", t);
        return judge_letter(&j, what);
    case COUNT_LETTERS:
        snprintf(what, sizeof what, "the number of letters in '%s'", t);
        return judge_number(&j, what);
    case COUNT_LETTER:
        snprintf(what, sizeof what, "the number of times '%s' occurs in '%s'", p.letter, t);
        return judge_number(&j, what);
    case COUNT_WORDS:
        snprintf(what, sizeof what, "the number of words in '%s'", t);
        return judge_number(&j, what);
    case FIRST_WORD:
    case LAST_WORD:
        snprintf(what, sizeof what, "the %s word of '%s'", p.kind->work == FIRST_WORD ? "first" : "last", t);
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
        snprintf(what, sizeof what, "'%s' is asked %lld times in a row", t, (long long)p.n);
        return judge_repeats(&j, what);
    }
    return ctx_fail(ctx, AGON_EINVAL, "string: there is no cell '%.60s'", query->cell);
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
    puzzle p;
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
    puzzle p;
    rng r = rng_new(seed);
    char answer[2 * FIELD_MAX], *text = NULL;
    task_verdict v = {0};
    (void)correct; /* a plain answer with one thing wrong is the smallest fault whatever stood around the right one */
    agon_status status = puzzle_read(ctx, query, &p);
    if (status == AGON_OK)
        status = phrase(ctx, &p, wrong_answer(&p, &r, answer, sizeof answer), &text);
    if (status == AGON_OK)
        status = string_verify(ctx, query, text, &v);
    if (status == AGON_OK && v.outcome != OUTCOME_FAIL)
        status = ctx_fail(ctx, AGON_EUNSUPPORTED, "string/%s: the planted change is no fault", query->cell);
    if (status == AGON_OK)
        status = task_format(ctx, claim, "The answer is wrong: %s.", v.evidence);
    task_verdict_free(&v);
    if (status == AGON_OK)
        *faulty = text;
    else
        free(text);
    return status;
}

/* ---- check --------------------------------------------------------------------------------------- */

static agon_status string_check(agon_ctx *ctx, const task_query *query) {
    puzzle p;
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
    puzzle p;
    agon_status status = puzzle_read(ctx, query, &p);
    return status == AGON_OK ? task_format(ctx, out, "%s", p.gold) : status;
}

const task_family family_string = {
    .name = "string",
    .cells = cells,
    .n_cells = N_CELLS,
    .generate = string_generate,
    .verify = string_verify,
    .demonstrate = string_demonstrate,
    .tamper = string_tamper,
    .check = string_check,
    .gold = string_gold,
};
