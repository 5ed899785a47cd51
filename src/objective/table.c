/* Finding objectives by name, and their options. */
#include "objective/table.h"

#include "base/ctx.h"
#include "base/decimal.h"
#include "base/nearest.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OBJECTIVE_ADDRESS(name) &objective_##name,
static const objective *const table[] = {OBJECTIVES(OBJECTIVE_ADDRESS)};
enum { N_OBJECTIVES = sizeof table / sizeof table[0] };

const objective *objective_at(size_t i) {
    return i < N_OBJECTIVES ? table[i] : NULL;
}

const objective *objective_find(const char *name) {
    for (size_t i = 0; i < N_OBJECTIVES; i++)
        if (strcmp(table[i]->name, name) == 0)
            return table[i];
    return NULL;
}

unsigned objective_needs_with(const objective *o, const double *options) {
    return o->needs_with ? o->needs_with(options) | (o->needs & OBJECTIVE_TRAITS) : o->needs;
}

void objective_defaults(const objective *o, double values[MAX_OBJECTIVE_OPTIONS]) {
    size_t i = 0;
    for (; o->options[i].name; i++)
        values[i] = o->options[i].value;
    for (; i < MAX_OBJECTIVE_OPTIONS; i++)
        values[i] = 0;
}

void objective_set_progress(const objective *o, double progress, double values[MAX_OBJECTIVE_OPTIONS]) {
    for (size_t i = 0; o->options[i].name; i++)
        if (strcmp(o->options[i].name, "progress") == 0)
            values[i] = fmax(0, fmin(1, progress));
}

bool objective_follows_progress(const objective *o, const double values[MAX_OBJECTIVE_OPTIONS]) {
    bool follows = false, begins = false;
    for (size_t i = 0; o->options[i].name; i++) {
        follows = follows || strcmp(o->options[i].name, "progress") == 0;
        begins = begins || (strcmp(o->options[i].name, "warmup") == 0 && values[i] > 0);
    }
    return follows && begins;
}

void objective_set_vocabulary(const objective *o, size_t n, double values[MAX_OBJECTIVE_OPTIONS]) {
    for (size_t i = 0; o->options[i].name; i++)
        if (strcmp(o->options[i].name, "vocabulary") == 0 && values[i] == 0)
            values[i] = (double)n;
}

static agon_status unknown_option(agon_ctx *ctx, const objective *o, const char *name) {
    const char *names[MAX_OBJECTIVE_OPTIONS] = {NULL};
    char list[512] = "";
    size_t n = 0, used = 0;
    for (; o->options[n].name; n++) {
        names[n] = o->options[n].name;
        int wrote = snprintf(list + used, sizeof list - used, "%s%s", n ? ", " : "", names[n]);
        used += (size_t)wrote < sizeof list - used ? (size_t)wrote : 0;
    }
    const char *near = nearest_word(name, names, n);
    if (near)
        return ctx_fail(ctx, AGON_EINVAL, "%s has no option \"%s\"; did you mean \"%s\"? It has: %s", o->name,
                        name, near, list);
    return ctx_fail(ctx, AGON_EINVAL, "%s has no option \"%s\"; it has: %s", o->name, name,
                    n ? list : "none");
}

/* true, false or a finite number. */
static bool parse_value(const char *text, double *out) {
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        *out = text[0] == 't';
        return true;
    }
    char *end = NULL;
    double value = decimal_read(text, &end);
    if (end == text || *end != '\0' || !isfinite(value))
        return false;
    *out = value;
    return true;
}

agon_status objective_set(agon_ctx *ctx, const objective *o, const char *assignment,
                          double values[MAX_OBJECTIVE_OPTIONS]) {
    const char *equals = assignment ? strchr(assignment, '=') : NULL;
    char name[64];
    if (!equals || equals == assignment || (size_t)(equals - assignment) >= sizeof name)
        return ctx_fail(ctx, AGON_EINVAL, "\"%.100s\" is no option; write NAME=VALUE, as in beta=0.1",
                        assignment ? assignment : "");
    memcpy(name, assignment, (size_t)(equals - assignment));
    name[equals - assignment] = '\0';
    for (size_t i = 0; o->options[i].name; i++) {
        const objective_option *option = &o->options[i];
        if (strcmp(option->name, name) != 0)
            continue;
        double value = 0;
        if (!parse_value(equals + 1, &value) || value < option->min || value > option->max ||
            (option->kind == WHOLE_NUMBER && value != floor(value)))
            return ctx_fail(ctx, AGON_EINVAL, "%s: %s is \"%.60s\"; it must be a %snumber from %g to %g (%s)", o->name, name,
                            equals + 1, option->kind == WHOLE_NUMBER ? "whole " : "", option->min, option->max, option->help);
        values[i] = value;
        return AGON_OK;
    }
    return unknown_option(ctx, o, name);
}

agon_status objective_configure(agon_ctx *ctx, const objective *o, const char *const *assignments, size_t n,
                                double values[MAX_OBJECTIVE_OPTIONS]) {
    agon_status s = AGON_OK;
    objective_defaults(o, values);
    for (size_t i = 0; i < n && !s; i++)
        s = objective_set(ctx, o, assignments[i], values);
    return s;
}
