#include "base/numerics.h"
#include <string.h>

static const struct {
    const char *name;
    agon_numerics numerics;
    bool native, bf16_attention;
} all[] = {
    {"portable", AGON_NUMERICS_PORTABLE, false, false},
    {"native", AGON_NUMERICS_NATIVE, true, false},
    {"portable-bf16-attention", AGON_NUMERICS_PORTABLE_BF16_ATTENTION, false, true},
    {"native-bf16-attention", AGON_NUMERICS_NATIVE_BF16_ATTENTION, true, true},
};
enum { N_NUMERICS = sizeof all / sizeof *all };

static int index_of(agon_numerics numerics) {
    for (int i = 0; i < N_NUMERICS; i++)
        if (all[i].numerics == numerics)
            return i;
    return -1;
}

const char *numerics_name(agon_numerics numerics) {
    const int i = index_of(numerics);
    return i < 0 ? NULL : all[i].name;
}

bool numerics_of_name(const char *name, agon_numerics *out) {
    for (int i = 0; name && i < N_NUMERICS; i++)
        if (strcmp(all[i].name, name) == 0) {
            *out = all[i].numerics;
            return true;
        }
    return false;
}

agon_numerics numerics_of(bool native, bool bf16_attention) {
    if (bf16_attention)
        return native ? AGON_NUMERICS_NATIVE_BF16_ATTENTION : AGON_NUMERICS_PORTABLE_BF16_ATTENTION;
    return native ? AGON_NUMERICS_NATIVE : AGON_NUMERICS_PORTABLE;
}

bool numerics_is_native(agon_numerics numerics) {
    const int i = index_of(numerics);
    return i >= 0 && all[i].native;
}

bool numerics_has_bf16_attention(agon_numerics numerics) {
    const int i = index_of(numerics);
    return i >= 0 && all[i].bf16_attention;
}
