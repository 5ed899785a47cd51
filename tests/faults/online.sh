#!/bin/sh
# Online training whose disk fails goes on at its last whole round, to the same bits.
. "$(dirname "$0")/common"

mkdir before
for i in 1 2 3 4; do
    printf '{"prompt":"say %s","chosen":"the number %s","rejected":"no no"}\n' $i $i
done >pairs.jsonl
run 0 "$agon" train bt --model "$tiny" --data pairs.jsonl --output before/judge --lora 2 --lr 1e-2 --steps 4
cp "$tiny" before/tiny.gguf

# An adapter at its final name is the one that the undisturbed training ends with, and the record can be read.
intact() {
    [ ! -e out/adapter_model.safetensors ] || grep -qF "$(sha256sum ./out/adapter_model.safetensors)" ../whole || return 1
    [ ! -e out/online.json ] || [ "$(tail -c 1 out/online.json)" = '}' ]
}
# How often it was taken up again is told, and differs.
results() {
    find . -type f ! -name online.json -exec sha256sum {} + | LC_ALL=C sort -k 2
    sed 's/"resumed_after": *[0-9]*/"resumed_after":N/' out/online.json
}
survives 14 6 out/ "$agon" train grpo --online --model tiny.gguf --output out --reward-model judge --lora 2 --rounds 2 --prompts 2 --samples 2 \
    --max-tokens 4 --batch 4 --cells arithmetic --json
done_testing
