#!/bin/sh
# agon data: other formats converted, bad rows listed by line with exit code 4, exact tokens shown, prompts kept together.
. "$(dirname "$0")/common"

# ---- convert
cat >alpaca.json <<'END'
[{"instruction": "Add", "input": "1 and 2", "output": "3"}, {"instruction": "Say hi", "output": "hi"}, {"oops": 1}]
END
run 4 "$agon" data convert alpaca.json --to rows.jsonl
says err 'alpaca.json: row 2: the fields tell no known format'
one_sentence
[ ! -e rows.jsonl ] || fail "a failed conversion leaves no file"
run 0 "$agon" data convert alpaca.json --to rows.jsonl --skip-bad
says out 'rows.jsonl: 2 rows, 2 alpaca'
says out '1 rows left out; the first: alpaca.json: row 2'
says rows.jsonl '"content":"Add\\n\\n1 and 2"'
run 0 "$agon" data convert alpaca.json --to again.jsonl --skip-bad --json
says out '"formats":\{"alpaca":2\}'
same rows.jsonl again.jsonl
run 2 "$agon" data convert alpaca.json
run 4 "$agon" data convert alpaca.json --to x.jsonl --from alpacca
says err 'did you mean alpaca'

# ---- check: the rows as agon train sees them
run 0 "$agon" data check rows.jsonl --objective sft --model "$tiny" --show 1
says out 'sft: 2 rows, 2 responses'
says out 'bad rows: 0'
says out '<\|im_end\|>'
cat >pairs.jsonl <<'END'
{"prompt": "a", "chosen": "b", "rejected": "c"}
{"prompt": "a", "chosen": "b", "rejected": "b"}
{"prompt": "a", "chosen": "b", "rejected": ""}
{"prompt": "a", "chosen"
{"prompt": "a", "chosen": "b", "rejected": "c", "label": 3}
END
run 4 "$agon" data check pairs.jsonl --objective dpo --model "$tiny"
says out 'bad rows: 4'
says out 'pairs.jsonl:2: chosen and rejected are the same'
says out 'pairs.jsonl:3: rejected is empty'
says out 'pairs.jsonl:4: '
says out 'pairs.jsonl:5: label is 3; it lies between 0 and 1'
run 0 "$agon" data stats pairs.jsonl --objective dpo --model "$tiny" --json
says out '"faults":\{"format":1,"empty":1,"equal":1,"range":1\}'
run 2 "$agon" data check pairs.jsonl
run 3 "$agon" data check pairs.jsonl --objective dop --model "$tiny"
says err 'there are sft, dpo'
run 2 "$agon" data frobnicate pairs.jsonl

# ---- split
i=0
while [ $i -lt 40 ]; do
    printf '{"prompt":"q%s","completion":"a"}\n{"prompt":"q%s","completion":"b"}\n' $i $i
    i=$((i + 1))
done >all.jsonl
run 0 "$agon" data split all.jsonl --test 0.25 --seed 3
says out 'all.train.jsonl: 60 rows'
says out 'all.test.jsonl: 20 rows'
i=0
while [ $i -lt 40 ]; do
    count
    [ "$(grep -c "\"q$i\"" all.train.jsonl)" != 1 ] || fail "the prompt q$i is in both parts"
    i=$((i + 1))
done
cp all.train.jsonl first.jsonl
run 0 "$agon" data split all.jsonl --test 0.25 --seed 3
same all.train.jsonl first.jsonl
run 2 "$agon" data split all.jsonl --test 1.5
done_testing
