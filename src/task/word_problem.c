/* Word problems of one to three steps.
 *
 * Parameters: {"steps": "a*b 1-c", "numbers": [3, 4, 5], "gold"}; the story, names and things are wording. The
 * gold differs from every number of the story and from every result on the way, so neither wins anything. Answers are
 * judged by their one number; a false equation on the way is what the evidence cites first. */
#include "task/family.h"
#include "task/number.h"
#include "task/word_story.h"
#include "task/wording.h"
#include "task/words.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buffer.h"
#include "base/ctx.h"

static const task_cell cells[] = {
    {"one_step_small", 1, false, true},  {"one_step", 2, false, true}, {"two_steps_small", 3, false, true},
    {"two_steps", 4, true, true},        {"three_steps_small", 4, true, true},
    {"three_steps", 5, true, true},
};
enum { N_CELLS = sizeof cells / sizeof *cells };
static const struct shape {
    int n_steps;
    bool small;
} shapes[N_CELLS] = {{1, true}, {1, false}, {2, true}, {2, false}, {3, true}, {3, false}};

enum { MAX_NUMBERS = MAX_STEPS + 1, MAX_NUMBER = 1000, MAX_RESULT = 100000, DRAWS = 100000 };

typedef struct problem {
    int n_steps, n_numbers;
    int64_t numbers[MAX_NUMBERS];
    char ops[MAX_STEPS], left[MAX_STEPS], right[MAX_STEPS]; /* operands: 'a'.. a number, '1'.. a result */
    int64_t results[MAX_STEPS];
    int64_t gold; /* as the parameters give it */
} problem;

typedef bool (*apply_function)(int64_t a, char op, int64_t b, int64_t *out);

static int64_t operand(const problem *p, char name) {
    return name >= 'a' ? p->numbers[name - 'a'] : p->results[name - '1'];
}

/* Works the steps out; false when one has no whole positive result. */
static bool solve(problem *p, apply_function apply) {
    for (int i = 0; i < p->n_steps; i++)
        if (!apply(operand(p, p->left[i]), p->ops[i], operand(p, p->right[i]), &p->results[i]) ||
            p->results[i] < 1 || p->results[i] > MAX_RESULT)
            return false;
    return true;
}

static int64_t last_result(const problem *p) {
    return p->results[p->n_steps - 1];
}

/* ---- parameters --------------------------------------------------------------------------------------------- */

/* An operand of step i: a letter, or the number of an earlier step; each at most once. */
static bool take_operand(problem *p, char name, int step, unsigned *used) {
    unsigned bit;
    if (name >= 'a' && name < 'a' + MAX_NUMBERS) {
        bit = 1u << (name - 'a');
        if (name - 'a' + 1 > p->n_numbers)
            p->n_numbers = name - 'a' + 1;
    } else if (name >= '1' && name < '1' + step) {
        bit = 1u << (8 + name - '1');
    } else {
        return false;
    }
    bool fresh = !(*used & bit);
    *used |= bit;
    return fresh;
}

/* "a*b 1-c" into p; false when it is not well formed. */
static bool read_steps(problem *p, const char *text) {
    size_t n = strlen(text);
    unsigned used = 0;
    if (n < 3 || n % 4 != 3 || n > 4 * MAX_STEPS - 1)
        return false;
    p->n_steps = (int)(n + 1) / 4;
    p->n_numbers = 0;
    for (int i = 0; i < p->n_steps; i++) {
        const char *step = text + 4 * i;
        if (!memchr("+-*/", step[1], 4) || (step[3] != 0 && step[3] != ' ') ||
            !take_operand(p, step[0], i, &used) || !take_operand(p, step[2], i, &used))
            return false;
        p->left[i] = step[0];
        p->ops[i] = step[1];
        p->right[i] = step[2];
    }
    /* n numbers make n - 1 steps when everything is used once. */
    return p->n_numbers == p->n_steps + 1 && (used & 0xff) == (1u << p->n_numbers) - 1;
}

static bool is_well_posed(const problem *p) {
    for (int i = 0; i < p->n_numbers; i++)
        if (p->numbers[i] == p->gold)
            return false;
    for (int i = 0; i + 1 < p->n_steps; i++)
        if (p->results[i] == p->gold)
            return false;
    return true;
}

static agon_status read_problem(agon_ctx *ctx, const task_query *query, problem *out) {
    const char *where = "word problem parameters", *steps = NULL;
    problem p = {0};
    agon_status status;
    if ((status = json_get_text(ctx, where, query->parameters, "steps", true, &steps)) ||
        (status = json_get_int(ctx, where, query->parameters, "gold", true, &p.gold)))
        return status;
    const task_cell *cell = family_cell(&family_word_problem, query->cell);
    if (!cell || !read_steps(&p, steps) || p.n_steps != shapes[cell - cells].n_steps)
        return ctx_fail(ctx, AGON_EINVAL, "%s: '%.40s' is not a list of steps for cell '%.40s'", where, steps,
                        query->cell);
    const json_t *numbers = json_object_get(query->parameters, "numbers");
    if (!json_is_array(numbers) || json_array_size(numbers) != (size_t)p.n_numbers)
        return ctx_fail(ctx, AGON_EINVAL, "%s: 'numbers' must list %d numbers", where, p.n_numbers);
    for (int i = 0; i < p.n_numbers; i++) {
        const json_t *value = json_array_get(numbers, (size_t)i);
        p.numbers[i] = json_is_integer(value) ? json_integer_value(value) : 0;
        if (p.numbers[i] < 2 || p.numbers[i] > MAX_NUMBER)
            return ctx_fail(ctx, AGON_EINVAL, "%s: numbers are whole and from 2 to %d", where, MAX_NUMBER);
    }
    if (!solve(&p, number_apply) || !is_well_posed(&p))
        return ctx_fail(ctx, AGON_EINVAL, "%s: the steps '%s' have no proper whole results", where, steps);
    if (last_result(&p) != p.gold)
        return ctx_fail(ctx, AGON_EMISMATCH, "%s: the steps give %lld, not %lld", where,
                        (long long)last_result(&p), (long long)p.gold);
    *out = p;
    return AGON_OK;
}

/* ---- drawing ------------------------------------------------------------------------------------------------ */

/* A number for the place where `name` is used. */
static int64_t draw_number(rng *r, const problem *p, char name, bool small) {
    for (int i = 0; i < p->n_steps; i++) {
        char op = p->ops[i];
        if (p->left[i] == name && op == '*')
            return rng_range(r, 2, 9);
        if (p->left[i] == name && op == '/')
            return small ? rng_range(r, 4, 81) : rng_range(r, 22, 400);
        if (p->left[i] == name && op == '-') {
            bool from_result = p->right[i] < 'a';
            return small ? rng_range(r, 5, from_result ? 100 : 20) : rng_range(r, 30, from_result ? 400 : 99);
        }
        if (p->right[i] == name && op == '*')
            return small || p->left[i] < 'a' ? rng_range(r, 2, 9) : rng_range(r, 10, 25);
        if (p->right[i] == name && op == '/')
            return rng_range(r, 2, 9);
    }
    return small ? rng_range(r, 2, 12) : rng_range(r, 10, 99);
}

static bool draw_numbers(rng *r, problem *p, bool small) {
    for (int tries = 0; tries < DRAWS; tries++) {
        for (int i = 0; i < p->n_numbers; i++)
            p->numbers[i] = draw_number(r, p, (char)('a' + i), small);
        if (!solve(p, number_apply))
            continue;
        p->gold = last_result(p);
        if (p->gold >= 2 && is_well_posed(p) && (!small || p->gold <= 200))
            return true;
    }
    return false;
}

static const char *const names[] = {"Tom", "Anna", "Ben",  "Lucy", "Sam",  "Mia",  "Jack", "Emma",
                                    "Leo", "Nora", "Max",  "Ella", "Sara", "Paul", "Lily", "Omar"};
static const char *const things[] = {"apples",  "books",   "pencils", "marbles", "stickers", "coins",
                                     "cookies", "cards",   "oranges", "shells",  "stamps",   "buttons"};
static const char *const rare_names[] = {"Zephyrine",   "Oluwaseun", "Thorvald", "Xiomara",
                                         "Bartholomew", "Isolde",    "Quetzali", "Ignatius"};
static const char *const rare_things[] = {"quinces",  "kazoos",    "sextants", "gargoyles",
                                          "astrolabes", "dulcimers", "geodes",   "thimbles"};
#define COUNT(array) (sizeof(array) / sizeof *(array))

static void draw_words(rng *r, bool rare, const char **n, const char **m, const char **t) {
    const char *const *from = rare ? rare_names : names;
    size_t count = rare ? COUNT(rare_names) : COUNT(names);
    size_t first = rng_below(r, count), second = rng_below(r, count - 1);
    *n = from[first];
    *m = from[second < first ? second : second + 1];
    *t = rare ? draw_text(r, rare_things, COUNT(rare_things)) : draw_text(r, things, COUNT(things));
}

/* What a rewording of the question must say, or it asks for something else. */
static const char *asked_words(const char *question) {
    static const struct {
        const char *says, *any;
    } asked[] = {
        {"left", "left|remain|remains|remaining"},
        {"how many more", "more"},
        {"in all", "in all|altogether|in total|total|overall"},
        {"each friend", "each|every|per"},
        {"spent", "spent|spend|spends|pay|pays|paid|cost|costs"},
        {"filled", "filled|fill|fills|full"},
        {"belong", "now"},
        {"now", "now|in all|altogether|in total|total"},
    };
    for (size_t i = 0; i < COUNT(asked); i++)
        if (strstr(question, asked[i].says))
            return asked[i].any;
    return NULL;
}

/* Story and question put together; fills hold {S} and {Q} (clause), {C} (the clause with a capital). */
static const char *draw_frame(rng *r, task_perturbation perturbation) {
    static const char *const usual[] = {"{S} {C}?"};
    static const char *const rare[] = {"{S} Work out {Q}.", "{S} Can you tell me {Q}?", "{S} Find {Q}.",
                                       "Read the story and say {Q}. {S}"};
    static const char *const distracting[] = {"{D} {S} {C}?", "{S} {D} {C}?"};
    if (perturbation == PERTURBATION_PARAPHRASE)
        return draw_text(r, rare, COUNT(rare));
    if (perturbation == PERTURBATION_DISTRACTOR)
        return draw_text(r, distracting, COUNT(distracting));
    return usual[0];
}

static agon_status write_text(agon_ctx *ctx, rng *r, const word_story *story, const problem *p, task_query *query) {
    char digits[MAX_NUMBERS][24] = {{0}};
    const char *n, *m, *t;
    draw_words(r, query->perturbation == PERTURBATION_RENAME, &n, &m, &t);
    agon_status status = AGON_OK;
    for (int i = 0; i < p->n_numbers && !status; i++) {
        snprintf(digits[i], sizeof digits[i], "%lld", (long long)p->numbers[i]);
        status = keep_add(ctx, &query->keep, "number", digits[i]);
    }
    if (!status && (strstr(story->story, "{N}") || strstr(story->question, "{N}")))
        status = keep_add(ctx, &query->keep, "name", n);
    if (!status && (strstr(story->story, "{M}") || strstr(story->question, "{M}")))
        status = keep_add(ctx, &query->keep, "name", m);
    if (!status && asked_words(story->question))
        status = keep_add(ctx, &query->keep, "any", asked_words(story->question));
    const text_fill fills[] = {{"N", n},         {"M", m},         {"t", t},        {"a", digits[0]},
                               {"b", digits[1]}, {"c", digits[2]}, {"d", digits[3]}};
    char *told = NULL, *question = NULL, *capital = NULL;
    if (!status && !(status = task_fill(ctx, story->story, fills, COUNT(fills), &told)) &&
        !(status = task_fill(ctx, story->question, fills, COUNT(fills), &question)) &&
        !(status = task_format(ctx, &capital, "%s", question))) {
        capital[0] = (char)toupper((unsigned char)capital[0]);
        const text_fill parts[] = {{"S", told}, {"Q", question}, {"C", capital}, {"D", draw_distractor(r)}};
        status = task_fill(ctx, draw_frame(r, query->perturbation), parts, COUNT(parts), &query->text);
    }
    free(told);
    free(question);
    free(capital);
    return status;
}

static agon_status generate(agon_ctx *ctx, const task_cell *cell, task_query *query) {
    const struct shape *shape = &shapes[cell - cells];
    rng r = rng_new(query->seed);
    size_t n = 0;
    const word_story *stories = word_stories(shape->n_steps, &n);
    const word_story *story = &stories[rng_below(&r, n)];
    problem p = {0};
    if (!read_steps(&p, story->steps) || !draw_numbers(&r, &p, shape->small))
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "no numbers fit the story '%s'", story->story);
    json_t *numbers = json_array();
    for (int i = 0; i < p.n_numbers; i++)
        json_array_append_new(numbers, json_integer(p.numbers[i]));
    query->parameters = json_pack("{s:s, s:o, s:I}", "steps", story->steps, "numbers", numbers, "gold",
                                  (json_int_t)p.gold);
    if (!query->parameters)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a query is exhausted");
    return write_text(ctx, &r, story, &p, query);
}

/* ---- other words -------------------------------------------------------------------------------------------- */

/* The query's story and its question, from "how many" to the question's end; *question new, NULL: there is none. */
static agon_status tell_apart(agon_ctx *ctx, const char *text, char **story, char **question) {
    span s;
    *story = *question = NULL;
    if (!phrase_find(text, 0, "how many", &s))
        return AGON_OK;
    const size_t end = s.start + strcspn(text + s.start, "?.");
    agon_status status = task_format(ctx, question, "%.*s", (int)(end - s.start), text + s.start);
    return status ? status : task_format(ctx, story, "%.*s %s", (int)s.start, text, text[end] ? text + end + 1 : "");
}

/* "how many apples are left": Tom's, where the story has nobody else. */
static agon_status ask_by_name(agon_ctx *ctx, const task_query *query, const char *story, const char *question, wordings *out) {
    static const char *const endings[][2] = {{" are left", "left"}, {" are there in all", "in all"}, {" are there now", "now"}};
    const char *name = NULL;
    const json_t *entry;
    size_t i, n_names = 0;
    agon_status status = AGON_OK;
    json_array_foreach(query->keep, i, entry) {
        if (strcmp(json_string_value(json_object_get(entry, "kind")), "name") == 0) {
            name = json_string_value(json_object_get(entry, "value"));
            n_names++;
        }
    }
    for (i = 0; i < COUNT(endings) && n_names == 1 && strncmp(query->text, name, strlen(name)) == 0 && !status; i++) {
        const size_t n = strlen(question), m = strlen(endings[i][0]);
        char things[64];
        if (n <= m || n - m >= sizeof things || strcmp(question + n - m, endings[i][0]) != 0)
            continue;
        snprintf(things, sizeof things, "%.*s", (int)(n - m), question);
        const text_fill fills[] = {{"S", story}, {"T", things}, {"N", name}, {"E", endings[i][1]}};
        status = wordings_add(ctx, out, "{S} {T} {N} has {E}", fills, 4);
        if (!status)
            status = wordings_add(ctx, out, "{T} {N} has {E} {S}", fills, 4);
    }
    return status;
}

/* The story word by word, and the question before or behind it. */
static agon_status write_wordings(agon_ctx *ctx, const task_query *query, wordings *out) {
    static const char *const same[] = {"has|have|had|owns|owned", "buys|bought|buy", "gives|gave|give", "loses|lost|lose", "shares|shared|share", "finds|found",
                                       "sells|sold|sell", "puts|put", "takes|took", "spends|spent", "earns|earned", "costs|cost", "holds|held",
                                       "left|remain|remains|remaining", "in all|in total|altogether", NULL};
    char *story, *question;
    agon_status status = tell_apart(ctx, query->text, &story, &question);
    out->same = same;
    out->neutral = "a|an|the|and|then|if|is|are|was|were|there|do|does|did|of them|please|can you|could you|tell me|work out|calculate|find|find out|read the story and say";
    if (!status && question) {
        const text_fill fills[] = {{"S", story}, {"Q", question}};
        status = wordings_add(ctx, out, "{S} {Q}", fills, 2);
        if (!status)
            status = wordings_add(ctx, out, "{Q} {S}", fills, 2);
        if (!status)
            status = ask_by_name(ctx, query, story, question, out);
    }
    free(story);
    free(question);
    return status;
}

/* ---- judging -------------------------------------------------------------------------------------------------- */

/* "3 * 4 = 12<joint>12 + 5 = 17". */
static agon_status steps_text(agon_ctx *ctx, const problem *p, const char *joint, char **out) {
    buffer b = {0};
    for (int i = 0; i < p->n_steps; i++)
        buffer_printf(&b, "%s%lld %c %lld = %lld", i ? joint : "", (long long)operand(p, p->left[i]), p->ops[i],
                      (long long)operand(p, p->right[i]), (long long)p->results[i]);
    char *text = buffer_take(&b);
    if (!text)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a task's text is exhausted");
    *out = text;
    return AGON_OK;
}

/* Where the number said comes from, without the right one. */
static void diagnose(const problem *p, rational said, char *out, size_t size) {
    static const char *const doing[] = {"adding", "subtracting", "multiplying", "dividing"};
    static const char ops[] = "+-*/";
    snprintf(out, size, "which is not what the story gives");
    if (said.denominator != 1)
        return;
    for (int i = 0; i + 1 < p->n_steps; i++)
        if (p->results[i] == said.numerator) {
            snprintf(out, size, "which is only the result of step %d of %d", i + 1, p->n_steps);
            return;
        }
    for (int i = 0; i < p->n_steps; i++)
        for (int k = 0; k < 4; k++) {
            problem other = *p;
            other.ops[i] = ops[k];
            if (ops[k] != p->ops[i] && solve(&other, number_apply) && last_result(&other) == said.numerator) {
                snprintf(out, size, "which comes from %s in step %d where the story asks for something else",
                         doing[k], i + 1);
                return;
            }
        }
}

static agon_status verify(agon_ctx *ctx, const task_query *query, const char *response, task_verdict *out) {
    problem p = {0};
    char *why = NULL, masked[128];
    rational said = {0, 1};
    agon_status status;
    if ((status = read_problem(ctx, query, &p)) || (status = steps_text(ctx, &p, " and ", &why)))
        return status;
    if (!parse_number(response, &said, NULL, NULL))
        said = (rational){0, 1};
    diagnose(&p, said, masked, sizeof masked);
    status = verdict_number(ctx, out, response, (rational){p.gold, 1}, why, masked);
    if (status == AGON_OK && out->outcome == OUTCOME_FAIL)
        status = verdict_equation(ctx, out, response, why);
    free(why);
    return status;
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static agon_status answer_text(agon_ctx *ctx, const problem *p, char **out) {
    char *steps = NULL;
    agon_status status = steps_text(ctx, p, ". ", &steps);
    if (status)
        return status;
    status = task_format(ctx, out, "%s. The answer is %lld.", steps, (long long)last_result(p));
    free(steps);
    return status;
}

static agon_status demonstrate(agon_ctx *ctx, const task_query *query, uint64_t seed, char **response) {
    problem p = {0};
    agon_status status = read_problem(ctx, query, &p);
    (void)seed; /* one style: a small model learns it from few examples */
    return status ? status : answer_text(ctx, &p, response);
}

/* A wrong result in step i, the later steps worked out from it; false when they have no whole results. */
static bool solve_with_slip(problem *p, int step, int64_t slip) {
    for (int i = 0; i < p->n_steps; i++) {
        if (!number_apply(operand(p, p->left[i]), p->ops[i], operand(p, p->right[i]), &p->results[i]))
            return false;
        p->results[i] += i == step ? slip : 0;
        if (p->results[i] < 1 || p->results[i] > MAX_RESULT)
            return false;
    }
    return true;
}

/* A fault in the step-by-step answer: a slip in one step, or a wrong operation, with the rest consistent. */
static agon_status tamper_step(agon_ctx *ctx, rng *r, const problem *p, bool slip, char **faulty, char **claim) {
    problem wrong = *p;
    int i = (int)rng_below(r, (uint64_t)p->n_steps);
    bool done;
    if (slip) {
        int64_t by = (rng_below(r, 2) ? 1 : -1) * (rng_below(r, 3) == 0 ? 10 : 1);
        done = solve_with_slip(&wrong, i, by);
    } else {
        static const char ops[] = "+-*/";
        wrong.ops[i] = ops[rng_below(r, 4)];
        done = wrong.ops[i] != p->ops[i] && solve(&wrong, number_apply);
    }
    if (!done || last_result(&wrong) == p->gold)
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "this fault changes nothing here");
    char *text = NULL;
    agon_status status = answer_text(ctx, &wrong, &text);
    long long a = operand(p, p->left[i]), b = operand(p, p->right[i]), value = p->results[i];
    if (status == AGON_OK)
        status = task_format(ctx, claim, "step %d is wrong: not %lld %c %lld = %lld, but %lld %c %lld = %lld, so the answer is %lld",
                             i + 1, a, wrong.ops[i], b, (long long)wrong.results[i], a, p->ops[i], b, value,
                             (long long)p->gold);
    if (status == AGON_OK)
        *faulty = text;
    else
        free(text);
    return status;
}

static agon_status tamper_number(agon_ctx *ctx, rng *r, const problem *p, const char *correct, char **faulty,
                                 char **claim) {
    int64_t wrong = p->gold + (rng_below(r, 2) ? 1 : -1);
    size_t n = 0;
    char *why = NULL, *text = text_replace_number(correct, p->gold, wrong, &n);
    if (!text)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a tampered answer is exhausted");
    agon_status status = steps_text(ctx, p, " and ", &why);
    if (status == AGON_OK)
        status = task_format(ctx, claim, "says %lld, but %s", (long long)wrong, why);
    if (status == AGON_OK)
        *faulty = text;
    else
        free(text);
    free(why);
    return status;
}

static agon_status tamper(agon_ctx *ctx, const task_query *query, const char *correct, uint64_t seed, char **faulty,
                          char **claim) {
    problem p = {0};
    char *usual = NULL;
    agon_status status;
    if ((status = read_problem(ctx, query, &p)) || (status = answer_text(ctx, &p, &usual)))
        return status;
    rng r = rng_new(seed);
    uint64_t kind = rng_below(&r, 3);
    if (kind > 0 && strcmp(correct, usual) == 0)
        status = tamper_step(ctx, &r, &p, kind == 1, faulty, claim);
    else
        status = tamper_number(ctx, &r, &p, correct, faulty, claim);
    free(usual);
    return status;
}

/* ---- the second way ------------------------------------------------------------------------------------------------ */

static agon_status check(agon_ctx *ctx, const task_query *query) {
    problem p = {0};
    agon_status status = read_problem(ctx, query, &p);
    if (status)
        return status;
    if (!solve(&p, number_apply_slowly) || last_result(&p) != p.gold)
        return ctx_fail(ctx, AGON_EMISMATCH, "the steps of the story do not give %lld", (long long)p.gold);
    if (!text_has_numbers(query->text, p.numbers, (size_t)p.n_numbers))
        return ctx_fail(ctx, AGON_EMISMATCH, "the query's text does not hold exactly the numbers of its parameters");
    return AGON_OK;
}

static agon_status gold_text(agon_ctx *ctx, const task_query *query, char **out) {
    problem p = {0};
    agon_status status = read_problem(ctx, query, &p);
    return status ? status : task_format(ctx, out, "%lld", (long long)p.gold);
}

const task_family family_word_problem = {
    .name = "word_problem",
    .cells = cells,
    .n_cells = N_CELLS,
    .number_order = true,
    .events = true,
    .generate = generate,
    .verify = verify,
    .demonstrate = demonstrate,
    .tamper = tamper,
    .check = check,
    .gold = gold_text,
    .wordings = write_wordings,
};
