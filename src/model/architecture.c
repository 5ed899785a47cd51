/* The table of architectures, see architecture.h. */
#include "model/architecture.h"
#include <stddef.h>
#include <string.h>

static const architecture table[] = {
    {"llama", "Llama", "llama", .interleaved = true, .window = WINDOW_NONE},
    {"mistral", "Mistral", "llama", .interleaved = true, .window = WINDOW_ALWAYS}, /* llama.cpp runs Mistral as llama */
    {"qwen2", "Qwen2", "qwen2", .qkv_bias = true, .window = WINDOW_BY_SWITCH},
    {"qwen3", "Qwen3", "qwen3", .qk_norm = true, .window = WINDOW_BY_SWITCH},
};
enum { N_ARCHITECTURES = sizeof table / sizeof *table };

const architecture *architecture_find(const char *name) {
    for (size_t i = 0; i < N_ARCHITECTURES; i++)
        if (strcmp(name, table[i].name) == 0)
            return &table[i];
    return NULL;
}

const architecture *architecture_find_gguf(const char *gguf_name) {
    const architecture *a = architecture_find(gguf_name);
    return a && strcmp(a->gguf_name, gguf_name) == 0 ? a : NULL;
}
