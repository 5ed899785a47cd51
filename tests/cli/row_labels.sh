#!/bin/sh
# agon data fuse, noise, clean: labels from votes, planted noise with its truth, and found again; files are never written over.
. "$(dirname "$0")/common"

# ---- fuse
i=0
while [ $i -lt 60 ]; do
    v=true c=true h=
    [ $((i % 3)) = 0 ] && v=false
    [ $((i % 4)) = 0 ] && c=false || c=$v
    [ $((i % 5)) = 0 ] && h=",\"human\":$v"
    printf '{"prompt":"q%s","chosen":"yes","rejected":"no","kept":%s,"votes":{"verifier":%s,"critic":%s,"critic2":%s%s}}\n' $i $i $v $c $c "$h"
    i=$((i + 1))
done >votes.jsonl
printf '{"prompt":"last","chosen":"yes","rejected":"no"}\n' >>votes.jsonl
run 0 "$agon" data fuse votes.jsonl --to fused.jsonl --gold human --together critic,critic2
says out 'fused.jsonl: 60 of 61 rows'
says out '12 rows pinned by human'
says out 'raters agree at alpha 0\.660$' # 10 of 60 apart; 50 of 120 votes say no
says out '^  critic\+critic2$'
says out 'against gold: [0-9]+ of 12 wrong, [0-9.]+ \[[0-9.]+, [0-9.]+\] exact'
says out '  line 61: no votes'
says fused.jsonl '"prompt":"q0",.*"kept":0,.*"label":0'
run 0 "$agon" data check fused.jsonl --objective dpo-soft --model "$tiny"
run 4 "$agon" data check fused.jsonl --objective dpo --model "$tiny"
says out 'so rejected is the better side, which dpo does not read'
run 0 "$agon" data fuse votes.jsonl --to hard.jsonl --gold human --together critic,critic2 --hard --json
says out '"swapped":20'
says hard.jsonl '"prompt":"q0","chosen":"no","rejected":"yes","kept":0,.*"weight":'
run 0 "$agon" data check hard.jsonl --objective dpo --model "$tiny"
run 0 "$agon" data fuse votes.jsonl --to again.jsonl --gold human --together critic,critic2
same fused.jsonl again.jsonl
run 4 "$agon" data fuse votes.jsonl --to fused.jsonl
says err 'fused.jsonl is there already'
one_sentence
run 4 "$agon" data fuse votes.jsonl --to x.jsonl --gold nobody
says err "gold: 'nobody' votes in no row"
printf '{"prompt":"a","completion":"b","votes":{"v":"yes"}}\n' >bad.jsonl
run 4 "$agon" data fuse bad.jsonl --to x.jsonl
says err "bad.jsonl:1: votes: that of 'v' must be true or false"
run 2 "$agon" data fuse votes.jsonl

# ---- noise
i=0
while [ $i -lt 64 ]; do
    printf '{"prompt":"say %s","chosen":"good %s","rejected":"bad %s"}\n' $i $((i % 7)) $((i % 5))
    i=$((i + 1))
done >pairs.jsonl
run 0 "$agon" data noise pairs.jsonl --to noisy.jsonl --objective dpo --rate 0.2 --seed 3
says out 'noisy.jsonl: [0-9]+ of 64 rows changed \(swapped, rate 0.2, seed 3\)'
says noisy.jsonl.truth '^\{"line":[0-9]+,"original":\{"chosen":"good'
count
[ "$(wc -l <noisy.jsonl.truth)" = "$(grep -c '"chosen":"bad' noisy.jsonl)" ] || fail "the truth does not list the swapped rows"
run 0 "$agon" data noise pairs.jsonl --to noisy2.jsonl --objective dpo --rate 0.2 --seed 3 --json
same noisy.jsonl noisy2.jsonl
run 4 "$agon" data noise pairs.jsonl --to noisy.jsonl --objective dpo --rate 0.2
says err 'is there already'
# what a call that was killed between its two files left is not in the way; a file beside it that nobody began is
echo half >killed.jsonl.truth
run 4 "$agon" data noise pairs.jsonl --to killed.jsonl --objective dpo --rate 0.2 --seed 3
says err 'killed.jsonl.truth is there already'
echo half >killed.jsonl.tmp-agonabcdef
run 0 "$agon" data noise pairs.jsonl --to killed.jsonl --objective dpo --rate 0.2 --seed 3
same killed.jsonl noisy.jsonl
same killed.jsonl.truth noisy.jsonl.truth
count
[ ! -e killed.jsonl.tmp-agonabcdef ] || fail "what a killed call left stays"
# names of sources and dimensions are anybody's words: none is printed raw
escape=$(printf '\\u001b[2J\\u009b')
printf '{"prompt":"q","chosen":"a","rejected":"b","votes":{"%s":true,"b":false}}\n' "$escape" >named.jsonl
run 0 "$agon" data fuse named.jsonl --to named.fused.jsonl --gold "$(printf '\033[2J\302\233')"
count
if LC_ALL=C tr -d '\n' <out | LC_ALL=C grep -q '[[:cntrl:]]' || grep -q "$(printf '\302\233')" out; then fail "raw control characters in the report"; fi
printf '{"prompt":"a","completion":"the cat sat on the mat"}\n{"prompt":"b","completion":"a dog ran"}\n' >answers.jsonl
run 0 "$agon" data noise answers.jsonl --to tokens.jsonl --objective sft --rate 0.5 --level token --model "$tiny"
says out 'tokens: [0-9]+, [0-9]+ of them can be replaced, [0-9]+ were'
run 0 "$agon" data check tokens.jsonl --objective sft --model "$tiny"
run 2 "$agon" data noise pairs.jsonl --to x.jsonl --objective dpo
run 4 "$agon" data noise pairs.jsonl --to x.jsonl --objective dpo --rate 2
run 4 "$agon" data noise pairs.jsonl --to x.jsonl --objective kto --rate 0.2
says err 'pairs.jsonl:1: label must be'

# ---- clean
run 0 "$agon" data clean noisy.jsonl --to cleaned.jsonl --objective dpo --model "$tiny" --lora 4 --epochs 4 --lr 0.01 --truth noisy.jsonl.truth
says err '64 rows, [0-9]+ tokens, 4 folds: about'
says err 'fold 4 of 4: step'
says out 'estimated share of wrong labels: 0\.'
says out 'against the truth: [0-9]+ planted, [0-9]+ of them found; precision [0-9.]+ \[[0-9.]+, [0-9.]+\], recall'
says cleaned.jsonl.dropped '"file":"noisy.jsonl","line":[0-9]+,"given":"chosen","p_right":[0-9.e-]+,"margin":-[0-9.e-]+,"why":"'
count
[ $(($(wc -l <cleaned.jsonl) + $(wc -l <cleaned.jsonl.dropped))) = 64 ] || fail "rows were lost"
run 0 "$agon" data clean noisy.jsonl --to cleaned2.jsonl --objective dpo --model "$tiny" --lora 4 --epochs 4 --lr 0.01 --json
same cleaned.jsonl cleaned2.jsonl
same cleaned.jsonl.dropped cleaned2.jsonl.dropped
run 4 "$agon" data clean noisy.jsonl --to cleaned.jsonl --objective dpo --model "$tiny"
says err 'is there already'
run 4 "$agon" data clean answers.jsonl --to x.jsonl --objective sft --model "$tiny"
says err 'state the share of the largest losses'
run 2 "$agon" data clean answers.jsonl --to x.jsonl --objective sft --drop some --model "$tiny"
run 0 "$agon" data clean answers.jsonl --to best.jsonl --objective sft --drop 0.5 --folds 2 --model "$tiny"
says out 'best.jsonl: 1 of 2 rows; dropped 1 in best.jsonl.dropped'
# Judged within the limit of agon train, written whole; without one a row must fit the context.
clean="$agon data clean long.jsonl --objective sft --drop 0.3 --folds 2 --model $tiny"
{ cat answers.jsonl; printf '{"prompt":"c","completion":"%s"}\n' "$(seq 4000 | tr '\n' ' ')"; } >long.jsonl
run 0 $clean --to long1.jsonl --json
says out '"rows":3,"weightless":0,"truncated":[01],"written":2,'
run 0 $clean --to long2.jsonl --max-length 16
says out '2 rows are longer than --max-length 16: judged by their beginnings, written whole'
says long2.jsonl ' 4000 "'
run 4 $clean --to x.jsonl --max-length 0
says err 'long.jsonl:3: prompt and response have [0-9]+ tokens and the model'; one_sentence
run 4 $clean --to x.jsonl --max-length 1
says err 'long.jsonl:1: .*prompt'; one_sentence
run 2 $clean --to x.jsonl --max-length -1
run 2 "$agon" data noise pairs.jsonl --to x.jsonl --objective dpo --rate 0.2 --max-length 64
says err 'has no effect on noise'
done_testing
