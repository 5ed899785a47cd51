/* Claims of critiques in words, see claims.h. */
#include "cli/claims.h"
#include "cli/cli.h"
#include <stdlib.h>
#include <string.h>

/* "quote, arithmetic": the checks that failed, or all of a claim that holds. */
static void write_checks(FILE *to, const json_t *checks, bool holds) {
    const char *name, *comma = " (";
    json_t *passed;
    json_object_foreach((json_t *)(uintptr_t)checks, name, passed)
        if (holds || json_is_false(passed)) {
            fprintf(to, "%s%s", comma, name);
            comma = ", ";
        }
    if (*comma == ',')
        fputc(')', to);
}

void print_claims(const terminal *t, FILE *to, const json_t *claims, size_t indent) {
    const json_t *claim;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)claims, i, claim) {
        const json_t *holds = json_object_get(claim, "holds");
        char *text = NULL;
        size_t n = 0;
        FILE *line = open_memstream(&text, &n);
        if (!line)
            return;
        fprintf(line, "%s: %s", json_is_true(holds) ? "holds" : json_is_false(holds) ? "fails" : "not checkable", member_text(claim, "claim"));
        write_checks(line, json_object_get(claim, "checks"), json_is_true(holds));
        fclose(line);
        print_paragraph(t, to, text ? text : "", indent, t->columns, 4);
        free(text);
    }
}

char *faithful_text(const json_t *critiques) {
    const json_t *ci = json_object_get(critiques, "ci95");
    const long long checked = (long long)(member_count(critiques, "hold") + member_count(critiques, "fail")),
                    n = (long long)member_count(critiques, "n"), rest = (long long)member_count(critiques, "unverifiable");
    char *text = NULL;
    int made = checked ? asprintf(&text, "%.1f %% [%.1f, %.1f] of %lld claims that can be checked hold, %lld cannot be (%lld critique%s)",
                                  100 * member_real(critiques, "faithful"), 100 * json_number_value(json_array_get(ci, 0)),
                                  100 * json_number_value(json_array_get(ci, 1)), checked, rest, n, n == 1 ? "" : "s")
                       : asprintf(&text, "none of %lld claims can be checked (%lld critique%s)", rest, n, n == 1 ? "" : "s");
    return made < 0 ? NULL : text;
}
