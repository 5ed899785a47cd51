/* See cost.h. */
#include "recipe/cost.h"
#include "recipe/gate_suites.h"
#include <math.h>

static const double DOCUMENT_TOKENS = 250;
static const double PASSING = 0.25; /* of answers: what the quickstart's base model manages */

void cost_answers(expected *t, double n, double prompt, double samples, double length) {
    t->read += n * prompt; /* once for all samples of a query */
    t->generated += n * samples * length;
}

void cost_suites(const run_config *r, double versions, expected *t) {
    const gate_suite_def *d;
    for (size_t i = 0; (d = gate_suite_at(i)); i++)
        cost_answers(t, versions * (double)gate_suite_items(d, r), d->prompt_tokens, 1, d->answer_tokens);
    t->scored += versions * (double)r->evaluate.documents * DOCUMENT_TOKENS;
}

double cost_examples(const run_config *r, double real, double answers) {
    double all = real + PASSING * answers;
    return r->build.real_share > 0 ? fmin(real / r->build.real_share, all) : all;
}
