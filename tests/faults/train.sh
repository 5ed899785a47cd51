#!/bin/sh
# A training whose disk fails goes on where it stood, to the same bits.
. "$(dirname "$0")/common"

mkdir before
for i in 1 2 3 4 5 6; do
    printf '{"prompt":"say %s","completion":" the number %s"}\n' $i $i
done >before/rows.jsonl
cp "$tiny" before/tiny.gguf

# An adapter at its final name is the one that the undisturbed training ends with, and the account in the folder can be read.
intact() {
    [ ! -e out/adapter_model.safetensors ] || grep -qF "$(sha256sum ./out/adapter_model.safetensors)" ../whole || return 1
    [ ! -e out/training.json ] || grep -q '^}$' out/training.json || [ "$(tail -c 1 out/training.json)" = '}' ]
}
# How often it was taken up again is told, and differs.
results() {
    find . -type f ! -name training.json -exec sha256sum {} + | LC_ALL=C sort -k 2
    sed 's/"resumed_after": *[0-9]*/"resumed_after":N/' out/training.json
}
survives 24 12 out/ "$agon" train sft --model tiny.gguf --data rows.jsonl --output out --lora 2 --batch 2 --checkpoint-every 1 --json

# Held-out rows beside it: the state after the best step is kept (after the first, then after the third of four) and taken back at the end, and each step's
# validation is in the account once.
for i in 1 2 3; do
    printf '{"prompt":"say %s","completion":" a letter"}\n' $i
done >before/held.jsonl
validated="$agon train sft --model tiny.gguf --data rows.jsonl --output out --lora 2 --batch 2 --lr 1e-1 --steps 4 --checkpoint-every 1 --validation held.jsonl
    --validate-every 1 --keep best --json"
begin
inject '' $validated || fail "undisturbed: $validated"
says out '"validation":{"step":1,"steps":4,"loss":[0-9.]+,"best":true,'
says out '"kept":3'
survives 24 40 out/ $validated
done_testing
