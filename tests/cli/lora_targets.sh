#!/bin/sh
# The layers that LoRA adapts: in the adapter, its PEFT folder, the forecast, the run file; killed and run again; names refused.
. "$(dirname "$0")/common"

for i in 1 2 3 4 5 6; do
    printf '{"prompt":"say %s","completion":" the number"}\n' $i
done >rows.jsonl
sed 's/"completion":\("[^"]*"\)/"chosen":\1,"rejected":" q"/' rows.jsonl >pairs.jsonl
options="--model $tiny --data rows.jsonl --lora 4 --batch 2 --lr 1e-2 --epochs 4 --seed 3"
targets() { tr -d ' \n' <"$1/adapter_config.json" | sed 's/.*"target_modules":\(\[[^]]*\]\).*/\1/'; } # DIR
factors() { grep -ao 'layers\.0\.[a-z_]*\.[a-z_]*\.lora_A' "$1/adapter_model.safetensors" | sed 's/.*\.\([a-z]*_proj\).*/\1/' | tr '\n' ' '; }
equal() { count; [ "$1" = "$2" ] || fail "'$1' is not '$2'"; }

# ---- PEFT's folder names those layers and holds their factors alone, in whatever order they were named
run 0 "$agon" train sft $options --lora-targets v_proj,q_proj --output two
equal "$(targets two)" '["q_proj","v_proj"]'
equal "$(factors two)" 'q_proj v_proj '
run 0 "$agon" train sft $options --lora-targets q_proj,v_proj,q_proj --output two
says out '^done already'
run 0 "$agon" generate --model "$tiny" --adapter two --max-tokens 4 say 1
run 0 "$agon" export --model "$tiny" --adapter two --format peft --output again
same again/adapter_model.safetensors two/adapter_model.safetensors
equal "$(targets again)" '["q_proj","v_proj"]'
run 0 "$agon" train sft $(without --lora "$options") --adapter two --output further
equal "$(factors further)" 'q_proj v_proj '

# ---- all of them is what is trained without the option, under the same manifest
run 0 "$agon" train sft $options --output all
run 0 "$agon" train sft $options --lora-targets all-linear --output all
says out '^done already'
run 0 "$agon" train sft $options --lora-targets down_proj,gate_proj,k_proj,o_proj,q_proj,up_proj,v_proj --output all
says out '^done already'
equal "$(factors all)" 'q_proj k_proj v_proj o_proj gate_proj up_proj down_proj '
refused 4 'lora_targets left out, not "down_proj"' "$agon" train sft $options --lora-targets down_proj --output all
refused 4 'lora_targets "q_proj,v_proj", not left out' "$agon" train sft $options --output two

# ---- fewer values, less memory; what goes on from an adapter takes what that has
peak() { "$agon" train sft "$@" --data rows.jsonl --model "$tiny" --dry-run --json | sed -n 's/.*"resident":\([0-9]*\),"peak":\([0-9]*\).*/\2 \1/p' | { read -r p r; echo $((p - r)); }; }
all=$(peak --lora 512) one=$(peak --lora 512 --lora-targets k_proj)
count; [ "$one" -lt $((all * 2 / 3)) ] || fail "$one bytes for one kind of layer, $all for all"
run 0 "$agon" train sft --model "$tiny" --data rows.jsonl --steps 1 --lora 512 --lora-targets k_proj --output wide
further=$(peak --adapter wide)
count; [ "$further" -lt "$all" ] || fail "$further bytes to go on from one kind of layer, $all for all"

# ---- killed in the middle, the same command goes on to the same bits
long="$(without --epochs "$options") --epochs 400 --checkpoint-every 20 --lora-targets up_proj,o_proj"
"$agon" train sft $long --output killed >killed.out 2>&1 &
victim=$!
until [ -e killed/checkpoint.bin ]; do
    kill -0 $victim 2>/dev/null || fail "ended before it could be killed: $(cat killed.out)"
    sleep 0.05
done
kill -9 $victim
wait $victim 2>/dev/null || true
run 0 "$agon" train sft $long --output killed
says out '^going on after step [1-9]'
run 0 "$agon" train sft $long --output through
same killed/adapter_model.safetensors through/adapter_model.safetensors
same killed/steps.jsonl through/steps.jsonl

# ---- with the other ways to train an adapter
sed 's/{/{"adapter":"north",/' rows.jsonl >named.jsonl
sed 's/"prompt"/"dimension":"a","prompt"/; 2~2s/"a"/"b"/' pairs.jsonl >dimensions.jsonl
run 0 "$agon" train sft $(without --data "$options") --data named.jsonl --adapters north --lora-targets q_proj,v_proj --output team
same team/north/adapter_model.safetensors two/adapter_model.safetensors
run 0 "$agon" train sft $options --small-loss 0.5 --co-teach --lora-targets k_proj --output taught
equal "$(factors taught/partner)" 'k_proj '
run 0 "$agon" train dpo --model "$tiny" --data dimensions.jsonl --dimensions a,b --lora 2 --vectors 1 --batch 2 --lora-targets o_proj --output vectors
equal "$(factors vectors)" 'o_proj '
rounds="--online --model $tiny --data prompts.jsonl --rounds 1 --prompts 2 --samples 2 --max-tokens 3 --lora 2"
printf '{"prompt":"say 1","answer":"1"}\n{"prompt":"say 2","answer":"2"}\n' >prompts.jsonl
run 0 "$agon" train grpo $rounds --lora-targets gate_proj --output rounds
equal "$(factors rounds)" 'gate_proj '
refused 4 'lora_targets' "$agon" train grpo $rounds --output rounds

# ---- recipe train: a version with these layers
run_file() { # NAME LINE
    cat <<YAML >"$1.yaml"
recipe: train
model: $tiny
evaluate: {general: 0, gsm8k: 0, documents: 0}
train:
  data: $PWD/rows.jsonl
  rank: 4
  batch: 2
  $2
YAML
}
version() { sed -n 's/.*"version":{"id":"\([0-9a-f]*\)".*/\1/p' out | tail -1; }
run_file some 'lora_targets: [v_proj, k_proj]'
run 0 "$agon" run some.yaml --workspace some.agon --json
some=$(version)
run 0 "$agon" export --model "$tiny" --adapter "some.agon:$some" --format peft --output exported
equal "$(targets exported)" '["k_proj","v_proj"]'
run 0 "$agon" verify --workspace some.agon
run_file every 'lora_targets: [all-linear]'
run 0 "$agon" run every.yaml --workspace every.agon --json
every=$(version)
run_file none 'epochs: 1'
run 0 "$agon" run none.yaml --workspace every.agon --json
equal "$(version)" "$every"
run_file unknown 'lora_targets: [q_proj, lm_head]'
refused 4 "unknown.yaml: train.lora_targets: .*unknown target 'lm_head'" "$agon" run unknown.yaml --workspace unknown.agon

# ---- refused
refused 4 "unknown target 'q_project'; q_proj, k_proj" "$agon" train sft $options --lora-targets q_project --output refused
refused 4 "unknown target ''" "$agon" train sft $options --lora-targets '' --output refused
refused 2 '--lora-targets goes with --lora' "$agon" train sft --model "$tiny" --data rows.jsonl --lora-targets q_proj --output refused
refused 2 '--lora-targets goes with --lora' "$agon" train sft --model "$tiny" --data rows.jsonl --adapter two --lora-targets q_proj --output refused
[ ! -e refused/training.json ] || fail "a refused training left its mark"
done_testing
