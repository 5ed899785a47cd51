/* Larger and smaller of two numbers, largest and smallest of several, numbers and words in order.
 *
 * Parameters: {"items": [..], "gold": the number or the list in order}; what is asked is the cell. Items are distinct, whole numbers
 * below 1000 or lower-case words, and never in the order asked for. Judging:
 *   one number   a response that opens with an item ("98, because ..") claims it, as do "98 is larger than 45", "98 > 45" and "the
 *                larger number is 98"; comparisons make a chain, a conclusion ("so 98") stands against other claims; else the one
 *                number that counts
 *   an order     runs of items with only commas, "and", numbering or line breaks between them are lists (claim.h); a list may repeat
 *                the query's order (restating it) and the last one must be right, so listing every order wins nothing */
#include "task/claim.h"
#include "task/comparison_choice.h"
#include "task/family.h"
#include "task/number.h"
#include "task/word_list.h"
#include "task/wording.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buffer.h"
#include "base/ctx.h"

static const task_cell cells[] = {
    {"larger_of_two", 1, false, true},
    {"smaller_of_two", 1, false, true},
    {"largest_number", 2, false, true},
    {"smallest_number", 2, false, true},
    {"sort_three_numbers", 3, false, true},
    {"sort_three_numbers_descending", 3, true, true},
    {"sort_three_words", 3, true, true},
    {"sort_numbers", 4, true, true},
    {"sort_numbers_descending", 4, true, true},
    {"sort_words", 5, true, true},
};
enum { N_CELLS = sizeof cells / sizeof *cells, MAX_NUMBER = 999 };

static const comparison_kind kinds[N_CELLS] = {
    {false, false, true, 2, 2}, {false, false, false, 2, 2}, {false, false, true, 3, 5}, {false, false, false, 3, 5},
    {true, false, false, 3, 3}, {true, false, true, 3, 3},   {true, true, false, 3, 3},  {true, false, false, 4, 5},
    {true, false, true, 4, 5},  {true, true, false, 4, 5},
};

/* ---- the two ways ------------------------------------------------------------------------------------------ */

static bool before(const choice *c, int i, int k) {
    if (c->kind->words)
        return strcmp(c->items[i], c->items[k]) < 0;
    return c->kind->down ? c->values[i] > c->values[k] : c->values[i] < c->values[k];
}

/* Insertion sort. */
static void put_in_order(choice *c) {
    for (int i = 0; i < c->n; i++) {
        int k = i;
        for (; k > 0 && before(c, i, c->right[k - 1]); k--)
            c->right[k] = c->right[k - 1];
        c->right[k] = i;
    }
}

/* The second way: an item's place is the number of items before it. */
static bool ranks_agree(const choice *c) {
    for (int place = 0; place < c->n; place++) {
        int rank = 0;
        for (int k = 0; k < c->n; k++)
            rank += before(c, k, c->right[place]);
        if (rank != place)
            return false;
    }
    return true;
}

static bool in_order_already(const choice *c) {
    for (int i = 0; i < c->n; i++)
        if (c->right[i] != i)
            return false;
    return true;
}

/* ---- parameters ---------------------------------------------------------------------------------------------- */

static bool read_item(choice *c, int i, const json_t *value) {
    if (!c->kind->words) {
        c->values[i] = json_is_integer(value) ? json_integer_value(value) : 0;
        snprintf(c->items[i], sizeof c->items[i], "%lld", (long long)c->values[i]);
        return c->values[i] >= 1 && c->values[i] <= MAX_NUMBER;
    }
    const char *word = json_string_value(value);
    if (!word || strlen(word) < 2 || strlen(word) > MAX_WORD || strspn(word, "abcdefghijklmnopqrstuvwxyz") < strlen(word))
        return false;
    strcpy(c->items[i], word);
    return true;
}

static bool gold_agrees(const choice *c, const json_t *gold) {
    if (!c->kind->order)
        return json_is_integer(gold) && json_integer_value(gold) == c->values[c->right[0]];
    if (json_array_size(gold) != (size_t)c->n)
        return false;
    for (int i = 0; i < c->n; i++) {
        const json_t *value = json_array_get(gold, (size_t)i);
        const char *word = json_string_value(value);
        if (c->kind->words ? !word || strcmp(word, c->items[c->right[i]]) != 0
                           : !json_is_integer(value) || json_integer_value(value) != c->values[c->right[i]])
            return false;
    }
    return true;
}

static agon_status read_choice(agon_ctx *ctx, const task_query *query, choice *out) {
    const char *where = "comparison parameters";
    const task_cell *cell = family_cell(&family_comparison, query->cell);
    const json_t *items = json_object_get(query->parameters, "items");
    if (!cell)
        return ctx_fail(ctx, AGON_EINVAL, "%s: unknown cell '%.40s'", where, query->cell);
    choice c = {.kind = &kinds[cell - cells], .n = (int)json_array_size(items)};
    if (json_array_size(items) < (size_t)c.kind->low || json_array_size(items) > (size_t)c.kind->high)
        return ctx_fail(ctx, AGON_EINVAL, "%s: 'items' must list %d to %d of them", where, c.kind->low, c.kind->high);
    for (int i = 0; i < c.n; i++) {
        if (!read_item(&c, i, json_array_get(items, (size_t)i)))
            return ctx_fail(ctx, AGON_EINVAL, "%s: item %d must be %s", where, i + 1,
                            c.kind->words ? "a lower-case word of 2 to 24 letters"
                                          : "a whole number from 1 to 999");
        for (int k = 0; k < i; k++)
            if (strcmp(c.items[i], c.items[k]) == 0)
                return ctx_fail(ctx, AGON_EINVAL, "%s: item %d occurs twice", where, i + 1);
    }
    put_in_order(&c);
    if (c.kind->order && in_order_already(&c))
        return ctx_fail(ctx, AGON_EINVAL, "%s: the items are in order already", where);
    if (!gold_agrees(&c, json_object_get(query->parameters, "gold")))
        return ctx_fail(ctx, AGON_EMISMATCH, "%s: 'gold' is not what the items give", where);
    *out = c;
    return AGON_OK;
}

/* ---- drawing --------------------------------------------------------------------------------------------------- */

static bool is_new(const choice *c, int i) {
    for (int k = 0; k < i; k++)
        if (strcmp(c->items[i], c->items[k]) == 0)
            return false;
    return true;
}

static void draw_number(rng *r, choice *c, int i, int64_t low, int64_t high) {
    do {
        c->values[i] = rng_range(r, low, high);
        snprintf(c->items[i], sizeof c->items[i], "%lld", (long long)c->values[i]);
    } while (!is_new(c, i));
}

/* Distinct words, in easy cells with distinct first letters. */
static void draw_word(rng *r, choice *c, int i, bool rare) {
    bool clash;
    do {
        strcpy(c->items[i], word_list_draw(r, rare));
        clash = !is_new(c, i);
        for (int k = 0; k < i && c->kind->high == 3; k++)
            clash |= c->items[k][0] == c->items[i][0];
    } while (clash);
}

static void draw_items(rng *r, choice *c, bool rare) {
    /* Two or three digits throughout, now and then mixed. */
    int64_t low = rng_below(r, 2) ? 100 : 10, high = low == 100 ? 999 : 99;
    if (rng_below(r, 3) == 0) {
        low = 10;
        high = 999;
    }
    do {
        for (int i = 0; i < c->n; i++) {
            if (c->kind->words)
                draw_word(r, c, i, rare);
            else
                draw_number(r, c, i, low, high);
        }
        put_in_order(c);
    } while (c->kind->order && in_order_already(c));
}

/* "12, 45, 98", in the given order of indices (NULL: as they are). */
static void list_text(const choice *c, const int *order, const char *joint, const char *last, char *out, size_t size) {
    size_t at = 0;
    out[0] = 0;
    for (int i = 0; i < c->n && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", i == 0 ? "" : i == c->n - 1 ? last : joint,
                               c->items[order ? order[i] : i]);
}
enum { LIST_SIZE = MAX_ITEMS * (MAX_WORD + 8) };

/* {L}: the items with commas; {O}: with "or" before the last; {A}: with "and". */
static const char *draw_wording(rng *r, const choice *c, bool rare) {
    static const char *const wordings[7][2][3] = {
        {{"Which number is larger, {O}?", "Which is larger: {O}?", "Write the larger number: {O}."},
         {"Of {A}, which one is greater?", "Which of these is the bigger number: {L}?",
          "Compare {A}. Which is the greater one?"}},
        {{"Which number is smaller, {O}?", "Which is smaller: {O}?", "Write the smaller number: {O}."},
         {"Of {A}, which one is less?", "Which of these is the lesser number: {L}?",
          "Compare {A}. Which is the lower one?"}},
        {{"What is the largest number: {L}?", "Which number is the largest: {L}?", "Find the largest number: {L}"},
         {"Of {A}, which one is the greatest?", "Pick the biggest of these numbers: {L}.",
          "Name the highest number in this list: {L}."}},
        {{"What is the smallest number: {L}?", "Which number is the smallest: {L}?", "Find the smallest number: {L}"},
         {"Of {A}, which one is the least?", "Pick the smallest of these numbers: {L}.",
          "Name the lowest number in this list: {L}."}},
        {{"Sort these numbers from smallest to largest: {L}", "Put these numbers in ascending order: {L}",
          "Sort in ascending order: {L}"},
         {"Write {A} in order, starting with the smallest.", "Arrange {L} from the lowest to the highest.",
          "List the numbers {A} so that they go up."}},
        {{"Sort these numbers from largest to smallest: {L}", "Put these numbers in descending order: {L}",
          "Sort in descending order: {L}"},
         {"Write {A} in order, starting with the largest.", "Arrange {L} from the highest to the lowest.",
          "List the numbers {A} so that they go down."}},
        {{"Sort these words alphabetically: {L}", "Put these words in alphabetical order: {L}",
          "Sort in alphabetical order: {L}"},
         {"Write {A} in the order of a dictionary.", "Arrange {L} from A to Z.",
          "List the words {A} as they would stand in an index."}},
    };
    int which = c->kind->words   ? 6
                : c->kind->order ? 4 + c->kind->down
                                 : (c->kind->high > 2 ? 2 : 0) + !c->kind->down;
    return draw_text(r, wordings[which][rare], 3);
}

/* One of these must survive a rewording, or it asks for something else. */
static const char *asked_words(const comparison_kind *k) {
    if (k->words)
        return "alphabetical|alphabetically|dictionary|A to Z|index";
    if (k->order)
        return k->down ? "descending|largest to smallest|starting with the largest|highest to the lowest|go down"
                       : "ascending|smallest to largest|starting with the smallest|lowest to the highest|go up";
    return k->down ? "larger|largest|greater|greatest|bigger|biggest|higher|highest"
                   : "smaller|smallest|less|lesser|least|lower|lowest";
}

static agon_status write_text(agon_ctx *ctx, rng *r, const choice *c, task_query *query) {
    char commas[LIST_SIZE], with_or[LIST_SIZE], with_and[LIST_SIZE], *text = NULL;
    list_text(c, NULL, ", ", ", ", commas, sizeof commas);
    list_text(c, NULL, ", ", " or ", with_or, sizeof with_or);
    list_text(c, NULL, ", ", " and ", with_and, sizeof with_and);
    agon_status status = AGON_OK;
    for (int i = 0; i < c->n && !status; i++)
        status = keep_add(ctx, &query->keep, c->kind->words ? "text" : "number", c->items[i]);
    if (!status)
        status = keep_add(ctx, &query->keep, "any", asked_words(c->kind));
    const text_fill fills[] = {{"L", commas}, {"O", with_or}, {"A", with_and}};
    if (status || (status = task_fill(ctx, draw_wording(r, c, query->perturbation == PERTURBATION_PARAPHRASE), fills, 3,
                                      &text)))
        return status;
    if (query->perturbation == PERTURBATION_DISTRACTOR)
        status = task_format(ctx, &query->text, "%s %s", draw_distractor(r), text);
    else
        status = task_format(ctx, &query->text, "%s", text);
    free(text);
    return status;
}

/* ---- other words ------------------------------------------------------------------------------------------------- */

static agon_status write_wordings(agon_ctx *ctx, const task_query *query, wordings *out) {
    static const char *const same[] = {
        "larger|greater|bigger|higher", "smaller|less|lesser|lower", "largest|greatest|biggest|highest", "smallest|least|lowest",
        "ascending|in ascending order|ascending order|into ascending order|in increasing order|from smallest to largest|smallest to largest|in order from smallest to largest|"
        "in order, starting with the smallest|starting with the smallest|from the smallest to the largest|from the lowest to the highest|from lowest to highest|"
        "lowest to highest|from least to greatest|least to greatest|so that they go up",
        "descending|in descending order|descending order|into descending order|in decreasing order|from largest to smallest|largest to smallest|in order from largest to smallest|"
        "in order, starting with the largest|starting with the largest|from the largest to the smallest|from the highest to the lowest|from highest to lowest|"
        "highest to lowest|from greatest to least|greatest to least|so that they go down",
        "alphabetically|in alphabetical order|alphabetical order|into alphabetical order|in the order of a dictionary|from A to Z|as they would stand in an index", NULL};
    /* What is left of a wording without the words that say nothing: what is asked, and the items before or behind it. */
    static const char *const asks[7][2] = {{"larger", "largest"}, {"smaller", "smallest"}, {"largest"}, {"smallest"}, {"ascending"}, {"descending"},
                                           {"alphabetically"}};
    choice c;
    char list[LIST_SIZE];
    agon_status status = read_choice(ctx, query, &c);
    if (status)
        return status;
    const comparison_kind *k = c.kind;
    const size_t which = k->words ? 6 : k->order ? 4 + k->down : (k->high > 2 ? 2 : 0) + !k->down;
    list_text(&c, NULL, " ", " ", list, sizeof list);
    out->same = same;
    out->any_order = !k->order; /* of what is to be put in order the right order would be the answer */
    out->neutral = k->order ? "sort|put|arrange|list|place|write|the|these|this|numbers|words|and|please|can you|could you|the following"
                            : "what|what's|which|is|are|the|of|these|this|those|number|numbers|one|list|in|find|write|name|pick|choose|tell me|please|can you|could you|"
                              "compare|and|or|the following";
    for (size_t i = 0; i < 2 && asks[which][i] && !status; i++) {
        const text_fill fills[] = {{"L", list}, {"ask", asks[which][i]}};
        status = wordings_add(ctx, out, "{ask} {L}", fills, 2);
        if (!status)
            status = wordings_add(ctx, out, "{L} {ask}", fills, 2);
    }
    return status;
}

static json_t *item_json(const choice *c, int i) {
    return c->kind->words ? json_string(c->items[i]) : json_integer(c->values[i]);
}

static agon_status generate(agon_ctx *ctx, const task_cell *cell, task_query *query) {
    rng r = rng_new(query->seed);
    choice c = {.kind = &kinds[cell - cells]};
    c.n = (int)rng_range(&r, c.kind->low, c.kind->high);
    draw_items(&r, &c, query->perturbation == PERTURBATION_RENAME);
    json_t *items = json_array(), *order = json_array();
    for (int i = 0; i < c.n; i++) {
        json_array_append_new(items, item_json(&c, i));
        json_array_append_new(order, item_json(&c, c.right[i]));
    }
    json_t *gold = c.kind->order ? json_incref(order) : item_json(&c, c.right[0]);
    json_decref(order);
    query->parameters = json_pack("{s:o, s:o}", "items", items, "gold", gold);
    if (!query->parameters || json_array_size(items) != (size_t)c.n)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a query is exhausted");
    return write_text(ctx, &r, &c, query);
}

/* ---- judging one number ------------------------------------------------------------------------------------------ */

static bool has_mark(const char *text) {
    return strstr(text, "####") || strstr(text, "\\boxed{") || strcasestr(text, "answer is");
}

static const char *asked(const comparison_kind *k) {
    if (k->order)
        return k->words ? "in alphabetical order" : k->down ? "from largest to smallest" : "from smallest to largest";
    return k->high > 2 ? (k->down ? "the largest" : "the smallest") : k->down ? "the larger" : "the smaller";
}

static agon_status verify_one(agon_ctx *ctx, const choice *c, const char *response, task_verdict *out) {
    char why[LIST_SIZE + 80], masked[64], list[LIST_SIZE];
    int64_t gold = c->values[c->right[0]];
    list_text(c, NULL, ", ", " and ", list, sizeof list);
    snprintf(why, sizeof why, "%s of %s is %lld", asked(c->kind), list, (long long)gold);
    snprintf(masked, sizeof masked, "which is not %s", asked(c->kind));
    claims s = comparison_claims(c, response);
    number_token t = s.said;
    if (!has_mark(response) && s.strength == 0 && s.last >> c->right[0] & 1)
        return verdict_set(ctx, out, OUTCOME_FAIL, response, 0, 0, "names a number as the opposite of what is asked",
                           "names a number as the opposite of what is asked, but %s", why);
    if (has_mark(response) || s.strength == 0)
        return verdict_number(ctx, out, response, (rational){gold, 1}, why, masked);
    if (s.torn)
        return verdict_set(ctx, out, OUTCOME_FAIL, response, 0, 0, "claims two different numbers",
                           "claims two different numbers, but %s", why);
    char said[48], wrong[128];
    rational_text(t.value, said, sizeof said);
    bool right = !t.invalid && rational_equal(t.value, (rational){gold, 1});
    snprintf(wrong, sizeof wrong, "says %s, %s", said, masked);
    return verdict_set(ctx, out, right ? OUTCOME_PASS : OUTCOME_FAIL, response, t.start, t.end, right ? NULL : wrong,
                       right ? "says %s: %s" : "says %s, but %s", said, why);
}

/* ---- judging an order ----------------------------------------------------------------------------------------------- */

static order order_of(const choice *c) {
    order o = {.n = c->n, .numbers = !c->kind->words};
    for (int i = 0; i < c->n; i++) {
        o.items[i] = c->items[i];
        o.right[i] = c->right[i];
    }
    return o;
}

/* Which two neighbours of the list stand the wrong way round. */
static agon_status order_fault(agon_ctx *ctx, const choice *c, const order_claim *s, const char *response,
                               const char *why, task_verdict *out) {
    char masked[192];
    if (s->untrue)
        return verdict_set(ctx, out, OUTCOME_FAIL, response, s->start, s->end, "puts a wrong sign between its numbers",
                           "puts a wrong sign between its numbers: %s", why);
    int i = 1;
    while (i + 1 < c->n && before(c, s->said[i - 1], s->said[i]))
        i++;
    snprintf(masked, sizeof masked, "puts %s before %s, which is not %s", c->items[s->said[i - 1]],
             c->items[s->said[i]], asked(c->kind));
    return verdict_set(ctx, out, OUTCOME_FAIL, response, s->start, s->end, masked, "%s: %s", masked, why);
}

static agon_status verify_order(agon_ctx *ctx, const choice *c, const char *response, task_verdict *out) {
    char list[LIST_SIZE], why[LIST_SIZE + 64];
    list_text(c, c->right, ", ", ", ", list, sizeof list);
    snprintf(why, sizeof why, "%s it is %s", asked(c->kind), list);
    order o = order_of(c);
    order_claim s;
    order_read(&o, response, &s);
    if (!s.complete) {
        char masked[64];
        snprintf(masked, sizeof masked, "does not list all %d %s and nothing else", c->n,
                 c->kind->words ? "words" : "numbers");
        return verdict_set(ctx, out, OUTCOME_FAIL, response, 0, 0, masked, "%s, but %s", masked, why);
    }
    if (s.several)
        return verdict_set(ctx, out, OUTCOME_FAIL, response, s.start, s.end, "gives more than one order",
                           "gives more than one order, but %s", why);
    if (s.right && s.longer)
        return verdict_set(ctx, out, OUTCOME_FAIL, response, s.start, s.end, "lists more than the items",
                           "lists more than the items, but %s", why);
    if (s.right)
        return verdict_set(ctx, out, OUTCOME_PASS, response, s.start, s.end, NULL, "%s", why);
    return order_fault(ctx, c, &s, response, why, out);
}

static agon_status verify(agon_ctx *ctx, const task_query *query, const char *response, task_verdict *out) {
    choice c;
    agon_status status = read_choice(ctx, query, &c);
    if (status)
        return status;
    return c.kind->order ? verify_order(ctx, &c, response, out) : verify_one(ctx, &c, response, out);
}

/* ---- answers ---------------------------------------------------------------------------------------------------------- */

static agon_status gold_text(agon_ctx *ctx, const task_query *query, char **out) {
    choice c;
    char list[LIST_SIZE];
    agon_status status = read_choice(ctx, query, &c);
    if (status)
        return status;
    list_text(&c, c.right, ", ", ", ", list, sizeof list);
    return task_format(ctx, out, "%s", c.kind->order ? list : c.items[c.right[0]]);
}

static agon_status demonstrate(agon_ctx *ctx, const task_query *query, uint64_t seed, char **response) {
    (void)seed; /* one style: a small model learns it from few examples */
    return gold_text(ctx, query, response);
}

/* `text` with the item `from` written as `to` and, for a swap, the other way round; new, NULL on memory. */
static char *replace_items(const choice *c, const char *text, int from, int to, bool swap) {
    buffer b = {0};
    order o = order_of(c);
    mention m;
    size_t copied = 0;
    for (size_t at = 0; mention_next(&o, text, at, &m); at = m.end) {
        int with = m.item == from ? to : swap && m.item == to ? from : -1;
        if (m.item < 0 || with < 0)
            continue;
        buffer_append(&b, text + copied, m.start - copied);
        buffer_text(&b, c->items[with]);
        copied = m.end;
    }
    buffer_text(&b, text + copied);
    return buffer_take(&b);
}

static agon_status tamper(agon_ctx *ctx, const task_query *query, const char *correct, uint64_t seed, char **faulty,
                          char **claim) {
    choice c;
    agon_status status = read_choice(ctx, query, &c);
    if (status)
        return status;
    rng r = rng_new(seed);
    int place = (int)rng_below(&r, (uint64_t)c.n - 1);
    int from = c.right[place], to = c.right[place + 1];
    if (!c.kind->order) {
        from = c.right[0];
        to = c.right[1 + (rng_below(&r, 3) == 0 ? place : 0)]; /* the runner-up is the subtlest */
    }
    char *text = replace_items(&c, correct, from, to, c.kind->order);
    if (!text)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a tampered answer is exhausted");
    if (c.kind->order)
        status = task_format(ctx, claim, "puts %s before %s, which is not %s", c.items[to], c.items[from],
                             asked(c.kind));
    else
        status = task_format(ctx, claim, "says %s, but %s is %s", c.items[to], asked(c.kind), c.items[from]);
    if (status == AGON_OK)
        *faulty = text;
    else
        free(text);
    return status;
}

static agon_status check(agon_ctx *ctx, const task_query *query) {
    choice c;
    agon_status status = read_choice(ctx, query, &c);
    if (status)
        return status;
    if (!ranks_agree(&c))
        return ctx_fail(ctx, AGON_EMISMATCH, "counting ranks gives another order than sorting");
    order o = order_of(&c);
    bool holds = c.kind->words || text_has_numbers(query->text, c.values, (size_t)c.n);
    for (int i = 0; i < c.n && c.kind->words && holds; i++) {
        mention m;
        bool found = false;
        for (size_t at = 0; !found && mention_next(&o, query->text, at, &m); at = m.end)
            found = m.item == i;
        holds = found;
    }
    return holds ? AGON_OK : ctx_fail(ctx, AGON_EMISMATCH, "the query's text does not hold exactly the items to compare");
}

const task_family family_comparison = {
    .name = "comparison",
    .cells = cells,
    .n_cells = N_CELLS,
    .direction = true,
    .positions = true,
    .generate = generate,
    .verify = verify,
    .demonstrate = demonstrate,
    .tamper = tamper,
    .check = check,
    .gold = gold_text,
    .foreign = "middle|median|average|mean|sum|product|only|digit|digits|letter|letters|length",
    .wordings = write_wordings,
};
