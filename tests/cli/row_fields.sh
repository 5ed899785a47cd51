#!/bin/sh
# Rows of score and generate: a misspelt field is refused with the name that was meant, not passed over; the user's own fields stay.
. "$(dirname "$0")/common"

bad_row() { # bad_row COMMAND ROW PATTERN
    printf '{"prompt":"a","completion":"b"}\n%s\n' "$2" >rows
    refused 4 "input line 2: .*$3" "$agon" "$1" --model "$tiny" --json <rows
    count
    [ ! -s out ] || fail "rows were answered before the bad one was named"
}
bad_row score '{"promt":"a","completion":"b"}' 'there is no field "promt"; did you mean "prompt"\?'
bad_row score '{"prompt":"a","compeltion":"b"}' 'did you mean "completion"\?'
bad_row score '{"prompt":"a","Completion":"b"}' 'did you mean "completion"\?'
bad_row score '{"completion":"b"}' 'a row needs "prompt"'
bad_row score '{"question":"a","answer":"b"}' 'a row needs "prompt"'
bad_row score '{"prompt":"a","answer":"b"}' 'there is nothing to score: no "completion"'
bad_row score '{"messages":[{"role":"user","content":"a"}]}' 'there is nothing to score'
bad_row score '{"message":[{"role":"user","content":"a"}]}' 'did you mean "messages"\?'
for pair in temprature:temperature max-tokens:max_tokens max_token:max_tokens topk:top_k repetition_penality:repetition_penalty logit_bais:logit_bias; do
    bad_row generate "{\"prompt\":\"a\",\"${pair%%:*}\":1}" "there is no field \"${pair%%:*}\"; did you mean \"${pair##*:}\"\?"
done
bad_row generate '{"promtp":"a"}' 'did you mean "prompt"\?'

# what a row holds is not printed raw, and what is no row is said
bad_row score "$(printf '\033[2J')" "this is not JSON: .*\\\\x1b"
bad_row generate "$(printf '{"a":\302\2331m}')" "this is not JSON: .*\\\\x9b"
bad_row generate "{\"promp$(printf '\302\205')\":\"a\"}" 'a row needs one of them'
run 5 "$agon" score --model "$tiny" <.
says err 'could not be read: Is a directory'
one_sentence
printf '\177\302\233' | run 0 "$agon" tokenize --model "$tiny"
count
if LC_ALL=C tr -d '\n' <out | LC_ALL=C grep -q '[[:cntrl:]]'; then fail "raw control characters in tokens for people"; fi
# in JSON neither, of whatever a model says: DEL alone, and C1 controls, as numbers
run 0 "$agon" tokenize --model "$tiny" --json <out
printf '{"prompt":"a","allowed_tokens":[%s]}\n' "$(printf '\177' | "$agon" tokenize --model "$tiny" --json | sed 's/.*\[\(.*\)\].*/\1/')" |
    run 0 "$agon" generate --model "$tiny" --json --max-tokens 2
says out '"text":"\\u007f\\u007f"'

# what is not near to any stays the user's own, and changes nothing
printf '{"prompt":"a","completion":"b"}\n' >plain
printf '{"prompt":"a","completion":"b","id":7,"step":1,"reference":"x","contex":"c","contexts":[],"test":true,"tokens":[1],"source":"s"}\n' >own
run 0 "$agon" score --model "$tiny" --json <plain
cp out plain.out
run 0 "$agon" score --model "$tiny" --json <own
same out plain.out
run 0 "$agon" generate --model "$tiny" --json --max-tokens 3 <plain
cp out plain.out
run 0 "$agon" generate --model "$tiny" --json --max-tokens 3 <own
same out plain.out
printf '{"prompt":"","completion":"b"}\n{"prompt":"a","completion":""}\n' | run 0 "$agon" score --model "$tiny" --json
printf '{"prompt":"a"}\n' | run 0 "$agon" score --model "$tiny" --json --top 2

# the same in rows to train on: a pair without its prompt, a weight that is passed over
while read -r objective meant row; do
    echo "$row" >train.jsonl
    run 4 "$agon" data check train.jsonl --objective "$objective" --model "$tiny"
    says err "train.jsonl:1: there is no field '[^']*'; did you mean '$meant'\?"
    one_sentence
done <<'END'
dpo prompt {"promt":"a","chosen":"b","rejected":"c"}
sft weight {"prompt":"a","completion":"b","wieght":0.5}
sft completion {"prompt":"a","Completion":"b"}
bt margin {"prompt":"a","chosen":"b","rejected":"c","margn":1}
END
printf '{"prompt":"a","completion":"b","prompts":["x"],"completions_id":1,"reference":"r","id":3,"source":"s"}\n' >train.jsonl
run 0 "$agon" data check train.jsonl --objective sft --model "$tiny"

# U+0000 is text in a raw prompt; in a file of rows it is refused in words, by line
printf '{"prompt":"a\\u0000b","completion":"c"}\n' >nul
run 0 "$agon" score --model "$tiny" --json <nul
printf '{"prompt":"a","completion":"c"}\n' | cat - nul >nuls.jsonl
run 4 "$agon" data check nuls.jsonl --objective sft --model "$tiny"
says out 'nuls.jsonl:2: the text at column [0-9]+ holds U\+0000 .*take it out'
run 4 "$agon" train sft --model "$tiny" --data nuls.jsonl --output trained --lora 2 --steps 1
says err 'nuls.jsonl:2: the text at column [0-9]+ holds U\+0000'
one_sentence
printf '{"query":"a\\u0000b","answer":"c"}\n' >queries.jsonl
run 4 "$agon" init queries.jsonl
says err 'queries.jsonl:1: .*U\+0000'

done_testing
