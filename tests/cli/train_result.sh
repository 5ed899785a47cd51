#!/bin/sh
# What a training made is read before it is called done already: a file that is empty, cut short or another training's is said, and what mends it.
. "$(dirname "$0")/common"

for i in 1 2 3 4; do printf '{"prompt":"say %d","completion":"the"}\n' $i; done >rows.jsonl
# taught FOLDER OPTIONS...: the same call, the same folder.
taught() {
    folder=$1
    shift
    "$agon" train sft --model "$tiny" --data rows.jsonl --steps 1 --lr 1e-3 --output "$folder" "$@"
}
# harmed FOLDER FILE [OPTIONS...]: empty, then cut in half; then what it was.
harmed() {
    folder=$1 file=$2
    shift 2
    cp "$folder/$file" kept
    for size in 0 $(($(wc -c <kept) / 2)); do
        head -c "$size" kept >"$folder/$file"
        refused 4 "^agon train: ${folder}[^:]*: the training is done, but what it made is damaged: .*; bring the file back, or train anew with --overwrite$" taught "$@"
        says err "$(basename "$file")"
        [ "$(wc -c <"$folder/$file")" = "$size" ] || fail "$file was touched"
    done
    cp kept "$folder/$file"
    run 0 taught "$@"
    says out '^done already'
}
run 0 taught part --lora 2
harmed part adapter_model.safetensors part --lora 2
harmed part adapter_config.json part --lora 2
run 0 taught other --lora 2 --seed 5
cp other/adapter_model.safetensors part
refused 7 'part: the training is done, .*: the adapter is another \([0-9a-f]{12}\) than was made \([0-9a-f]{12}\); bring the file back' taught part --lora 2
run 0 taught part --lora 2 --overwrite
says out '^done: '
run 0 taught whole
harmed whole model.safetensors whole
harmed whole tokenizer.json whole
# In folders below, and with what belongs to some adapters alone.
run 0 taught both --lora 2 --small-loss 0.5 --co-teach
harmed both partner/adapter_model.safetensors both --lora 2 --small-loss 0.5 --co-teach
rm -r both/partner
refused 3 'both/partner: the training is done, but what it made is gone' taught both --lora 2 --small-loss 0.5 --co-teach
for i in 1 2 3 4; do printf '{"prompt":"say %d","chosen":"the the","rejected":"a"}\n' $i; done >pairs.jsonl
run 0 "$agon" train bt --model "$tiny" --data pairs.jsonl --steps 1 --output reward --lora 2
run 0 "$agon" train bt --model "$tiny" --data pairs.jsonl --steps 1 --output reward --lora 2
says out '^done already'
online() { "$agon" train grpo --online --model "$tiny" --cells arithmetic --output on --lora 2 --rounds 1 --prompts 2 --samples 2 --max-tokens 2 --batch 2; }
run 0 online
harmed_online() { head -c 100 on/adapter_model.safetensors >cut && cp cut on/adapter_model.safetensors; }
run 0 online
says out '^done already'
harmed_online
refused 4 'on: the training is done, but what it made is damaged: .*adapter_model.safetensors' online
done_testing
