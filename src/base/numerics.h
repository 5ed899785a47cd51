/* Names and parts of enum agon_numerics (docs/numerics.md): in which order products of bf16 are summed, and whether attention's are such. */
#ifndef BASE_NUMERICS_H
#define BASE_NUMERICS_H

#include "agon.h"

/* For a message: what a name may be. */
#define NUMERICS_NAMES "portable, native, portable-bf16-attention or native-bf16-attention"

/* As files and options name it; NULL: none that arithmetic can be done in. */
const char *numerics_name(agon_numerics numerics);
/* False: no such name. */
bool numerics_of_name(const char *name, agon_numerics *out);
agon_numerics numerics_of(bool native, bool bf16_attention);
bool numerics_is_native(agon_numerics numerics);
bool numerics_has_bf16_attention(agon_numerics numerics);

#endif
