"""PyTorch without a trainer: the fastest way to train there. 8 x 512 tokens a step, weights, gradients and AdamW state
in bf16 (--dtype).
--lora R with PEFT, all linear layers; --compile with torch.compile."""
from common import Laps, arguments, result, torch_with

a, inputs = arguments(lora=0, compile=False, steps=7, rows=8, length=512, dtype="bfloat16")
torch = torch_with(a.threads)
import transformers
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained(a.model, dtype=getattr(torch, a.dtype), attn_implementation="sdpa")
model.config.use_cache = False
versions = {"torch": torch.__version__, "transformers": transformers.__version__}
if a.lora:
    import peft
    versions["peft"] = peft.__version__
    model = peft.get_peft_model(model, peft.LoraConfig(
        r=a.lora, lora_alpha=2 * a.lora, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM"))
    model = model.to(getattr(torch, a.dtype))
model.train()
trained = [p for p in model.parameters() if p.requires_grad]
optimiser = torch.optim.AdamW(trained, lr=1e-6, weight_decay=0.0, fused=True)
flat = torch.tensor(inputs["sft"]).flatten()
batches = [flat[(i * a.rows * a.length) % (len(flat) - a.rows * a.length):][:a.rows * a.length].view(a.rows, a.length)
           for i in range(a.steps)]
run = torch.compile(model) if a.compile else model
laps = Laps()
for batch in batches:
    loss = run(input_ids=batch, labels=batch).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    laps.lap()
result(laps, tool="torch", versions=versions, tokens=a.rows * a.length, loss=loss.item(), dtype=a.dtype)
