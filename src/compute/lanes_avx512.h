/* Sixteen virtual f32 lanes as one AVX-512 register; the operations are described in
 * lanes_portable.h. */
#include <immintrin.h>
#include <string.h>

#define LANES static inline __attribute__((always_inline))

typedef __m512 lanes;

LANES __mmask16 lane_mask(size_t n) {
    return (__mmask16)((1u << n) - 1);
}
LANES lanes v_load(const float *p) {
    return _mm512_loadu_ps(p);
}
LANES lanes v_load_n(const float *p, size_t n) {
    return n == 16 ? v_load(p) : _mm512_maskz_loadu_ps(lane_mask(n), p);
}
LANES void v_store(float *p, lanes a) {
    _mm512_storeu_ps(p, a);
}
LANES void v_store_n(float *p, lanes a, size_t n) {
    if (n == 16) {
        v_store(p, a);
        return;
    }
    _mm512_mask_storeu_ps(p, lane_mask(n), a);
}
LANES lanes v_set(float x) {
    return _mm512_set1_ps(x);
}
LANES lanes v_add(lanes a, lanes b) {
    return _mm512_add_ps(a, b);
}
LANES lanes v_sub(lanes a, lanes b) {
    return _mm512_sub_ps(a, b);
}
LANES lanes v_mul(lanes a, lanes b) {
    return _mm512_mul_ps(a, b);
}
LANES lanes v_div(lanes a, lanes b) {
    return _mm512_div_ps(a, b);
}
LANES lanes v_fma(lanes a, lanes b, lanes c) {
    return _mm512_fmadd_ps(a, b, c);
}
LANES lanes v_sqrt(lanes a) {
    return _mm512_sqrt_ps(a);
}
LANES lanes v_round(lanes a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
LANES lanes v_floor(lanes a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
LANES lanes v_abs(lanes a) {
    return _mm512_abs_ps(a);
}
LANES lanes v_max(lanes a, lanes b) {
    return _mm512_max_ps(a, b);
}
LANES lanes v_if_less(lanes a, lanes b, lanes x, lanes y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}
LANES lanes v_first(lanes a, lanes b, size_t n) {
    return n == 16 ? a : _mm512_mask_blend_ps(lane_mask(n), b, a);
}
LANES lanes v_times_exp2(lanes p, lanes n) {
    return _mm512_scalef_ps(p, n);
}
LANES float v_sum(lanes a) {
    __m256 s8 = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}
/* The tree of v_sum for sixteen registers at once, transposing as it adds. */
LANES lanes v_sum16(const lanes r[16]) {
    lanes x[4];
    for (int i = 0; i < 4; i++) { /* 128-bit part j of x[i]: the four partial sums of row i + 4j */
        lanes a = r[i], b = r[i + 4], c = r[i + 8], d = r[i + 12];
        a = v_add(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
        c = v_add(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
        x[i] = v_add(_mm512_shuffle_f32x4(a, c, 0x88), _mm512_shuffle_f32x4(a, c, 0xdd));
    }
    lanes y[2];
    for (int i = 0; i < 2; i++) {
        __m512d a = _mm512_castps_pd(x[2 * i]), b = _mm512_castps_pd(x[2 * i + 1]);
        y[i] = v_add(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                     _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
    }
    return v_add(_mm512_shuffle_ps(y[0], y[1], 0x88), _mm512_shuffle_ps(y[0], y[1], 0xdd));
}
#define V_MAX_LANE
LANES float max_lane(lanes a) {
    __m256 m8 = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 m4 = _mm_max_ps(_mm256_castps256_ps128(m8), _mm256_extractf128_ps(m8, 1));
    __m128 m2 = _mm_max_ps(m4, _mm_movehl_ps(m4, m4));
    return _mm_cvtss_f32(_mm_max_ss(m2, _mm_movehdup_ps(m2)));
}
/* Element j of r[i] goes to element i of r[j]. */
LANES void v_transpose16(lanes r[16]) {
    lanes t[16], u[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 4) /* 128-bit part p of u[i + c]: element 4p + c of rows i to i + 3 */
        for (int c = 0; c < 4; c += 2) {
            __m512d a = _mm512_castps_pd(t[i + c / 2]), b = _mm512_castps_pd(t[i + 2 + c / 2]);
            u[i + c] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            u[i + c + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
#pragma GCC unroll 8
    for (int c = 0; c < 4; c++) {
        lanes even[2] = {_mm512_shuffle_f32x4(u[c], u[4 + c], 0x88), _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0x88)};
        lanes odd[2] = {_mm512_shuffle_f32x4(u[c], u[4 + c], 0xdd), _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0xdd)};
        r[c] = _mm512_shuffle_f32x4(even[0], even[1], 0x88);
        r[4 + c] = _mm512_shuffle_f32x4(odd[0], odd[1], 0x88);
        r[8 + c] = _mm512_shuffle_f32x4(even[0], even[1], 0xdd);
        r[12 + c] = _mm512_shuffle_f32x4(odd[0], odd[1], 0xdd);
    }
}
/* Integer rounding, because the conversion instruction of newer CPUs differs on denormals. */
LANES lanes v_bf16(lanes a) {
    const __m512i exponent = _mm512_set1_epi32(0x7f800000), one = _mm512_set1_epi32(1);
    __m512i u = _mm512_castps_si512(a);
    __m512i odd = _mm512_and_epi32(_mm512_srli_epi32(u, 16), one);
    __m512i r = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd);
    __mmask16 nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    r = _mm512_mask_or_epi32(r, nan, u, _mm512_set1_epi32(0x400000));
    __mmask16 tiny = _mm512_testn_epi32_mask(u, exponent);
    r = _mm512_mask_and_epi32(r, tiny, u, _mm512_set1_epi32((int)0x80000000));
    return _mm512_castsi512_ps(_mm512_and_epi32(r, _mm512_set1_epi32((int)0xffff0000)));
}
#define V_SPLIT
/* See body_masters.h. */
LANES uint16_t v_split(lanes a, uint16_t *low) {
    __m512i u = _mm512_castps_si512(a);
    u = _mm512_maskz_mov_epi32(_mm512_test_epi32_mask(u, _mm512_set1_epi32(0x7f800000)), u);
    __m512i lower = _mm512_and_epi32(u, _mm512_set1_epi32(0xffff));
    __m512i odd = _mm512_and_epi32(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    _mm256_storeu_si256((__m256i *)low, _mm512_cvtepi32_epi16(u));
    return _mm512_test_epi32_mask(_mm512_add_epi32(_mm512_add_epi32(lower, _mm512_set1_epi32(0x7fff)), odd), _mm512_set1_epi32(0x10000));
}
LANES lanes v_join(const uint16_t *high, const uint16_t *low, uint16_t carried) {
    __m512i h = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)high));
    __m512i l = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)low));
    h = _mm512_mask_sub_epi32(h, carried, h, _mm512_set1_epi32(1));
    return _mm512_castsi512_ps(_mm512_or_epi32(_mm512_slli_epi32(h, 16), l));
}

typedef __m512i pairs;

LANES pairs p_load(const void *p) {
    return _mm512_loadu_si512(p);
}
LANES pairs p_set(uint32_t pair) {
    return _mm512_set1_epi32((int)pair);
}
LANES lanes p_even(pairs a) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(a, 16));
}
LANES lanes p_odd(pairs a) {
    return _mm512_castsi512_ps(_mm512_and_epi32(a, _mm512_set1_epi32((int)0xffff0000)));
}
LANES lanes v_load_bf16(const uint16_t *p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}
LANES void v_load_pairs(const uint16_t *p, lanes *even, lanes *odd) {
    *even = p_even(p_load(p));
    *odd = p_odd(p_load(p));
}
/* PAIRS_NATIVE: the CPU has AVX-512-BF16. Its conversions round like v_bf16 but for denormals, which the
 * callers have flushed. */
#if defined(PAIRS_NATIVE)
LANES lanes p_dot(pairs a, pairs b, lanes c) {
    return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b);
}
LANES void p_store_row(uint16_t *p, lanes a) {
    _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh(a));
}
LANES pairs p_of_two(lanes even, lanes odd) {
    const __m512i lanes_of_both = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4,
                                                   19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(lanes_of_both, (__m512i)_mm512_cvtne2ps_pbh(odd, even));
}
LANES void p_store(void *p, lanes even, lanes odd) {
    _mm512_storeu_si512(p, p_of_two(even, odd));
}
/* Thirty-two bf16 of two rows each as pairs, of which quarter i of lo and hi holds columns 8i and 8i + 4 on; and back: the columns in order. */
LANES void p_interleave(const uint16_t *even, const uint16_t *odd, pairs *lo, pairs *hi) {
    const __m512i e = _mm512_loadu_si512(even), o = odd ? _mm512_loadu_si512(odd) : _mm512_setzero_si512();
    *lo = _mm512_unpacklo_epi16(e, o);
    *hi = _mm512_unpackhi_epi16(e, o);
}
LANES void v_in_order(lanes *lo, lanes *hi) {
    const __m512d a = _mm512_castps_pd(*lo), b = _mm512_castps_pd(*hi);
    *lo = _mm512_castpd_ps(_mm512_permutex2var_pd(a, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), b));
    *hi = _mm512_castpd_ps(_mm512_permutex2var_pd(a, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), b));
}
#define P_ROW
/* Thirty-two values of a row as sixteen pairs, in lanes. */
LANES lanes p_row(const float *p) {
    return (lanes)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(p + LANES_N), _mm512_loadu_ps(p));
}
#else
LANES void p_store_row(uint16_t *p, lanes a) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(v_bf16(a)), 16)));
}
LANES void p_store(void *p, lanes even, lanes odd) {
    __m512i low = _mm512_srli_epi32(_mm512_castps_si512(v_bf16(even)), 16);
    _mm512_storeu_si512(p, _mm512_or_epi32(low, _mm512_castps_si512(v_bf16(odd))));
}
#endif

LANES pairs p_join(lanes even, lanes odd) {
    return _mm512_or_epi32(_mm512_srli_epi32(_mm512_castps_si512(even), 16), _mm512_castps_si512(odd));
}
LANES __m512 q8_floats(__m512i integers, __m512 scales) {
    return _mm512_mul_ps(_mm512_cvtepi32_ps(integers), scales);
}
#if defined(PAIRS_NATIVE)
/* Each scale twice: values are taken in the order of memory, pair after pair. */
typedef struct q8_scales {
    __m512 lo, hi;
} q8_scales;
LANES q8_scales q8_load(const void *p) {
    const __m512i lo = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    __m512 s = _mm512_loadu_ps(p);
    return (q8_scales){_mm512_permutexvar_ps(lo, s),
                       _mm512_permutexvar_ps(_mm512_add_epi32(lo, _mm512_set1_epi32(8)), s)};
}
LANES pairs p_load_q8(const int8_t *p, q8_scales s) {
    __m512i lo = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p));
    __m512i hi = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p + 1));
    return (__m512i)_mm512_cvtne2ps_pbh(q8_floats(hi, s.hi), q8_floats(lo, s.lo));
}
LANES void v_load_q8(const int8_t *p, q8_scales s, lanes *even, lanes *odd) {
    pairs both = p_load_q8(p, s);
    *even = p_even(both);
    *odd = p_odd(both);
}
#else
typedef lanes q8_scales;
LANES q8_scales q8_load(const void *p) {
    return v_load(p);
}
/* The product's first 8 bits, rounded to nearest even: Veltkamp's splitting, which test_matrix_q8 tries on each integer and scale. */
LANES __m512 q8_round(__m512i integers, __m512 scales) {
    __m512 p = q8_floats(integers, scales), t = _mm512_mul_ps(p, _mm512_set1_ps(65537));
    return _mm512_sub_ps(t, _mm512_sub_ps(t, p));
}
LANES void v_load_q8(const int8_t *p, q8_scales s, lanes *even, lanes *odd) {
    __m512i both = _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)p));
    *even = q8_round(_mm512_srai_epi32(_mm512_slli_epi32(both, 24), 24), s);
    *odd = q8_round(_mm512_srai_epi32(both, 8), s);
}
LANES pairs p_load_q8(const int8_t *p, q8_scales s) {
    lanes even, odd;
    v_load_q8(p, s, &even, &odd);
    return p_join(even, odd);
}
#endif
LANES void p_put(void *p, pairs a) {
    _mm512_storeu_si512(p, a);
}
#define P_TURN
/* See body_pack_pairs.h. Pairs of columns first, inside 64 bits; then the 8 x 8 of those are transposed. */
LANES void p_turn(const char *w, char *to) {
    const __m512i columns = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
    __m512i r[8], t[8];
#pragma GCC unroll 8
    for (int a = 0; a < 8; a++)
        r[a] = _mm512_shuffle_epi8(_mm512_loadu_si512(w + 64 * a), columns);
#pragma GCC unroll 4
    for (int a = 0; a < 8; a += 2) { /* even columns' and odd ones' of two lines */
        t[a] = _mm512_unpacklo_epi64(r[a], r[a + 1]);
        t[a + 1] = _mm512_unpackhi_epi64(r[a], r[a + 1]);
    }
#pragma GCC unroll 2
    for (int c = 0; c < 2; c++) {
        __m512i a = _mm512_shuffle_i64x2(t[c], t[2 + c], 0x88), b = _mm512_shuffle_i64x2(t[4 + c], t[6 + c], 0x88);
        __m512i d = _mm512_shuffle_i64x2(t[c], t[2 + c], 0xdd), e = _mm512_shuffle_i64x2(t[4 + c], t[6 + c], 0xdd);
        _mm512_storeu_si512(to + 64 * c, _mm512_shuffle_i64x2(a, b, 0x88));
        _mm512_storeu_si512(to + 64 * (c + 4), _mm512_shuffle_i64x2(a, b, 0xdd));
        _mm512_storeu_si512(to + 64 * (c + 2), _mm512_shuffle_i64x2(d, e, 0x88));
        _mm512_storeu_si512(to + 64 * (c + 6), _mm512_shuffle_i64x2(d, e, 0xdd));
    }
}

#define HEADS_TOGETHER 4 /* of attention */
#define KEYS_TOGETHER 4 /* of its backward pass */
#define ROWS_TOGETHER 4 /* of attention's query rows */
#define PAIR_ROWS 12
#define PAIR_COLS 2
#define TILE_ROWS 12
#define BOTH_WEIGHTS 12
