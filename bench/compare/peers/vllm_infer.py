"""vLLM on the CPU in bf16. --what batch, stream or prefill, as in hf_infer.py."""
import os
import time

from common import Laps, arguments, result

a, inputs = arguments(what="batch")
for name, value in {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_CPU_OMP_THREADS_BIND": f"0-{a.threads - 1}", "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
                    "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING", "VLLM_TARGET_DEVICE": "cpu"}.items():
    os.environ.setdefault(name, value)
NEW = 64


def main():
    import torch
    if os.environ.get("AGON_COMPARE_CPU") == "avx2":  # vLLM asks torch, and then takes its library for AVX2
        torch.cpu._is_avx512_supported = torch.cpu._is_avx512_bf16_supported = torch.cpu._is_amx_tile_supported = lambda: False
    import vllm
    began = time.perf_counter()
    engine = vllm.LLM(a.model, dtype="bfloat16", max_model_len=1024, max_num_seqs=128, max_num_batched_tokens=4096,
                      enable_prefix_caching=False, disable_log_stats=True)
    load = time.perf_counter() - began

    def run(prompts, n, temperature, new):
        how = vllm.SamplingParams(n=n, temperature=temperature, max_tokens=new, min_tokens=new, ignore_eos=True, detokenize=False)
        engine.generate([{"prompt_token_ids": p} for p in prompts], how, use_tqdm=False)

    cases = {"batch": (inputs["prompts"], 4, 1.0, NEW, 3), "stream": (inputs["prompts"][:1], 1, 0.0, NEW, 4),
             "prefill": (inputs["long"], 1, 0.0, 1, 8)}
    prompts, n, temperature, new, times = cases[a.what]
    run(inputs["prompts"][:2], 2, 1.0, 4)
    laps = Laps()
    for _ in range(times):
        laps.start()
        run(prompts, n, temperature, new)
        laps.lap()
    tokens = 512 if a.what == "prefill" else len(prompts) * n * new
    result(laps, tool="vllm", tokens=tokens, load_seconds=round(load, 1), versions={"vllm": vllm.__version__, "torch": torch.__version__})


if __name__ == "__main__":
    main()
