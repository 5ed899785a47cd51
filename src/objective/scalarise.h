/* Several objectives as one number (spec: training 8): the linear sum finds the convex part of a front, Tchebycheff (Miettinen 1999) all of it.
 * Objectives are maximised; a loss is one with its sign turned. */
#ifndef OBJECTIVE_SCALARISE_H
#define OBJECTIVE_SCALARISE_H

#include <stddef.h>

/* sum w_i J_i, and its gradient w. */
double scalarise_linear(const double *values, const double *weights, size_t m, double *d);
/* max_i w_i (ideal_i - J_i), to be minimised; the gradient acts on the active objective only (the first of equals),
 * *active. d may be NULL (V:moo.scalarise). */
double scalarise_tchebycheff(const double *values, const double *ideal, const double *weights, size_t m, size_t *active,
                             double *d);

#endif
