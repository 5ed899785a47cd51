#!/bin/sh
# An experiment whose disk fails goes on with the stages that it has, to the same result.
. "$(dirname "$0")/common"

mkdir before
cat >before/spans.yaml <<'END'
experiment: span-rewards
ladder: [{width: 8, layers: 1}]
corpus_items: 64
rounds: 1
prompts: 2
samples: 2
rank: 1
test_items: 20
END
# A stage or result at its final name is the one that the undisturbed experiment ends with.
intact() {
    for file in out/result.json out/stages/*; do
        [ ! -f "$file" ] || grep -qF "$(sha256sum ./"$file")" ../whole || return 1
    done
}
keeps="^agon experiment: "
survives 10 5 out "$agon" experiment spans.yaml --output out --json
done_testing
