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

char *split_names(const char *list, const char **names, size_t most, size_t *n) {
    char *text = strdup(list);
    *n = 0;
    for (char *at = text; at && *n < most;) {
        char *end = *n + 1 < most ? strchr(at, ',') : NULL;
        names[(*n)++] = at;
        if (!end)
            break;
        *end = 0;
        at = end + 1;
    }
    return text;
}

static int read_vector(const char *name, const char *text, const opened *o, double **numbers, size_t *n) {
    if (o->adapter && parse_numbers(text, numbers, n))
        return EXIT_FINE;
    say_error(name, "--preference %s",
            o->adapter ? "takes numbers and commas, such as 0.3,0.7" : "needs --adapter, one trained with --dimensions");
    return EXIT_USAGE;
}

static int move_adapter(const char *name, const double *numbers, size_t n, opened *o) {
    agon_adapter *at = NULL;
    agon_status s = agon_adapter_at(o->ctx, o->adapter, numbers, n, &at);
    if (s)
        return fail_with(name, s, o->ctx);
    agon_adapter_free(o->adapter);
    o->adapter = at;
    return EXIT_FINE;
}

static int apply_preference(const char *name, const char *text, opened *o) {
    double *numbers = NULL;
    size_t n = 0;
    if (!text)
        return EXIT_FINE;
    int code = read_vector(name, text, o, &numbers, &n);
    if (code == EXIT_FINE)
        code = move_adapter(name, numbers, n, o);
    free(numbers);
    return code;
}

int open_model_at(const char *name, const char *model, const char *adapter, const char *preference, const char *dtype, const char *chat_template,
                  opened *out) {
    int code = open_model(name, model, adapter, dtype, chat_template, out);
    if (code == EXIT_FINE && (code = apply_preference(name, preference, out)) != EXIT_FINE)
        close_model(out);
    return code;
}

/* The vector of a context, new; NULL with *status set. */
static double *vector_of(const opened *o, const preference_vectors *v, const char *context, agon_status *status) {
    double *vector = calloc(agon_contexts_n_dimensions(v->contexts) + 1, sizeof *vector);
    *status = vector ? agon_contexts_vector(o->ctx, v->contexts, o->adapter, context, v->base, v->n_base, vector) : AGON_ENOMEM;
    if (*status) {
        free(vector);
        vector = NULL;
    }
    return vector;
}

int apply_contexts(const char *name, const preference_arguments *p, opened *o, preference_vectors *v) {
    agon_status s;
    if (!p->contexts) {
        if (!p->context)
            return apply_preference(name, p->vector, o);
        fprintf(stderr, "agon %s: --context NAME needs --contexts FILE, made by agon data contexts\n", name);
        return EXIT_USAGE;
    }
    if (!o->adapter) {
        fprintf(stderr, "agon %s: --contexts needs --adapter, one trained with --dimensions\n", name);
        return EXIT_USAGE;
    }
    int code = p->vector ? read_vector(name, p->vector, o, &v->base, &v->n_base) : EXIT_FINE;
    if (code != EXIT_FINE)
        return code;
    if ((s = agon_contexts_open(o->ctx, p->contexts, &v->contexts)))
        return fail_with(name, s, o->ctx);
    if (p->context && !agon_contexts_has(v->contexts, p->context)) {
        fprintf(stderr, "(no pairs of the context ");
        print_safe(stderr, p->context);
        fprintf(stderr, " were seen: the base is used)\n");
    }
    double *vector = vector_of(o, v, p->context, &s);
    code = vector ? move_adapter(name, vector, agon_contexts_n_dimensions(v->contexts), o) : fail_with(name, s, o->ctx);
    free(vector);
    return code;
}

void vectors_free(preference_vectors *v) {
    for (size_t i = 0; i < v->n; i++) {
        free(v->items[i].numbers);
        agon_adapter_free(v->items[i].adapter);
    }
    free(v->items);
    agon_contexts_free(v->contexts);
    free(v->base);
    *v = (preference_vectors){0};
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

/* The numbers of a row's "preference"; *numbers new. */
static int row_vector(const char *name, size_t line, const json_t *list, double **numbers, size_t *n) {
    *n = json_array_size(list);
    double *made = *numbers = calloc(*n + 1, sizeof *made);
    if (!made)
        return EXIT_SYSTEM;
    for (size_t i = 0; i < *n; i++) {
        if (!json_is_number(json_array_get(list, i)))
            *n = 0;
        else
            made[i] = json_number_value(json_array_get(list, i));
    }
    if (*n > 0)
        return EXIT_FINE;
    free(made);
    return row_error(name, line, "\"preference\" must be a list of numbers, such as [0.3, 0.7]");
}

/* That of its "context". */
static int row_context(const char *name, size_t line, const json_t *context, const opened *o, const preference_vectors *v, double **numbers,
                       size_t *n) {
    agon_status s;
    const char *text = whole_text(context);
    if (!text)
        return row_error(name, line, "\"context\" must be a text, the name of a context");
    *numbers = vector_of(o, v, text, &s);
    *n = agon_contexts_n_dimensions(v->contexts);
    return *numbers ? EXIT_FINE : fail_in_row(name, line, s, o->ctx);
}

int row_adapter(const char *name, size_t line, const json_t *row, const opened *o, preference_vectors *v, const agon_adapter **out) {
    const json_t *list = json_object_get(row, "preference"), *context = v->contexts ? json_object_get(row, "context") : NULL;
    double *numbers = NULL;
    size_t n = 0;
    *out = o->adapter;
    if (!list && !context)
        return EXIT_FINE;
    if (!o->adapter)
        return row_error(name, line, "\"preference\" needs --adapter, one trained with --dimensions");
    if (list && context)
        return row_error(name, line, "\"preference\" and \"context\" both set the vector; give one of them");
    int code = list ? row_vector(name, line, list, &numbers, &n) : row_context(name, line, context, o, v, &numbers, &n);
    if (code != EXIT_FINE)
        return code;
    for (size_t i = 0; i < v->n; i++)
        if (v->items[i].n == n && memcmp(v->items[i].numbers, numbers, n * sizeof *numbers) == 0) {
            free(numbers);
            *out = v->items[i].adapter;
            return EXIT_FINE;
        }
    code = add_vector_take(name, line, numbers, n, o, v);
    if (code == EXIT_FINE)
        *out = v->items[v->n - 1].adapter;
    return code;
}
