/* Distribution functions that the statistics of this folder rest on: incomplete beta, binomial,
 * Student's t, normal. Double precision, about 1e-13 relative in the ranges used here; pure,
 * thread-safe. */
#ifndef EVAL_SPECIAL_H
#define EVAL_SPECIAL_H

#include <stddef.h>

/* Regularised incomplete beta I_x(a, b), a, b > 0, 0 <= x <= 1. */
double special_beta(double a, double b, double x);
/* x with I_x(a, b) = p. */
double special_beta_quantile(double a, double b, double p);
/* P(Bin(n, p) <= k); k may be negative or above n. */
double special_binomial_at_most(long long k, long long n, double p);
/* P(Z <= z) and its inverse, 0 < p < 1. */
double special_normal(double z);
double special_normal_quantile(double p);
/* P(T <= t) for Student's t with df > 0 degrees of freedom, and its inverse, 0 < p < 1. */
double special_student(double t, double df);
double special_student_quantile(double p, double df);

#endif
