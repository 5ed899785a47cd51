/* agon unseal: opens the ledger after a sealed run and says what was true all along. */
#include "cli/arms_table.h"
#include <string.h>

static void heading(const terminal *t, const char *text) {
    printf("\n%s%s%s\n", style_bold(t), text, style_off(t));
}

static void points(const char *name, const json_t *value, const json_t *ci) {
    printf("    %-28s", name);
    if (json_is_number(value))
        printf(" %+6.1f", 100 * json_number_value(value));
    else
        printf("      -");
    if (json_array_size(ci) == 2)
        printf(" [%+.1f, %+.1f]", 100 * json_number_value(json_array_get(ci, 0)),
               100 * json_number_value(json_array_get(ci, 1)));
    putchar('\n');
}

static void estimate(const char *name, const json_t *e) {
    points(name, json_object_get(e, "estimate"), json_object_get(e, "ci95"));
}

static void print_gates(const terminal *t, const json_t *gates) {
    const json_t *g;
    size_t i;
    heading(t, "gain on held-out tasks, points: what the gate believed, and what was true");
    json_array_foreach((json_t *)(uintptr_t)gates, i, g) {
        const json_t *covered = json_object_get(g, "covered");
        printf("  iteration %" JSON_INTEGER_FORMAT ": ", member_count(g, "iteration"));
        print_cut(t, stdout, member_text(g, "verdict"), 20, false);
        putchar('\n');
        points("true", json_object_get(g, "true_gain"), json_object_get(g, "true_ci95"));
        points("the gate's estimate", json_object_get(g, "estimate"), json_object_get(g, "ci95"));
        estimate("by the critic alone", json_object_get(g, "judge_only"));
        estimate("by the expert's labels alone", json_object_get(g, "labels_only"));
        printf("    the gate's interval %s the truth\n",
               json_is_true(covered) ? "covered" : json_is_false(covered) ? "did NOT cover" : "could not be compared with");
    }
}

static void print_noise(const terminal *t, const json_t *rows) {
    const json_t *row;
    size_t i;
    heading(t, "label noise");
    printf("  %-13s %-18s difficulty     n  wrong\n", "source", "family");
    json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
        json_int_t n = member_count(row, "n");
        json_int_t wrong = member_count(row, "wrong");
        const json_t *difficulty = json_object_get(row, "difficulty");
        fputs("  ", stdout);
        print_cut(t, stdout, member_text(row, "source"), 13, true);
        putchar(' ');
        print_cut(t, stdout, member_text(row, "family"), 18, true);
        putchar(' ');
        if (json_is_integer(difficulty))
            printf("%10" JSON_INTEGER_FORMAT, json_integer_value(difficulty));
        else
            print_cut(t, stdout, json_is_string(difficulty) ? json_string_value(difficulty) : "-", 10, true);
        printf(" %5" JSON_INTEGER_FORMAT " %6" JSON_INTEGER_FORMAT "  (%.1f %%)\n", n, wrong,
               n ? 100.0 * (double)wrong / (double)n : 0.0);
    }
}

static void print_critic(const terminal *t, const json_t *rows) {
    const json_t *row;
    size_t i;
    heading(t, "critic against the truth");
    printf("  %-8s %-20s     n   AUROC\n", "critic", "family");
    json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
        const json_t *auroc = json_object_get(row, "auroc");
        fputs("  ", stdout);
        print_cut(t, stdout, member_text(row, "critic"), 8, true);
        putchar(' ');
        print_cut(t, stdout, member_text(row, "family"), 20, true);
        printf(" %5" JSON_INTEGER_FORMAT, member_count(row, "n"));
        if (json_is_number(auroc))
            printf("   %.3f\n", json_number_value(auroc));
        else
            puts("       -");
    }
}

/* Of the gap between the arms labels_only and oracle, the share that training on the critic's word recovers. */
static void print_recovered(const json_t *recovered) {
    const json_t *pgr = json_object_get(recovered, "pgr"), *ci = json_object_get(recovered, "ci95");
    double gap = 100 * json_number_value(json_object_get(recovered, "gap"));
    fputs("\nperformance gap recovered: ", stdout);
    if (!json_is_object(recovered))
        fputs("not evaluated", stdout);
    else if (json_is_number(pgr))
        printf("%.2f [%.2f, %.2f] of %.1f points between labels_only and oracle; over tasks, one run knows nothing of other seeds", json_number_value(pgr),
               json_number_value(json_array_get(ci, 0)), json_number_value(json_array_get(ci, 1)), gap);
    else
        printf("undefined, the oracle is not above labels_only (%+.1f points)", gap);
    puts(json_is_true(json_object_get(recovered, "gap_is_noise")) ? "; a gap this small is noise" : "");
}

static void print_truth(const json_t *report) {
    const terminal t = terminal_look(stdout);
    const char *name;
    const json_t *n;
    fputs("run ", stdout);
    print_cut(&t, stdout, member_text(report, "run"), 40, false);
    fputs(": the sealed ledger\n", stdout);
    print_gates(&t, json_object_get(report, "gates"));
    print_noise(&t, json_object_get(report, "label_noise"));
    print_critic(&t, json_object_get(report, "critic"));
    if (json_array_size(json_object_get(report, "arms")))
        print_arms(&t, stdout, json_object_get(report, "arms"));
    print_arms_left_out(&t, stdout, json_object_get(report, "arms_left_out"));
    print_recovered(json_object_get(report, "recovered"));
    fputs("labels:", stdout);
    json_object_foreach(json_object_get(report, "labels"), name, n) {
        putchar(' ');
        print_cut(&t, stdout, name, 30, false);
        printf(" %" JSON_INTEGER_FORMAT, json_integer_value(n));
    }
    putchar('\n');
}

static int run(int argc, char **argv) {
    return run_question(&command_unseal, argc, argv, agon_unseal_json, print_truth);
}

const command command_unseal = {
    "unseal",
    "after a sealed run: what was true all along",
    "unseal [--workspace DIR] [--run NAME] [--json]\n\n"
    "Real gain, the gate's estimate and whether its interval covered it, label noise by source and family, the critic\n"
    "against the truth, and the control arms. Refused while a run is going and before it is finished.\n\n"
    "  --workspace DIR  the run's folder (default: the only *.agon folder here)\n"
    "  --run NAME       a run of the workspace (default: the latest)\n"
    "  --json           the same as one JSON object\n\n"
    "  agon unseal --workspace sealed.agon",
    run,
};
