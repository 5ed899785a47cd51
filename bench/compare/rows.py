"""The rows of the comparison: what is measured, against whom, and what is aimed at. A new row or peer is an entry here (and, for new
work, a function in agon.c and in a script of peers/)."""
from dataclasses import dataclass, field


@dataclass
class Peer:
    name: str
    script: str            # in peers/
    options: str = ""
    goal: float = 1.0      # agon's speed over this peer's, at least
    memory: float = 0.0    # agon's peak memory over this peer's, at most; 0: no aim
    model: str = "hf"      # "hf", or a GGUF type
    venv: str = "venv"

    def slow_bf16_options(self):
        """For a CPU whose bf16 products PyTorch does not know: its own arithmetic in f32, which is then its fastest."""
        return {"torch_train.py": "--dtype float32", "hf_infer.py": "--dtype float32", "trl_train.py": "--mode f32"}.get(self.script, "")


@dataclass
class Row:
    name: str
    title: str
    unit: str
    peers: list = field(default_factory=list)
    options: str = ""      # of bench-compare
    skip: int = 0          # repetitions that put memory in place, agon's
    work: str = ""         # bench-compare's row, where it is not the name
    model: str = "hf"      # of agon: "hf", or a GGUF type


def inference(what, vllm, llama, hf):
    return [Peer("vLLM", "vllm_infer.py", f"--what {what}", vllm, venv="venv-vllm"),
            Peer("llama.cpp f16", "llamacpp_infer.py", f"--what {what}", llama, model="f16"),
            Peer("llama.cpp bf16", "llamacpp_infer.py", f"--what {what}", 1, model="bf16"),
            Peer("transformers", "hf_infer.py", f"--what {what}", hf)]


ROWS = [
    Row("sft", "SFT, full, 8 x 512 tokens a step", "tokens/s", skip=1, peers=[
        Peer("PyTorch compiled", "torch_train.py", "--compile", 4, 1 / 2),
        Peer("PyTorch", "torch_train.py", "", 4, 1 / 2),
        Peer("TRL, packed", "trl_train.py", "--method sft", 8, 1 / 2)]),
    Row("lora", "LoRA r = 16, all linear layers, 8 x 512", "tokens/s", skip=1, peers=[
        Peer("PyTorch + PEFT", "torch_train.py", "--lora 16", 5, 1 / 5),
        Peer("PEFT compiled", "torch_train.py", "--lora 16 --compile", 5, 1 / 5)]),
    Row("dpo", "DPO, full, 16 pairs a step, 32 + 96 tokens", "pairs/s", skip=1, peers=[
        Peer("TRL", "trl_train.py", "--method dpo", 8, 1 / 3)]),
    Row("grpo", "GRPO step, 8 prompts x 4 x 64 new, reference on", "steps/s", skip=1, peers=[
        Peer("TRL", "trl_train.py", "--method grpo", 10)]),
    Row("batch", "generation, 32 prompts x 4 samples x 64, T = 1", "tokens/s", inference("batch", 3, 10, 1)),
    Row("prefill", "prefill, 512 tokens", "tokens/s", inference("prefill", 2, 1, 1)),
    Row("stream", "one stream, 64 new tokens", "tokens/s", inference("stream", 1, 2, 1)),
    Row("stream-q8", "one stream, 64 new tokens, 8-bit weights", "tokens/s", work="stream", model="q8_0", peers=[
        Peer("llama.cpp q8_0", "llamacpp_infer.py", "--what stream", 1.5, model="q8_0")]),
    Row("score", "log_probs of 1,000 sequences of 128 tokens", "tokens/s", peers=[
        Peer("transformers", "hf_infer.py", "--what score", 5),
        Peer("PyTorch compiled", "hf_infer.py", "--what score --compile", 5)]),
]
