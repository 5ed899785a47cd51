/* See preference.h. What a vector must be is the library's affair; here only the form is checked. */
#include "cli/preference.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool parse_numbers(const char *text, double **out, size_t *n) {
    double *numbers = calloc(strlen(text) + 1, sizeof *numbers);
    size_t count = 0;
    bool good = numbers != NULL;
    for (const char *at = text; good;) {
        char *end = NULL;
        errno = 0;
        numbers[count++] = strtod(at, &end);
        good = end != at && !errno && (*end == ',' || !*end);
        if (!good || !*end)
            break;
        at = end + 1;
    }
    if (good) {
        *out = numbers;
        *n = count;
    } else {
        free(numbers);
    }
    return good;
}

int apply_preference(const char *name, const char *text, opened *o) {
    double *numbers = NULL;
    size_t n = 0;
    agon_adapter *at = NULL;
    if (!text)
        return EXIT_FINE;
    if (!o->adapter || !parse_numbers(text, &numbers, &n)) {
        fprintf(stderr, "agon %s: --preference %s\n", name,
                o->adapter ? "takes numbers and commas, such as 0.3,0.7" : "needs --adapter, one trained with --dimensions");
        return EXIT_USAGE;
    }
    agon_status s = agon_adapter_at(o->ctx, o->adapter, numbers, n, &at);
    free(numbers);
    if (s)
        return fail_with(name, s, o->ctx);
    agon_adapter_free(o->adapter);
    o->adapter = at;
    return EXIT_FINE;
}

void vectors_free(preference_vectors *v) {
    for (size_t i = 0; i < v->n; i++) {
        free(v->items[i].numbers);
        agon_adapter_free(v->items[i].adapter);
    }
    free(v->items);
    *v = (preference_vectors){0};
}

static int bad(const char *name, size_t line, const char *why) {
    fprintf(stderr, "agon %s: input line %zu: %s\n", name, line, why);
    return EXIT_BAD_DATA;
}

/* Makes the adapter of a vector that was not there yet; takes the numbers, also on failure. */
static int add_vector_take(const char *name, size_t line, double *numbers, size_t n, const opened *o, preference_vectors *v) {
    struct preference_vector *grown = realloc(v->items, (v->n + 1) * sizeof *grown);
    if (!grown) {
        free(numbers);
        return EXIT_SYSTEM;
    }
    v->items = grown;
    grown[v->n] = (struct preference_vector){.numbers = numbers, .n = n};
    agon_status s = agon_adapter_at(o->ctx, o->adapter, numbers, n, &grown[v->n].adapter);
    if (s) {
        free(numbers);
        return fail_in_row(name, line, s, o->ctx);
    }
    v->n++;
    return EXIT_FINE;
}

int row_adapter(const char *name, size_t line, const json_t *row, const opened *o, preference_vectors *v, const agon_adapter **out) {
    const json_t *list = json_object_get(row, "preference");
    size_t n = json_array_size(list);
    *out = o->adapter;
    if (!list)
        return EXIT_FINE;
    if (!o->adapter)
        return bad(name, line, "\"preference\" needs --adapter, one trained with --dimensions");
    double *numbers = calloc(n + 1, sizeof *numbers);
    if (!numbers)
        return EXIT_SYSTEM;
    for (size_t i = 0; i < n; i++) {
        if (!json_is_number(json_array_get(list, i)))
            n = 0;
        else
            numbers[i] = json_number_value(json_array_get(list, i));
    }
    if (n == 0) {
        free(numbers);
        return bad(name, line, "\"preference\" must be a list of numbers, such as [0.3, 0.7]");
    }
    for (size_t i = 0; i < v->n; i++)
        if (v->items[i].n == n && memcmp(v->items[i].numbers, numbers, n * sizeof *numbers) == 0) {
            free(numbers);
            *out = v->items[i].adapter;
            return EXIT_FINE;
        }
    int code = add_vector_take(name, line, numbers, n, o, v);
    if (code == EXIT_FINE)
        *out = v->items[v->n - 1].adapter;
    return code;
}
