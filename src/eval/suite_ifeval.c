/* IFEval, {"key", "prompt", "instruction_id_list", "kwargs"} a line. An answer is right when all of its prompt's instructions hold
 * strictly (prompt-level strict accuracy); the evidence says which failed and how it stands loosely. */
#include "base/buffer.h"
#include "base/ctx.h"
#include "eval/ifeval.h"
#include "eval/suite_private.h"
#include <stdlib.h>

enum { MAX_TOKENS = 512, DEFAULT_ITEMS = 100 };

static agon_status check_all(agon_ctx *ctx, const json_t *gold, const char *response, size_t *strict, size_t *loose,
                             buffer *failed) {
    const json_t *ids = json_object_get(gold, "ids"), *kwargs = json_object_get(gold, "kwargs"), *id;
    size_t i;
    json_array_foreach(ids, i, id) {
        bool s = false, l = false;
        agon_status status = ifeval_check(ctx, json_string_value(id), json_array_get(kwargs, i), response, &s, &l);
        if (status)
            return status;
        *strict += s;
        *loose += l;
        if (!s)
            buffer_printf(failed, "%s%s", failed->size ? ", " : "", json_string_value(id));
    }
    return AGON_OK;
}

static agon_status read_row(agon_ctx *ctx, const char *where, const json_t *row, size_t number, suite_entry *out) {
    const char *prompt = NULL;
    agon_status s = json_get_text(ctx, where, row, "prompt", true, &prompt);
    json_t *ids = json_object_get(row, "instruction_id_list"), *kwargs = json_object_get(row, "kwargs");
    const json_t *id;
    size_t i, n = json_array_size(ids), strict = 0, loose = 0;
    bool good = n > 0 && json_array_size(kwargs) == n;
    json_array_foreach(ids, i, id) good = good && json_is_string(id) && json_is_object(json_array_get(kwargs, i));
    if (!s && !good)
        s = ctx_fail(ctx, AGON_EFORMAT, "%s: 'instruction_id_list' and 'kwargs' must be lists of equal length", where);
    if (s)
        return s;
    out->max_tokens = MAX_TOKENS;
    out->gold = json_pack("{s:O, s:O}", "ids", ids, "kwargs", kwargs);
    if (!out->gold)
        return ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", where);
    /* Unknown kinds and missing arguments come out here, before anything is generated. */
    buffer failed = {0};
    if ((s = check_all(ctx, out->gold, "", &strict, &loose, &failed)))
        s = ctx_prefix(ctx, s, "%s", where);
    buffer_free(&failed);
    return s ? s : suite_entry_set(ctx, out, n == 1 ? "one" : n == 2 ? "two" : "three or more", prompt, "ifeval/%zu", number);
}

static agon_status judge(agon_ctx *ctx, const suite_entry *e, const char *response, bool *right, char **evidence) {
    size_t strict = 0, loose = 0, n = json_array_size(json_object_get(e->gold, "ids"));
    buffer failed = {0};
    agon_status s = check_all(ctx, e->gold, response, &strict, &loose, &failed);
    if (!s)
        s = strict == n ? suite_say(ctx, evidence, "all %zu instructions hold", n)
                        : suite_say(ctx, evidence, "%zu of %zu instructions hold (loosely %zu); not: %s", strict, n, loose,
                                    failed.data ? failed.data : "");
    buffer_free(&failed);
    if (!s)
        *right = strict == n;
    return s;
}

const suite_def suite_ifeval = {
    .name = "ifeval",
    .summary = "instructions that a program can check, prompt-level strict (needs AGON_DATA)",
    .file = "ifeval.jsonl",
    .external = true,
    .default_limit = DEFAULT_ITEMS,
    .read = read_row,
    .judge = judge,
};
