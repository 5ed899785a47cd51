/* Distribution functions, see special.h.
 *
 * Incomplete beta: the continued fraction of DLMF 8.17.22 by Lentz's method as modified by Thompson
 * and Barnett (1986), on the side of the symmetry I_x(a,b) = 1 - I_{1-x}(b,a) where it converges
 * fast. Quantiles bisect the distribution function: forty evaluations more than Newton's method
 * needs, but no starting value and no divergence. */
#include "eval/special.h"
#include <assert.h>
#include <float.h>
#include <math.h>

enum { MAX_TERMS = 100000, MAX_HALVINGS = 400 };

/* lgamma writes the global signgam; the reentrant form does not. */
static double log_gamma(double x) {
    int sign;
    return lgamma_r(x, &sign);
}

/* The continued fraction 1/(1 + d1/(1 + d2/(1 + ...))) of DLMF 8.17.22. */
static double beta_fraction(double a, double b, double x) {
    const double tiny = 1e-300;
    double f = 1.0, c = 1.0, d = 0.0;
    for (int i = 0; i < MAX_TERMS; i++) {
        double m = i / 2, term = 1.0;
        if (i > 0 && i % 2 == 0)
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        else if (i % 2 == 1)
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1.0 + term * d;
        d = 1.0 / (fabs(d) < tiny ? tiny : d);
        c = 1.0 + term / c;
        if (fabs(c) < tiny)
            c = tiny;
        f *= c * d;
        if (i > 0 && fabs(c * d - 1.0) < 4 * DBL_EPSILON)
            break;
    }
    return f - 1.0;
}

double special_beta(double a, double b, double x) {
    assert(a > 0 && b > 0 && x >= 0 && x <= 1);
    if (x <= 0)
        return 0;
    if (x >= 1)
        return 1;
    double front = exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * log(x) + b * log1p(-x));
    if (x <= (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double special_beta_quantile(double a, double b, double p) {
    assert(p >= 0 && p <= 1);
    double low = 0, high = 1;
    for (int i = 0; i < MAX_HALVINGS; i++) {
        double middle = 0.5 * (low + high);
        if (middle <= low || middle >= high)
            break;
        if (special_beta(a, b, middle) < p)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

double special_binomial_at_most(long long k, long long n, double p) {
    assert(n >= 0 && p >= 0 && p <= 1);
    if (k < 0)
        return 0;
    if (k >= n)
        return 1;
    return special_beta((double)(n - k), (double)k + 1, 1 - p);
}

double special_normal(double z) {
    return 0.5 * erfc(-z * M_SQRT1_2);
}

double special_normal_quantile(double p) {
    assert(p > 0 && p < 1);
    if (p > 0.5) /* the lower tail keeps its digits */
        return -special_normal_quantile(1 - p);
    double low = -40, high = 0;
    for (int i = 0; i < MAX_HALVINGS; i++) {
        double middle = 0.5 * (low + high);
        if (middle <= low || middle >= high)
            break;
        if (special_normal(middle) < p)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

double special_student(double t, double df) {
    assert(df > 0);
    double tail = 0.5 * special_beta(0.5 * df, 0.5, df / (df + t * t));
    return t > 0 ? 1 - tail : tail;
}

/* With x = df/(df + t^2): P(|T| > t) = I_x(df/2, 1/2) and P(|T| < t) = I_{1-x}(1/2, df/2).
 * Whichever of x, 1-x is small is solved for, so that t keeps its digits at both ends. */
double special_student_quantile(double p, double df) {
    assert(p > 0 && p < 1 && df > 0);
    if (p == 0.5)
        return 0;
    if (p < 0.5)
        return -special_student_quantile(1 - p, df);
    double inside = 2 * p - 1;
    if (inside < 0.5) {
        double y = special_beta_quantile(0.5, 0.5 * df, inside);
        return sqrt(df * y / (1 - y));
    }
    double x = special_beta_quantile(0.5 * df, 0.5, 2 * (1 - p));
    return sqrt(df * (1 - x) / x);
}
