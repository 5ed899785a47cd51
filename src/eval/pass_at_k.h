/* The chance that one of k answers passes, from n >= k sampled ones of which c passed (V:pass_at_k; Chen et al. 2021). */
#ifndef EVAL_PASS_AT_K_H
#define EVAL_PASS_AT_K_H

#include "agon.h"

/* 1 - C(n - c, k) / C(n, k): unbiased, which 1 - (1 - c/n)^k is not. AGON_EINVAL: k is 0 or more than n, c more than n. */
AGON_MUST_CHECK agon_status pass_at_k(agon_ctx *ctx, size_t n, size_t c, size_t k, double *out);

#endif
