#!/bin/sh
# Commands that write files: a call that fails leaves all of a file or nothing at its name, and the command says so.
. "$(dirname "$0")/common"

# absent_or_whole NAME...: each output, if it is there, is what the undisturbed run left.
absent_or_whole() {
    for name; do
        [ ! -e "$name" ] || grep -qF "$(sha256sum "$name")" ../whole || return 1
    done
}
mkdir before
for i in 1 2 3 4 5 6 7 8; do
    printf '{"prompt":"say %s","completion":" the number %s"}\n' $i $i
done >before/rows.jsonl
for i in 1 2 3 4 5 6; do
    printf '{"query":"What is %s + 2?","answer":"%s"}\n' $i $((i + 2))
done >before/queries.jsonl
cp "$tiny" before/tiny.gguf

intact() { absent_or_whole ./queries.yaml; }
export AGON_MODEL="$tiny"
survives 20 10 queries.yaml "$agon" init queries.jsonl --json
intact() { absent_or_whole ./new.jsonl; }
survives 20 10 new.jsonl "$agon" data convert rows.jsonl --to new.jsonl --json

intact() { absent_or_whole ./rows.train.jsonl ./rows.test.jsonl; }
survives 20 10 .jsonl "$agon" data split rows.jsonl --test 0.3 --json

intact() { absent_or_whole ./noisy.jsonl ./noisy.jsonl.truth; }
survives 20 10 noisy.jsonl "$agon" data noise rows.jsonl --to noisy.jsonl --objective sft --rate 0.5 --json

intact() { absent_or_whole ./small.gguf; }
survives 8 10 small.gguf "$agon" export --model tiny.gguf --format gguf --dtype q8_0 --output small.gguf --json
intact() { [ ! -e plain ]; }
survives 8 16 plain "$agon" export --model tiny.gguf --format hf --output plain --json

# A model that is cut short while it is mapped.
begin
inject map:1:CUT "$agon" export --model tiny.gguf --format gguf --output small.gguf
code=$?
[ $code = 5 ] || fail "exit code $code, not 5, of a model that was cut short"
says err '^agon: [^ ]*/here/tiny.gguf: could not be read further'; one_sentence
[ ! -e here/small.gguf ] || fail "half a model was written"

# A model under a name is a copy; a folder's files are taken one by one.
intact() { [ ! -e cache/agon/models/mine ]; }
export XDG_CACHE_HOME="$work/here/cache"
survives 8 10 mine "$agon" import tiny.gguf --name mine --json
run 0 "$agon" export --model "$tiny" --format hf --output before/plain
survives 8 16 mine "$agon" import plain --name mine --json
done_testing
