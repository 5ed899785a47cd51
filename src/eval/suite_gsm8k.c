/* GSM8K (Cobbe et al. 2021): grade-school word problems, {"question", "answer": "... #### N"} a line. Zero-shot, greedy;
 * the number an answer gives is found by parse_number and compared exactly; none is wrong. */
#include "base/buffer.h"
#include "base/ctx.h"
#include "eval/suite_private.h"
#include "task/task.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_TOKENS = 256, DEFAULT_ITEMS = 300 };

#define ASK "\n\nThink step by step and end with \"The answer is\" and the number."

static agon_status read_row(agon_ctx *ctx, const char *where, const json_t *row, size_t number, suite_entry *out) {
    const char *question = NULL, *answer = NULL;
    rational gold;
    size_t start, end;
    agon_status s = json_get_text(ctx, where, row, "question", true, &question);
    if (!s)
        s = json_get_text(ctx, where, row, "answer", true, &answer);
    if (s)
        return s;
    if (!strstr(answer, "####") || !parse_number(answer, &gold, &start, &end))
        return ctx_fail(ctx, AGON_EFORMAT, "%s: 'answer' must end in \"#### \" and a number", where);
    buffer query = {0};
    buffer_printf(&query, "%s" ASK, question);
    char *text = buffer_take(&query);
    out->max_tokens = MAX_TOKENS;
    out->gold = json_string(answer);
    s = text && out->gold ? suite_entry_set(ctx, out, "gsm8k", text, "gsm8k/%zu", number)
                          : ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", where);
    free(text);
    return s;
}

static agon_status judge(agon_ctx *ctx, const suite_entry *e, const char *response, bool *right, char **evidence) {
    rational gold = {0, 1}, said;
    char wanted[48], given[48];
    size_t start, end;
    parse_number(json_string_value(e->gold), &gold, &start, &end); /* read_row saw that it parses */
    rational_text(gold, wanted, sizeof wanted);
    if (!parse_number(response, &said, &start, &end)) {
        *right = false;
        return suite_say(ctx, evidence, "gives no number, but %s is right", wanted);
    }
    rational_text(said, given, sizeof given);
    *right = rational_equal(said, gold);
    return *right ? suite_say(ctx, evidence, "says %s", given)
                  : suite_say(ctx, evidence, "says %s, but %s is right", given, wanted);
}

const suite_def suite_gsm8k = {
    .name = "gsm8k",
    .summary = "grade-school word problems, zero-shot (needs AGON_DATA)",
    .file = "gsm8k_test.jsonl",
    .external = true,
    .default_limit = DEFAULT_ITEMS,
    .read = read_row,
    .judge = judge,
};
