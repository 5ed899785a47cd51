#!/bin/sh
# AGON_NUMERICS: what a command computes in, and what its records say it did.
. "$(dirname "$0")/common"

printf '{"prompt":"one two"}\n' >rows
printf '{"prompt":"one two","completion":"three and a longer answer to sum"}\n' >sft.jsonl
for numerics in portable native portable-bf16-attention native-bf16-attention; do
    export AGON_NUMERICS=$numerics
    run 0 "$agon" bench matmul --json --runs 1 --out 48 --in 70 --rows 3
    says out "\"numerics\":\"$numerics\""
    # Native bits are those of portable in f32, and other ones in bf16.
    for dtype in bf16 f32; do
        run 0 "$agon" generate --model "$tiny" --json --temperature 0 --max-tokens 8 --dtype $dtype <rows
        cp out generate-$numerics-$dtype
        run 0 "$agon" score --model "$tiny" --json --dtype $dtype <sft.jsonl
        cp out score-$numerics-$dtype
    done
    run 0 "$agon" train sft --model "$tiny" --data sft.jsonl --output $numerics --lora 4 --steps 1
    says $numerics/training.json "\"numerics\": ?\"$numerics\""
    count
    "$agon" doctor --model "$tiny" >out 2>err
    says out "numerics $numerics"
done
for what in generate score; do
    for numerics in native portable-bf16-attention native-bf16-attention; do
        same $what-portable-f32 $what-$numerics-f32
    done
    differ $what-portable-bf16 $what-native-bf16
    differ $what-portable-bf16 $what-portable-bf16-attention-bf16
    differ $what-native-bf16 $what-native-bf16-attention-bf16
done
unset AGON_NUMERICS
run 0 "$agon" score --model "$tiny" --json <sft.jsonl
same out score-portable-bf16
for bad in fast NATIVE "native "; do
    AGON_NUMERICS=$bad run 2 "$agon" generate --model "$tiny" hello
    says err "numerics \(AGON_NUMERICS\) is portable, native, portable-bf16-attention or native-bf16-attention, not '$bad'"
    one_sentence
done
done_testing
