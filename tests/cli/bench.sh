#!/bin/sh
# agon bench: rates and shares on every CPU path there is; AGON_CPU picks the path, and all paths give the same bits.
. "$(dirname "$0")/common"

"$agon" doctor --model "$tiny" --json >out 2>err
paths=$(sed -n 's/.*(present: \([a-z0-9, ]*\)).*/\1/p' out | tr -d ,)
count
[ -n "$paths" ] || fail "doctor names no CPU path"
echo "paths here: $paths"
for path in portable avx2 avx512 amx; do
    case " $paths " in
    *" $path "*) ;;
    *)
        AGON_CPU=$path run 2 "$agon" bench matmul
        says err "no CPU path '$path'"; one_sentence
        continue
        ;;
    esac
    AGON_CPU=$path run 0 "$agon" bench matmul --json --runs 1 --out 48 --in 70 --rows 33
    count
    [ "$(wc -l <out)" = 5 ] || fail "not four kernels and the machine"
    says out "^\\{\"cpu\":\"$path\",\"numerics\":\"portable\",\"threads\":[0-9]+,\"peak\":"
    says out '"kernel":"matmul_dw","n_out":48,"n_in":70,"rows":33,"gflops":[0-9.e+-]+,"share_of_peak":[0-9.e+-]+'
    count
    field share_of_peak out | awk '!($1 > 0) { bad = 1 } END { exit bad }' || fail "a share is not above 0"
    AGON_CPU=$path run 0 "$agon" generate --model "$tiny" --json --max-tokens 12 --seed 4 --logit-bias 5=1 <<'ROWS'
{"prompt":"every path has the same bits"}
ROWS
    [ -f bits ] || cp out bits
    same out bits
done
run 0 "$agon" bench matmul --runs 1 --out 16 --in 32 --rows 1
says out '^matmul +16 x 32 +1 rows +[0-9.]+ GFLOP/s +[0-9.]+% of its peak$'
says out '^matmul_q8 +16 x 32 +1 rows +[0-9.]+ GFLOP/s +[0-9.]+% of its peak, [0-9]+\.[0-9]+ x bf16$'
says out 'numerics portable, [0-9]+ threads: peak [0-9.]+ GFLOP/s'
run 0 "$agon" bench stream --model "$tiny" --json --runs 2
says out '^\{"kernel":"stream","new_tokens":[0-9]+,"tokens_per_s":[0-9.e+-]+,"weight_mbytes":[0-9.e+-]+,"weight_gbytes_per_s":[0-9.e+-]+,"read_gbytes_per_s":[0-9.e+-]+,"share_of_read":[0-9.e+-]+\}$'
says out '"peak":\{.*"read_gbytes_per_s":[0-9.e+-]+'
count
field share_of_read out | awk '!($1 > 0) { bad = 1 } END { exit bad }' || fail "a share is not above 0"
run 0 "$agon" bench stream --model "$tiny" --runs 1
says out '^stream +[0-9.]+ tokens/s, [0-9.]+ GB/s of weights: [0-9.]+% of what a plain reader of as many bytes gets$'
run 3 "$agon" bench stream --model none.gguf; one_sentence
refused 2 "'nothing' is neither matmul nor stream" "$agon" bench nothing
run 2 "$agon" bench; one_sentence
refused 2 '--out and --in go together' "$agon" bench matmul --out 16
AGON_MEMORY=1 run 5 "$agon" bench matmul --out 16 --in 16 --rows 1; one_sentence
done_testing
