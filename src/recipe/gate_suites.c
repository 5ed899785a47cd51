/* See gate_suites.h. */
#include "recipe/gate_suites.h"
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
