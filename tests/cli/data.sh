#!/bin/sh
# agon data: other formats converted, bad rows listed by line with exit code 4, exact tokens shown, prompts kept together.
. "$(dirname "$0")/common"

# ---- convert
cat >alpaca.json <<'END'
[{"instruction": "Add", "input": "1 and 2", "output": "3"}, {"instruction": "Say hi", "output": "hi"}, {"oops": 1}]
END
run 4 "$agon" data convert alpaca.json --to rows.jsonl
says err 'alpaca.json: row 3: the fields tell no known format'
one_sentence
[ ! -e rows.jsonl ] || fail "a failed conversion leaves no file"
echo half >rows.jsonl.tmp-agonabcdef # of a killed writer; other files' stay
echo half >mine.jsonl.tmp-agonabcdef
run 0 "$agon" data convert alpaca.json --to rows.jsonl --skip-bad
[ ! -e rows.jsonl.tmp-agonabcdef ] && [ -e mine.jsonl.tmp-agonabcdef ] || fail "what a killed writer left stays, or another file went"
says out 'rows.jsonl: 2 rows, 2 alpaca'
says out '1 rows left out:'
says out '^  alpaca.json: row 3'
says rows.jsonl '"content":"Add\\n\\n1 and 2"'
run 0 "$agon" data convert alpaca.json --to again.jsonl --skip-bad --json
says out '"formats":\{"alpaca":2\}'
same rows.jsonl again.jsonl
run 2 "$agon" data convert alpaca.json
run 4 "$agon" data convert alpaca.json --to x.jsonl --from alpacca
says err 'did you mean alpaca'

# A name cut inside a character, and what would move the cursor or turn the line round, are shown.
from=$(printf '\343\201\202%.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
printf '{"conversations":[{"from":"%s","value":"a"}]}\n{"conversations":[{"from":"\302\233\342\200\256x\\n","value":"a"}]}\n' "$from" >speakers.jsonl
printf '{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]}\n' >>speakers.jsonl
run 0 "$agon" data convert speakers.jsonl --to spoken.jsonl --skip-bad --json
says out 'speakers.jsonl:1: conversations\[0\] is from .*\\\\xe3'
says out 'speakers.jsonl:2: conversations\[0\] is from .\\\\x9b\\\\u\{202e\}x\\\\x0a'
run 4 "$agon" data convert speakers.jsonl --to spoken2.jsonl
one_sentence

# ---- refinements become rows for SFT, pairs and a critic
printf '%s\n' '{"prompt":"2+2?","draft":"It is 5.","critique":"5 is too much.","refined":"It is 4."}' \
    '{"prompt":"2+3?","draft":"It is 5.","critique":"Fine.","refined":"It is 5."}' >refined.jsonl
for format in refine-sft refine-guided refine-pairs; do
    run 0 "$agon" data convert refined.jsonl --from $format --to $format.jsonl --skip-bad
    says out "1 rows, 1 $format"
    says out '^  refined.jsonl:2: refined is the draft'
done
run 0 "$agon" data check refine-pairs.jsonl --objective dpo --model "$tiny"
run 0 "$agon" data check refine-guided.jsonl --objective sft --model "$tiny" --show 1
says out 'row 1 \(refine-guided.jsonl:1\): prompt of'
says out 'row 1, response 1: [0-9]+ tokens, [0-9]+ supervised'
run 0 "$agon" data convert refined.jsonl --from refine-critic --to critic.jsonl
says out '2 rows, 2 refine-critic'

# ---- spans on exact tokens
printf '%s\n' '{"prompt":"a","completion":"on teh mat","reward":1,"spans":[{"quote":"teh","reward":-1},{"quote":"zzzzz","reward":-1}]}' >spans.jsonl
run 0 "$agon" data check spans.jsonl --objective ppo --model "$tiny" --show 1
says out 'quotes: 1 exact, 0 with case and spaces folded, 0 with edits, 1 not found'
says out '^ +[0-9]+  1 -[0-9.]+ '
run 0 "$agon" train reinforce++ --data spans.jsonl --model "$tiny" --output spans --lora 2 --steps 2 --json --preview 1
says out '"token_rewards":\['
run 4 "$agon" data check spans.jsonl --objective grpo --model "$tiny"
says err 'ppo and reinforce\+\+ do'

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

# ---- check with dimensions: what training with them would refuse, in the same words
cat >sides.jsonl <<'END'
{"dimension": "helpful", "prompt": "a", "completion": "b"}
{"dimension": "harmless", "prompt": "a", "completion": "c"}
{"dimension": "kind", "prompt": "a", "completion": "d"}
{"prompt": "a", "completion": "e"}
END
run 0 "$agon" data check sides.jsonl --objective sft --model "$tiny"
run 4 "$agon" data check sides.jsonl --objective sft --model "$tiny" --dimensions helpful,harmless
cp out checked
says checked 'bad rows: 2, fields 1, range 1'
says checked 'rows of each dimension: helpful 1 harmless 1'
for line in 3 4; do
    sed -n "1,2p;${line}p" sides.jsonl >one.jsonl
    run 4 "$agon" train sft --data one.jsonl --model "$tiny" --dimensions helpful,harmless --lora 2 --batch 8 --dry-run
    count
    grep -qF "$(sed "s/.*one.jsonl:3: /sides.jsonl:$line: /" err)" checked || fail "agon data check does not say: $(cat err)"
done
head -1 sides.jsonl >few.jsonl
run 4 "$agon" train sft --data few.jsonl --model "$tiny" --dimensions helpful,harmless --lora 2 --batch 8 --dry-run
sed 's/.*few/few/' err >refused
run 4 "$agon" data check few.jsonl --objective sft --model "$tiny" --dimensions helpful,harmless
sed 's/.*few/few/' err >found
says found 'few.jsonl: there are no rows for the dimension harmless'
same refused found
run 0 "$agon" data stats sides.jsonl --objective sft --model "$tiny" --dimensions helpful,harmless,kind --json
says out '"dimensions":\{"helpful":1,"harmless":1,"kind":1\}'
printf '%s\n' '{"instruction":"a","output":"b","dimension":"kind"}' >alpaca_kind.json
run 0 "$agon" data convert alpaca_kind.json --to kind.jsonl
says kind.jsonl '"dimension":"kind"'

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
refused 4 'all.train.jsonl is there already' "$agon" data split all.jsonl --test 0.25 --seed 3
mv all.train.jsonl first.jsonl
cp all.test.jsonl second.jsonl
echo '{"prompt":"mine","completion":"a"}' >>all.test.jsonl # the user's, not a part that a killed split left
refused 4 'all.test.jsonl is there already' "$agon" data split all.jsonl --test 0.25 --seed 3
[ ! -e all.train.jsonl ] || fail "a refused split writes nothing"
has all.test.jsonl mine
# A call that was killed between its renames has left one part: the same call makes the other.
for part in train test; do
    cp first.jsonl all.train.jsonl
    cp second.jsonl all.test.jsonl
    rm all.$part.jsonl
    run 0 "$agon" data split all.jsonl --test 0.25 --seed 3 --json
    says out '"rows":60.*"rows":20'
    same all.train.jsonl first.jsonl
    same all.test.jsonl second.jsonl
done
refused 4 'is there already' "$agon" data split all.jsonl --test 0.25 --seed 4
# Calls at the same moment: both parts are there, whoever made them.
for i in 1 2 3 4 5; do
    rm all.t*.jsonl
    for k in 1 2 3 4; do "$agon" data split all.jsonl --test 0.25 --seed 3 >/dev/null 2>&1 & done
    wait
    same all.train.jsonl first.jsonl
    same all.test.jsonl second.jsonl
done
[ "$(find . -name 'all.*tmp-agon*' | wc -l)" = 0 ] || fail "a temporary file was left"
rm all.t*.jsonl
run 0 "$agon" data split all.jsonl --test 0.25 --seed 3
same all.train.jsonl first.jsonl
run 2 "$agon" data split all.jsonl --test 1.5
printf '{"chosen":"a? the","rejected":"a? on"}\n{"chosen":"b? the","rejected":"b? on"}\n' >plain.jsonl
run 0 "$agon" data split plain.jsonl --test 0.5
says out 'but 2 pairs have no "prompt"'

# ---- what an objective does not read is said, before a training too; turns after the last answer are counted
printf '{"prompt":"a","chosen":"the","rejected":"on","label":0.8,"margin":2}\n{"prompt":"a","chosen":"on","rejected":"the"}\n' >unread.jsonl
run 0 "$agon" data check unread.jsonl --objective dpo --model "$tiny"
says out 'not read by dpo: "label" of 1 rows'
says out 'not read by dpo: "margin" of 1 rows'
run 0 "$agon" data check unread.jsonl --objective bt --model "$tiny"
grep -q 'not read by' out && fail "bt reads labels and margins"
run 0 "$agon" train dpo --model "$tiny" --data unread.jsonl --lora 4 --dry-run
says err 'dpo does not read "label", which 1 rows have'
printf '{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"},{"from":"human","value":"c"}]}\n' >dangling.jsonl
run 0 "$agon" data convert dangling.jsonl --to cut.jsonl
says out '1 turns after the last answer are left out:'
says out '^  dangling.jsonl:1: 1 turn after the last answer is left out'
run 0 "$agon" data convert dangling.jsonl --to cut2.jsonl --json
says out '"cut_rows":\[\{"sentence":"dangling.jsonl:1: '

# ---- check and train have the same limit where none is given; what cutting leaves without anything to learn is bad by line
words=$(awk 'BEGIN { for (i = 0; i < 6000; i++) printf "the cat " }')
printf '{"prompt":"a","completion":"b"}\n{"prompt":"a","completion":"%s"}\n{"prompt":"%s","completion":"b"}\n' "$words" "$words" >long.jsonl
run 4 "$agon" data check long.jsonl --objective sft --model "$tiny" --show 0
says out 'sft: 2 rows'
says out 'truncated: 1 rows, longer than 2048 tokens'
says out 'bad rows: 1, length 1'
says out 'long.jsonl:3: the prompt has [0-9]+ tokens; with an answer at most 2048 are taken'
run 4 "$agon" train sft --data long.jsonl --model "$tiny" --lora 2 --dry-run
says err 'long.jsonl:3: the prompt has [0-9]+ tokens; with an answer at most 2048 are taken'
run 0 "$agon" data check long.jsonl --objective sft --model "$tiny" --show 0 --max-length 0
run 0 "$agon" data --help
says out 'as in agon train \(2048; 0: no limit\)'
printf '{"prompt":"p","chosen":"the same long text that goes on and on A","rejected":"the same long text that goes on and on B"}\n' >alike.jsonl
run 4 "$agon" train dpo --data alike.jsonl --model "$tiny" --lora 2 --dry-run --max-length 8
says err 'alike.jsonl:1: chosen and rejected are equal after cutting to 8 tokens'
printf '{"prompt":"a","completion":"b"}\n{"prompt":"a",\n' >torn.jsonl
run 4 "$agon" data check torn.jsonl --objective sft --model "$tiny"
says out 'torn.jsonl:2: not valid JSON at column 14'
# What is no JSON lines is called what it is.
printf '\037\213\010' >packed.jsonl
printf 'PAR1' >table.jsonl
printf '\377\376{\000' >wide.jsonl
printf '[\n{"prompt": "a", "completion": "b"}\n]\n' >list.jsonl
for kind in 'packed.*a gzip file; unpack it' 'table.*a Parquet file' 'wide.*UTF-16; write it as UTF-8' 'list.*this is a list; each line'; do
    file=${kind%%.*}.jsonl
    run 4 "$agon" train sft --model "$tiny" --data $file --output never --lora 2 --dry-run
    says err "$kind"; one_sentence
done

# ---- sides that differ only in their last white space are counted, in the plan too
printf '{"prompt":"a","chosen":"the cat","rejected":"the cat \\n"}\n' >space.jsonl
run 0 "$agon" data check space.jsonl --objective dpo --model "$tiny" --show 0
says out 'nearly equal: 1 pairs'
run 0 "$agon" train dpo --data space.jsonl --model "$tiny" --lora 2 --dry-run
says err '1 pairs differ only in the white space'

# ---- rows left out: 20 by name and how many more in text, all of them with --json; a row that is trained on has its line in every sentence
{ for i in $(seq 25); do echo '{"question":"q"}'; done; echo '{"question":"q","answer":"a"}'; } >many.jsonl
run 0 "$agon" data convert many.jsonl --to few_left.jsonl --skip-bad --from gsm8k
says out '^  many.jsonl:20: '
says out '^  and 5 more'
run 0 "$agon" data convert many.jsonl --to few_left2.jsonl --skip-bad --from gsm8k --json
says out 'many.jsonl:25: '
{ for i in $(seq 25); do echo '{"prompt":"q"}'; done; printf '{"prompt":"q","completion":"a"}\n{"prompt":"a","completion":"%s"}\n' "$words"; } >many.rows.jsonl
run 4 "$agon" data check many.rows.jsonl --objective sft --model "$tiny" --show 0
says out '^  many.rows.jsonl:20: '
says out '^  and 5 more'
run 4 "$agon" train sft --data many.rows.jsonl --model "$tiny" --lora 2 --output many --skip-bad --json --max-length 0
says err '^  many.rows.jsonl:20: '
says err '^  and 5 more'
says out '"skipped":25,"skipped_rows":\[.*many.rows.jsonl:25: '
says err 'many.rows.jsonl:27, response 1: prompt and response have [0-9]+ tokens and the model.s context'
# a file without line ends is refused before it is in memory as a whole
truncate -s 1G endless.jsonl
run 4 "$agon" data split endless.jsonl
says err 'endless.jsonl:1: the line is longer than 64 MiB'
one_sentence
rm endless.jsonl
run 4 "$agon" data split .
says err '\.: this is a folder; name a file of rows'

# ---- pipes: rows are read once, also while they are written; what is read more than once is refused at once; waiting ends at the first signal
printf '{"prompt":"say 1","completion":"the number"}\n{"prompt":"say 2","completion":"the other"}\n' >two.jsonl
mkfifo pipe.jsonl
cat two.jsonl >pipe.jsonl &
run 0 timeout 120 "$agon" train sft --model "$tiny" --data pipe.jsonl --lora 2 --output of_pipe
run 0 "$agon" train sft --model "$tiny" --data two.jsonl --lora 2 --output of_file
same of_pipe/adapter_model.safetensors of_file/adapter_model.safetensors
run 0 "$agon" train sft --model "$tiny" --data two.jsonl --lora 2 --output of_pipe # the same bytes: done already
run 8 timeout --foreground --preserve-status -k 60 2 "$agon" data check pipe.jsonl --objective sft --model "$tiny"
one_sentence
run 4 timeout 60 "$agon" data convert pipe.jsonl --to converted.jsonl
says err 'pipe.jsonl: not a regular file but a pipe'
one_sentence
run 4 timeout 60 "$agon" experiment pipe.jsonl --output of_experiment
one_sentence

done_testing
