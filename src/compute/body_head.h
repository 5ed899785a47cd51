/* Softmax over one vocabulary segment, and the gradient with respect to its logits. */

static softmax_part softmax_segment(const float *logits, size_t n) {
    lanes max = v_set(-INFINITY), lowest = max, zero = v_set(0.0f);
    for (size_t i = 0; i < n; i += LANES_N) {
        size_t m = size_min(LANES_N, n - i);
        max = v_max(v_first(v_load_n(logits + i, m), lowest, m), max);
    }
    _Alignas(64) float each[LANES_N];
    v_store(each, max);
    float top = each[0];
    for (int i = 1; i < LANES_N; i++)
        top = each[i] > top ? each[i] : top;

    lanes sum = zero, weighted = zero, plain = zero, shift = v_set(top);
    for (size_t i = 0; i < n; i += LANES_N) {
        size_t m = size_min(LANES_N, n - i);
        lanes l = v_load_n(logits + i, m), d = v_sub(l, shift);
        lanes e = v_first(v_exp(d), zero, m);
        sum = v_add(sum, e);
        weighted = v_fma(e, d, weighted);
        plain = v_add(plain, l);
    }
    return (softmax_part){top, v_sum(sum), v_sum(weighted), v_sum(plain)};
}

/* d_logits may be logits. The target's own term, d_log_prob / temperature, is added by the caller afterwards: it touches one logit only. */
static void logit_gradients(const float *logits, size_t n, const logit_gradient *g, float *d_logits) {
    lanes lse = v_set(g->lse), slope = v_set(g->slope), entropy = v_set(g->d_entropy);
    lanes constant = v_set(g->constant), inv = v_set(g->inv_temperature), zero = v_set(0.0f);
    for (size_t i = 0; i < n; i += LANES_N) {
        size_t m = size_min(LANES_N, n - i);
        lanes log_p = v_sub(v_load_n(logits + i, m), lse);
        lanes p = v_exp(log_p);
        lanes d = v_fma(v_sub(zero, p), v_fma(entropy, log_p, slope), constant);
        v_store_n(d_logits + i, v_mul(d, inv), m);
    }
}
