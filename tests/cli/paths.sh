#!/bin/sh
# Paths that are no UTF-8 are paths; empty ones are none.
. "$(dirname "$0")/common"

# tells COMMAND...: it works, and its JSON names what the path is in UTF-8.
tells() {
    run 0 "$@"
    says out "caf$(printf '\357\277\275')"
    count
    ! LC_ALL=C grep -q "$(printf '\351')[^\200-\277]" out || fail "bytes that are no UTF-8 in JSON"
}
bad=$(printf 'caf\351')
for i in 1 2 3 4; do
    printf '{"adapter":"north","prompt":"say %s","completion":" the number"}\n' $i
done >rows.jsonl
printf '{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"},{"from":"human","value":"c"}]}\n' >"$bad.jsonl"
small="--model $tiny --lora 2 --batch 2 --steps 2 --json"
rounds="--model $tiny --lora 2 --rounds 1 --prompts 2 --samples 2 --max-tokens 4 --cells arithmetic --json"

tells "$agon" train sft $small --data rows.jsonl --output "$bad"
tells "$agon" train sft $small --data rows.jsonl --output "$bad"
says out '"already_done":true'
cp -r "$bad" "$bad-damaged"
echo '{' >"$bad-damaged/training.json"
run 4 "$agon" train sft $small --data rows.jsonl --output "$bad-damaged"
says err '^agon train: caf\\xe9-damaged/training.json: [^/]*; --overwrite starts anew$'; one_sentence
tells "$agon" train sft $small --data rows.jsonl --output "$bad-two" --small-loss 0.2 --co-teach
says out '"partner":\{"output":"caf.*-two/partner","id":"[0-9a-f]{64}"\}'
tells "$agon" train sft $small --data rows.jsonl --output "$bad-team" --adapters north
says out '"adapters":\[\{"name":"north","output":"caf.*-team/north"'
tells "$agon" train grpo --online $rounds --output "$bad-rounds"
tells "$agon" export --model "$tiny" --adapter "$bad" --format peft --output "$bad-copy" --json
tells "$agon" export --model "$tiny" --format hf --output "$bad-hf" --json
tells "$agon" soup --adapter "$bad" --adapter "$bad-copy" --weights 0.5,0.5 --model "$tiny" --output "$bad-soup" --json
tells "$agon" doctor --model "$bad-hf" --json
tells "$agon" data convert "$bad.jsonl" --to new.jsonl --json
cp rows.jsonl "$bad-rows.jsonl"
tells "$agon" train sft $small --data "$bad-rows.jsonl" --output preview --preview 1
run 0 "$agon" import "$bad-hf" --name plain --json
run 4 "$agon" import "$bad-hf"
says err 'caf\\xe9-hf. is no name for a model'; one_sentence
run 0 "$agon" chat --model "$bad-hf" --adapter "$bad-soup"
mkdir "$bad-folder"
tells env AGON_MODEL="$tiny" "$agon" init --output "$bad-folder/my.yaml" --json
run 4 "$agon" init --output "$bad.yaml"
says err 'must be UTF-8'; one_sentence

# ---- empty paths
printf 'experiment: token-noise\n' >experiment.yaml
run 4 "$agon" train sft $small --data rows.jsonl --output ''
says err 'an empty path names no'; one_sentence
run 4 "$agon" train grpo --online $rounds --output ''
says err 'an empty path names no'; one_sentence
run 4 "$agon" experiment experiment.yaml --plan --output ''
says err 'an empty path names no'; one_sentence
done_testing
