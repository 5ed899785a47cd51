#!/usr/bin/env python3
"""tests/golden/tiny-text.gguf: a random two-layer llama over bytes with a ChatML tokenizer, for tests of the command
that need real text, training and export within a second.

Needs: pip install numpy gguf. Run from the source root: python3 scripts/reference/tiny_text_model.py
"""
import gguf
import numpy as np

D, FF, HEADS, KV, HEAD, LAYERS = 32, 64, 4, 2, 8, 2


def byte_characters():
    """GPT-2's printable stand-ins of the 256 bytes."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    extra = (b for b in range(256) if b not in kept)
    stand_in = {b: chr(256 + i) for i, b in enumerate(extra)}
    return [stand_in.get(b, chr(b)) for b in range(256)]


special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
merges = ["t h", "th e", "Ġ the", "Ġ a", "i n", "e r", "o n"]
tokens = special + byte_characters() + [m.replace(" ", "") for m in merges]
rng = np.random.default_rng(1)


def random(*shape):
    return (rng.standard_normal(shape) * 0.2).astype(np.float32)


def permute(x, n_head):
    return x.reshape(n_head, 2, x.shape[0] // n_head // 2, x.shape[1]).swapaxes(1, 2).reshape(x.shape)


w = gguf.GGUFWriter("tests/golden/tiny-text.gguf", "llama")
w.add_block_count(LAYERS)
w.add_context_length(2048)
w.add_embedding_length(D)
w.add_feed_forward_length(FF)
w.add_head_count(HEADS)
w.add_head_count_kv(KV)
w.add_layer_norm_rms_eps(1e-5)
w.add_rope_freq_base(10000.0)
w.add_rope_dimension_count(HEAD)
w.add_vocab_size(len(tokens))
w.add_tokenizer_model("gpt2")
w.add_tokenizer_pre("smollm")
w.add_token_list(tokens)
w.add_token_types([3] * len(special) + [1] * (len(tokens) - len(special)))
w.add_token_merges(merges)
w.add_bos_token_id(1)
w.add_eos_token_id(2)
w.add_add_bos_token(False)
w.add_chat_template("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content']"
                    " + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
                    "{{ '<|im_start|>assistant\n' }}{% endif %}")


def add(name, x):
    w.add_tensor(name, gguf.quants.quantize(x, gguf.GGMLQuantizationType.F16), raw_dtype=gguf.GGMLQuantizationType.F16)


add("token_embd.weight", random(len(tokens), D))
for i in range(LAYERS):
    g = f"blk.{i}."
    w.add_tensor(g + "attn_norm.weight", 1 + random(D))
    add(g + "attn_q.weight", permute(random(HEADS * HEAD, D), HEADS))
    add(g + "attn_k.weight", permute(random(KV * HEAD, D), KV))
    add(g + "attn_v.weight", random(KV * HEAD, D))
    add(g + "attn_output.weight", random(D, HEADS * HEAD))
    w.add_tensor(g + "ffn_norm.weight", 1 + random(D))
    add(g + "ffn_gate.weight", random(FF, D))
    add(g + "ffn_up.weight", random(FF, D))
    add(g + "ffn_down.weight", random(D, FF))
w.add_tensor("output_norm.weight", 1 + random(D))
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
