#!/bin/sh
# Rows as other tools write them: what one would be learnt without is refused by name, and data convert puts it where it is read.
. "$(dirname "$0")/common"

check() { # check CODE OBJECTIVE ROW...: rows in rows.jsonl
    wanted=$1 objective=$2
    shift 2
    printf '%s\n' "$@" >rows.jsonl
    run "$wanted" "$agon" data check rows.jsonl --objective "$objective" --model "$tiny" --chat-template chatml --json
}
lost() { # lost OBJECTIVE PATTERN ROW: refused by check and train, by name
    check 4 "$1" "$3"
    says err "rows.jsonl:1: .*$2"
    refused 4 "rows.jsonl:1: .*$2" "$agon" train "$1" --model "$tiny" --chat-template chatml --data rows.jsonl --output made --lora 2 --dry-run
}
fine() { check 0 "$1" "$2"; }
preview() { # preview OBJECTIVE: the first row as it is read
    run 0 "$agon" data check rows.jsonl --objective "$1" --model "$tiny" --chat-template chatml --show 1
}
converted() { # converted ROW: what convert makes of it
    rm -f from.jsonl to.jsonl
    printf '%s\n' "$1" >from.jsonl
    run 0 "$agon" data convert from.jsonl --to to.jsonl
    cp to.jsonl rows.jsonl
}
u='{"role":"user","content":"Q?"}' a='{"role":"assistant","content":"Yes."}' b='{"role":"assistant","content":"No."}' s='{"role":"system","content":"Be brief."}'

# ---- a question beside a pair of texts
for key in question instruction query input system; do
    lost dpo "\"$key\", so it would not be learnt from; agon data convert" "{\"$key\":\"What is the capital of France?\",\"chosen\":\"The capital is Paris.\",\"rejected\":\"The capital is Rome.\"}"
done
for key in question instruction query input; do
    converted "{\"$key\":\"Q?\",\"chosen\":\"It is Paris.\",\"rejected\":\"It is Rome.\",\"system\":\"Be brief.\"}"
    has to.jsonl "{\"prompt\":[$s,$u],\"chosen\":[{\"role\":\"assistant\",\"content\":\"It is Paris.\"}]"
    run 0 "$agon" data check to.jsonl --objective dpo --model "$tiny" --chat-template chatml
done
converted '{"instruction":"Add.","input":"1 2","chosen":"3","rejected":"4"}'
has to.jsonl '"content":"Add.\n\n1 2"'
# what the sides begin with holds it, as before; so does a prompt of its own; both ways are counted
fine dpo '{"question":" The capital ","chosen":"The capital is Paris.","rejected":"The capital is Rome."}'
says out '"implicit_prompts":1'
converted '{"question2":"x","instruction":"The capital","chosen":"The capital is Paris.","rejected":"The capital is Rome."}'
has to.jsonl '"instruction":"The capital","chosen":"The capital is Paris."'
run 0 "$agon" train dpo --model "$tiny" --data rows.jsonl --output made --lora 2 --dry-run
says out '1 pairs have no "prompt"'
run 0 "$agon" train dpo --model "$tiny" --data rows.jsonl --output made --lora 2 --dry-run --json
says out '"plan":.*"implicit_prompts":1'
fine dpo '{"question":"Q?","prompt":"Q?","chosen":"Yes.","rejected":"No."}'
says out '"implicit_prompts":0'
fine dpo '{"question":null,"query":" ","chosen":"It is Paris.","rejected":"It is Rome."}'

# ---- a system message in a column of its own
for row in "{\"system\":\"Be brief.\",\"messages\":[$u,$a]}" "{\"system\":\"Be brief.\",\"prompt\":\"Q?\",\"completion\":\"Yes.\"}"; do
    lost sft 'system is not read beside .*; agon data convert' "$row"
done
for row in '{"prompt":"Q?","chosen":"Yes.","rejected":"No.","system":"Be brief."}' "{\"prompt\":\"Q?\",\"messages\":[$s,$u,$a],\"chosen\":[$u,$a],\"rejected\":[$u,$b],\"system\":\"Be brief.\"}" "{\"prompt\":[$u],\"chosen\":[$a],\"rejected\":[$b],\"system\":\"Be brief.\"}" \
    "{\"chosen\":[$u,$a],\"rejected\":[$u,$b],\"system\":\"Be brief.\"}"; do
    lost dpo 'system is not read beside .*; agon data convert' "$row"
    converted "$row"
    [ "$(grep -o 'Be brief' to.jsonl | wc -l)" -ge 1 ] || fail "the system message is lost"
    preview dpo
    [ "$(sed -n 's/.* prompt  "\(.*\)"$/\1/p' out | tr -d '\n' | grep -c 'system.*Be brief\..*Q?')" = 1 ] || fail "the system message is not read"
done
converted '{"prompt":"Q?","chosen":"Yes.","rejected":"No.","system":"Be brief."}'
has to.jsonl "{\"prompt\":[$s,$u],\"chosen\":[$a],\"rejected\":[$b]}"
converted "{\"messages\":[$u,$a],\"system\":\"Be brief.\"}"
has to.jsonl "{\"messages\":[$s,$u,$a]}"
converted '{"question":"Q?","answer":"Yes.","system":"Be brief."}'
has to.jsonl "{\"prompt\":[$s,$u],\"completion\":[$a]}"
converted '{"chosen":"\n\nHuman: Q?\n\nAssistant: Yes.","rejected":"\n\nHuman: Q?\n\nAssistant: No.","system":"Be brief."}'
has to.jsonl "\"prompt\":[$s,$u]"
fine sft "{\"system\":\"Be brief.\",\"messages\":[$s,$u,$a]}"
converted "{\"system\":\"Be brief.\",\"messages\":[$s,$u,$a]}"
has to.jsonl "{\"messages\":[$s,$u,$a]}"
printf '%s\n' "{\"system\":\"Be long.\",\"messages\":[$s,$u,$a]}" >two.jsonl
refused 4 'two.jsonl:1: system and the first message of messages are two' "$agon" data convert two.jsonl --to no.jsonl
fine sft "{\"system\":\"\",\"messages\":[$u,$a]}"
fine sft '{"system":"Be brief.","prompt":"Be brief. Q?","completion":"Yes."}'
fine sft '{"text":"a document","system":"of a machine"}'

# ---- tool calls, contents, weights of messages
for field in '"tool_calls":[{"id":"1"}]' '"function_call":{"name":"f"}'; do
    lost sft 'messages\[1\] has [a-z]*_calls?: no template here writes tool calls' "{\"messages\":[$u,{\"role\":\"assistant\",\"content\":\"I look.\",$field},$a]}"
done
lost sft 'messages\[1\] has tool_calls' "{\"messages\":[$u,{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\"}]},$a]}"
lost sft 'tools would not be learnt from' "{\"messages\":[$u,$a],\"tools\":[{\"type\":\"function\"}]}"
lost sft 'messages\[1\] has no content \(null\)' "{\"messages\":[$u,{\"role\":\"assistant\",\"content\":null}]}"
fine sft "{\"messages\":[$u,{\"role\":\"assistant\",\"content\":\"Yes.\",\"tool_calls\":[]}],\"tools\":\"[]\"}"
lost sft 'both text and messages' "{\"text\":\"x y\",\"messages\":[$u,$a]}"

check 0 sft "{\"messages\":[$u,$a,$u,$b]}"
learnt=$(field supervised_tokens out)
check 0 sft "{\"messages\":[$u,$b]}"
last=$(field supervised_tokens out)
check 0 sft "{\"messages\":[$u,{\"role\":\"assistant\",\"content\":\"Yes.\",\"weight\":0},$u,$b]}"
[ "$(field supervised_tokens out)" = "$last" ] && [ "$last" -lt "$learnt" ] || fail "an answer of weight 0 is learnt"
check 0 sft "{\"messages\":[$u,{\"role\":\"assistant\",\"content\":\"Yes.\",\"weight\":1},$u,{\"role\":\"assistant\",\"content\":\"No.\",\"weight\":true}]}"
[ "$(field supervised_tokens out)" = "$learnt" ] || fail "an answer of weight 1 is learnt as any"
check 0 sft "{\"prompt\":[$u],\"completion\":[{\"role\":\"assistant\",\"content\":\"Yes.\",\"weight\":0},$u,$b]}"
[ "$(field supervised_tokens out)" = "$last" ] || fail "an answer of weight 0 in a completion is learnt"
lost sft 'messages\[1\]: the weight of a message is 0 .* or 1' "{\"messages\":[$u,{\"role\":\"assistant\",\"content\":\"Yes.\",\"weight\":0.5}]}"
lost sft 'no assistant text to learn from' "{\"messages\":[$u,{\"role\":\"assistant\",\"content\":\"Yes.\",\"weight\":0}]}"

part() { printf '{"role":"%s","content":[{"type":"text","text":"%s"},{"type":"text","text":"%s"}]}' "$1" "$2" "$3"; }
check 0 sft "{\"messages\":[$u,$a]}"
preview sft
cp out plain
check 0 sft "{\"messages\":[$(part user 'Q' '?'),$(part assistant 'Ye' 's.')]}"
preview sft
same out plain
fine dpo "{\"prompt\":[$(part user Q '?')],\"chosen\":[$(part assistant Ye s.)],\"rejected\":[$b]}"
fine grpo "{\"prompt\":[$(part user Q '?')],\"completions\":[[$(part assistant Ye s.)],[$b]],\"rewards\":[1,0]}"
lost sft 'messages\[0\]: content\[0\] is no text part' "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]},$a]}"

# ---- lists and tables where rows are read
printf '[{"prompt":"Q?","completion":"Yes."}]\n' >list.json
printf 'prompt,completion,label\nQ?,"Yes, it is.",true\n"Q2?",No.,0\n' >table.csv
for file in list.json table.csv; do
    for words in "check $file --objective sft --model $tiny" "stats $file --objective sft --model $tiny" "split $file"; do
        # shellcheck disable=SC2086
        run 4 "$agon" data $words
        says err 'agon data convert makes such a file of it'
    done
    refused 4 'agon data convert makes such a file of it' "$agon" train sft --model "$tiny" --data "$file" --output made --lora 2 --dry-run
    run 0 "$agon" data convert "$file" --to "$file.jsonl"
    run 0 "$agon" data check "$file.jsonl" --objective sft --model "$tiny"
done
has table.csv.jsonl '{"prompt":"Q?","completion":"Yes, it is.","label":true}'
run 0 "$agon" data check table.csv.jsonl --objective kto --model "$tiny"
printf 'question,chosen,rejected\nQ?,Yes\n' >short.csv
refused 4 'short.csv:2: ' "$agon" data convert short.csv --to no.jsonl
[ ! -e no.jsonl ] || fail "a refused conversion leaves nothing"

# ---- options that stand twice
twice() {
    sentence=$1
    shift
    refused 2 "$sentence" "$agon" "$@"
}
printf '{"prompt":"Q?","completion":"Yes."}\n' >rows.jsonl
twice '^agon train: --data stands twice' train sft --model "$tiny" --data rows.jsonl --data=rows.jsonl --output made
twice '--lr stands twice' train sft --model "$tiny" --data rows.jsonl --output made --lr 1e-3 --lr 1e-5
twice '--batch stands twice' train sft --batch=1 --model "$tiny" --data rows.jsonl --output made --batch 2
for words in 'export --output x' generate 'eval --suite general'; do
    # shellcheck disable=SC2086
    twice '--adapter stands twice, .*agon soup' $words --model "$tiny" --adapter t1 --adapter t2
done
[ ! -e made ] || fail "a refused training leaves nothing"
# a value that looks like one is none; lists and flags may
echo '{"prompt":"a"}' | run 0 "$agon" generate --json --model "$tiny" --stop --n --n 1 --stop x --json --max-tokens 2
# after -- there are words
run 0 "$agon" generate --json --model "$tiny" --max-tokens 1 -- --max-tokens 1

# ---- rows of generate as other servers take them
ask() { printf '%s\n' "$1" | run "$2" "$agon" generate --json --model "$tiny" --max-tokens 5; }
ask '{"prompt":"a","max_tokens":2}' 0
cp out two
for key in max_new_tokens max_completion_tokens; do
    ask "{\"prompt\":\"a\",\"$key\":2}" 0
    same out two
done
ask '{"prompt":"a","max_new_tokens":0}' 4
ask '{"prompt":"a","max_tokens":2,"max_new_tokens":3}' 4
says err '"max_tokens" and "max_new_tokens" are two limits'
printf '{"prompt":"a"}\n{"prompt":"b","n":3}\n{"prompt":"c"}\n' | run 0 "$agon" generate --json --model "$tiny" --max-tokens 2
[ "$(sed -n 2p out | grep -o '"text"' | wc -l)" = 3 ] && [ "$(grep -o '"text"' out | wc -l)" = 5 ] && [ "$(wc -l <out)" = 3 ] || fail "a row's own n"
cp out several
echo '{"prompt":"b"}' | run 0 "$agon" generate --json --model "$tiny" --max-tokens 2 --n 3
sed -n 2p several >second
same out second
ask '{"prompt":"a","n":0}' 4
says err '"n" must be a whole number from 1'
while read -r row; do
    key=$(expr "$row" : '.*,"\([a-z_]*\)":')
    ask "$row" 4
    says err "input line 1: \"$key\" is not read by generate"
    one_sentence
done <<'ROWS'
{"prompt":"a","response_format":{}}
{"prompt":"a","logprobs":true}
{"prompt":"a","top_logprobs":2}
{"prompt":"a","tools":[1]}
{"prompt":"a","functions":[1]}
{"prompt":"a","system":"Be brief."}
ROWS
ask '{"prompt":"a","logprobs":false,"tools":[],"response_format":null,"system":"","max_tokens":2}' 0
same out two
ask '{"messages":[{"role":"assistant","content":"a","tool_calls":[{}]}]}' 4
says err 'hold a tool call'

done_testing
