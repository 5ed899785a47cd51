#!/usr/bin/env python3
"""Small GGUF files by another writer than ours: tests/golden/tiny-{llama,qwen2,qwen3}.gguf, and the seeds of
tests/fuzz/corpus.

Needs: pip install numpy gguf. Run from the source root: python3 scripts/reference/tiny_models.py
Every tensor value follows from its Hugging Face name and place (value() below), so the test computes what it
expects. Rows of q and k of llama are permuted as llama.cpp's converter does.
"""
import json
import math
import struct
import zlib
import gguf
import numpy as np

KINDS = gguf.GGMLQuantizationType


def values(name, rows, columns):
    """(crc32(name) % 97 + row - column) / 64: exact in every float type here."""
    r, c = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    return ((zlib.crc32(name.encode()) % 97 + r - c) / 64).astype(np.float32)


def permute(w, n_head):
    return (w.reshape(n_head, 2, w.shape[0] // n_head // 2, *w.shape[1:])
            .swapaxes(1, 2).reshape(w.shape))


def llama3_factors(dim, theta, factor, low=1.0, high=4.0, original=8192):
    out = []
    for i in range(0, dim, 2):
        wavelength = 2 * math.pi * theta ** (i / dim)
        if wavelength < original / high:
            out.append(1.0)
        elif wavelength > original / low:
            out.append(factor)
        else:
            smooth = (original / wavelength - low) / (high - low)
            out.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(out, np.float32)


def write(path, arch, d, ff, heads, kv, head, layers, vocabulary, tied, kind, rope3=False, tokens=True):
    w = gguf.GGUFWriter(path, arch)
    w.add_block_count(layers)
    w.add_context_length(128)
    w.add_embedding_length(d)
    w.add_feed_forward_length(ff)
    w.add_head_count(heads)
    w.add_head_count_kv(kv)
    w.add_key_length(head)
    w.add_value_length(head)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_freq_base(500000.0)
    w.add_rope_dimension_count(head)
    w.add_vocab_size(vocabulary)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("smollm")
    if tokens:
        w.add_token_list([("<|t%d|>" % i) if i < 3 else chr(94 + i) for i in range(vocabulary)])
        w.add_token_types([3 if i < 3 else 1 for i in range(vocabulary)])
        w.add_token_merges(["a b", "c d"])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_add_bos_token(False)
    w.add_chat_template("{% for m in messages %}{{ m }}{% endfor %}")

    def add(stored, name, rows, columns, n_permute=0):
        x = values(name, max(rows, 1), columns)
        if rows == 0:
            x = x[0]
        if n_permute and arch == "llama":
            x = permute(x, n_permute)
        if rows and kind is not None:
            w.add_tensor(stored, gguf.quants.quantize(x, kind), raw_dtype=kind)
        else:
            w.add_tensor(stored, x)

    if rope3:
        w.add_tensor("rope_freqs.weight", llama3_factors(head, 500000.0, 8.0))
    add("token_embd.weight", "model.embed_tokens.weight", vocabulary, d)
    for i in range(layers):
        g, h = f"blk.{i}.", f"model.layers.{i}."
        add(g + "attn_norm.weight", h + "input_layernorm.weight", 0, d)
        add(g + "attn_q.weight", h + "self_attn.q_proj.weight", heads * head, d, heads)
        add(g + "attn_k.weight", h + "self_attn.k_proj.weight", kv * head, d, kv)
        add(g + "attn_v.weight", h + "self_attn.v_proj.weight", kv * head, d)
        add(g + "attn_output.weight", h + "self_attn.o_proj.weight", d, heads * head)
        if arch == "qwen2":
            add(g + "attn_q.bias", h + "self_attn.q_proj.bias", 0, heads * head)
            add(g + "attn_k.bias", h + "self_attn.k_proj.bias", 0, kv * head)
            add(g + "attn_v.bias", h + "self_attn.v_proj.bias", 0, kv * head)
        if arch == "qwen3":
            add(g + "attn_q_norm.weight", h + "self_attn.q_norm.weight", 0, head)
            add(g + "attn_k_norm.weight", h + "self_attn.k_norm.weight", 0, head)
        add(g + "ffn_norm.weight", h + "post_attention_layernorm.weight", 0, d)
        add(g + "ffn_gate.weight", h + "mlp.gate_proj.weight", ff, d)
        add(g + "ffn_up.weight", h + "mlp.up_proj.weight", ff, d)
        add(g + "ffn_down.weight", h + "mlp.down_proj.weight", d, ff)
    add("output_norm.weight", "model.norm.weight", 0, d)
    if not tied:
        add("output.weight", "lm_head.weight", vocabulary, d)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def write_safetensors(path, tensors, metadata=None):
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, dtype, array in tensors:
        header[name] = {"dtype": dtype, "shape": list(array.shape),
                        "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


golden, corpus = "tests/golden/", "tests/fuzz/corpus/"
write(golden + "tiny-llama.gguf", "llama", 32, 64, 4, 2, 8, 2, 12, True, KINDS.F16, rope3=True)
write(golden + "tiny-qwen2.gguf", "qwen2", 16, 24, 2, 1, 8, 1, 10, False, None)
write(golden + "tiny-qwen3.gguf", "qwen3", 16, 24, 2, 1, 16, 1, 10, True, KINDS.BF16)
write(corpus + "fuzz_gguf/llama-f32.gguf", "llama", 4, 4, 2, 1, 2, 1, 5, True, None)
write(corpus + "fuzz_gguf/llama-q4_1.gguf", "llama", 32, 32, 2, 1, 16, 1, 4, True, KINDS.Q4_1, tokens=False)
write(corpus + "fuzz_gguf/qwen2-f16.gguf", "qwen2", 4, 4, 2, 1, 2, 1, 5, False, KINDS.F16)

write_safetensors(corpus + "fuzz_safetensors/three-types.safetensors",
                  [("a", "F32", np.arange(6, dtype=np.float32).reshape(2, 3)),
                   ("b.weight", "F16", np.ones(4, np.float16)),
                   ("c", "BF16", np.array([[0x3f80, 0x4000]], np.uint16))],
                  {"format": "pt", "rank": "8"})
write_safetensors(corpus + "fuzz_safetensors/empty.safetensors", [])
configs = {
    "llama": {"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
              "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100, "rms_norm_eps": 1e-5,
              "max_position_embeddings": 256, "rope_theta": 500000.0, "tie_word_embeddings": True,
              "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                               "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}},
    "qwen2": {"model_type": "qwen2", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
              "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100, "rms_norm_eps": 1e-6,
              "max_position_embeddings": 256, "sliding_window": 128, "use_sliding_window": False,
              "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"}},
}
for name, config in configs.items():
    with open(corpus + f"fuzz_hf_config/{name}.json", "w") as f:
        json.dump(config, f)
