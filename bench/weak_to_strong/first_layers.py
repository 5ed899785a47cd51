"""A weak model from a strong one: its first N layers, with its embeddings and last norm. Plain Python.

    agon export --model MODEL --format hf --dtype bf16 --output whole
    python3 first_layers.py whole N weak
"""
import json
import os
import re
import shutil
import struct
import sys

source, n_layers, target = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with open(os.path.join(source, "config.json"), encoding="utf-8") as file:
    config = json.load(file)
if not 1 <= n_layers < config["num_hidden_layers"]:
    sys.exit(f"{source} has {config['num_hidden_layers']} layers; name fewer, and one at least")
os.makedirs(target)
for name in os.listdir(source):
    if name.startswith("tokenizer") or name == "generation_config.json":
        shutil.copy(os.path.join(source, name), target)
config["num_hidden_layers"] = n_layers
with open(os.path.join(target, "config.json"), "w", encoding="utf-8") as file:
    json.dump(config, file, indent=2)

with open(os.path.join(source, "model.safetensors"), "rb") as file:
    size = struct.unpack("<Q", file.read(8))[0]
    header = json.loads(file.read(size))
    kept, at = {}, 0
    for name, tensor in header.items():
        layer = re.search(r"\.layers\.(\d+)\.", name)
        if name == "__metadata__" or (layer and int(layer[1]) >= n_layers):
            continue
        begin, end = tensor["data_offsets"]
        kept[name] = (begin, end, {**tensor, "data_offsets": [at, at + end - begin]})
        at += end - begin
    new = json.dumps({name: tensor for name, (_, _, tensor) in kept.items()}).encode()
    new += b" " * (-len(new) % 8)
    with open(os.path.join(target, "model.safetensors"), "wb") as out:
        out.write(struct.pack("<Q", len(new)) + new)
        for begin, end, _ in kept.values():
            file.seek(8 + size + begin)
            out.write(file.read(end - begin))
