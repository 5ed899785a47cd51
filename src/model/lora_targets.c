/* The names of the layers that LoRA adapts, see model.h. */
#include "base/ctx.h"
#include "model/model_private.h"
#include <stdio.h>
#include <string.h>

enum { ALL_LINEAR = (1u << N_LINEARS) - 1 };

unsigned lora_target_find(const char *name) {
    for (int k = 0; k < N_LINEARS; k++)
        if (strcmp(name, linear_target(k)) == 0)
            return 1u << k;
    return strcmp(name, "all-linear") == 0 ? ALL_LINEAR : 0;
}

agon_status lora_targets_read(agon_ctx *ctx, const char *const *names, size_t n, unsigned *out) {
    unsigned found = 0;
    for (size_t i = 0; i < n; i++) {
        const unsigned one = lora_target_find(names[i]);
        if (!one)
            return ctx_fail(ctx, AGON_EINVAL, "adapter: unknown target '%.40s'; q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj "
                            "are known, all-linear stands for all", names[i]);
        found |= one;
    }
    *out = found == ALL_LINEAR ? 0 : found;
    return AGON_OK;
}

void lora_targets_print(unsigned targets, char out[LORA_TARGETS_SIZE]) {
    size_t n = 0;
    *out = 0;
    for (int k = 0; k < N_LINEARS; k++)
        if (targets >> k & 1)
            n += (size_t)snprintf(out + n, LORA_TARGETS_SIZE - n, "%s%s", n ? "," : "", linear_target(k));
}

unsigned lora_targets_all(unsigned targets) {
    return targets ? targets : ALL_LINEAR;
}
