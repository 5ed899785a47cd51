/* exp, sin and cos over sixteen lanes. Polynomials after Cephes (Moshier); argument reduction by FMA
 * (Cody and Waite). math_exp in mathfn.c repeats v_exp for one number: keep them equal. */

/* Relative error below 1e-7; 0 under -86.6 (the smallest results would be denormal), inf over 88.73. */
LANES lanes v_exp(lanes x) {
    lanes n = v_round(v_mul(x, v_set(1.44269504088896341f)));
    lanes r = v_fma(n, v_set(-0.693359375f), x);
    r = v_fma(n, v_set(2.12194440e-4f), r);
    lanes p = v_set(1.9875691500e-4f);
    p = v_fma(p, r, v_set(1.3981999507e-3f));
    p = v_fma(p, r, v_set(8.3334519073e-3f));
    p = v_fma(p, r, v_set(4.1665795894e-2f));
    p = v_fma(p, r, v_set(1.6666665459e-1f));
    p = v_fma(p, r, v_set(5.0000001201e-1f));
    p = v_add(v_fma(p, v_mul(r, r), r), v_set(1.0f));
    lanes y = v_if_less(x, v_set(-86.6f), v_set(0.0f), v_times_exp2(p, n));
    return v_if_less(v_set(88.8f), x, v_set(INFINITY), y);
}

/* Absolute error below 1.2e-7 for |x| < 2^20. */
LANES void v_sincos(lanes x, lanes *sine, lanes *cosine) {
    lanes n = v_round(v_mul(x, v_set(0.636619772367581343f)));
    lanes r = v_fma(n, v_set(-1.57079637050628662109375f), x);
    r = v_fma(n, v_set(4.37113900018624283e-8f), r);
    r = v_fma(n, v_set(1.71512449e-15f), r);
    lanes r2 = v_mul(r, r);
    lanes s = v_set(-1.9515295891e-4f);
    s = v_fma(s, r2, v_set(8.3321608736e-3f));
    s = v_fma(s, r2, v_set(-1.6666654611e-1f));
    s = v_fma(v_mul(s, r2), r, r);
    lanes c = v_set(2.443315711809948e-5f);
    c = v_fma(c, r2, v_set(-1.388731625493765e-3f));
    c = v_fma(c, r2, v_set(4.166664568298827e-2f));
    c = v_fma(c, r2, v_set(-0.5f));
    c = v_fma(c, r2, v_set(1.0f));
    /* Quadrant 0..3: odd ones swap sine and cosine; 2, 3 negate the sine; 1, 2 the cosine. */
    lanes quadrant = v_sub(n, v_mul(v_set(4.0f), v_floor(v_mul(n, v_set(0.25f)))));
    lanes half = v_set(0.5f), zero = v_set(0.0f);
    lanes odd = v_abs(v_sub(v_abs(v_sub(quadrant, v_set(2.0f))), v_set(1.0f))); /* 0 when odd */
    lanes s1 = v_if_less(odd, half, c, s), c1 = v_if_less(odd, half, s, c);
    *sine = v_if_less(quadrant, v_set(1.5f), s1, v_sub(zero, s1));
    lanes middle = v_abs(v_sub(quadrant, v_set(1.5f))); /* 0.5 in quadrants 1 and 2 */
    *cosine = v_if_less(middle, v_set(1.0f), v_sub(zero, c1), c1);
}
