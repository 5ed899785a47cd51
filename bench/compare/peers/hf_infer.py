"""transformers in bf16. --what batch: 32 prompts x 4 samples, 64 new tokens at temperature 1; stream: one prompt, greedy; prefill: 512
tokens into a cache; score: log_prob of every token of 1,000 sequences of 128, in batches of --batch. --compile: of prefill and score."""
from common import Laps, arguments, result, torch_with

a, inputs = arguments(what="batch", batch=16, compile=False, dtype="bfloat16")
torch = torch_with(a.threads)
import transformers
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained(a.model, dtype=getattr(torch, a.dtype), attn_implementation="sdpa").eval()
NEW, SCORED = 64, 250
laps = Laps()


def generate(prompts, sample, new=NEW):
    ids = torch.tensor(prompts)
    how = dict(do_sample=True, temperature=1.0, top_k=0, top_p=1.0) if sample else dict(do_sample=False)
    return model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new, pad_token_id=2, **how)


def batch():
    prompts = [p for p in inputs["prompts"] for _ in range(4)]
    for _ in range(2):
        laps.start()
        generate(prompts, True)
        laps.lap()
    return len(prompts) * NEW


def stream():
    for _ in range(4):
        laps.start()
        generate(inputs["prompts"][:1], False)
        laps.lap()
    return NEW


def prefill():
    run = torch.compile(model) if a.compile else model
    ids = torch.tensor(inputs["long"])
    for _ in range(8):
        laps.start()
        run(ids, logits_to_keep=1, use_cache=True)
        laps.lap()
    return 512


def log_probs(logits, ids):
    return -torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none")


def score():
    def forward(ids):
        return log_probs(model(ids, use_cache=False).logits, ids)

    run = torch.compile(forward, dynamic=False) if a.compile else forward
    ids = torch.tensor(inputs["score"])
    run(ids[:a.batch])
    step = SCORED // a.batch * a.batch
    for first in range(0, len(ids) - SCORED + 1, SCORED):
        laps.start()
        for i in range(first, first + step, a.batch):
            run(ids[i:i + a.batch])
        laps.lap()
    return step * ids.shape[1]


with torch.inference_mode():
    generate(inputs["prompts"][:2], False, 3)
    tokens = {"batch": batch, "stream": stream, "prefill": prefill, "score": score}[a.what]()
result(laps, tool="transformers", tokens=tokens, dtype=a.dtype,
       versions={"torch": torch.__version__, "transformers": transformers.__version__})
