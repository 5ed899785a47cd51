#!/usr/bin/env python3
"""agon beside transformers (and llama.cpp): small random models of each architecture, made by transformers, in both directions.

    scripts/reference/interop.py [--agon build/agon] [--python PYTHON] [--model GGUF]

With --model also: that model exported by agon as GGUF, its tokens and greedy answers in llama.cpp against agon's. SentencePiece-style tokenizers of
tests/golden/tokenizer_spm.json go from a folder through agon's GGUF, read by llama.cpp, to a folder, read by transformers. Prints a line of JSON a model: the largest difference of logits and log_probs, of the gradient's norm, and of the weights after three
steps of AdamW (in units of the learning rate); whether the greedy text is the same, there and after export as Hugging Face folder
and as GGUF. Without --python it makes a virtual environment in ${XDG_CACHE_HOME:-~/.cache}/agon/interop once and installs torch,
transformers and llama-cpp-python there (PIP_EXTRA_INDEX_URL may name an index with builds of torch for CPUs). Never part of the tests: they read what
transformers_models.py wrote."""
import argparse, json, os, pathlib, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ["torch", "transformers", "safetensors", "numpy"]


def environment():
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "agon" / "interop"
    python = cache / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(cache / "venv")], check=True)
        pip = [str(python), "-m", "pip", "install", "-q"]
        subprocess.run(pip + PACKAGES, check=True)
        subprocess.run(pip + ["llama-cpp-python"], check=False)  # "not run" where it does not build
    return str(python)


def architectures():
    from transformers import LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config
    common = dict(vocab_size=528, hidden_size=64, intermediate_size=112, num_hidden_layers=3, num_attention_heads=4,
                  num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.25, bos_token_id=0, eos_token_id=0,
                  attn_implementation="eager")
    scaling = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=8192)
    return {
        "llama": LlamaConfig(**common, tie_word_embeddings=False, rope_theta=500000.0, rope_scaling=scaling, rope_parameters=scaling),
        "smollm2": LlamaConfig(**common, tie_word_embeddings=True, rope_theta=100000.0, rope_parameters=dict(rope_type="default", rope_theta=100000.0)),
        "mistral": MistralConfig(**common, tie_word_embeddings=False, sliding_window=None, rope_theta=1000000.0,
                                 rope_parameters=dict(rope_type="default", rope_theta=1000000.0)),
        "qwen2": Qwen2Config(**common, tie_word_embeddings=True, rope_theta=1000000.0, rope_parameters=dict(rope_type="default", rope_theta=1000000.0)),
        "qwen3": Qwen3Config(**common, head_dim=24, tie_word_embeddings=False, rope_theta=1000000.0,
                             rope_parameters=dict(rope_type="default", rope_theta=1000000.0)),
    }


PROMPTS = ["The sea is wide and", "two and two make", "1234567890 and then some words of a longer text, so that positions count"]
ROWS = [{"prompt": "Name a colour.", "completion": " Blue is one, and red is another."}, {"prompt": "2 + 2", "completion": " = 4"},
        {"prompt": "Why?", "completion": " Because the birds sing in the morning, and nobody asks them to stop."}]
NEW, LR, STEPS = 24, 1e-3, 3


class Agon:
    def __init__(self, path):
        self.path = path

    def lines(self, *arguments, rows=()):
        text = "\n".join(json.dumps(r) for r in rows)
        run = subprocess.run([self.path, *arguments], input=text, capture_output=True, text=True)
        if run.returncode:
            sys.exit("agon " + " ".join(arguments) + ": " + run.stderr)
        return [json.loads(line) for line in run.stdout.split("\n") if line]

    def greedy(self, model, prompts):
        rows = self.lines("generate", "--model", str(model), "--json", "--dtype", "f32", "--temperature", "0", "--max-tokens", str(NEW),
                          rows=[{"prompt": p} for p in prompts])
        return [r["completions"][0] for r in rows]


def same(answers, want):
    """agon ends at any of the tokenizer's end tokens, the loops below only at EOS: so much must be equal."""
    return all(a["tokens"] == w[:len(a["tokens"])] and (a["finish"] == "stop" or len(a["tokens"]) == len(w)) for a, w in zip(answers, want))


def greedy_there(model, prompts):
    import torch
    out = []
    for p in prompts:
        ids = list(p)
        for _ in range(NEW):
            with torch.no_grad():
                ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
            if ids[-1] == 0:
                break
        out.append(ids[len(p):])
    return out


def greedy_llama(path, texts, prompts, ends=(0,)):
    """Are llama.cpp's tokens of the texts the prompts, and its greedy answers to them?"""
    try:
        from llama_cpp import Llama
    except ImportError:
        return None, None
    llama = Llama(model_path=str(path), n_ctx=256, verbose=False, logits_all=False)
    equal = all(llama.tokenize(x.encode(), add_bos=False, special=False) == p for x, p in zip(texts, prompts))
    out = []
    for p in prompts:
        llama.reset()
        tokens = []
        for token in llama.generate(p, temp=0.0, top_k=1, repeat_penalty=1.0):
            tokens.append(int(token))
            if len(tokens) == NEW or token in ends:
                break
        out.append(tokens)
    return equal, out


def scores(agon, folder, model, prompts):
    import torch
    worst_logit = worst_log_prob = 0.0
    answers = agon.lines("score", "--model", str(folder), "--json", "--dtype", "f32", "--top", "528",
                         rows=[{"prompt": p[:2], "completion": p[2:]} for p in prompts])
    for p, a in zip(prompts, answers):
        with torch.no_grad():
            logits = model(torch.tensor([p])).logits[0]
        there = torch.log_softmax(logits, -1)
        for t in a["top"]:
            worst_logit = max(worst_logit, abs(t["logit"] - float(logits[-1, t["id"]])))
        for i, lp in enumerate(a["log_probs"]):
            worst_log_prob = max(worst_log_prob, abs(lp - float(there[1 + i, p[2 + i]])))
    return worst_logit, worst_log_prob


def training(agon, folder, model, work):
    """Gradients: the norm at the first step, then AdamW's weights after a few."""
    import torch
    from transformers import AutoModelForCausalLM
    data, out = work / "rows.jsonl", work / "trained"
    data.write_text("".join(json.dumps(r) + "\n" for r in ROWS))
    lines = agon.lines("train", "sft", "--model", str(folder), "--data", str(data), "--output", str(out), "--dtype", "f32", "--json",
                       "--batch", str(len(ROWS)), "--steps", str(STEPS), "--lr", str(LR), "--schedule", "constant", "--warmup", "0",
                       "--clip-norm", "0", "--preview", str(len(ROWS)))
    rows = [line["preview"] for line in lines if "preview" in line]
    norms = [line["grad_norm"] for line in lines if "step" in line]
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=LR, betas=(0.9, 0.999), eps=1e-8, weight_decay=0)
    norm_error = 0.0
    for step in range(STEPS):
        optimiser.zero_grad()
        total, count = 0.0, 0
        for r in rows:
            prompt, answer = r["prompt"], r["responses"][0]
            logits = model(torch.tensor([prompt + answer["tokens"]])).logits[0]
            there = torch.log_softmax(logits, -1)
            for i, token in enumerate(answer["tokens"]):
                if answer["mask"][i] > 0:
                    total, count = total - there[len(prompt) + i - 1, token], count + 1
        (total / count).backward()
        norm = float(torch.sqrt(sum((p.grad ** 2).sum() for p in model.parameters())))
        # Of the first step: later ones differ more, where AdamW made an element's rounding into a step of its own sign.
        norm_error = abs(norm - norms[0]) / norm if step == 0 else norm_error
        optimiser.step()
    trained = dict(AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).named_parameters())
    worst, apart, n = 0.0, 0, 0
    for name, p in model.named_parameters():
        d = (p.detach() - trained[name].detach()).abs() / LR
        worst, apart, n = max(worst, float(d.max())), apart + int((d > 0.01).sum()), n + d.numel()
    return norm_error, worst, apart / n


def check(agon, name, config, work):
    import torch
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
    torch.manual_seed(11)
    folder = work / name
    model = AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():  # norms and biases that say something
        for n, p in model.named_parameters():
            if p.dim() == 1:
                p.add_(torch.randn_like(p) * 0.2)
    model.save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(ROOT / "tests" / "golden" / "tokenizer_small.json"), eos_token="<|endoftext|>")
    tokenizer.save_pretrained(folder)
    prompts = [tokenizer(p)["input_ids"] for p in PROMPTS]
    result = {"model": name, "parameters": sum(p.numel() for p in model.parameters())}
    result["logit_difference"], result["log_prob_difference"] = scores(agon, folder, model, prompts)
    want = greedy_there(model, prompts)
    result["greedy_equal"] = same(agon.greedy(folder, prompts), want)
    agon.lines("export", "--json", "--model", str(folder), "--format", "hf", "--dtype", "f32", "--output", str(work / (name + "-hf")))
    back = AutoModelForCausalLM.from_pretrained(work / (name + "-hf"), dtype=torch.float32, attn_implementation="eager").eval()
    result["exported_hf_greedy_equal"] = greedy_there(back, prompts) == want
    gguf = work / (name + ".gguf")
    agon.lines("export", "--json", "--model", str(folder), "--format", "gguf", "--dtype", "f32", "--output", str(gguf))
    result["exported_gguf_greedy_equal"] = same(agon.greedy(gguf, prompts), want)
    equal, there = greedy_llama(gguf, PROMPTS, prompts)
    result["llama_cpp_tokens_equal"] = "not run" if there is None else equal
    result["llama_cpp_greedy_equal"] = "not run" if there is None else there == want
    torch.manual_seed(11)
    sub = work / (name + "-training")
    sub.mkdir()
    result["gradient_norm_relative_difference"], result["adamw_largest_difference_in_lr"], result["adamw_share_apart"] = \
        training(agon, folder, model, sub)
    return result


TEXTS = PROMPTS + ["Café, naïve: 3.14159 + 12345", "def f(x):\n    return x + 1\n", "中文和日本語、🙂 emoji\t tabs  and   spaces", "It's I'll we'VE"]


def real_model(agon, model, work):
    """Weights that were trained: exported as GGUF, the file read by both."""
    path = work / "real.gguf"
    agon.lines("export", "--json", "--model", model, "--format", "gguf", "--dtype", "f32", "--output", str(path))
    prompts = [json.loads(subprocess.run([agon.path, "tokenize", "--model", str(path), "--plain", "--json"], input=x, capture_output=True,
                                         text=True, check=True).stdout)["tokens"] for x in TEXTS]
    answers = agon.greedy(path, prompts)
    ends = {a["tokens"][-1] for a in answers if a["finish"] == "stop"}
    equal, there = greedy_llama(path, TEXTS, prompts, ends)
    return {"model": pathlib.Path(model).name, "llama_cpp_tokens_equal": "not run" if there is None else equal,
            "llama_cpp_greedy_equal": "not run" if there is None else there == [a["tokens"] for a in answers]}


def spm_tokenizer(agon, golden, variant, config, work):
    """Ids of the golden texts in llama.cpp from agon's GGUF, and in transformers from agon's folder of that GGUF; expected: tokenizers'."""
    import copy
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
    data = copy.deepcopy(golden["tokenizer"])
    model = data["model"]
    cuts, _ = model.pop("cuts"), model.pop("trained")
    data.update({k: variant[k] for k in ("normalizer", "pre_tokenizer", "decoder")})
    model.update(merges=cuts, fuse_unk=variant["fuse_unk"])
    tok = Tokenizer.from_str(json.dumps(data))
    folder, gguf, back = (work / ("spm-" + variant["name"] + end) for end in ("", ".gguf", "-back"))
    config.vocab_size = tok.get_vocab_size() + 5
    AutoModelForCausalLM.from_config(config).float().save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tok, bos_token="<s>", eos_token="</s>", unk_token="<unk>").save_pretrained(folder)
    for source, form, target in ((folder, "gguf", gguf), (gguf, "hf", back)):
        agon.lines("export", "--json", "--model", str(source), "--format", form, "--dtype", "f32", "--output", str(target))
    # "<strip>" swallows spaces, which GGUF cannot say; a NUL ends a C string.
    texts = [t for t in (bytes.fromhex(h).decode() for h in golden["texts"]) if "<strip>" not in t and "\0" not in t]
    want = [tok.encode(t, add_special_tokens=False).ids for t in texts]
    there = AutoTokenizer.from_pretrained(back)
    result = {"tokenizer": "SentencePiece, " + variant["name"], "texts": len(texts),
              "exported_hf_tokens_equal": [there(t, add_special_tokens=False)["input_ids"] for t in texts] == want}
    try:
        from llama_cpp import Llama
        llama = Llama(model_path=str(gguf), n_ctx=256, verbose=False, vocab_only=True)
        result["llama_cpp_tokens_equal"] = [llama.tokenize(t.encode(), add_bos=False, special=True) for t in texts] == want
    except ImportError:
        result["llama_cpp_tokens_equal"] = "not run"
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--agon", default=str(ROOT / "build" / "agon"))
    parser.add_argument("--python")
    parser.add_argument("--model")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if not a.inside:
        python = a.python or environment()
        os.execv(python, [python, __file__, "--inside", "--agon", a.agon] + (["--model", a.model] if a.model else []))
    import torch, transformers
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    print(json.dumps({"transformers": transformers.__version__, "torch": torch.__version__}), flush=True)
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for name, config in architectures().items():
            r = check(Agon(a.agon), name, config, pathlib.Path(folder))
            print(json.dumps(r), flush=True)
            good = good and all(r[k] is not False for k in r) and r["logit_difference"] < 1e-3
        golden = json.loads((ROOT / "tests" / "golden" / "tokenizer_spm.json").read_text())
        for variant in golden["variants"]:
            if variant["name"] in ("prepend", "replace"):  # llama.cpp knows no other way with spaces
                r = spm_tokenizer(Agon(a.agon), golden, variant, architectures()["smollm2"], pathlib.Path(folder))
                print(json.dumps(r), flush=True)
                good = good and all(r[k] is not False for k in r)
        if a.model:
            r = real_model(Agon(a.agon), a.model, pathlib.Path(folder))
            print(json.dumps(r), flush=True)
            good = good and all(r[k] is not False for k in r)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
