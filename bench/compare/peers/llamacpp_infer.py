"""llama.cpp through the low-level calls of llama-cpp-python: --what batch, stream or prefill, as in hf_infer.py. The samples of a prompt
share its cache, and llama.cpp's own samplers draw. --model is a GGUF file."""
import os

from common import Laps, arguments, result

a, inputs = arguments(what="batch", flash=-1)
import llama_cpp as L

NEW = 64


@L.llama_log_callback
def silent(level, text, data):
    pass


L.llama_log_set(silent, None)
L.llama_backend_init()
model = L.llama_model_load_from_file(a.model.encode(), L.llama_model_default_params())
if not model:
    raise SystemExit(f"llama.cpp does not load {a.model}")


def context(n_tokens, n_sequences):
    p = L.llama_context_default_params()
    p.n_ctx, p.n_batch, p.n_ubatch, p.n_seq_max = n_tokens, 2048, 512, n_sequences
    p.n_threads = p.n_threads_batch = a.threads
    p.no_perf = True
    if a.flash >= 0:
        p.flash_attn_type = a.flash
    return L.llama_init_from_model(model, p)


class Batch:
    def __init__(self):
        self.b = L.llama_batch_init(2048, 0, 1)
        self.b.n_tokens = 0

    def clear(self):
        self.b.n_tokens = 0

    def add(self, token, position, sequence, wants_logits):
        i, b = self.b.n_tokens, self.b
        b.token[i], b.pos[i], b.n_seq_id[i], b.logits[i] = token, position, 1, int(wants_logits)
        b.seq_id[i][0] = sequence
        b.n_tokens = i + 1
        return i


def sampler(temperature, seed=1):
    chain = L.llama_sampler_chain_init(L.llama_sampler_chain_default_params())
    if temperature:
        L.llama_sampler_chain_add(chain, L.llama_sampler_init_temp(temperature))
        L.llama_sampler_chain_add(chain, L.llama_sampler_init_dist(seed))
    else:
        L.llama_sampler_chain_add(chain, L.llama_sampler_init_greedy())
    return chain


def decode(c, batch):
    code = L.llama_decode(c, batch.b)
    if code:
        raise SystemExit(f"llama_decode: {code}")


def generate(c, batch, prompts, n_samples, samplers):
    memory = L.llama_get_memory(c)
    L.llama_memory_clear(memory, True)
    batch.clear()
    last = []
    for i, prompt in enumerate(prompts):
        for j, token in enumerate(prompt):
            at = batch.add(token, j, i * n_samples, j + 1 == len(prompt))
        last += [at] * n_samples
    decode(c, batch)
    for i in range(len(prompts)):
        for k in range(1, n_samples):
            L.llama_memory_seq_cp(memory, i * n_samples, i * n_samples + k, -1, -1)
    for step in range(NEW):
        tokens = [L.llama_sampler_sample(s, c, at) for s, at in zip(samplers, last)]
        if step + 1 == NEW:
            return
        batch.clear()
        position = len(prompts[0]) + step
        last = [batch.add(token, position, i, True) for i, token in enumerate(tokens)]
        decode(c, batch)


laps = Laps()
batch = Batch()
if a.what == "prefill":
    c = context(1024, 1)
    for _ in range(6):
        L.llama_memory_clear(L.llama_get_memory(c), True)
        batch.clear()
        for j, token in enumerate(inputs["long"][0]):
            batch.add(token, j, 0, j == 511)
        laps.start()
        decode(c, batch)
        L.llama_synchronize(c)
        laps.lap()
    tokens = 512
else:
    prompts, n = (inputs["prompts"], 4) if a.what == "batch" else (inputs["prompts"][:1], 1)
    c = context(len(prompts) * n * 256 if n > 1 else 1024, len(prompts) * n)
    samplers = [sampler(1.0 if n > 1 else 0, i + 1) for i in range(len(prompts) * n)]
    for _ in range(2 if n > 1 else 5):
        laps.start()
        generate(c, batch, prompts, n, samplers)
        laps.lap()
    tokens = len(prompts) * n * NEW
result(laps, tool="llama.cpp", tokens=tokens, file=os.path.basename(a.model), versions={"llama-cpp-python": L.__version__})
