/* Stored number types of GGUF and safetensors: layout, exact values as f32, and the few we write. */
#ifndef MODEL_QUANTS_H
#define MODEL_QUANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct quant_type {
    const char *name;     /* "F32", "BF16", "Q4_1", ... */
    uint32_t gguf_id;     /* the type number in a GGUF file */
    size_t block, bytes;  /* values in a block, bytes of one */
    /* Values of n_blocks blocks; out [n_blocks * block]. */
    void (*dequantize)(const uint8_t *source, size_t n_blocks, float *out);
} quant_type;

/* NULL: not a type we read. */
const quant_type *quant_find(const char *name);
const quant_type *quant_find_gguf(uint32_t gguf_id);
/* The name of any GGUF type number, readable or not, for error sentences; "unknown" at worst. */
const char *quant_gguf_name(uint32_t gguf_id);

float f16_to_f32(uint16_t h);
/* Round to nearest, ties to even; overflow gives infinity. */
uint16_t f16_from_f32(float x);
uint16_t bf16_from_f32(float x);

/* Q8_0 as it is stored: n_blocks scales, and 32 integers each. */
void quant_split_q8_0(const uint8_t *source, size_t n_blocks, int8_t *integers, float *scales);

/* n values as `type` (F32, F16, BF16, or Q8_0 with n a multiple of 32) into out. */
void quant_store(const quant_type *type, const float *values, size_t n, uint8_t *out);

#endif
