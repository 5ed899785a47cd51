/* The architectures agon runs: all are llama's decoder, and differ in what this table says. Adding one is a line of it. */
#ifndef MODEL_ARCHITECTURE_H
#define MODEL_ARCHITECTURE_H

#include <stdbool.h>

typedef enum window_rule {
    WINDOW_NONE,      /* never a sliding window */
    WINDOW_ALWAYS,    /* one, unless its configuration says null */
    WINDOW_BY_SWITCH, /* one where use_sliding_window says so, from some layer on */
} window_rule;

typedef struct architecture {
    const char *name;       /* Hugging Face model_type, which model_config holds */
    const char *hf_class;   /* "Llama" of LlamaForCausalLM */
    const char *gguf_name;  /* general.architecture */
    bool interleaved;       /* a GGUF file has the rows of q and k in interleaved order */
    bool qkv_bias, qk_norm; /* what its class computes; a GGUF file's tensors say what that model has */
    window_rule window;
} architecture;

/* The names, for messages: of a Hugging Face folder, of a GGUF file. */
#define ARCHITECTURES_HF "llama (also SmolLM2), mistral, qwen2 and qwen3"
#define ARCHITECTURES_GGUF "llama (also SmolLM2, Mistral), qwen2 and qwen3"

/* By model_type; NULL: there is none. */
const architecture *architecture_find(const char *name);
/* By general.architecture, the one that has this name in both worlds; NULL: there is none. */
const architecture *architecture_find_gguf(const char *gguf_name);

#endif
