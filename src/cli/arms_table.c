/* The table of control arms, see arms_table.h. */
#include "cli/arms_table.h"
#include "cli/live.h"
#include <string.h>

static void print_interval(FILE *to, const json_t *ci) {
    if (json_array_size(ci) == 2)
        fprintf(to, " [%+.1f, %+.1f]", 100 * json_number_value(json_array_get(ci, 0)), 100 * json_number_value(json_array_get(ci, 1)));
}

static void print_gain(const terminal *t, FILE *to, const json_t *row) {
    char before[24], after[24];
    fputs("  ", to);
    print_cut(t, to, member_text(row, "arm"), 18, true);
    fprintf(to, "%8s %8s  %+6.1f", share_text(json_object_get(row, "before"), before), share_text(json_object_get(row, "after"), after),
            100 * json_number_value(json_object_get(row, "gain")));
    print_interval(to, json_object_get(row, "ci95"));
    fputc('\n', to);
}

static void print_difference(const terminal *t, FILE *to, const json_t *row) {
    char right[24];
    const json_t *d = json_object_get(row, "difference"), *ci = json_object_get(d, "ci95");
    fputs("  ", to);
    print_cut(t, to, member_text(row, "arm"), 18, true);
    if (json_is_object(d)) {
        fprintf(to, "%+6.1f [%+5.1f, %+5.1f] %9.2g", 100 * json_number_value(json_object_get(d, "gain")), 100 * json_number_value(json_array_get(ci, 0)),
                100 * json_number_value(json_array_get(ci, 1)), json_number_value(json_object_get(d, "p")));
    } else {
        fprintf(to, "%32s", "");
    }
    fprintf(to, " %9" JSON_INTEGER_FORMAT " %12s\n", member_count(row, "loss_tokens"), share_text(json_object_get(row, "labels_right"), right));
}

void print_arms(const terminal *t, FILE *to, const json_t *rows) {
    const json_t *row;
    size_t i;
    bool compared = false;
    fprintf(to, "\n%sarms at equal tokens%s\n", style_bold(t), style_off(t));
    fprintf(to, "  %-18s  before    after    gain\n", "arm");
    json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
        print_gain(t, to, row);
        compared = compared || json_object_get(row, "difference");
    }
    if (!compared)
        return;
    const bool sealed = strcmp(member_text(json_array_get(rows, 0), "arm"), "critic") == 0;
    fprintf(to, "  %-18s %-22s %9s %9s %12s\n", "", sealed ? "critic less arm, points" : "loop less arm, points", "p", "tokens", "right labels");
    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
        print_difference(t, to, row);
    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
        if (json_object_get(row, "tokens_wanted")) {
            fputs("  ", to);
            print_cut(t, to, member_text(row, "arm"), 18, false);
            fprintf(to, ": has %lld of %lld loss tokens, and is no control at equal tokens\n", (long long)member_count(row, "loss_tokens"),
                    (long long)member_count(row, "tokens_wanted"));
        }
}

void print_arms_left_out(const terminal *t, FILE *to, const json_t *left_out) {
    const json_t *row;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)left_out, i, row) {
        fputs("  ", to);
        print_cut(t, to, member_text(row, "arm"), 18, false);
        fputs(": left out, ", to);
        print_cut(t, to, member_text(row, "why"), 100, false);
        fputc('\n', to);
    }
}
