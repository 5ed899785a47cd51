/* Long sums, see long_sum.h. */
#include "task/long_sum.h"
#include "task/sequence_alphabet.h"
#include <assert.h>

enum { HELD_OUT_OF = 5, DIGITS_AT = 2 };

static void push(sequence_item *s, int token) {
    assert(s->n < SEQUENCE_MAX);
    s->tokens[s->n++] = token;
}

size_t long_sum_level(const sequence_item *question) {
    return (size_t)(question->tokens[0] - DIGIT);
}

static size_t n_digits(const sequence_item *question) {
    return (size_t)1 << long_sum_level(question);
}

/* 10 to the half of its digits. */
static int64_t half_power(const sequence_item *question) {
    int64_t x = 1;
    for (size_t i = 0; i < n_digits(question) / 2; i++)
        x *= 10;
    return x;
}

static bool is_held_out(const sequence_item *question) {
    uint64_t h = 1469598103934665603ull; /* FNV-1a */
    for (size_t i = 0; i < question->n_source; i++)
        h = (h ^ (uint64_t)question->tokens[i]) * 1099511628211ull;
    return (h >> 17) % HELD_OUT_OF == 0;
}

/* The first n_pairs of digits at `pairs`. */
static sequence_item question_of(size_t level, int carry, const int32_t *pairs, size_t n_pairs) {
    sequence_item q = {.domain = (int)level, .truth = true};
    push(&q, DIGIT + (int)level);
    push(&q, DIGIT + carry);
    for (size_t i = 0; i < 2 * n_pairs; i++)
        push(&q, pairs[i]);
    push(&q, SEQUENCE_EQUALS);
    q.n_source = q.n;
    return q;
}

void long_sum_draw(rng *r, size_t level, bool held_out, sequence_item *out) {
    assert(level < LONG_SUM_LEVELS);
    const size_t n = (size_t)1 << level;
    int32_t pairs[2 << (LONG_SUM_LEVELS - 1)];
    do {
        for (size_t i = 0; i < 2 * n; i++)
            pairs[i] = DIGIT + (int32_t)rng_below(r, 10);
        *out = question_of(level, (int)rng_below(r, 2), pairs, n);
    } while (level > 0 && is_held_out(out) != held_out);
    long_sum_set_answer(out, long_sum_truth(out));
}

sequence_item long_sum_low(const sequence_item *question) {
    const size_t half = n_digits(question) / 2;
    return question_of(long_sum_level(question) - 1, question->tokens[1] - DIGIT, question->tokens + DIGITS_AT, half);
}

sequence_item long_sum_high(const sequence_item *question, int carry) {
    const size_t half = n_digits(question) / 2;
    return question_of(long_sum_level(question) - 1, carry, question->tokens + DIGITS_AT + 2 * half, half);
}

int long_sum_carry(const sequence_item *question, int64_t low) {
    return (int)(low / half_power(question));
}

int64_t long_sum_join(const sequence_item *question, int64_t low, int64_t high) {
    return high * half_power(question) + low % half_power(question);
}

int64_t long_sum_answer(const sequence_item *completion) {
    const size_t n = n_digits(completion);
    const int32_t *answer = completion->tokens + completion->n_source;
    int64_t sum = 0;
    if (completion->n != completion->n_source + n + 2 || answer[n + 1] != SEQUENCE_END)
        return LONG_SUM_NONE;
    for (size_t i = n + 1; i-- > 0;) {
        const int digit = answer[i] - DIGIT;
        if (digit < 0 || digit > (i == n ? 1 : 9))
            return LONG_SUM_NONE;
        sum = 10 * sum + digit;
    }
    return sum;
}

void long_sum_set_answer(sequence_item *question, int64_t sum) {
    question->n = question->n_source;
    for (size_t i = 0; i <= n_digits(question); i++, sum /= 10)
        push(question, DIGIT + (int)(sum % 10));
    push(question, SEQUENCE_END);
}

int64_t long_sum_truth(const sequence_item *question) {
    int64_t sum = question->tokens[1] - DIGIT, power = 1;
    for (size_t i = 0; i < n_digits(question); i++, power *= 10)
        sum += power * (question->tokens[DIGITS_AT + 2 * i] - DIGIT + question->tokens[DIGITS_AT + 2 * i + 1] - DIGIT);
    return sum;
}
