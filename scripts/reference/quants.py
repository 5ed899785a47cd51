#!/usr/bin/env python3
"""Golden values for src/model/quants.c: tests/golden/quants.json.

Needs: pip install numpy gguf. Run from the source root: python3 scripts/reference/quants.py
Blocks are random bytes with finite f16 scales (one block with subnormal scales); the values are those of the
reference Python implementation. Bytes and f32 values are hexadecimal, so that the comparison is exact.
"""
import json
import gguf
import numpy as np
from gguf.quants import dequantize, quantize

SEED = 7
# type: offsets of its f16 scales in a block
SCALES = {"Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
rng = np.random.default_rng(SEED)


def blocks(name, n=4):
    size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]][1]
    out = rng.integers(0, 256, (n, size), dtype=np.uint8)
    for i in range(n):
        for at in SCALES[name]:
            scale = np.float16(rng.normal() * (1e-6 if i == 0 else 0.02))
            out[i, at:at + 2] = np.frombuffer(scale.tobytes(), np.uint8)
    return out


def entry(data, values):
    return {"bytes": data.tobytes().hex(), "values": np.ascontiguousarray(values, "<f4").tobytes().hex()}


golden = {"made_by": "scripts/reference/quants.py", "seed": SEED, "tolerance": 0,
          "dequantize": {}, "quantize": {}}
for name in SCALES:
    data = blocks(name)
    golden["dequantize"][name] = entry(data, dequantize(data, gguf.GGMLQuantizationType[name]))

# Every f16 that is finite, and a spread of bf16, would be long: ends, subnormals, ties and random ones.
half = np.concatenate([np.array([0, 0x8000, 1, 0x8001, 0x3ff, 0x400, 0x3c00, 0x7bff, 0xfbff], np.uint16),
                       np.frombuffer(rng.normal(size=55).astype("<f2").tobytes(), np.uint16)])
golden["dequantize"]["F16"] = entry(half, half.view(np.float16).astype(np.float32))
brain = (np.frombuffer(rng.normal(size=64).astype("<f4").tobytes(), np.uint32) >> 16).astype(np.uint16)
golden["dequantize"]["BF16"] = entry(brain, (brain.astype(np.uint32) << 16).view(np.float32))

x = rng.normal(size=96).astype(np.float32)
x[:32] *= np.float32(1e-6)
x[40:44] = [1 + 2 ** -11, 1 + 3 * 2 ** -11, 1 + 2 ** -8, 1 + 3 * 2 ** -8]  # ties of f16 and bf16
x[44:50] = [6e-8, 2.9e-8, 3e-8, -8.9e-8, 6.1e-5, -65504]
for name in ("F16", "BF16", "Q8_0"):
    stored = quantize(x, gguf.GGMLQuantizationType[name])
    golden["quantize"][name] = entry(np.ascontiguousarray(stored), x)

with open("tests/golden/quants.json", "w") as f:
    json.dump(golden, f, indent=1)
    f.write("\n")
