/* The experiment debate: items, from a file or invented. See debate.h.
 *
 * An invented passage says four facts of each of three things (towns, ships or observatories) whose names no model has read, its sentences shuffled. Who has not read it
 * can only guess; who has finds the answer in one sentence. Half of the wrong answers are true of another thing in the passage, so that who argues for them has something
 * to quote; the others stand nowhere. */
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/random.h"
#include "experiment/debate.h"
#include "train/row_file.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a file ---------------------------------------------------------------------------------------------------- */

static bool is_blank(const char *text) {
    return text[strspn(text, " \t\r\n\v\f")] == '\0';
}

/* The text of a key, in `memory`; *out NULL where it may be missing and is. */
static agon_status take_text(agon_ctx *ctx, const row_file *f, size_t i, const char *key, bool required, size_t most, arena *memory, const char **out) {
    const json_t *value = json_object_get(f->rows[i], key);
    const char *text = json_string_value(value);
    *out = NULL;
    if (json_absent(value))
        return required ? row_fail(ctx, f, i, "%s is missing; a row is {\"question\", \"correct\", \"wrong\", and where there is one \"passage\"}", key) : AGON_OK;
    if (!text || is_blank(text))
        return row_fail(ctx, f, i, text ? "%s is empty or white space only" : "%s must be a text", key);
    if (strlen(text) > most)
        return row_fail(ctx, f, i, "%s has %zu bytes; %zu are taken", key, strlen(text), most);
    *out = arena_copy(memory, text);
    return *out ? AGON_OK : ctx_no_memory(ctx);
}

/* Puts the answers in their order. */
static void set_answers(debate_item *item, const char *correct, const char *wrong) {
    item->right = strcmp(correct, wrong) > 0;
    item->answers[item->right] = correct;
    item->answers[!item->right] = wrong;
}

static agon_status take_row(agon_ctx *ctx, const row_file *f, size_t i, arena *memory, debate_item *out) {
    const char *correct = NULL, *wrong = NULL;
    agon_status s = take_text(ctx, f, i, "question", true, DEBATE_FIELD_MOST, memory, &out->question);
    if (!s)
        s = take_text(ctx, f, i, "correct", true, DEBATE_FIELD_MOST, memory, &correct);
    if (!s)
        s = take_text(ctx, f, i, "wrong", true, DEBATE_FIELD_MOST, memory, &wrong);
    if (!s)
        s = take_text(ctx, f, i, "passage", false, DEBATE_PASSAGE_MOST, memory, &out->passage);
    if (!s)
        s = take_text(ctx, f, i, "id", false, 100, memory, &out->id);
    if (!s && strcmp(correct, wrong) == 0)
        s = row_fail(ctx, f, i, "correct and wrong are the same answer");
    if (!s && !out->id)
        out->id = arena_printf(memory, "line-%zu", f->lines[i]);
    if (!s && !out->id)
        s = ctx_no_memory(ctx);
    if (!s)
        set_answers(out, correct, wrong);
    return s;
}

agon_status debate_read_items(agon_ctx *ctx, const char *path, size_t most, arena *memory, debate_item **out, size_t *n) {
    row_file f = {0};
    agon_status s = row_file_read(ctx, path, &f);
    *n = f.n < most ? f.n : most;
    *out = s ? NULL : arena_take(memory, *n, sizeof **out);
    if (!s && !*out)
        s = ctx_no_memory(ctx);
    for (size_t i = 0; i < *n && !s; i++) {
        s = take_row(ctx, &f, i, memory, &(*out)[i]);
        for (size_t k = 0; k < i && !s; k++)
            if (strcmp((*out)[k].id, (*out)[i].id) == 0)
                s = row_fail(ctx, &f, i, "the id '%.60s' is that of line %zu too", (*out)[i].id, f.lines[k]);
    }
    row_file_free(&f);
    return s;
}

/* ---- invented ones --------------------------------------------------------------------------------------------- */

typedef enum value_kind { A_YEAR, A_NUMBER, A_PERSON, A_PLACE, A_TRADE } value_kind;

typedef struct fact {
    const char *sentence, *question; /* of a name and a value, of a name */
    value_kind kind;
} fact;

enum { N_TOPICS = 3, N_FACTS = 4, N_THINGS = 3, VALUE_SIZE = 48 };

static const struct {
    const char *before, *after; /* an invented name */
    fact facts[N_FACTS];
} topics[N_TOPICS] = {
    {"", "",
     {{"%s was founded in the year %s.", "In which year was %s founded?", A_YEAR},
      {"The mayor of %s is %s.", "Who is the mayor of %s?", A_PERSON},
      {"The town of %s lives by %s.", "What does the town of %s live by?", A_TRADE},
      {"%s lies on the river %s.", "On which river does %s lie?", A_PLACE}}},
    {"the ", "",
     {{"In the shipyard register %s was launched in %s.", "In which year was %s launched?", A_YEAR},
      {"On the last voyage of %s the captain was %s.", "Who was captain on the last voyage of %s?", A_PERSON},
      {"The crew of %s counted %s sailors.", "How many sailors did the crew of %s count?", A_NUMBER},
      {"The home port of %s was %s.", "Which was the home port of %s?", A_PLACE}}},
    {"the ", " Observatory",
     {{"The first night of observation at %s came in %s.", "In which year was the first night of observation at %s?", A_YEAR},
      {"The director of %s is called %s.", "What is the director of %s called?", A_PERSON},
      {"The main telescope of %s weighs %s tons.", "How many tons does the main telescope of %s weigh?", A_NUMBER},
      {"Most visitors of %s arrive from %s.", "Where do most visitors of %s arrive from?", A_PLACE}}},
};

static const char *const beginnings[] = {"Vel", "Tar", "Mor", "Kes", "Lan", "Bri", "Osk", "Dun", "Hal", "Fen", "Gor", "Pel", "Rud", "Sil", "Yar", "Zem"};
static const char *const middles[] = {"a", "e", "i", "o", "u", "an", "en", "or"};
static const char *const endings[] = {"mora", "nisk", "dal", "wick", "reth", "lund", "vane", "stow", "grad", "bury", "tis", "quell"};
static const char *const first_names[] = {"Anna", "Bruno", "Clara", "Daniel", "Edith", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Klara", "Leo", "Marta", "Nils", "Olga", "Paul"};
static const char *const trades[] = {"wool", "salt", "glass", "timber", "honey", "paper", "copper", "fishing", "cheese", "clocks", "pottery", "silk"};

#define ONE_OF(r, list) list[rng_below(r, sizeof list / sizeof *list)]

static void draw_name(rng *r, char out[VALUE_SIZE]) {
    const char *a = ONE_OF(r, beginnings), *b = ONE_OF(r, middles), *c = ONE_OF(r, endings);
    snprintf(out, VALUE_SIZE, "%s%s%s", a, b, c);
}

static void draw_value(rng *r, value_kind kind, char out[VALUE_SIZE]) {
    if (kind == A_YEAR)
        snprintf(out, VALUE_SIZE, "%d", (int)rng_range(r, 1402, 1897));
    else if (kind == A_NUMBER)
        snprintf(out, VALUE_SIZE, "%d", (int)rng_range(r, 21, 389));
    else if (kind == A_TRADE)
        snprintf(out, VALUE_SIZE, "%s", ONE_OF(r, trades));
    else if (kind == A_PLACE)
        draw_name(r, out);
    else {
        char family[VALUE_SIZE / 2];
        const char *first = ONE_OF(r, first_names), *a = ONE_OF(r, beginnings), *b = ONE_OF(r, endings);
        snprintf(family, sizeof family, "%s%s", a, b);
        snprintf(out, VALUE_SIZE, "%s %s", first, family);
    }
}

/* A value that is none of those [n] before. */
static void draw_other(rng *r, value_kind kind, char before[][VALUE_SIZE], size_t n, char out[VALUE_SIZE]) {
    for (bool taken = true; taken;) {
        draw_value(r, kind, out);
        taken = false;
        for (size_t i = 0; i < n; i++)
            taken |= strcmp(before[i], out) == 0;
    }
}

/* A sentence with a name and, where it has a second place, a value. */
static void say(buffer *b, const char *format, const char *name, const char *value) {
    const size_t start = b->size;
    const char *p = strstr(format, "%s"), *q = strstr(p + 2, "%s");
    buffer_append(b, format, (size_t)(p - format));
    buffer_text(b, name);
    buffer_append(b, p + 2, q ? (size_t)(q - p - 2) : strlen(p + 2));
    if (q)
        buffer_printf(b, "%s%s", value, q + 2);
    if (!b->failed && islower((unsigned char)b->data[start]))
        b->data[start] = (char)toupper((unsigned char)b->data[start]);
}

static agon_status draw_item(agon_ctx *ctx, rng r, size_t i, arena *memory, debate_item *out) {
    char short_names[N_THINGS][VALUE_SIZE], values[N_FACTS][N_THINGS + 1][VALUE_SIZE];
    const char *names[N_THINGS];
    buffer passage = {0}, question = {0};
    size_t order[N_THINGS * N_FACTS];
    const size_t topic = rng_below(&r, N_TOPICS), about = rng_below(&r, N_THINGS), asked = rng_below(&r, N_FACTS);
    for (size_t k = 0; k < N_THINGS; k++) {
        draw_other(&r, A_PLACE, short_names, k, short_names[k]);
        names[k] = arena_printf(memory, "%s%s%s", topics[topic].before, short_names[k], topics[topic].after);
        if (!names[k])
            return ctx_no_memory(ctx);
    }
    for (size_t f = 0; f < N_FACTS; f++)
        for (size_t k = 0; k <= N_THINGS; k++) /* one more, which the passage does not have */
            draw_other(&r, topics[topic].facts[f].kind, values[f], k, values[f][k]);
    for (size_t k = 0; k < N_THINGS * N_FACTS; k++)
        order[k] = k;
    rng_shuffle(&r, order, N_THINGS * N_FACTS);
    for (size_t k = 0; k < N_THINGS * N_FACTS; k++) {
        const size_t f = order[k] / N_THINGS, thing = order[k] % N_THINGS;
        if (k > 0)
            buffer_char(&passage, ' ');
        say(&passage, topics[topic].facts[f].sentence, names[thing], values[f][thing]);
    }
    say(&question, topics[topic].facts[asked].question, names[about], NULL);
    const size_t other = rng_below(&r, 2) ? N_THINGS : (about + 1 + rng_below(&r, N_THINGS - 1)) % N_THINGS;
    const char *correct = arena_copy(memory, values[asked][about]), *wrong = arena_copy(memory, values[asked][other]);
    *out = (debate_item){.id = arena_printf(memory, "g%zu", i + 1), .question = question.failed ? NULL : arena_copy(memory, question.data),
                         .passage = passage.failed ? NULL : arena_copy(memory, passage.data)};
    buffer_free(&passage), buffer_free(&question);
    if (!correct || !wrong || !out->id || !out->question || !out->passage)
        return ctx_no_memory(ctx);
    set_answers(out, correct, wrong);
    return AGON_OK;
}

agon_status debate_draw_items(agon_ctx *ctx, uint64_t seed, size_t n, arena *memory, debate_item *out) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < n && !s; i++)
        s = draw_item(ctx, rng_new(seed_derivef(seed, "item %zu", i)), i, memory, &out[i]);
    return s;
}
