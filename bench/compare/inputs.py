"""The inputs that every engine gets, as token ids: INPUTS.json of HF_DIR's tokenizer.

English text that every CPython ships (the help topics of pydoc), cut into pieces of fixed length. Where a peer takes text only, the
pieces are ones that give the same ids back when their text is tokenised again.
usage: inputs.py HF_DIR INPUTS.json"""
import json
import sys

from pydoc_data.topics import topics
from transformers import AutoTokenizer


def stream(tokenizer, n):
    text = "\n\n".join(topics[k] for k in sorted(topics))
    ids = tokenizer(text, add_special_tokens=False).input_ids
    while len(ids) < n:
        ids = ids + ids
    return ids


def pieces(ids, n, length):
    """n pieces of `length` ids, evenly spaced over the text."""
    step = (len(ids) - length) // n
    return [ids[i * step:i * step + length] for i in range(n)]


def reversible(tokenizer, ids, n, length):
    found, at = [], 0
    while len(found) < n and at + length <= len(ids):
        piece = ids[at:at + length]
        text = tokenizer.decode(piece)
        if text == text.strip() and tokenizer(text, add_special_tokens=False).input_ids == piece:
            found.append(piece)
            at += length
        else:
            at += 1
    if len(found) < n:
        sys.exit(f"only {len(found)} of {n} pieces of {length} tokens survive their own text")
    return found


def main():
    hf, to = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(hf)
    ids = stream(tokenizer, 150_000)
    end = tokenizer.eos_token_id
    answers = [piece + [end] for piece in reversible(tokenizer, ids[20_000:], 256, 95)]
    inputs = {
        "end": end,
        "prompts": reversible(tokenizer, ids, 32, 40),
        "long": pieces(ids, 1, 512),
        "sft": pieces(ids, 64, 512),
        "dpo_prompts": reversible(tokenizer, ids[60_000:], 128, 32),
        "chosen": answers[:128],
        "rejected": answers[128:],
        "score": pieces(ids, 1000, 128),
    }
    with open(to, "w") as f:
        json.dump(inputs, f)


if __name__ == "__main__":
    main()
