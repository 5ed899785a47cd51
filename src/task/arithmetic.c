/* Sums, differences, products and exact quotients of whole numbers of one to four digits.
 *
 * Parameters: {"a", "operation", "b", "gold"}. The gold never equals an operand, so repeating the question wins
 * nothing and naming it gives nothing away. Products of more than one digit are demonstrated with their partial products. */
#include "task/family.h"
#include "task/number.h"
#include "task/wording.h"
#include "task/words.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/ctx.h"

static const task_cell cells[] = {
    {"one_digit_sum", 1, false, true},
    {"one_digit_product", 1, false, true},
    {"two_digit_sum", 2, false, true},
    {"two_digit_difference", 2, false, true},
    {"exact_division", 3, false, true},
    {"two_by_one_digit_product", 3, true, true},
    {"three_digit_sum", 3, true, true},
    {"three_digit_difference", 4, true, true},
    {"four_digit_sum", 4, true, true},
    {"two_digit_product", 5, true, false}, /* two partial products and their sum are too much for small models */
};
enum { N_CELLS = sizeof cells / sizeof *cells };

/* Ranges of the operands; of a quotient: of the result and the divisor. */
static const struct range {
    char op;
    int64_t a_low, a_high, b_low, b_high;
} ranges[N_CELLS] = {
    {'+', 1, 9, 1, 9},         {'*', 2, 9, 2, 9},         {'+', 10, 99, 10, 99},   {'-', 11, 99, 10, 99},
    {'/', 2, 99, 2, 9},        {'*', 11, 99, 2, 9},       {'+', 100, 999, 100, 999}, {'-', 101, 999, 100, 999},
    {'+', 1000, 9999, 1000, 9999}, {'*', 11, 99, 11, 99},
};

typedef struct terms {
    int64_t a, b, gold;
    char op;
} terms;

/* ---- parameters ---------------------------------------------------------------------------------------- */

static bool in_range(const struct range *g, const terms *t) {
    int64_t a = g->op == '/' ? t->gold : t->a;
    return t->op == g->op && a >= g->a_low && a <= g->a_high && t->b >= g->b_low && t->b <= g->b_high;
}

static agon_status read_terms(agon_ctx *ctx, const task_query *query, terms *out) {
    const char *op = NULL, *where = "arithmetic parameters";
    terms t = {0};
    agon_status status;
    if ((status = json_get_int(ctx, where, query->parameters, "a", true, &t.a)) ||
        (status = json_get_int(ctx, where, query->parameters, "b", true, &t.b)) ||
        (status = json_get_int(ctx, where, query->parameters, "gold", true, &t.gold)) ||
        (status = json_get_text(ctx, where, query->parameters, "operation", true, &op)))
        return status;
    const task_cell *cell = family_cell(&family_arithmetic, query->cell);
    t.op = strlen(op) == 1 ? op[0] : 0;
    if (!cell || !in_range(&ranges[cell - cells], &t) || t.a < 1 || t.a > 9999 || t.gold < 0 ||
        t.gold == t.a || t.gold == t.b)
        return ctx_fail(ctx, AGON_EINVAL, "%s: %lld %.4s %lld is not a task of cell '%.40s'", where,
                        (long long)t.a, op, (long long)t.b, query->cell);
    *out = t;
    return AGON_OK;
}

static terms draw_terms(rng *r, const struct range *g) {
    terms t = {.op = g->op};
    do {
        t.a = rng_range(r, g->a_low, g->a_high);
        t.b = rng_range(r, g->b_low, g->b_high);
        if (g->op == '-' && t.a < t.b) {
            int64_t larger = t.b;
            t.b = t.a;
            t.a = larger;
        }
        if (g->op == '/')
            t.a *= t.b;
        if (!number_apply(t.a, t.op, t.b, &t.gold))
            t.gold = t.a;
    } while (t.gold <= 0 || t.gold == t.a || t.gold == t.b || !in_range(g, &t));
    return t;
}

/* ---- wording --------------------------------------------------------------------------------------------- */

static const char *const usual[] = {"What is {a} {o} {b}?", "Calculate {a} {o} {b}.", "{a} {o} {b} = ?"};
static const char *const rare_sum[] = {"Find the sum of {a} and {b}.", "Add {a} and {b} together.",
                                       "What do you get when you add {a} and {b}?"};
static const char *const rare_difference[] = {"Subtract {b} from {a}.", "What is left when {b} is taken from {a}?",
                                              "Find the value of {a} minus {b}."};
static const char *const rare_product[] = {"Multiply {a} by {b}.", "Find the product of {a} and {b}.",
                                           "How much is {a} times {b}?"};
static const char *const rare_quotient[] = {"Divide {a} by {b}.", "How many times does {b} go into {a}?",
                                            "What is {a} divided by {b}?"};
enum { N_WORDINGS = 3 };

static const char *draw_wording(rng *r, char op, task_perturbation perturbation) {
    const char *const *from = usual;
    if (perturbation == PERTURBATION_PARAPHRASE)
        from = op == '+' ? rare_sum : op == '-' ? rare_difference : op == '*' ? rare_product : rare_quotient;
    return draw_text(r, from, N_WORDINGS);
}

/* One of these must survive a rewording, or it asks for something else. */
static const char *operation_words(char op) {
    return op == '+'   ? "+|plus|sum|add|added|adding|total"
           : op == '-' ? "-|minus|subtract|subtracted|subtracting|difference|taken from|take away"
           : op == '*' ? "*|x|times|product|multiply|multiplied|multiplying"
                       : "/|divide|divided|dividing|quotient|go into|goes into";
}

/* Words of an operation, for finding another one than is asked. */
static const char *other_words(char op) {
    return op == '+'   ? "plus|sum|add|added|adding|addition|total|together|altogether"
           : op == '-' ? "minus|subtract|subtracted|subtracting|difference|take away|taken|less"
           : op == '*' ? "product|multiply|multiplied|multiplying|multiplication"
                       : "divide|divided|dividing|division|quotient|go into|goes into";
}

static bool holds_any(const char *text, const char *list) {
    char phrase[32];
    span s;
    for (size_t k = 0; alternative(list, k, phrase, sizeof phrase); k++)
        if (phrase_find(text, 0, phrase, &s))
            return true;
    return false;
}

/* The first number from `from`; of "84/4" the first half. */
static bool operand(const char *text, size_t from, number_token *out) {
    bool found = number_next(text, from, strlen(text), out);
    const char *slash = found ? memchr(text + out->start, '/', out->end - out->start) : NULL;
    return slash ? number_next(text, from, (size_t)(slash - text), out) : found;
}

/* Another operation, or "21 - 73" for 73 - 21. "from" and "into" between the numbers turn them round: "Subtract 21 from 73", "How many times
 * does 7 go into 91?". */
static const char *asks_instead(const terms *t, const char *text) {
    static const char ops[] = "+-*/";
    number_token first, second;
    char op = t->op;
    for (int i = 0; i < 4; i++)
        if (ops[i] != t->op && holds_any(text, other_words(ops[i])))
            return "it speaks of another operation";
    if (t->op != '/' && t->op != '*' && holds_any(text, "times"))
        return "it speaks of another operation";
    if (!operand(text, 0, &first) || !operand(text, first.end, &second))
        return "it does not hold two numbers";
    size_t at = first.end + strspn(text + first.end, " "), turn = first.end;
    if (number_operator(text, at, &op) && op != t->op)
        return "it speaks of another operation";
    span s = {0, 0};
    bool turned = phrase_find(text, turn, t->op == '-' ? "from" : "into", &s) && s.end < second.start;
    turned &= t->op == '-' || !holds_any(text, "divide|dividing");
    if ((t->op == '-' || t->op == '/') && first.value.numerator != (turned ? t->b : t->a))
        return "its numbers stand in an order that asks something else";
    return NULL;
}

static agon_status differs(agon_ctx *ctx, const task_query *query, const char *text, const char **why) {
    terms t = {0};
    agon_status status = read_terms(ctx, query, &t);
    if (status)
        return status;
    char *digits = number_words_as_digits(text);
    if (!digits)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a rewording is exhausted");
    const char *found = asks_instead(&t, digits);
    free(digits);
    if (found)
        *why = found;
    return AGON_OK;
}

/* ---- other words ----------------------------------------------------------------------------------------- */

/* Beside its own wordings; of sums and products also with the numbers exchanged. */
static const char *const known_sums[] = {"{a} + {b}", "the sum of {a} and {b}", "the sum of {a} + {b}", "the sum {a} + {b}", "add {a} and {b}", "add {b} to {a}",
                                         "{a} and {b} added", "the sum when you add {a} and {b}", NULL};
static const char *const known_differences[] = {"{a} - {b}", "subtract {b} from {a}", "from {a} subtract {b}", "take {b} from {a}", "take {b} away from {a}", "{a} take away {b}", "{b} taken from {a}", "{b} subtracted from {a}",
                                                "left when {b} is taken from {a}", "left when you take {b} from {a}", "left when you subtract {b} from {a}",
                                                "the difference between {a} and {b}", "the difference of {a} and {b}", "the difference {a} - {b}", "the difference of {a} - {b}", NULL};
static const char *const known_products[] = {"{a} * {b}", "multiply {a} by {b}", "multiply {a} and {b}", "multiply {a} with {b}", "the product of {a} and {b}",
                                             "the product of {a} * {b}", "the product {a} * {b}", "{a} and {b} multiplied", NULL};
static const char *const known_quotients[] = {"{a} / {b}", "divide {a} by {b}", "the quotient of {a} and {b}", "the quotient of {a} / {b}", "the quotient {a} / {b}",
                                              "the quotient when {b} goes into {a}", "the quotient when you divide {a} by {b}", "how many times does {b} go into {a}", NULL};

static agon_status add_all(agon_ctx *ctx, wordings *w, const char *const *from, size_t n, const terms *t, bool exchanged) {
    char a[24], b[24], op[2] = {t->op, 0};
    snprintf(a, sizeof a, "%lld", (long long)(exchanged ? t->b : t->a));
    snprintf(b, sizeof b, "%lld", (long long)(exchanged ? t->a : t->b));
    const text_fill fills[] = {{"a", a}, {"b", b}, {"o", op}};
    agon_status status = AGON_OK;
    for (size_t i = 0; i < n && from[i] && !status; i++)
        status = wordings_add(ctx, w, from[i], fills, 3);
    return status;
}

static agon_status write_wordings(agon_ctx *ctx, const task_query *query, wordings *out) {
    static const char *const same[] = {"+|plus|added to", "-|minus", "*|x|times|multiplied by", "/|divided by", "sum|total|sum total", "add|adding|added",
                                       "subtract|subtracting|subtracted", "take|taking|taken", "multiply|multiplying|multiplied", "divide|dividing",
                                       "go into|goes into", NULL};
    terms t = {0};
    agon_status status = read_terms(ctx, query, &t);
    if (status)
        return status;
    const bool either = t.op == '+' || t.op == '*';
    const char *const *rare = t.op == '+' ? rare_sum : t.op == '-' ? rare_difference : t.op == '*' ? rare_product : rare_quotient;
    const char *const *known = t.op == '+' ? known_sums : t.op == '-' ? known_differences : t.op == '*' ? known_products : known_quotients;
    out->same = same;
    out->neutral = "what|what's|is|are|the|of|value|result|find|calculate|compute|work out|determine|tell|me|please|can|could|you|give|how much|do you get|will you get|if|"
                   "when|together|=|answer";
    for (int exchanged = 0; exchanged <= either && !status; exchanged++) {
        status = add_all(ctx, out, usual, N_WORDINGS, &t, exchanged);
        if (!status)
            status = add_all(ctx, out, rare, N_WORDINGS, &t, exchanged);
        if (!status)
            status = add_all(ctx, out, known, SIZE_MAX, &t, exchanged);
    }
    return status;
}

static agon_status write_text(agon_ctx *ctx, rng *r, const terms *t, task_query *query) {
    char a[24], b[24], op[2] = {t->op, 0}, *text = NULL;
    snprintf(a, sizeof a, "%lld", (long long)t->a);
    snprintf(b, sizeof b, "%lld", (long long)t->b);
    const text_fill fills[] = {{"a", a}, {"b", b}, {"o", op}};
    agon_status status;
    if ((status = keep_add(ctx, &query->keep, "number", a)) ||
        (status = keep_add(ctx, &query->keep, "number", b)) ||
        (status = keep_add(ctx, &query->keep, "any", operation_words(t->op))) ||
        (status = task_fill(ctx, draw_wording(r, t->op, query->perturbation), fills, 3, &text)))
        return status;
    if (query->perturbation == PERTURBATION_DISTRACTOR)
        status = task_format(ctx, &query->text, "%s %s", draw_distractor(r), text);
    else
        status = task_format(ctx, &query->text, "%s", text);
    free(text);
    return status;
}

static agon_status generate(agon_ctx *ctx, const task_cell *cell, task_query *query) {
    rng r = rng_new(query->seed);
    terms t = draw_terms(&r, &ranges[cell - cells]);
    const char op[2] = {t.op, 0};
    query->parameters = json_pack("{s:I, s:s, s:I, s:I}", "a", (json_int_t)t.a, "operation", op, "b",
                                  (json_int_t)t.b, "gold", (json_int_t)t.gold);
    if (!query->parameters)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a query is exhausted");
    return write_text(ctx, &r, &t, query);
}

/* ---- judging ---------------------------------------------------------------------------------------------- */

static int n_digits(int64_t value) {
    int n = 1;
    while (value >= 10) {
        value /= 10;
        n++;
    }
    return n;
}

/* Which places of `said` differ from the gold: a hint that tells where, not what. */
static const char *wrong_place(rational said, int64_t gold) {
    static const char *const places[] = {": look at the ones digit", ": look at the tens digit",
                                         ": look at the hundreds digit", ": look at the thousands digit"};
    if (said.denominator != 1 || said.numerator < 0 || gold < 10)
        return "";
    if (n_digits(said.numerator) != n_digits(gold))
        return ": it has the wrong number of digits";
    int64_t a = said.numerator, b = gold;
    int wrong = 0, place = 0;
    for (int i = 0; a > 0 || b > 0; i++, a /= 10, b /= 10)
        if (a % 10 != b % 10) {
            wrong++;
            place = i;
        }
    return wrong == 1 && place < 4 ? places[place] : "";
}

/* A copy in which the number of every "remainder 0", "remainder of 0" and "remainder is 0" is a blank: "21 remainder 0" says 21. */
static char *without_remainder(const char *response) {
    char *copy = strdup(response);
    for (char *p = copy; copy && (p = strcasestr(p, "remainder")); p++) {
        char *at = p + strlen("remainder");
        at += strspn(at, " :=");
        if (strncasecmp(at, "of ", 3) == 0 || strncasecmp(at, "is ", 3) == 0)
            at += 3 + strspn(at + 3, " ");
        bool longer = *at == '0' && (isdigit((unsigned char)at[1]) || (at[1] && strchr(".,/", at[1]) && isdigit((unsigned char)at[2])));
        if (*at == '0' && !longer)
            *at = ' ';
    }
    return copy;
}

static agon_status verify(agon_ctx *ctx, const task_query *query, const char *response, task_verdict *out) {
    terms t = {0};
    agon_status status = read_terms(ctx, query, &t);
    if (status)
        return status;
    char why[96], masked[160], *judged = without_remainder(response);
    rational said = {0, 1}, gold = {t.gold, 1};
    snprintf(why, sizeof why, "%lld %c %lld = %lld", (long long)t.a, t.op, (long long)t.b, (long long)t.gold);
    if (!judged)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a verdict is exhausted");
    if (!parse_number(judged, &said, NULL, NULL))
        said = gold;
    snprintf(masked, sizeof masked, "which is not %lld %c %lld%s", (long long)t.a, t.op, (long long)t.b,
             wrong_place(said, t.gold));
    status = verdict_number(ctx, out, judged, gold, why, masked);
    free(judged);
    return status;
}

static agon_status demonstrate(agon_ctx *ctx, const task_query *query, uint64_t seed, char **response) {
    terms t = {0};
    agon_status status = read_terms(ctx, query, &t);
    if (status)
        return status;
    (void)seed; /* one style: a small model learns it from few examples */
    long long a = t.a, b = t.b, gold = t.gold, tens = b / 10 * 10, ones = b % 10;
    if (t.op == '*' && b >= 10 && ones > 0)
        return task_format(ctx, response, "%lld * %lld = %lld + %lld = %lld", a, b, a * tens, a * ones, gold);
    if (t.op == '*' && a >= 10 && b < 10 && a % 10 > 0)
        return task_format(ctx, response, "%lld * %lld = %lld + %lld = %lld", a, b, a / 10 * 10 * b,
                           a % 10 * b, gold);
    return task_format(ctx, response, "%lld %c %lld = %lld", a, t.op, b, gold);
}

/* ---- planted faults ----------------------------------------------------------------------------------------- */

/* The result with every carry (of a sum) or borrow (of a difference) forgotten. */
static int64_t without_carry(const terms *t) {
    int64_t value = 0, place = 1;
    for (int64_t a = t->a, b = t->b; a > 0 || b > 0; a /= 10, b /= 10, place *= 10) {
        int64_t column = t->op == '+' ? (a % 10 + b % 10) % 10 : llabs(a % 10 - b % 10);
        value += place * column;
    }
    return value;
}

/* The first two neighbouring digits that differ, from place `from` on, changed round. */
static int64_t with_digits_swapped(int64_t value, int from) {
    int64_t place = 1;
    for (int i = 0; i < from; i++)
        place *= 10;
    for (; value / (place * 10) > 0; place *= 10) {
        int64_t low = value / place % 10, high = value / (place * 10) % 10;
        if (low != high && !(low == 0 && value / (place * 100) == 0))
            return value + (low - high) * place * 10 + (high - low) * place;
    }
    return value;
}

static int64_t draw_fault(rng *r, const terms *t, const char **name) {
    int64_t sign = rng_below(r, 2) ? 1 : -1;
    switch (rng_below(r, 4)) {
    case 0:
        *name = "it is off by one";
        return t->gold + sign;
    case 1:
        if (t->op == '*') {
            *name = "that is the neighbouring entry of the multiplication table";
            return t->gold + sign * t->a;
        }
        *name = t->op == '+' ? "the carry was forgotten" : "the borrow was forgotten";
        return t->op == '/' ? t->gold : without_carry(t);
    case 2:
        *name = "two digits are swapped";
        return with_digits_swapped(t->gold, (int)rng_below(r, 2));
    default:
        *name = "it is off by ten";
        return t->gold >= 20 ? t->gold + sign * 10 : t->gold;
    }
}

static agon_status tamper(agon_ctx *ctx, const task_query *query, const char *correct, uint64_t seed,
                          char **faulty, char **claim) {
    terms t = {0};
    agon_status status = read_terms(ctx, query, &t);
    if (status)
        return status;
    rng r = rng_new(seed);
    const char *name = NULL;
    int64_t wrong = draw_fault(&r, &t, &name);
    if (wrong == t.gold || wrong < 0)
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "this fault changes nothing here");
    size_t n = 0;
    char *text = text_replace_number(correct, t.gold, wrong, &n);
    if (!text)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a tampered answer is exhausted");
    status = task_format(ctx, claim, "says %lld, but %lld %c %lld = %lld: %s", (long long)wrong, (long long)t.a,
                         t.op, (long long)t.b, (long long)t.gold, name);
    if (status == AGON_OK)
        *faulty = text;
    else
        free(text);
    return status;
}

/* ---- the second way ------------------------------------------------------------------------------------------- */

static agon_status check(agon_ctx *ctx, const task_query *query) {
    terms t = {0};
    agon_status status = read_terms(ctx, query, &t);
    if (status)
        return status;
    int64_t again = 0;
    if (!number_apply_slowly(t.a, t.op, t.b, &again) || again != t.gold)
        return ctx_fail(ctx, AGON_EMISMATCH, "%lld %c %lld is not %lld", (long long)t.a, t.op, (long long)t.b,
                        (long long)t.gold);
    const int64_t operands[] = {t.a, t.b};
    if (!text_has_numbers(query->text, operands, 2))
        return ctx_fail(ctx, AGON_EMISMATCH, "the query's text does not hold exactly the numbers %lld and %lld",
                        (long long)t.a, (long long)t.b);
    return AGON_OK;
}

static agon_status gold_text(agon_ctx *ctx, const task_query *query, char **out) {
    terms t = {0};
    agon_status status = read_terms(ctx, query, &t);
    return status ? status : task_format(ctx, out, "%lld", (long long)t.gold);
}

const task_family family_arithmetic = {
    .name = "arithmetic",
    .cells = cells,
    .n_cells = N_CELLS,
    .generate = generate,
    .verify = verify,
    .demonstrate = demonstrate,
    .tamper = tamper,
    .check = check,
    .gold = gold_text,
    .foreign = "digit|digits|average|mean|median|remainder|modulo|square|squared|root|percent|negative|only|even|odd",
    .differs = differs,
    .wordings = write_wordings,
};
