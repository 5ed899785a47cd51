/* See own_split.h. Rows go together (union-find) when
 *
 *   - they name the same group;
 *   - their normal forms are equal (text_normal_form: letters and digits, without case): "France?", "france";
 *   - their words are, but for English function words: "What's 17 * 23?", "17*23";
 *   - they are near-duplicates: the same numbers, and of their sets of character 5-grams of the normal form a Jaccard similarity of 0.8 at least.
 *
 * A template with many fillings is no duplicate of itself: rows with other numbers are other tasks, and near-duplicates are also alike (Jaccard 0.5) in
 * the 5-grams that COMMON different normal forms or fewer have. So only rows that share such a 5-gram are compared, among the rarest fifth of each (a pair
 * at 0.8 shares one there: prefix filtering, Chaudhuri et al. 2006), and the result is exact: nothing is sampled. Time and memory grow with the length
 * of the file, whatever is in it: at most COMMON comparisons for each of its 5-grams. */
#include "recipe/own_split.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "task/task.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { GRAM = 5, COMMON = 20 };

bool recipe_holds_out(const char *text) {
    return seed_derive(0, text) % 5 == 0;
}

/* ---- one row ------------------------------------------------------------------------------------------------------ */

static bool is_function_word(const char *word) {
    static const char *const words[] = {"a", "an", "the", "is", "are", "was", "were", "be", "what", "whats", "which", "that", "who", "whom", "s", "of",
                                        "do", "does", "did", "please", "me", "can", "could", "you", "tell", "give"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

static int32_t next_code(const char *text, size_t *at) { /* of valid UTF-8; 0 at its end */
    utf8proc_int32_t c = 0;
    const utf8proc_ssize_t n = text[*at] ? utf8proc_iterate((const utf8proc_uint8_t *)text + *at, -1, &c) : 0;
    *at += n > 0 ? (size_t)n : 0;
    return n > 0 ? c : 0;
}

static bool is_word(int32_t c) { /* letter, mark or digit */
    const utf8proc_category_t k = utf8proc_category(c);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NO;
}

static bool is_digit(int32_t c) {
    const utf8proc_category_t k = utf8proc_category(c);
    return k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO;
}

/* The words that are no function words, and the runs of digits, each with a blank behind it. */
static void add_words(const char *text, buffer *words, buffer *numbers) {
    buffer word = {0};
    bool in_number = false;
    for (size_t at = 0, from = 0;; from = at) {
        const int32_t c = next_code(text, &at);
        if (c && is_word(c)) {
            const bool digit = is_digit(c);
            buffer_append(&word, text + from, at - from);
            if (in_number && !digit)
                buffer_char(numbers, ' ');
            if (digit)
                buffer_append(numbers, text + from, at - from);
            in_number = digit;
            continue;
        }
        if (in_number)
            buffer_char(numbers, ' ');
        in_number = false;
        buffer_char(&word, 0);
        if (!word.failed && word.data[0] && !is_function_word(word.data)) {
            buffer_append(words, word.data, word.size - 1);
            buffer_char(words, ' ');
        }
        words->failed = words->failed || word.failed;
        word.size = 0;
        if (!c)
            break;
    }
    buffer_free(&word);
}

typedef struct gram {
    uint64_t hash;
    size_t row;
} gram;

typedef struct gram_list {
    gram *items;
    size_t n, capacity;
} gram_list;

/* The 5-grams of a normal form; a shorter one is one gram. */
static bool add_grams(gram_list *l, const char *normal, size_t row) {
    size_t starts[GRAM] = {0}, at = 0, n = 0;
    while (next_code(normal, &at)) {
        n++;
        if (n >= GRAM || !normal[at]) {
            if (!memory_grow((void **)&l->items, &l->capacity, l->n, sizeof *l->items))
                return false;
            const size_t from = n >= GRAM ? starts[n % GRAM] : 0;
            uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a, and the finaliser of splitmix64 */
            for (size_t i = from; i < at; i++)
                hash = (hash ^ (unsigned char)normal[i]) * 0x100000001b3u;
            l->items[l->n++] = (gram){rng_next(&(rng){hash}), row};
        }
        starts[n % GRAM] = at;
    }
    return true;
}

/* ---- all rows ----------------------------------------------------------------------------------------------------- */

typedef struct split {
    agon_ctx *ctx;
    own_text *rows;
    size_t n;
    size_t *parent;   /* [n], union-find; a root is the least of its rows */
    json_t *first;    /* what makes rows equal, as a key: the first row that has it */
    json_t *numbers;  /* [n] */
    gram_list grams;  /* of the first row of each normal form; sorted, distinct */
    size_t *of_rows;  /* [grams.n], the runs of a row's grams (their number in rising order), row after row */
    size_t *row_from; /* [n + 1], where a row's begin there */
    size_t *run_from; /* [n_runs + 1], where the rows that have a gram begin in `grams` */
    size_t n_runs;
    size_t *compared; /* [n], row + 1 that was last compared with this one */
} split;

static size_t root(const split *x, size_t i) {
    while (x->parent[i] != i)
        i = x->parent[i] = x->parent[x->parent[i]];
    return i;
}

static void join(split *x, size_t a, size_t b) {
    a = root(x, a);
    b = root(x, b);
    x->parent[a > b ? a : b] = a < b ? a : b;
}

/* Joins the row with the first that had this key; *known (NULL allowed): there was one. */
static agon_status join_equal(split *x, char kind, const char *key, size_t row, bool *known) {
    buffer b = {0};
    buffer_printf(&b, "%c%s", kind, key);
    char *text = buffer_take(&b);
    const json_t *first = text ? json_object_get(x->first, text) : NULL;
    bool ok = text;
    if (known)
        *known = first;
    if (first)
        join(x, (size_t)json_integer_value(first), row);
    else if (text)
        ok = json_object_set_new(x->first, text, json_integer((json_int_t)row)) == 0;
    free(text);
    return ok ? AGON_OK : ctx_no_memory(x->ctx);
}

static agon_status add_row(split *x, size_t row) {
    const own_text *r = &x->rows[row];
    char *normal = NULL, *plain = NULL;
    buffer words = {0}, numbers = {0};
    bool known = false;
    agon_status s = text_normal_form(x->ctx, r->text, &normal);
    if (!s)
        s = text_normalise(x->ctx, r->text, &plain);
    if (!s) {
        add_words(plain, &words, &numbers);
        buffer_char(&words, 0);
        buffer_char(&numbers, 0);
        if (words.failed || numbers.failed || json_array_append_new(x->numbers, json_string(numbers.data)) != 0)
            s = ctx_no_memory(x->ctx);
    }
    if (!s)
        s = join_equal(x, 'n', normal, row, &known);
    if (!s && words.data[0])
        s = join_equal(x, 'w', words.data, row, NULL);
    if (!s && r->group)
        s = join_equal(x, 'g', r->group, row, NULL);
    if (!s && !known && !add_grams(&x->grams, normal, row))
        s = ctx_no_memory(x->ctx);
    buffer_free(&words);
    buffer_free(&numbers);
    free(normal);
    free(plain);
    return s;
}

static int by_hash(const void *a, const void *b) {
    const gram *x = a, *y = b;
    return x->hash != y->hash ? (x->hash < y->hash ? -1 : 1) : x->row < y->row ? -1 : x->row > y->row;
}

/* Which rows have a gram, and which grams a row has. */
static agon_status index_grams(split *x) {
    gram_list *l = &x->grams;
    size_t kept = 0;
    if (l->n)
        qsort(l->items, l->n, sizeof *l->items, by_hash);
    for (size_t i = 0; i < l->n; i++)
        if (kept == 0 || by_hash(&l->items[kept - 1], &l->items[i]) != 0)
            l->items[kept++] = l->items[i];
    l->n = kept;
    x->of_rows = memory_new(l->n + 1, sizeof *x->of_rows);
    x->run_from = memory_new(l->n + 1, sizeof *x->run_from);
    if (!x->of_rows || !x->run_from)
        return ctx_no_memory(x->ctx);
    for (size_t i = 0; i < l->n; i++)
        x->row_from[l->items[i].row + 1]++;
    for (size_t i = 0; i < x->n; i++)
        x->row_from[i + 1] += x->row_from[i];
    for (size_t i = 0; i < l->n; i++) {
        if (i == 0 || l->items[i - 1].hash != l->items[i].hash)
            x->run_from[x->n_runs++] = i;
        x->of_rows[x->row_from[l->items[i].row]++] = x->n_runs - 1;
    }
    x->run_from[x->n_runs] = l->n;
    for (size_t i = x->n; i > 0; i--) /* the filling moved each to where the next begins */
        x->row_from[i] = x->row_from[i - 1];
    x->row_from[0] = 0;
    return AGON_OK;
}

static bool is_common(const split *x, size_t run) {
    return x->run_from[run + 1] - x->run_from[run] > COMMON;
}

static bool near_duplicates(const split *x, size_t a, size_t b) {
    size_t both = 0, either = 0, own_both = 0, own_either = 0;
    if (strcmp(json_string_value(json_array_get(x->numbers, a)), json_string_value(json_array_get(x->numbers, b))) != 0)
        return false;
    for (size_t i = x->row_from[a], k = x->row_from[b]; i < x->row_from[a + 1] || k < x->row_from[b + 1]; either++) {
        const size_t p = i < x->row_from[a + 1] ? x->of_rows[i] : SIZE_MAX, q = k < x->row_from[b + 1] ? x->of_rows[k] : SIZE_MAX;
        const bool own = !is_common(x, p < q ? p : q);
        both += p == q;
        own_both += own && p == q;
        own_either += own;
        i += p <= q;
        k += q <= p;
    }
    return 5 * both >= 4 * either && 2 * own_both >= own_either;
}

/* A row with those before it that have this 5-gram. */
static void compare_with_earlier(split *x, size_t row, size_t run) {
    for (size_t k = x->run_from[run]; k < x->run_from[run + 1] && x->grams.items[k].row < row; k++) {
        const size_t other = x->grams.items[k].row;
        if (x->compared[other] == row + 1)
            continue;
        x->compared[other] = row + 1;
        if (root(x, other) != root(x, row) && near_duplicates(x, other, row))
            join(x, other, row);
    }
}

typedef struct rarity {
    size_t n, run; /* how many rows have it */
} rarity;

static int by_rarity(const void *a, const void *b) {
    const rarity *x = a, *y = b;
    return x->n != y->n ? (x->n < y->n ? -1 : 1) : x->run < y->run ? -1 : x->run > y->run;
}

static agon_status join_near(split *x) {
    size_t most = 0;
    for (size_t row = 0; row < x->n; row++)
        most = x->row_from[row + 1] - x->row_from[row] > most ? x->row_from[row + 1] - x->row_from[row] : most;
    rarity *own = memory_new(most + 1, sizeof *own);
    if (!own)
        return ctx_no_memory(x->ctx);
    for (size_t row = 0; row < x->n; row++) {
        const size_t n = x->row_from[row + 1] - x->row_from[row], rarest = n - (4 * n + 4) / 5 + 1;
        for (size_t i = 0; i < n; i++) {
            const size_t run = x->of_rows[x->row_from[row] + i];
            own[i] = (rarity){x->run_from[run + 1] - x->run_from[run], run};
        }
        qsort(own, n, sizeof *own, by_rarity);
        for (size_t i = 0; i < rarest && i < n && own[i].n <= COMMON; i++)
            compare_with_earlier(x, row, own[i].run);
    }
    free(own);
    return AGON_OK;
}

/* The side of those that go together: of the one whose hash is least. */
static agon_status choose_sides(split *x) {
    uint64_t *least = memory_new(x->n + 1, sizeof *least);
    if (!least)
        return ctx_no_memory(x->ctx);
    for (size_t i = 0; i < x->n; i++) {
        own_text *r = &x->rows[i];
        const uint64_t hash = seed_derive(0, r->text);
        r->with = root(x, i);
        if (r->with == i || hash < least[r->with]) {
            least[r->with] = hash;
            x->rows[r->with].held_out = recipe_holds_out(r->text);
        }
    }
    for (size_t i = 0; i < x->n; i++)
        x->rows[i].held_out = x->rows[x->rows[i].with].held_out;
    free(least);
    return AGON_OK;
}

agon_status own_split(agon_ctx *ctx, own_text *rows, size_t n) {
    split x = {.ctx = ctx, .rows = rows, .n = n, .parent = memory_new(n + 1, sizeof *x.parent), .first = json_object(), .numbers = json_array(),
               .row_from = memory_new(n + 2, sizeof *x.row_from), .compared = memory_new(n + 1, sizeof *x.compared)};
    agon_status s = x.parent && x.first && x.numbers && x.row_from && x.compared ? AGON_OK : ctx_no_memory(ctx);
    for (size_t i = 0; i < n && !s; i++)
        x.parent[i] = i;
    for (size_t i = 0; i < n && !s; i++)
        s = add_row(&x, i);
    if (!s)
        s = index_grams(&x);
    if (!s)
        s = join_near(&x);
    if (!s)
        s = choose_sides(&x);
    free(x.parent);
    free(x.row_from);
    free(x.run_from);
    free(x.of_rows);
    free(x.compared);
    free(x.grams.items);
    json_decref(x.first);
    json_decref(x.numbers);
    return s;
}
