/* Dequantisation of the GGUF block formats, bit for bit as the reference does it (ggml's block layouts;
 * golden values from its Python implementation, scripts/reference/quants.py).
 *
 * A block holds `block` values: one or two f16 scales and packed integers. In the "_0" formats a value
 * is d*q with q centred on zero, in the "_1" formats d*q + m. The "_K" formats have 256 values in
 * groups of 16 or 32, each group with an integer scale (and minimum) of its own.
 * Every product and sum is one f32 operation in the order written here, and no operand is a
 * denormal f32, so the result does not depend on the floating-point mode. */
#include "model/quants.h"
#include <math.h>
#include <string.h>

static uint16_t load16(const uint8_t *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}

static float float_of(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t bits_of(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

float f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h >> 15) << 31, exponent = (h >> 10) & 31u, fraction = h & 1023u;
    /* Subnormal halves by an integer conversion: exact, and never a denormal f32. */
    uint32_t small = bits_of((float)fraction * 0x1p-24f);
    uint32_t normal = (exponent + 112) << 23 | fraction << 13;
    uint32_t special = 0x7f800000u | fraction << 13;
    return float_of(sign | (exponent == 0 ? small : exponent == 31 ? special : normal));
}

uint16_t f16_from_f32(float x) {
    uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x47800000u) /* 2^16 and above, infinity included */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude >= 0x38800000u) /* 2^-14: a normal half */
        return (uint16_t)(sign | (magnitude + 0xfffu + (magnitude >> 13 & 1) - 0x38000000u) >> 13);
    if (magnitude < 0x33000000u) /* below 2^-25 rounds to zero */
        return (uint16_t)sign;
    uint32_t fraction = (magnitude & 0x7fffffu) | 0x800000u, shift = 126 - (magnitude >> 23);
    uint32_t half = fraction >> shift, rest = fraction & ((1u << shift) - 1), tie = 1u << (shift - 1);
    return (uint16_t)(sign | (half + (rest > tie || (rest == tie && (half & 1)))));
}

uint16_t bf16_from_f32(float x) {
    uint32_t bits = bits_of(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

/* ---- plain types ------------------------------------------------------------------------------- */

static void from_f32(const uint8_t *source, size_t n, float *out) {
    memcpy(out, source, n * sizeof *out);
}

static void from_f16(const uint8_t *source, size_t n, float *out) {
    for (size_t i = 0; i < n; i++)
        out[i] = f16_to_f32(load16(source + 2 * i));
}

static void from_bf16(const uint8_t *source, size_t n, float *out) {
    for (size_t i = 0; i < n; i++)
        out[i] = float_of((uint32_t)load16(source + 2 * i) << 16);
}

/* ---- blocks of 32 ------------------------------------------------------------------------------ */

static void from_q8_0(const uint8_t *source, size_t n_blocks, float *out) {
    for (size_t b = 0; b < n_blocks; b++, source += 34, out += 32) {
        float d = f16_to_f32(load16(source));
        for (int i = 0; i < 32; i++)
            out[i] = (float)(int8_t)source[2 + i] * d;
    }
}

void quant_split_q8_0(const uint8_t *source, size_t n_blocks, int8_t *integers, float *scales) {
    for (size_t b = 0; b < n_blocks; b++, source += 34) {
        scales[b] = f16_to_f32(load16(source));
        memcpy(integers + 32 * b, source + 2, 32);
    }
}

/* In the four- and five-bit formats byte i holds value i (low nibble) and value i + 16 (high nibble). */
static void from_q4_0(const uint8_t *source, size_t n_blocks, float *out) {
    for (size_t b = 0; b < n_blocks; b++, source += 18, out += 32) {
        float d = f16_to_f32(load16(source));
        const uint8_t *q = source + 2;
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)((q[i] & 15) - 8);
            out[i + 16] = d * (float)((q[i] >> 4) - 8);
        }
    }
}

static void from_q4_1(const uint8_t *source, size_t n_blocks, float *out) {
    for (size_t b = 0; b < n_blocks; b++, source += 20, out += 32) {
        float d = f16_to_f32(load16(source)), m = f16_to_f32(load16(source + 2));
        const uint8_t *q = source + 4;
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)(q[i] & 15) + m;
            out[i + 16] = d * (float)(q[i] >> 4) + m;
        }
    }
}

static uint32_t load32(const uint8_t *p) {
    return (uint32_t)load16(p) | (uint32_t)load16(p + 2) << 16;
}

/* The fifth bits of the 32 values are one little-endian word, value i in bit i. */
static int five_low(const uint8_t *q, uint32_t high, int i) {
    return (q[i] & 15) | (int)(high >> i & 1) << 4;
}

static int five_high(const uint8_t *q, uint32_t high, int i) {
    return (q[i] >> 4) | (int)(high >> (i + 16) & 1) << 4;
}

static void from_q5_0(const uint8_t *source, size_t n_blocks, float *out) {
    for (size_t b = 0; b < n_blocks; b++, source += 22, out += 32) {
        float d = f16_to_f32(load16(source));
        uint32_t high = load32(source + 2);
        const uint8_t *q = source + 6;
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)(five_low(q, high, i) - 16);
            out[i + 16] = d * (float)(five_high(q, high, i) - 16);
        }
    }
}

static void from_q5_1(const uint8_t *source, size_t n_blocks, float *out) {
    for (size_t b = 0; b < n_blocks; b++, source += 24, out += 32) {
        float d = f16_to_f32(load16(source)), m = f16_to_f32(load16(source + 2));
        uint32_t high = load32(source + 4);
        const uint8_t *q = source + 8;
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)five_low(q, high, i) + m;
            out[i + 16] = d * (float)five_high(q, high, i) + m;
        }
    }
}

/* ---- blocks of 256 ----------------------------------------------------------------------------- */

/* Q4_K and Q5_K: eight 6-bit scales and minima in 12 bytes. Scales 0-3 and minima 0-3 are the low six bits
 * of bytes 0-3 and 4-7; 4-7 have their low nibbles in bytes 8-11 and their top two bits above those. */
static void scale_and_minimum(const uint8_t *packed, int j, int *scale, int *minimum) {
    if (j < 4) {
        *scale = packed[j] & 63;
        *minimum = packed[j + 4] & 63;
    } else {
        *scale = (packed[j + 4] & 15) | packed[j - 4] >> 6 << 4;
        *minimum = packed[j + 4] >> 4 | packed[j] >> 6 << 4;
    }
}

/* Group j of 32 values sits in nibble j % 2 of the j/2-th run of 32 bytes. */
static void from_q4_k(const uint8_t *source, size_t n_blocks, float *out) {
    for (size_t b = 0; b < n_blocks; b++, source += 144, out += 256) {
        float d = f16_to_f32(load16(source)), d_min = f16_to_f32(load16(source + 2));
        for (int j = 0; j < 8; j++) {
            const uint8_t *q = source + 16 + j / 2 * 32;
            int scale, minimum, shift = j % 2 * 4;
            scale_and_minimum(source + 4, j, &scale, &minimum);
            float step = d * (float)scale, offset = d_min * (float)minimum;
            for (int i = 0; i < 32; i++)
                out[j * 32 + i] = step * (float)(q[i] >> shift & 15) - offset;
        }
    }
}

/* As Q4_K, with value i of group j's fifth bit in bit j of byte i of `high`. */
static void from_q5_k(const uint8_t *source, size_t n_blocks, float *out) {
    for (size_t b = 0; b < n_blocks; b++, source += 176, out += 256) {
        float d = f16_to_f32(load16(source)), d_min = f16_to_f32(load16(source + 2));
        const uint8_t *high = source + 16;
        for (int j = 0; j < 8; j++) {
            const uint8_t *q = source + 48 + j / 2 * 32;
            int scale, minimum, shift = j % 2 * 4;
            scale_and_minimum(source + 4, j, &scale, &minimum);
            float step = d * (float)scale, offset = d_min * (float)minimum;
            for (int i = 0; i < 32; i++)
                out[j * 32 + i] =
                    step * (float)((q[i] >> shift & 15) | (high[i] >> j & 1) << 4) - offset;
        }
    }
}

/* Two halves of 128 values; in each, run r (of four) of 32 values takes nibble r/2 of bytes (r%2)*32.. of `low` and bit
 * pair r of the 32 bytes of `high`; sixteen values share a signed 8-bit scale. */
static void from_q6_k(const uint8_t *source, size_t n_blocks, float *out) {
    for (size_t b = 0; b < n_blocks; b++, source += 210, out += 256) {
        float d = f16_to_f32(load16(source + 208));
        for (int half = 0; half < 2; half++) {
            const uint8_t *low = source + half * 64, *high = source + 128 + half * 32;
            const uint8_t *scales = source + 192 + half * 8;
            for (int r = 0; r < 4; r++) {
                const uint8_t *q = low + r % 2 * 32;
                float *to = out + half * 128 + r * 32;
                int shift = r / 2 * 4;
                for (int i = 0; i < 32; i++) {
                    float step = d * (float)(int8_t)scales[r * 2 + i / 16];
                    int value = (q[i] >> shift & 15) | (high[i] >> (r * 2) & 3) << 4;
                    to[i] = step * (float)(value - 32);
                }
            }
        }
    }
}

/* ---- the table --------------------------------------------------------------------------------- */

static const quant_type types[] = {
    {"F32", 0, 1, 4, from_f32},           {"F16", 1, 1, 2, from_f16},
    {"Q4_0", 2, 32, 18, from_q4_0},       {"Q4_1", 3, 32, 20, from_q4_1},
    {"Q5_0", 6, 32, 22, from_q5_0},       {"Q5_1", 7, 32, 24, from_q5_1},
    {"Q8_0", 8, 32, 34, from_q8_0},       {"Q4_K", 12, 256, 144, from_q4_k},
    {"Q5_K", 13, 256, 176, from_q5_k},    {"Q6_K", 14, 256, 210, from_q6_k},
    {"BF16", 30, 1, 2, from_bf16},
};
enum { N_TYPES = sizeof types / sizeof types[0] };

const quant_type *quant_find(const char *name) {
    for (size_t i = 0; i < N_TYPES; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

const quant_type *quant_find_gguf(uint32_t gguf_id) {
    for (size_t i = 0; i < N_TYPES; i++)
        if (types[i].gguf_id == gguf_id)
            return &types[i];
    return NULL;
}

const char *quant_gguf_name(uint32_t gguf_id) {
    static const char *const names[] = {
        "F32",     "F16",    "Q4_0",    "Q4_1",    "Q4_2",   "Q4_3",  "Q5_0",  "Q5_1",
        "Q8_0",    "Q8_1",   "Q2_K",    "Q3_K",    "Q4_K",   "Q5_K",  "Q6_K",  "Q8_K",
        "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S",   "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS",
        "I8",      "I16",    "I32",     "I64",     "F64",    "IQ1_M", "BF16",
    };
    return gguf_id < sizeof names / sizeof names[0] ? names[gguf_id] : "unknown";
}

/* ---- storing ----------------------------------------------------------------------------------- */

static void store16(uint8_t *p, uint16_t x) {
    p[0] = (uint8_t)x;
    p[1] = (uint8_t)(x >> 8);
}

/* d = max |x| / 127; q = x/d rounded half away from zero, as the reference. */
static void to_q8_0(const float *x, size_t n_blocks, uint8_t *out) {
    for (size_t b = 0; b < n_blocks; b++, x += 32, out += 34) {
        float largest = 0;
        for (int i = 0; i < 32; i++)
            largest = fmaxf(largest, fabsf(x[i]));
        float d = largest / 127, inverse = d == 0 ? 0 : 1 / d;
        store16(out, f16_from_f32(d));
        for (int i = 0; i < 32; i++)
            out[2 + i] = (uint8_t)(int8_t)fmaxf(-127, fminf(127, roundf(x[i] * inverse)));
    }
}

void quant_store(const quant_type *type, const float *values, size_t n, uint8_t *out) {
    switch (type->gguf_id) {
    case 0:
        memcpy(out, values, n * sizeof *values);
        break;
    case 1:
        for (size_t i = 0; i < n; i++)
            store16(out + 2 * i, f16_from_f32(values[i]));
        break;
    case 8:
        to_q8_0(values, n / 32, out);
        break;
    default:
        for (size_t i = 0; i < n; i++)
            store16(out + 2 * i, bf16_from_f32(values[i]));
    }
}
