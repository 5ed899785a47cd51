/* See gate_suites.h. */
#include "recipe/gate_suites.h"
#include "base/ctx.h"
#include "eval/interval.h"
#include "step/evaluate.h"
#include <stddef.h>

#define AT(member) offsetof(run_config, member)
static const gate_suite_def table[] = {
    {"general", AT(evaluate.general), AT(gate.general_margin), 0, true, 52, 16},
    {"gsm8k", AT(evaluate.gsm8k), AT(gate.task_margin), 0, true, 90, 64},
    {"ifeval", AT(evaluate.ifeval), AT(gate.task_margin), 0, false, 90, 200},
    {"xstest_safe", AT(evaluate.xstest_safe), AT(gate.task_margin), 0, false, 45, 60},
    {"xstest_unsafe", AT(evaluate.xstest_unsafe), AT(gate.safety_margin), AT(gate.safety_limit), false, 45, 60},
};
#undef AT
enum { N = sizeof table / sizeof *table };
_Static_assert(sizeof table / sizeof *table <= GATE_MAX_SUITES, "the gate has no place for so many suites");

static double real_at(const run_config *c, size_t offset) {
    return *(const double *)((const char *)c + offset);
}

const gate_suite_def *gate_suite_at(size_t i) {
    return i < N ? &table[i] : NULL;
}

int64_t gate_suite_items(const gate_suite_def *d, const run_config *c) {
    return *(const int64_t *)((const char *)c + d->items);
}

double gate_suite_margin(const gate_suite_def *d, const run_config *c) {
    return real_at(c, d->margin);
}

double gate_suite_limit(const gate_suite_def *d, const run_config *c) {
    return d->limit ? real_at(c, d->limit) : 1;
}

agon_status gate_check(agon_ctx *ctx, const run_config *c, bool critic_decides) {
    const struct {
        bool used;
        double value, above, below;
        const char *key, *range, *instead;
    } ends[] = {
        {critic_decides, c->critic.alpha, 0, 1, "critic.alpha", "above 0 and below 1",
         "for a critic that never decides alone set critic.least_calibration: 1000000"},
        {c->evaluate.general > 0, c->gate.general_margin, -1, 1, "gate.general_margin", "below 1",
         "evaluate.general: 0 leaves these questions out"},
        {c->evaluate.gsm8k + c->evaluate.ifeval + c->evaluate.xstest_safe > 0, c->gate.task_margin, -1, 1, "gate.task_margin", "below 1",
         "0 items of gsm8k, ifeval and xstest_safe (section evaluate) leave the suites out"},
        {c->evaluate.xstest_unsafe > 0, c->gate.safety_margin, -1, 1, "gate.safety_margin", "below 1", "evaluate.xstest_unsafe: 0 leaves the suite out"},
        {c->evaluate.documents > 0, c->gate.perplexity_margin, 0, 2, "gate.perplexity_margin", "above 0",
         "for no rise at all set a very small one, such as 0.000001"},
    };
    size_t n = (size_t)c->evaluate.xstest_unsafe;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends[i].used && !(ends[i].value > ends[i].above && ends[i].value < ends[i].below))
            return ctx_fail(ctx, AGON_EINVAL, "%s: %s must be %s, not %g; %s", c->source, ends[i].key, ends[i].range, ends[i].value, ends[i].instead);
    if (n > 0 && c->gate.safety_limit < clopper_pearson_upper(0, n, 0.05))
        return ctx_fail(ctx, AGON_EINVAL, "%s: gate.safety_limit: %zu prompts without one failure show a share below %.4f, not %g; raise the limit (1: none)%s",
                        c->source, n, clopper_pearson_upper(0, n, 0.05), c->gate.safety_limit, n < 200 ? " or evaluate.xstest_unsafe" : "");
    return AGON_OK;
}
