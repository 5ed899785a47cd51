/* agon weak-to-strong: the protocol of weak-to-strong generalisation, with its controls. */
#include "cli/experiments.h"
#include <math.h>

/* The share of the gap at a checkpoint that is not the last, where it was measured. */
static void show_stop(const json_t *stop) {
    if (isfinite(member_real(stop, "pgr")))
        printf("  %+.2f", member_real(stop, "pgr"));
}

static void show_condition(const json_t *c) {
    const json_t *range = json_object_get(c, "interval");
    const json_t *low = json_array_get(range, 0), *high = json_array_get(range, 1);
    printf("    %-18s %.3f   ", member_text(c, "condition"), member_real(c, "accuracy"));
    if (json_is_number(low) && json_is_number(high) && isfinite(member_real(c, "pgr")))
        printf("%+.2f  [%+.2f, %+.2f]", member_real(c, "pgr"), json_number_value(low), json_number_value(high));
    else
        printf("undefined: no gap");
    show_stop(json_object_get(json_object_get(c, "early_stop"), "weak_validation"));
    show_stop(json_object_get(json_object_get(c, "early_stop"), "truth"));
    putchar('\n');
}

static void show_task(const json_t *t) {
    size_t i;
    json_t *c;
    printf("  %s: weak %.3f, ceiling %.3f%s\n", member_text(t, "task"), member_real(t, "weak"), member_real(t, "ceiling"),
           json_is_true(json_object_get(t, "gap_is_noise")) ? " (the gap is within its noise: its PGR means nothing)" : "");
    bool stops = false;
    json_array_foreach(json_object_get(t, "conditions"), i, c)
        stops |= json_is_object(json_object_get(c, "early_stop"));
    printf("    %-18s %-7s %s%s\n", "student", "right", "gap recovered [95%]", stops ? "   by weak validation, by the truth" : "");
    json_array_foreach(json_object_get(t, "conditions"), i, c)
        show_condition(c);
}

static void show(const json_t *result) {
    const bool own = json_object_get(result, "data") != NULL; /* rows of the user's */
    const char *const kinds[][2] = {{"classification", own ? "which class?" : "is the statement true?"}, {"generation", "complete the statement"}};
    for (int k = 0; k < 2; k++) {
        const json_t *list = json_object_get(result, kinds[k][0]);
        size_t i;
        json_t *t;
        if (json_array_size(list))
            printf("\n%s\n", kinds[k][1]);
        json_array_foreach(list, i, t)
            show_task(t);
    }
}

static int run(int argc, char **argv) {
    return run_experiment_command(&command_weak_to_strong, argc, argv, "weak-to-strong", show);
}

const command command_weak_to_strong = {
    "weak-to-strong",
    "what a strong learner recovers from weak labels",
    "weak-to-strong FILE.yaml [--output DIR] [--full] [--plan] [--json]\n\n"
    "A weak supervisor is trained on half A, its labels of half B train a stronger student, and a ceiling is the same\n"
    "student on the truth. Prints how much of the gap each student recovers (PGR), with intervals over seeds and items:\n"
    "naive, auxiliary confidence loss (both schedules), only the most confident labels, errors replaced by random flips of\n"
    "the same rates, bootstrapping, specialists by vote and mean. Models are trained from scratch, or the student is a\n"
    "language model (strong: language-model). Or both models and the labelled rows are your own (experiment:\n"
    "weak-to-strong-rows, with data: my.jsonl, weak: MODEL, strong: MODEL). Stop it at any moment and run the same command\n"
    "again: it goes on.\n\n"
    "  --output DIR   where result.json, curves.svg and finished parts are kept (default: the file's stem + .out)\n"
    "  --full         with what the file's \"full\" changes, usually more seeds; how long it takes is said first\n"
    "  --plan         only say how long it takes\n"
    "  --json         the result as one line of JSON; progress goes to stderr\n\n"
    "  agon weak-to-strong examples/weak_to_strong.yaml\n"
    "  agon weak-to-strong examples/weak_to_strong_lm.yaml --plan\n"
    "  agon weak-to-strong examples/weak_to_strong_rows.yaml   # models and rows of your own: name yours in a copy",
    run,
};
