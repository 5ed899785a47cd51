#!/bin/sh
# A soup is whole or not there.
. "$(dirname "$0")/common"

mkdir before
printf '{"prompt":"say one","completion":" one"}\n{"prompt":"say two","completion":" two"}\n' >rows.jsonl
for seed in 1 2; do
    run 0 "$agon" train sft --model "$tiny" --data rows.jsonl --output before/$seed --lora 2 --steps 1 --seed $seed
done
cp "$tiny" before/tiny.gguf

intact() { [ ! -e mixed ]; }
survives 16 10 mixed "$agon" soup --model tiny.gguf --adapter 1 --adapter 2 --weights 0.3,0.7 --output mixed --json
done_testing
