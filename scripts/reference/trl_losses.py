#!/usr/bin/env python3
"""agon's preference losses beside TRL's on one batch of real weights: the same pairs, policy and reference, in f32.

    scripts/reference/trl_losses.py --model FOLDER --python PYTHON [--agon build/agon] [--pairs FILE.jsonl]

FOLDER is a Hugging Face model, the reference; the policy is a copy whose weights are moved by a seeded hundredth. PYTHON has torch, transformers and
trl (bench/compare/setup makes such an environment). Prints a line of JSON an objective: TRL's loss, agon's, the difference. agon's is
`agon loss` on the log_probs of `agon score`. Exit code 1 where a difference exceeds 1e-5 of the loss. Never part of the tests."""
import argparse, json, os, pathlib, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAIRS = [("Name a colour.", " Blue is one, and red is another.", " I do not know any."), ("2 + 2 is", " 4", " 5, as everybody knows."),
         ("Why do birds sing?", " To find each other in the morning.", " Because."), ("The capital of France is", " Paris.", " Lyon, a city on the Rhone."),
         ("Say it shortly:", " Yes.", " It may well be that yes is the right answer here."), ("Write one line.", " The sea is wide.", " Sea sea sea sea sea.")]
# TRL's loss_type and options, agon's objective and settings.
LOSSES = [("sigmoid", {}, "dpo", {"beta": 0.1}), ("robust", {"label_smoothing": 0.2}, "rdpo", {"beta": 0.1, "label_smoothing": 0.2}),
          ("hinge", {}, "rso-hinge", {"beta": 0.1}), ("ipo", {}, "ipo", {"beta": 0.1}),
          ("exo_pair", {"label_smoothing": 1e-3}, "exo-pref", {"beta": 0.1, "label_smoothing": 1e-3})]


def agon_lines(path, *arguments, text):
    run = subprocess.run([path, *arguments], input=text, capture_output=True, text=True)
    if run.returncode:
        sys.exit("agon " + " ".join(arguments) + ": " + run.stderr)
    return [json.loads(line) for line in run.stdout.split("\n") if line]


def move(model, seed):
    import torch
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1 + 0.01 * torch.randn(p.shape, generator=generator))
    return model


def main(a):
    import torch, transformers, trl
    from datasets import Dataset
    torch.manual_seed(0)
    folder = tempfile.mkdtemp()
    tokenizer = transformers.AutoTokenizer.from_pretrained(a.model)
    load = lambda: transformers.AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32)
    reference, policy = load(), move(load(), 1)
    for name, model in (("reference", reference), ("policy", policy)):
        model.save_pretrained(f"{folder}/{name}")
        tokenizer.save_pretrained(f"{folder}/{name}")
    pairs = [tuple(json.loads(line)[k] for k in ("prompt", "chosen", "rejected")) for line in open(a.pairs)] if a.pairs else PAIRS
    rows = [{"prompt": p, "chosen": c, "rejected": r} for p, c, r in pairs]
    ids = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
    ask = "\n".join(json.dumps({"prompt": ids(p), "completion": ids(side) + [tokenizer.eos_token_id]}) for p, c, r in pairs for side in (c, r))
    scores = {name: [x["log_probs"] for x in agon_lines(a.agon, "score", "--model", f"{folder}/{name}", "--dtype", "f32", "--json", text=ask)]
              for name in ("policy", "reference")}
    side = lambda i: {"log_probs": scores["policy"][i], "reference": scores["reference"][i]}
    request = json.dumps({"rows": [{"chosen": side(2 * i), "rejected": side(2 * i + 1)} for i in range(len(pairs))]})
    worst = 0
    for loss_type, options, objective, settings in LOSSES:
        config = trl.DPOConfig(output_dir=f"{folder}/out", per_device_eval_batch_size=len(rows), max_length=None, beta=0.1, loss_type=loss_type, use_cpu=True,
                               bf16=False, fp16=False, report_to="none", disable_tqdm=True, **options)
        trainer = trl.DPOTrainer(model=policy, ref_model=reference, args=config, train_dataset=Dataset.from_list(rows),
                                 eval_dataset=Dataset.from_list(rows), processing_class=tokenizer)
        theirs = trainer.evaluate()["eval_loss"]
        ours = agon_lines(a.agon, "loss", objective, *[w for k, v in settings.items() for w in ("--set", f"{k}={v}")], text=request)[0]["loss"]
        difference = abs(ours - theirs) / max(1, abs(theirs))
        worst = max(worst, difference)
        print(json.dumps({"trl": loss_type, "agon": objective, "options": settings, "trl_loss": theirs, "agon_loss": ours, "difference": difference}), flush=True)
    print(json.dumps({"trl_version": trl.__version__, "torch": torch.__version__, "pairs": len(pairs), "worst": worst}))
    sys.exit(worst > 1e-5)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--model", required=True)
    p.add_argument("--agon", default=str(ROOT / "build" / "agon"))
    p.add_argument("--python")
    p.add_argument("--pairs")
    a = p.parse_args()
    if a.python and pathlib.Path(a.python) != pathlib.Path(sys.executable):
        rest = ["--model", a.model, "--agon", a.agon] + (["--pairs", a.pairs] if a.pairs else [])
        os.execv(a.python, [a.python, __file__, *rest])
    main(a)
