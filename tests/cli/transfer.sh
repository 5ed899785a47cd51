#!/bin/sh
# Export and import: what goes out comes back with the same answers.
. "$(dirname "$0")/common"

for i in 1 2 3 4 5 6; do
    printf '{"prompt":"say %s","completion":" the number %s"}\n' $i $i
done >sft.jsonl
run 0 "$agon" train sft --model "$tiny" --data sft.jsonl --output tuned --lora 4 --batch 2 --lr 2e-2 --epochs 3
scored() { # scored FILE OPTIONS...: exact log_probs of a few rows
    into=$1
    shift
    run 0 "$agon" score --dtype f32 --json "$@" <sft.jsonl
    cp out "$into"
}
scored base --model "$tiny"
scored with --model "$tiny" --adapter tuned
differ base with

# ---- f32 files hold the weights exactly
run 0 "$agon" export --model "$tiny" --format hf --dtype f32 --compute f32 --output plain --json
says out '"merge_error":0.0'
scored plain_out --model plain
same base plain_out
run 0 "$agon" export --model plain --format gguf --dtype f32 --compute f32 --output plain.gguf
scored gguf_out --model plain.gguf
same base gguf_out

# ---- merged: equal up to rounding of the sum
for format in hf gguf; do
    run 0 "$agon" export --model "$tiny" --adapter tuned --format $format --dtype f32 --compute f32 --output merged_$format --json
    error=$(field merge_error out)
    awk "BEGIN { exit !($error > 0 && $error < 1e-4) }" || fail "merge error $error"
    scored merged_out --model merged_$format
    paste merged_out with | sed 's/{"log_prob":\([^,]*\).*{"log_prob":\([^,]*\).*/\1 \2/' |
        awk '{ d = ($1 - $2) / $2; if (d * d > 1e-10) exit 1 }' || fail "merged and unmerged scores differ"
done
echo half >small.gguf.tmp-agonabcdef
run 0 "$agon" export --model "$tiny" --adapter tuned --format gguf --dtype q8_0 --output small.gguf
[ ! -e small.gguf.tmp-agonabcdef ] || fail "what a killed export left stays"
run 0 "$agon" generate --model small.gguf --max-tokens 3 --temperature 0 the
# A folder that a killed export began, with files that have their names already, is not in the way; a whole one, and anybody's, is.
mkdir begun
echo half >begun/config.json.tmp-agonabcdef
echo whole >begun/model.safetensors
run 0 "$agon" export --model "$tiny" --adapter tuned --format hf --output begun
count
[ "$(ls begun)" = "$(ls merged_hf)" ] || fail "the folder holds $(ls begun)"
echo half >begun/config.json.tmp-agonabcdef
run 4 "$agon" export --model "$tiny" --adapter tuned --format hf --output begun
says err "exists"
mkdir theirs
echo half >theirs/config.json.tmp-agonabcdef
echo mine >theirs/notes.txt
run 4 "$agon" export --model "$tiny" --adapter tuned --format hf --output theirs
count
[ -e theirs/notes.txt ] || fail "somebody's file is gone"

# ---- the adapter by itself
run 0 "$agon" export --model "$tiny" --adapter tuned --format peft --output copy
same tuned/adapter_model.safetensors copy/adapter_model.safetensors
# its base is the folder it was read from, through links, which transformers takes by itself or, of a GGUF file, with gguf_file=NAME
has copy/adapter_config.json "\"base_model_name_or_path\": \"$(dirname "$(realpath "$tiny")")\""
has tuned/adapter_config.json "\"base_model_name_or_path\": \"$(dirname "$(realpath "$tiny")")\""
run 0 "$agon" export --model "$tiny" --format hf --output base-hf
ln -s base-hf linked
run 0 "$agon" export --model linked --adapter tuned --format peft --output of-hf
has of-hf/adapter_config.json "\"base_model_name_or_path\": \"$PWD/base-hf\""
run 0 "$agon" export --model "$tiny" --adapter tuned --format peft --base-name some/base --output named
says named/adapter_config.json '"base_model_name_or_path": "some/base"'
same copy/adapter_model.safetensors named/adapter_model.safetensors
echo '{"prompt":"say 1","completion":"the number"}' >one.jsonl
run 0 "$agon" train sft --model "$tiny" --data one.jsonl --lora 2 --base-name some/base --output named_too
says named_too/adapter_config.json '"base_model_name_or_path": "some/base"'
run 0 "$agon" generate --model "$tiny" --adapter named_too --max-tokens 1 the
run 4 "$agon" train sft --model "$tiny" --data one.jsonl --base-name some/base --output named_whole
says err 'all weights are a model of their own'; one_sentence
run 2 "$agon" export --model "$tiny" --adapter tuned --format gguf --base-name some/base --output copy2
says err 'goes with --format peft'
run 4 "$agon" export --model "$tiny" --adapter tuned --format peft --base-name "" --output copy2
says err 'name of the base .* 1 to 255 bytes'; one_sentence
run 4 "$agon" export --model "$tiny" --adapter tuned --format peft --base-name "$(printf '\377')" --output copy2
one_sentence
run 4 "$agon" export --model "$tiny" --format peft --output copy2
one_sentence
run 4 "$agon" export --model "$tiny" --format onnx --output copy2
says err "hf, gguf or peft"; one_sentence
run 4 "$agon" export --model "$tiny" --format hf --output plain
says err "exists"; one_sentence
run 4 "$agon" export --model "$tiny" --format hf --dtype f8 --output copy2
one_sentence
[ ! -e copy2 ] || fail "a refused export left something"

# ---- import: file and folder, under a name, whole or not at all
mkdir -p cache/agon/models/.mine.999999998.part cache/agon/models/.mine.0123456789abcdef.part
: >cache/agon/models/.mine.999999998.part/config.json
: >cache/agon/models/.mine.$$.part
living=.mine.0123456789abcdef.part # of an import whose process has no number here: in another container, say
(exec 9<"cache/agon/models/$living" && flock 9 && exec sleep 60) >/dev/null 2>&1 &
holder=$!
while flock -n "cache/agon/models/$living" true; do sleep 0.1; done
run 0 "$agon" import plain.gguf --name mine --json
says out '"name":"mine","path":"[^"]*/cache/agon/models/mine","id":"[0-9a-f]{64}"'
count
[ "$(ls -A cache/agon/models)" = "$(printf '%s\n' $living mine)" ] || fail "what killed imports left stays, or what a living one makes is gone"
kill $holder
rm -r "cache/agon/models/$living"
# Somebody writes into the original in place: the model that was taken in is its own.
cp plain.gguf source.gguf
run 0 "$agon" import source.gguf --name taken
: >source.gguf
same cache/agon/models/taken plain.gguf
cp plain.gguf source.gguf
run 0 "$agon" import source.gguf --name linked_one --link # asked for: another name of the same file
count
[ source.gguf -ef cache/agon/models/linked_one ] && [ ! cache/agon/models/taken -ef source.gguf ] || fail "--link makes no hard link"
rm cache/agon/models/taken cache/agon/models/linked_one
scored mine_out --model mine
same base mine_out
run 0 "$agon" import merged_hf
scored named_out --model merged_hf
mv merged_hf moved
scored cached_out --model merged_hf
same named_out cached_out
run 0 "$agon" import plain.gguf --name mine
mkdir adapter_only
echo '{}' >adapter_only/adapter_config.json
run 4 "$agon" import adapter_only
says err 'a PEFT adapter, not a model'; one_sentence
run 4 "$agon" import merged_gguf --name mine
says err "already"; one_sentence
run 0 "$agon" import moved --name merged_hf --json
says out '"bytes":0'
cp -r moved retold
sed 's/"bos_token"/"unk_token"/' moved/tokenizer_config.json >retold/tokenizer_config.json
differ moved/tokenizer_config.json retold/tokenizer_config.json
run 4 "$agon" import retold --name merged_hf
says err "another tokenizer_config.json"; one_sentence
cp moved/tokenizer_config.json retold/tokenizer_config.json
printf '%s' '{{ "<|im_start|>" + role + "\n" + content + "<|im_end|>\n" }}' >retold/chat_template.jinja
run 4 "$agon" import retold --name merged_hf
says err "another chat_template.jinja"; one_sentence
run 0 "$agon" import retold --name retold --json
says out '"chat_template":"chatml"'
rm -r cache/agon/models/retold
# What a link is called, not what it leads to: caches keep files under their hashes. "." is the folder's name.
mkdir blobs
cp plain.gguf blobs/0a1b2c
ln -s blobs/0a1b2c linked.gguf
ln -s moved linked_folder
run 0 "$agon" import linked.gguf --json
says out '"name":"linked"'
run 0 "$agon" import linked_folder/ --json
says out '"name":"linked_folder"'
cd linked_folder
run 0 "$agon" import . --json
says out '"name":"moved"'
rm out err
cd ..
run 0 "$agon" import linked_folder// --json
says out '"name":"linked_folder".*"bytes":0'
rm -r cache/agon/models/linked cache/agon/models/linked_folder cache/agon/models/moved
run 4 "$agon" import plain.gguf --name ../evil
one_sentence
head -c 50000 plain.gguf >cut.gguf
run 4 "$agon" import cut.gguf
says err cut.gguf; one_sentence
[ "$(ls -A cache/agon/models | sort | tr '\n' ' ')" = "merged_hf mine " ] || fail "the cache holds $(ls -A cache/agon/models)"
done_testing
