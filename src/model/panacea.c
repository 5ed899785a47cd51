/* Preference-conditioned adapters: see panacea.h. */
#include "model/panacea.h"

/* Entry j of the diagonal. */
static double diagonal(const panacea_shape *s, const float *singular, const double *preference, size_t j) {
    return j < s->k ? (double)singular[j] : (double)singular[s->k] * preference[j - s->k];
}

void panacea_install(const panacea_shape *s, const float *u, const float *singular, const double *preference, float *b) {
    size_t rank = s->k + s->m;
    for (size_t i = 0; i < s->n_out; i++)
        for (size_t j = 0; j < rank; j++)
            b[i * rank + j] = (float)((double)u[i * rank + j] * diagonal(s, singular, preference, j));
}

void panacea_gradient(const panacea_shape *s, const float *u, const float *singular, const double *preference,
                      const float *d_b, float *d_u, float *d_singular) {
    size_t rank = s->k + s->m;
    double d_scale = 0;
    for (size_t j = 0; j < rank; j++) {
        double d = diagonal(s, singular, preference, j), column = 0;
        for (size_t i = 0; i < s->n_out; i++) {
            column += (double)u[i * rank + j] * (double)d_b[i * rank + j];
            d_u[i * rank + j] += (float)(d * (double)d_b[i * rank + j]);
        }
        if (j < s->k)
            d_singular[j] += (float)column;
        else
            d_scale += preference[j - s->k] * column;
    }
    d_singular[s->k] += (float)d_scale;
}
