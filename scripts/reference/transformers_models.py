#!/usr/bin/env python3
"""tests/golden/transformers/NAME: a small random model of each architecture agon runs, made and saved by transformers, and what
transformers computes with it (expected.json): logits, log_probs, gradients of a masked cross-entropy, a greedy continuation.

Needs: pip install torch transformers safetensors. Run from the source root: python3 scripts/reference/transformers_models.py [FOLDER]
The same versions and seed write the same bytes; tests/unit/api/test_transformers.c compares agon with them.
"""
import json
import pathlib
import sys

import tokenizers
import torch
import transformers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen3Config

SEED = 20261127
SPECIAL = ["<|end|>", "<|begin|>", "<|pad|>"]
N_MERGES = 18
TEXT = "Naïve Café: 12345 + 678 = 13,023. It's the theory that they'LL keep;\n\n  def f(x):\n\treturn x\r\n中文, 🙂 e\u0301 OK ThatsAll"

# ---- tokenizers: each family's cut of a text into words, over bytes and a few merges -------------------------------------------

GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
UPPER, LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
TEKKEN = (rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]*[{LOWER}]+|[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]+[{LOWER}]*|\p{{N}}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def cut(pattern):
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


CUTS = {
    "llama": cut(GPT4 % r"\p{N}{1,3}"),
    "smollm2": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]),
    "mistral": cut(TEKKEN),
    "qwen2": cut(GPT4 % r"\p{N}"),
    "qwen3": cut(GPT4 % r"\p{N}"),
}


def make_tokenizer(name):
    t = tokenizers.Tokenizer(models.BPE(ignore_merges=name in ("llama", "mistral")))
    t.pre_tokenizer, t.decoder = CUTS[name], decoders.ByteLevel()
    if name.startswith("qwen"):
        t.normalizer = normalizers.NFC()
    t.train_from_iterator([TEXT.replace("12345", "")] * 3, trainers.BpeTrainer(
        vocab_size=256 + len(SPECIAL) + N_MERGES, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    if name == "llama":  # the one family that puts a token in front
        t.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<|begin|>", eos_token="<|end|>", pad_token="<|pad|>")


# ---- models: odd widths and head counts, and each family's own parts ------------------------------------------------------------

COMMON = dict(num_hidden_layers=2, initializer_range=0.25, bos_token_id=1, eos_token_id=0, pad_token_id=2, attn_implementation="eager")


def rope(theta, **scaling):
    return dict(rope_parameters=dict(rope_theta=theta, **(scaling or dict(rope_type="default"))))


def architectures(n_tokens):
    """name: (config, the type its weights are stored in). The norm's eps is large enough to be seen."""
    llama3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)
    return {
        "llama": (LlamaConfig(**COMMON, **rope(5e5, **llama3), vocab_size=n_tokens, hidden_size=40, intermediate_size=56, num_attention_heads=5,
                              num_key_value_heads=1, head_dim=8, max_position_embeddings=512, tie_word_embeddings=False,
                              rms_norm_eps=1e-3), torch.float16),
        "smollm2": (LlamaConfig(**COMMON, **rope(1e5), vocab_size=n_tokens, hidden_size=36, intermediate_size=60, num_attention_heads=9,
                                num_key_value_heads=3, max_position_embeddings=256, tie_word_embeddings=True,
                                rms_norm_eps=2e-3), torch.bfloat16),
        "mistral": (MistralConfig(**COMMON, **rope(1e6), vocab_size=n_tokens, hidden_size=33, intermediate_size=49, num_attention_heads=6,
                                  num_key_value_heads=2, head_dim=10, max_position_embeddings=128, sliding_window=64,
                                  tie_word_embeddings=False, rms_norm_eps=1e-3), torch.bfloat16),
        "qwen2": (Qwen2Config(**COMMON, **rope(1e6), vocab_size=n_tokens + 3, hidden_size=42, intermediate_size=50, num_attention_heads=7,
                              num_key_value_heads=1, max_position_embeddings=256, tie_word_embeddings=True,
                              rms_norm_eps=1e-3), torch.bfloat16),
        "qwen3": (Qwen3Config(**COMMON, **rope(1e4), vocab_size=n_tokens + 3, hidden_size=32, intermediate_size=48, num_attention_heads=3,
                              num_key_value_heads=3, head_dim=16, max_position_embeddings=256, tie_word_embeddings=False,
                              rms_norm_eps=2e-3), torch.float32),
    }


def make_model(config, dtype, seed):
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():  # norms and biases that say something
        for p in model.parameters():
            if p.dim() == 1:
                p.add_(torch.randn_like(p) * 0.3)
    return model.to(dtype)


# ---- what transformers says -------------------------------------------------------------------------------------------------------

N_PROMPT, N_RESPONSES, LENGTHS, POSITIONS, N_GREEDY = 13, 2, (31, 11), (0, 12, 43), 24


def short(values):
    return [float(f"{float(v):.9g}") for v in values]


def rows(n_tokens, generator):
    def draw(n):
        return torch.randint(3, n_tokens, (n,), generator=generator).tolist()
    prompt = draw(N_PROMPT)
    masks = [(torch.rand(n, generator=generator) < 0.6).int().tolist() for n in LENGTHS]
    return prompt, [draw(n) for n in LENGTHS], masks


def loss_of(model, prompt, responses, masks):
    """-sum mask log_prob / sum mask, over both responses."""
    total = 0
    for response, mask in zip(responses, masks):
        logits = model(torch.tensor([prompt + response])).logits[0].float()
        there = torch.log_softmax(logits, -1)[len(prompt) - 1:-1].gather(1, torch.tensor(response)[:, None])[:, 0]
        total = total - (there * torch.tensor(mask)).sum()
    return total / sum(map(sum, masks))


def gradients(model, data):
    model.zero_grad()
    loss = loss_of(model, *data)
    loss.backward()
    return float(loss), {n: p.grad.detach().float().clone() for n, p in model.named_parameters()}


def picks(g, generator):
    """Where an element is looked at: all of a vector, of a matrix the largest and some others."""
    flat = g.flatten()
    if g.dim() == 1:
        return range(flat.numel())
    return sorted(set(flat.abs().topk(6).indices.tolist() + torch.randint(0, flat.numel(), (10,), generator=generator).tolist()))


def greedy(model, prompt):
    ids, margin = list(prompt), float("inf")
    for _ in range(N_GREEDY):
        with torch.no_grad():
            top = model(torch.tensor([ids])).logits[0, -1].topk(2)
        margin = min(margin, float(top.values[0] - top.values[1]))
        ids.append(int(top.indices[0]))
    return ids[len(prompt):], margin


def expected(folder, tokenizer, n_tokens, seed):
    generator = torch.Generator().manual_seed(seed)
    exact = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    rounded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="eager").eval()
    data = rows(n_tokens, generator)
    prompt, responses, masks = data
    sequence = torch.tensor([prompt + responses[0]])
    with torch.no_grad():
        logits, logits_bf16 = exact(sequence).logits[0], rounded(sequence).logits[0].float()
    loss, there = gradients(exact, data)
    loss_bf16, there_bf16 = gradients(rounded, data)
    tensors = []
    for name, g in there.items():
        at = list(picks(g, generator))
        tensors.append({"name": name, "norm": short([g.norm()])[0], "at": at, "values": short(g.flatten()[at]),
                        "values_bf16": short(there_bf16[name].flatten()[at])})
    answer, margin = greedy(exact, prompt)
    log_probs = torch.log_softmax(logits, -1)[:-1].gather(1, sequence[0, 1:, None])[:, 0]
    return margin, {
        "made_by": f"scripts/reference/transformers_models.py with transformers {transformers.__version__}, torch {torch.__version__}, "
                   f"tokenizers {tokenizers.__version__}, seed {seed}",
        "text": TEXT, "text_tokens": tokenizer(TEXT)["input_ids"],
        "prompt": prompt, "responses": responses, "masks": masks,
        "positions": list(POSITIONS), "logits": [short(logits[p]) for p in POSITIONS],
        "logits_bf16": [short(logits_bf16[p]) for p in POSITIONS], "log_probs": short(log_probs),
        "loss": loss, "loss_bf16": loss_bf16, "gradients": tensors, "greedy": answer, "least_margin": margin}


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/golden/transformers")
    n_tokens = 256 + len(SPECIAL) + N_MERGES
    for k, (name, (config, dtype)) in enumerate(architectures(n_tokens).items()):
        for seed in range(SEED + 100 * k, SEED + 100 * k + 100):
            folder, tokenizer = root / name, make_tokenizer(name)
            make_model(config, dtype, seed).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            margin, found = expected(folder, tokenizer, n_tokens, seed)
            if margin > 0.01 and 0 not in found["greedy"]:  # no near tie decides the greedy text, and it does not end
                break
        else:
            sys.exit(f"{name}: none of 100 seeds gives a greedy text without a near tie")
        (folder / "generation_config.json").unlink(missing_ok=True)
        (folder / "expected.json").write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items()) + "\n}\n")
        print(f"{folder}: seed {seed}, least margin {margin:.3g}")


if __name__ == "__main__":
    main()
