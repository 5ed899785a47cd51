/* A labelled file of the user's as weak-to-strong takes it: rows {"text" or "prompt", "label"}, each text once, evened out and dealt into
 * the part that trains the supervisor, the part that it labels for the student, and the test. See w2s_rows.h. */
#include "base/ctx.h"
#include "base/hash.h"
#include "base/nearest.h"
#include "base/random.h"
#include "experiment/w2s_rows.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 100 };
static const char mark[] = "{text}";
static const double most_share = 1.1; /* of a class, times its fair share: of two 55% (2312.09390) */

static agon_status no_memory(agon_ctx *ctx) {
    return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
}

static bool is_blank(const char *text) {
    return text[strspn(text, " \t\r\n\v\f")] == '\0';
}

/* ---- classes -------------------------------------------------------------------------------------------------- */

/* A label's name: a text, a whole number, true or false. NULL: it is none of them, or too long for a name, or out of memory. */
static const char *label_name(arena *memory, const json_t *label) {
    if (json_is_string(label))
        return is_blank(json_string_value(label)) || json_string_length(label) > MAX_NAME ? NULL : arena_copy(memory, json_string_value(label));
    if (json_is_integer(label))
        return arena_printf(memory, "%lld", (long long)json_integer_value(label));
    return json_is_boolean(label) ? json_is_true(label) ? "true" : "false" : NULL;
}

static size_t class_of(const w2s_table *t, const char *name) {
    size_t c = 0;
    while (c < t->n_classes && strcmp(t->classes[c], name) != 0)
        c++;
    return c;
}

/* The settings' classes and words. */
static agon_status take_classes(const lab *l, w2s_table *t) {
    const json_t *classes = json_object_get(l->settings, "classes"), *words = json_object_get(l->settings, "words");
    size_t n = json_array_size(classes), n_words = json_array_size(words);
    if (n == 1 || n > MAX_CLASSES)
        return ctx_fail(l->ctx, AGON_EINVAL, "classes has %zu names; give 2 to %d, or none for those that the file has", n, MAX_CLASSES);
    if (n_words != 0 && n_words != n)
        return ctx_fail(l->ctx, AGON_EINVAL, "words has %zu texts and classes %zu names; give one word a class, in their order", n_words, n);
    for (size_t c = 0; c < n; c++) {
        const char *name = label_name(t->memory, json_array_get(classes, c));
        if (!name || class_of(t, name) < t->n_classes)
            return ctx_fail(l->ctx, AGON_EINVAL, "classes[%zu] is no name, or stands twice; names are texts of 1 to 100 bytes, whole numbers, true or false", c);
        t->classes[t->n_classes++] = name;
    }
    for (size_t c = 0; c < n_words; c++) {
        const char *word = json_string_value(json_array_get(words, c));
        bool twice = false;
        for (size_t k = 0; k < c && word; k++)
            twice = twice || strcmp(word, t->words[k]) == 0;
        if (!word || is_blank(word) || twice)
            return ctx_fail(l->ctx, AGON_EINVAL, "words[%zu] is no text, or blank, or stands twice", c);
        t->words[c] = word;
    }
    return AGON_OK;
}

static agon_status take_template(const lab *l, w2s_table *t) {
    const char *text = json_string_value(json_object_get(l->settings, "template")), *first = text ? strstr(text, mark) : NULL;
    if (!first || strstr(first + 1, mark))
        return ctx_fail(l->ctx, AGON_EINVAL, "template is '%.80s'; it must hold {text} once, where a row's text goes", text ? text : "");
    t->text_template = text;
    return AGON_OK;
}

agon_status w2s_table_check(const lab *l) {
    w2s_table t = {0};
    const char *path = json_string_value(json_object_get(l->settings, "data"));
    agon_status s = *path ? arena_new(l->ctx, 0, &t.memory) : ctx_fail(l->ctx, AGON_EINVAL, "data is missing; name the file of labelled rows (JSONL)");
    if (!s)
        s = take_classes(l, &t);
    if (!s)
        s = take_template(l, &t);
    arena_free(t.memory);
    return s;
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

/* The class of row i; where the settings name none, a new one. */
static agon_status take_label(agon_ctx *ctx, w2s_table *t, size_t i, bool open, int *out) {
    const json_t *label = json_object_get(t->file.rows[i], "label");
    const char *name = label_name(t->memory, label);
    if (!name)
        return row_fail(ctx, &t->file, i, "label %s", label ? "must be a text of 1 to 100 bytes, a whole number, true or false" : "is missing");
    size_t c = class_of(t, name);
    const char *near = c == t->n_classes && !open ? nearest_word(name, t->classes, t->n_classes) : NULL;
    if (near)
        return row_fail(ctx, &t->file, i, "label '%.60s' is none of the classes; did you mean '%.60s'?", name, near);
    if (c == t->n_classes && (!open || c == MAX_CLASSES))
        return open ? row_fail(ctx, &t->file, i, "label '%.60s' is the %dth different one; at most %d classes are taken", name, MAX_CLASSES + 1, MAX_CLASSES)
                    : row_fail(ctx, &t->file, i, "label '%.60s' is none of the %zu classes", name, t->n_classes);
    if (c == t->n_classes)
        t->classes[t->n_classes++] = name;
    *out = (int)c;
    return AGON_OK;
}

/* What row i asks: "text", or "prompt" (a text or messages). */
static agon_status take_asked(agon_ctx *ctx, const w2s_table *t, size_t i, const json_t **out) {
    const json_t *text = json_object_get(t->file.rows[i], "text"), *prompt = json_object_get(t->file.rows[i], "prompt");
    if (text && prompt)
        return row_fail(ctx, &t->file, i, "has both text and prompt; a row has one of them and a label");
    if (!text && !prompt)
        return row_fail(ctx, &t->file, i, "text (or prompt) is missing");
    bool words = json_is_string(text ? text : prompt);
    if (!words && !json_array_size(prompt))
        return row_fail(ctx, &t->file, i, text ? "text must be a text" : "prompt must be a text or a list of messages");
    if (words && is_blank(json_string_value(text ? text : prompt)))
        return row_fail(ctx, &t->file, i, "%s is empty or white space only", text ? "text" : "prompt");
    *out = text ? text : prompt;
    return AGON_OK;
}

typedef struct place {
    hash256 text;
    size_t at;
} place;

static int by_text(const void *a, const void *b) {
    const place *x = a, *y = b;
    int order = memcmp(&x->text, &y->text, sizeof x->text);
    return order ? order : x->at < y->at ? -1 : 1;
}

/* Of all texts with their classes, in their order. */
static hash256 identity_of(const w2s_table *t, const place *places) {
    struct {
        hash256 before, text;
        int64_t truth;
    } link = {0};
    for (size_t c = 0; c < t->n_classes; c++) {
        link.text = hash_bytes(t->classes[c], strlen(t->classes[c]));
        link.before = hash_bytes(&link, sizeof link);
    }
    for (size_t i = 0; i < t->n; i++) {
        link.text = places[i].text;
        link.truth = t->rows[i].truth;
        link.before = hash_bytes(&link, sizeof link);
    }
    return link.before;
}

/* A text that stands again is left out, so that no part knows another's; with another label it has no truth. */
static agon_status drop_repeated(agon_ctx *ctx, w2s_table *t) {
    place *places = malloc((t->n + 1) * sizeof *places);
    bool *drop = calloc(t->n + 1, sizeof *drop);
    agon_status s = places && drop ? AGON_OK : no_memory(ctx);
    for (size_t i = 0; i < t->n && !s; i++) {
        char *text = json_dumps(t->rows[i].asked, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        if (!text)
            s = no_memory(ctx);
        else
            places[i] = (place){hash_bytes(text, strlen(text)), i};
        free(text);
    }
    if (!s)
        t->id = identity_of(t, places);
    if (!s)
        qsort(places, t->n, sizeof *places, by_text);
    for (size_t i = 1, first = 0; i < t->n && !s; i++) {
        const w2s_row *a = &t->rows[places[first].at], *b = &t->rows[places[i].at];
        if (memcmp(&places[i].text, &places[first].text, sizeof places[i].text) != 0)
            first = i;
        else if (a->truth != b->truth)
            s = row_fail(ctx, &t->file, b->at, "the text of line %zu with another label ('%.40s' there, '%.40s' here); a text has one", a->line,
                         t->classes[a->truth], t->classes[b->truth]);
        else
            drop[places[i].at] = true, t->n_repeated++;
    }
    if (!s)
        w2s_table_drop(t, drop);
    for (size_t i = 0; i < t->n && !s; i++)
        t->rows[i].at = i;
    free(places);
    free(drop);
    return s;
}

/* In the order of their names, not of the file: what was trained does not depend on which row comes first. */
static agon_status sort_classes(agon_ctx *ctx, w2s_table *t) {
    size_t rank[MAX_CLASSES];
    const char *sorted[MAX_CLASSES];
    if (t->n_classes < 2)
        return ctx_fail(ctx, AGON_EINVAL, "%s: every label is '%.60s'; there must be two classes or more", t->file.path, t->classes[0]);
    for (size_t c = 0; c < t->n_classes; c++) {
        rank[c] = 0;
        for (size_t k = 0; k < t->n_classes; k++)
            rank[c] += strcmp(t->classes[k], t->classes[c]) < 0;
        sorted[rank[c]] = t->classes[c];
    }
    memcpy(t->classes, sorted, t->n_classes * sizeof *sorted);
    for (size_t i = 0; i < t->n; i++)
        t->rows[i].truth = (int)rank[t->rows[i].truth];
    return AGON_OK;
}

agon_status w2s_table_read(const lab *l, w2s_table *t) {
    agon_ctx *ctx = l->ctx;
    *t = (w2s_table){0};
    agon_status s = arena_new(ctx, 0, &t->memory);
    if (!s)
        s = take_classes(l, t);
    if (!s)
        s = take_template(l, t);
    if (!s)
        s = row_file_read(ctx, json_string_value(json_object_get(l->settings, "data")), &t->file);
    bool open = t->n_classes == 0;
    if (!s && !(t->rows = arena_take(t->memory, t->file.n, sizeof *t->rows)))
        s = no_memory(ctx);
    for (size_t i = 0; i < t->file.n && !s; i++) {
        w2s_row *row = &t->rows[i];
        *row = (w2s_row){.line = t->file.lines[i], .at = i};
        s = take_asked(ctx, t, i, &row->asked);
        if (!s)
            s = take_label(ctx, t, i, open, &row->truth);
    }
    if (s)
        return s;
    t->n = t->n_read = t->file.n;
    if (open)
        s = sort_classes(ctx, t);
    return s ? s : drop_repeated(ctx, t);
}

void w2s_table_free(w2s_table *t) {
    row_file_free(&t->file);
    arena_free(t->memory);
    free(t->order);
    *t = (w2s_table){0};
}

void w2s_table_drop(w2s_table *t, const bool *drop) {
    size_t kept = 0;
    for (size_t i = 0; i < t->n; i++)
        if (!drop[i])
            t->rows[kept++] = t->rows[i];
    t->n = kept;
}

/* ---- as choices ----------------------------------------------------------------------------------------------- */

static json_t *prompt_json(const w2s_table *t, const json_t *asked) {
    const char *at = strstr(t->text_template, mark);
    if (!json_is_string(asked))
        return json_deep_copy(asked);
    return json_sprintf("%.*s%s%s", (int)(at - t->text_template), t->text_template, json_string_value(asked), at + strlen(mark));
}

/* After a text a word begins with a space, an answer of a chat does not. */
static json_t *word_json(const w2s_table *t, size_t c, bool chat) {
    const char *word = t->words[c];
    if (word)
        return json_string(chat ? word + strspn(word, " ") : word);
    return json_sprintf("%s%s", chat ? "" : " ", t->classes[c]);
}

json_t *w2s_table_choices(const w2s_table *t, size_t i) {
    const w2s_row *row = &t->rows[i];
    json_t *words = json_array(), *labels = json_array();
    for (size_t c = 0; c < t->n_classes; c++) {
        json_array_append_new(words, word_json(t, c, !json_is_string(row->asked)));
        json_array_append_new(labels, json_integer((int)c == row->truth));
    }
    return json_pack("{s:o,s:o,s:o}", "prompt", prompt_json(t, row->asked), "completions", words, "labels", labels);
}

/* ---- parts ---------------------------------------------------------------------------------------------------- */

/* The rows of a class in an order of the stream's; out [n] at most, how many. */
static size_t shuffled_class(const w2s_table *t, size_t c, uint64_t seed, size_t *out) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        if (t->rows[i].truth == (int)c)
            out[n++] = i;
    rng r = rng_new(seed);
    rng_shuffle(&r, out, n);
    return n;
}

static agon_status even_out(w2s_table *t, const lab *l) {
    size_t count[MAX_CLASSES] = {0}, least = t->n, most = 0;
    bool *drop = calloc(t->n + 1, sizeof *drop);
    size_t *own = malloc((t->n + 1) * sizeof *own);
    for (size_t i = 0; i < t->n; i++)
        count[t->rows[i].truth]++;
    for (size_t c = 0; c < t->n_classes; c++) {
        least = count[c] < least ? count[c] : least;
        most = count[c] > most ? count[c] : most;
    }
    agon_status s = drop && own ? AGON_OK : no_memory(l->ctx);
    bool uneven = (double)most > most_share * (double)t->n / (double)t->n_classes;
    for (size_t c = 0; c < t->n_classes && uneven && !s; c++) {
        size_t n = shuffled_class(t, c, lab_seed(l, 0, "balance %zu", c), own);
        for (size_t i = least; i < n; i++)
            drop[own[i]] = true, t->n_majority++;
    }
    if (!s)
        w2s_table_drop(t, drop);
    free(drop);
    free(own);
    return s;
}

/* How many rows of each part come from a class of n. */
static void shares_of(size_t n, const double *shares, size_t out[W2S_N_PARTS]) {
    out[W2S_TEST] = (size_t)floor(shares[W2S_TEST] * (double)n + 1e-9);
    out[W2S_SUPERVISOR] = (size_t)floor(shares[W2S_SUPERVISOR] * (double)n + 1e-9);
    out[W2S_STUDENT] = n - out[W2S_TEST] - out[W2S_SUPERVISOR];
}

static agon_status check_parts(const w2s_table *t, const lab *l, const double *shares, const size_t *least) {
    const char *few = NULL;
    size_t fewest = t->n + 1, sizes[W2S_N_PARTS];
    for (size_t c = 0; c < t->n_classes; c++) {
        size_t n = 0;
        for (size_t i = 0; i < t->n; i++)
            n += t->rows[i].truth == (int)c;
        shares_of(n, shares, sizes);
        if (n < fewest)
            fewest = n, few = t->classes[c];
        if (!sizes[0] || !sizes[1] || !sizes[2])
            return ctx_fail(l->ctx, AGON_EINVAL, "%s: class '%.60s' has %zu rows that can be used, too few to stand in every part (of all %zu rows %zu are "
                            "repeated and %zu too long)", t->file.path, t->classes[c], n, t->n_read, t->n_repeated, t->n_too_long);
    }
    if (t->n_parts[W2S_SUPERVISOR] < least[W2S_SUPERVISOR] || t->n_parts[W2S_STUDENT] < least[W2S_STUDENT] || t->n_parts[W2S_TEST] < least[W2S_TEST])
        return ctx_fail(l->ctx, AGON_EINVAL, "%s: %zu rows can be used (%zu of '%.40s'), which make parts of %zu (supervisor), %zu (student) and %zu (test); "
                        "they must have %zu, %zu and %zu at least (batch, parts)", t->file.path, t->n, fewest, few, t->n_parts[W2S_SUPERVISOR],
                        t->n_parts[W2S_STUDENT], t->n_parts[W2S_TEST], least[W2S_SUPERVISOR], least[W2S_STUDENT], least[W2S_TEST]);
    return AGON_OK;
}

/* The rows of one class under a seed; `filled` says how far each part is. */
static void deal_class(const w2s_table *t, const lab *l, size_t seed, size_t c, const double *shares, size_t *own, size_t filled[W2S_N_PARTS]) {
    size_t sizes[W2S_N_PARTS], n = shuffled_class(t, c, lab_seed(l, 0, "test %zu", c), own);
    shares_of(n, shares, sizes);
    rng r = rng_new(lab_seed(l, 0, "parts %zu %zu", seed, c));
    rng_shuffle(&r, own + sizes[W2S_TEST], n - sizes[W2S_TEST]);
    size_t *to = t->order + seed * t->n;
    for (int part = 0; part < W2S_N_PARTS; part++) {
        memcpy(to + filled[part], own, sizes[part] * sizeof *own);
        filled[part] += sizes[part];
        own += sizes[part];
        to += t->n_parts[part];
    }
}

agon_status w2s_table_deal(w2s_table *t, const lab *l, bool balance, const double *shares, const size_t *least) {
    agon_status s = balance ? even_out(t, l) : AGON_OK;
    size_t *own = malloc((t->n + 1) * sizeof *own);
    free(t->order);
    t->order = calloc(l->n_seeds * t->n + 1, sizeof *t->order);
    if (!s && !(own && t->order))
        s = no_memory(l->ctx);
    memset(t->n_parts, 0, sizeof t->n_parts);
    for (size_t c = 0; c < t->n_classes && !s; c++) {
        size_t sizes[W2S_N_PARTS];
        shares_of(shuffled_class(t, c, 0, own), shares, sizes);
        for (int part = 0; part < W2S_N_PARTS; part++)
            t->n_parts[part] += sizes[part];
    }
    if (!s)
        s = check_parts(t, l, shares, least);
    for (size_t seed = 0; seed < l->n_seeds && !s; seed++) {
        size_t filled[W2S_N_PARTS] = {0};
        for (size_t c = 0; c < t->n_classes; c++)
            deal_class(t, l, seed, c, shares, own, filled);
    }
    free(own);
    return s;
}
