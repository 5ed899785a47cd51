/* Planted noise in files: see noise_rows.h. The streams are those of noise.h. */
#include "train/noise_rows.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/utf8.h"
#include "train/noise.h"
#include "train/row_file.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SPAN = 8, MOST_TRIES = 100, RUN_IN = 64 };
static const double SPAN_GROWS = 0.5;

typedef enum noise_kind { KIND_SWAPPED, KIND_REVERSED, KIND_REPLACED, KIND_TOKENS, KIND_SPANS } noise_kind;
static const char *const kind_names[] = {"swapped", "reversed", "replaced", "tokens", "spans"};

typedef struct noiser {
    agon_ctx *ctx;
    const noise_options *options;
    noise_kind kind;
    row_file f;
    json_t **truth; /* [n rows] NULL: not changed */
    int32_t *plain; /* [n_plain] ids of tokens that are text by themselves, ascending */
    int32_t *plain_index; /* [vocabulary] -1: not among them */
    size_t n_plain, n_tokens, n_replaceable, n_replaced, n_otherwise;
} noiser;

agon_status noise_level_find(agon_ctx *ctx, const char *name, noise_level *out) {
    static const char *const names[] = {"response", "token", "span"};
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (noise_level)i;
            return AGON_OK;
        }
    return ctx_fail(ctx, AGON_EINVAL, "noise is planted at level response, token or span, not '%.40s'", name);
}

static agon_status no_memory(noiser *x) {
    return ctx_fail(x->ctx, AGON_ENOMEM, "out of memory planting noise");
}

void noise_plant(noise_level level, uint64_t seed, double rate, size_t vocabulary, int32_t *tokens, size_t n, bool *replaced) {
    if (level == NOISE_TOKEN)
        noise_tokens(seed, rate, vocabulary, tokens, n, replaced);
    else
        noise_spans(seed, rate, SPAN_GROWS, MOST_SPAN, vocabulary, tokens, n, replaced);
}

/* Which of n tokens spans cover so that each is covered with probability `share`: between spans of mean length L lie (1 - s)/s tokens on average, s
 * the probability that one begins. The process runs for a while before the first token, at which a span is then as likely as anywhere. */
static agon_status plant_spans(agon_ctx *ctx, uint64_t seed, double share, size_t vocabulary, int32_t *tokens, size_t n, bool *replaced) {
    double length = (1 - pow(SPAN_GROWS, MOST_SPAN)) / (1 - SPAN_GROWS), begin = share / (share + length * (1 - share));
    int32_t *all = memory_new(size_add(n, RUN_IN), sizeof *all);
    bool *covered = memory_new(size_add(n, RUN_IN), sizeof *covered);
    if (all && covered) {
        memcpy(all + RUN_IN, tokens, n * sizeof *tokens);
        noise_spans(seed, begin, SPAN_GROWS, MOST_SPAN, vocabulary, all, n + RUN_IN, covered);
        memcpy(tokens, all + RUN_IN, n * sizeof *tokens);
        memcpy(replaced, covered + RUN_IN, n * sizeof *replaced);
    }
    agon_status s = all && covered ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory planting noise");
    free(all);
    free(covered);
    return s;
}

/* The path of the truth beside `to`; new string, NULL on memory. */
static char *truth_path_of(const char *to) {
    size_t size = strlen(to) + sizeof ".truth";
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s.truth", to);
    return path;
}

/* ---- what is refused before anything changes ---------------------------------------------------------------- */

static agon_status check_options(agon_ctx *ctx, const noise_options *o) {
    if (!(o->rate >= 0 && o->rate <= 1))
        return ctx_fail(ctx, AGON_EINVAL, "the rate of the noise is %g; it lies between 0 and 1", o->rate);
    if (o->objective->needs & NEEDS_TARGETS)
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "noise in the labels of steps (%s) is not planted; rows of pairs or of one response are", o->objective->name);
    if (!(o->objective->rows & (ROW_PAIR | ROW_SINGLE)))
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s learns from groups; noise is planted in pairs and in rows of one response", o->objective->name);
    if (o->level != NOISE_RESPONSE && !o->t)
        return ctx_fail(ctx, AGON_EINVAL, "noise in tokens needs a tokenizer");
    return AGON_OK;
}

static noise_kind kind_of(const noise_options *o) {
    if (o->level != NOISE_RESPONSE)
        return o->level == NOISE_TOKEN ? KIND_TOKENS : KIND_SPANS;
    return o->objective->rows & ROW_PAIR       ? KIND_SWAPPED
           : o->objective->needs & NEEDS_LABEL ? KIND_REVERSED
                                               : KIND_REPLACED;
}

static agon_status check_pair(noiser *x, size_t i) {
    json_t *chosen = json_object_get(x->f.rows[i], "chosen"), *rejected = json_object_get(x->f.rows[i], "rejected");
    if (!chosen || !rejected)
        return row_fail(x->ctx, &x->f, i, "%s is missing; %s learns from pairs", chosen ? "rejected" : "chosen", x->options->objective->name);
    if (json_equal(chosen, rejected))
        return row_fail(x->ctx, &x->f, i, "chosen and rejected are the same; swapping them changes nothing");
    return AGON_OK;
}

static agon_status check_label(noiser *x, size_t i) {
    json_t *label = json_object_get(x->f.rows[i], "label");
    double y = json_number_value(label);
    if (!json_is_boolean(label) && !(json_is_number(label) && y >= 0 && y <= 1))
        return row_fail(x->ctx, &x->f, i, "label must be true, false, or a number between 0 and 1");
    if (json_is_number(label) && y == 0.5)
        return row_fail(x->ctx, &x->f, i, "label is 0.5; reversing it changes nothing");
    return AGON_OK;
}

/* The last message of a pair's chosen side; NULL: it is a text, or there is none. */
static json_t *chosen_message(const json_t *row) {
    json_t *chosen = json_object_get(row, "chosen");
    return json_array_size(chosen) ? json_array_get(chosen, json_array_size(chosen) - 1) : NULL;
}

/* A pair of texts that has no prompt of its own. */
static bool is_joined(const json_t *row) {
    return json_is_string(json_object_get(row, "chosen")) && !json_object_get(row, "prompt");
}

/* Where the answer begins in the chosen text of such a pair, behind the space that ends the prompt's last word: what replaces a token may begin without
 * one. 0: there is no such place. */
static size_t answer_place(const json_t *row) {
    const char *chosen = json_string_value(json_object_get(row, "chosen")), *rejected = json_string_value(json_object_get(row, "rejected"));
    size_t n = rejected ? row_common_words(chosen, rejected) : 0;
    return n ? n + strspn(chosen + n, " \n\t") : 0;
}

/* The words whose tokens are replaced: the response, or of a pair the chosen one, which is what a learner should take after. */
static const char *words_of(const json_t *row) {
    const json_t *chosen = json_object_get(row, "chosen"), *message = chosen_message(row);
    if (is_joined(row))
        return json_string_value(chosen) + answer_place(row);
    return !chosen ? row_response(row) : json_string_value(message ? json_object_get(message, "content") : chosen);
}

static agon_status set_words(noiser *x, size_t i, const char *text, size_t n) {
    json_t *row = x->f.rows[i], *message = chosen_message(row);
    if (!json_object_get(row, "chosen"))
        return row_set_response(x->ctx, row, text, n);
    json_t *words = is_joined(row) ? json_sprintf("%.*s%.*s", (int)answer_place(row), json_string_value(json_object_get(row, "chosen")), (int)n, text)
                                   : json_stringn(text, n);
    return words && json_object_set_new(message ? message : row, message ? "content" : "chosen", words) == 0 ? AGON_OK : no_memory(x);
}

static agon_status check_response(noiser *x, size_t i) {
    const json_t *row = x->f.rows[i];
    const bool in_tokens = x->options->level != NOISE_RESPONSE;
    const char *text = in_tokens ? words_of(row) : row_response(row);
    if (json_object_get(row, "completions"))
        return row_fail(x->ctx, &x->f, i, "completions are a group; noise is planted in pairs and in rows of one response");
    if (!text || !*text)
        return row_fail(x->ctx, &x->f, i, "there is no response to change: a completion, %smessages that end with an answer",
                        in_tokens ? "a pair's chosen text, or " : "or ");
    if (in_tokens && is_joined(row) && answer_place(row) == 0)
        return row_fail(x->ctx, &x->f, i, NO_COMMON_WORDS);
    if (json_object_get(row, "spans"))
        return row_fail(x->ctx, &x->f, i, "spans speak of words that would be replaced; take them out first");
    return AGON_OK;
}

static agon_status check_rows(noiser *x) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < x->f.n && !s; i++)
        s = x->kind == KIND_SWAPPED ? check_pair(x, i) : x->kind == KIND_REVERSED ? check_label(x, i) : check_response(x, i);
    return s;
}

/* ---- changes ------------------------------------------------------------------------------------------------ */

/* Keeps the named members (NULL ends) as they are now. */
static agon_status keep_truth(noiser *x, size_t i, const char *const *keys) {
    json_t *original = json_object();
    bool kept = original != NULL;
    for (size_t k = 0; keys[k] && kept; k++) {
        json_t *member = json_object_get(x->f.rows[i], keys[k]);
        if (member)
            kept = json_object_set_new(original, keys[k], json_deep_copy(member)) == 0;
    }
    x->truth[i] = json_pack("{s:I,s:o}", "line", (json_int_t)i + 1, "original", original);
    return kept && x->truth[i] ? AGON_OK : no_memory(x);
}

/* Margins of other dimensions are said of the texts; elsewhere rewards and margin are the judgement that is made wrong. */
static bool moves_rewards(const noiser *x) {
    return x->kind == KIND_SWAPPED && (x->options->objective->needs & NEEDS_REWARD);
}

static const char *const pair_keys[] = {"chosen", "rejected", "chosen_critique", "rejected_critique", NULL};
static const char *const rewarded_keys[] = {"chosen", "rejected", "chosen_critique", "rejected_critique", "rewards", "margin", NULL};
static const char *const label_keys[] = {"label", NULL};
static const char *const response_keys[] = {"completion", "messages", "chosen", "log_probs", NULL};

static agon_status reverse(noiser *x, json_t *row) {
    json_t *label = json_object_get(row, "label"), *made;
    made = json_is_boolean(label)   ? json_boolean(!json_is_true(label))
           : json_is_integer(label) ? json_integer(1 - json_integer_value(label))
                                    : json_real(1 - json_real_value(label));
    return json_object_set_new(row, "label", made) == 0 ? AGON_OK : no_memory(x);
}

/* The words of another row, drawn evenly and again where they are the same; where nearly all are, the next that differ. */
static agon_status other_words(noiser *x, rng *r, size_t i, char *const *words, const char **out) {
    size_t j = i;
    for (int tries = 0; tries < MOST_TRIES && strcmp(words[j], words[i]) == 0; tries++)
        j = rng_below(r, x->f.n);
    for (size_t k = 0; k < x->f.n && strcmp(words[j], words[i]) == 0; k++)
        j = (j + 1) % x->f.n;
    if (strcmp(words[j], words[i]) != 0) {
        *out = words[j];
        return AGON_OK;
    }
    return row_fail(x->ctx, &x->f, i, "all rows have this response; there are no other words to put in its place");
}

/* Responses as they were: what replaces one must not itself be a replacement. */
static agon_status copy_words(noiser *x, char ***out) {
    char **words = memory_new(x->f.n, sizeof *words);
    *out = words;
    for (size_t i = 0; words && i < x->f.n; i++)
        if (!(words[i] = strdup(row_response(x->f.rows[i]))))
            return no_memory(x);
    return words ? AGON_OK : no_memory(x);
}

static agon_status change_row(noiser *x, rng *r, size_t i, char *const *words) {
    json_t *row = x->f.rows[i];
    agon_status s = keep_truth(x, i, moves_rewards(x)            ? rewarded_keys
                                     : x->kind == KIND_SWAPPED  ? pair_keys
                                     : x->kind == KIND_REVERSED ? label_keys
                                                                : response_keys);
    if (s == AGON_OK && x->kind == KIND_SWAPPED)
        s = row_swap(x->ctx, row);
    if (s == AGON_OK && moves_rewards(x))
        s = row_swap_rewards(x->ctx, row);
    if (s || x->kind == KIND_SWAPPED)
        return s;
    if (x->kind == KIND_REVERSED)
        return reverse(x, row);
    const char *other = NULL;
    s = other_words(x, r, i, words, &other);
    return s ? s : row_set_response(x->ctx, row, other, strlen(other));
}

static agon_status change_rows(noiser *x) {
    bool *flipped = memory_new(x->f.n, sizeof *flipped);
    char **words = NULL;
    rng r = rng_new(seed_derive(x->options->seed, "other words"));
    agon_status s = flipped ? AGON_OK : no_memory(x);
    if (!s && x->kind == KIND_REPLACED)
        s = copy_words(x, &words);
    if (!s)
        noise_flips(x->options->seed, x->options->rate, x->f.n, flipped);
    for (size_t i = 0; i < x->f.n && !s; i++)
        if (flipped[i])
            s = change_row(x, &r, i, words);
    for (size_t i = 0; words && i < x->f.n; i++)
        free(words[i]);
    free(words);
    free(flipped);
    return s;
}

/* ---- tokens ------------------------------------------------------------------------------------------------- */

/* A token that is text by itself: JSON takes its bytes as UTF-8, and no C string ends in it. */
static bool is_plain(const tokenizer *t, int32_t id) {
    size_t n = 0;
    const char *bytes = tokenizer_bytes(t, id, &n);
    if (!bytes || n == 0 || tokenizer_is_special(t, id) || tokenizer_is_stop(t, id) || memchr(bytes, 0, n))
        return false;
    json_t *text = json_stringn(bytes, n);
    bool whole = text != NULL;
    json_decref(text);
    return whole;
}

static agon_status list_plain(noiser *x) {
    size_t n = tokenizer_n_vocabulary(x->options->t);
    x->plain = memory_new(n, sizeof *x->plain);
    x->plain_index = memory_new(n, sizeof *x->plain_index);
    if (!x->plain || !x->plain_index)
        return no_memory(x);
    for (size_t id = 0; id < n; id++) {
        x->plain_index[id] = is_plain(x->options->t, (int32_t)id) ? (int32_t)x->n_plain : -1;
        if (x->plain_index[id] >= 0)
            x->plain[x->n_plain++] = (int32_t)id;
    }
    return x->n_plain > 1 ? AGON_OK : ctx_fail(x->ctx, AGON_EINVAL, "the tokenizer has no two tokens that are text by themselves");
}

/* Whether the token that begins at this byte is the same in both; `read` and `at` go on from where they are. */
static bool reads_back(const tokenizer *t, const token_list *again, size_t *read, size_t *at, size_t begin, int32_t id) {
    size_t n;
    while (*read < again->n && *at < begin) {
        tokenizer_bytes(t, again->ids[(*read)++], &n);
        *at += n;
    }
    return *read < again->n && *at == begin && again->ids[*read] == id;
}

static agon_status count_otherwise(noiser *x, const token_list *wrote, const char *text, size_t n) {
    token_list again = {0};
    size_t read = 0, at = 0, begin = 0, bytes;
    agon_status s = tokenizer_encode(x->ctx, x->options->t, text, n, false, &again);
    for (size_t k = 0; k < wrote->n && !s; k++) {
        x->n_otherwise += !reads_back(x->options->t, &again, &read, &at, begin, wrote->ids[k]);
        tokenizer_bytes(x->options->t, wrote->ids[k], &bytes);
        begin += bytes;
    }
    token_list_free(&again);
    return s;
}

/* Replaces among the n tokens that are text, whose indices are in `which`. Works on places in the list of such tokens, so that the stream
 * is noise.h's over that vocabulary. *changed: how many. */
static agon_status replace(noiser *x, size_t row, token_list *tokens, const size_t *which, size_t n, size_t *changed) {
    const noise_options *o = x->options;
    int32_t *places = memory_new(n ? n : 1, sizeof *places);
    bool *replaced = memory_new(n ? n : 1, sizeof *replaced);
    uint64_t seed = seed_derivef(o->seed, "row %zu", row);
    agon_status s = places && replaced ? AGON_OK : no_memory(x);
    *changed = 0;
    for (size_t k = 0; k < n && !s; k++)
        places[k] = x->plain_index[tokens->ids[which[k]]];
    if (!s && o->level == NOISE_SPAN)
        s = plant_spans(x->ctx, seed, o->rate, x->n_plain, places, n, replaced);
    else if (!s)
        noise_tokens(seed, o->rate, x->n_plain, places, n, replaced);
    for (size_t k = 0; k < n && !s; k++)
        tokens->ids[which[k]] = x->plain[places[k]], *changed += replaced[k];
    free(places);
    free(replaced);
    return s;
}

static agon_status replace_in_row(noiser *x, size_t i) {
    const tokenizer *t = x->options->t;
    const char *text = words_of(x->f.rows[i]);
    token_list tokens = {0};
    size_t n = 0, n_bytes = 0, changed = 0;
    char *made = NULL;
    agon_status s = tokenizer_encode(x->ctx, t, text, strlen(text), false, &tokens);
    size_t *which = s ? NULL : memory_new(tokens.n + 1, sizeof *which);
    if (!s && !which)
        s = no_memory(x);
    for (size_t k = 0; k < tokens.n && !s; k++)
        if (x->plain_index[tokens.ids[k]] >= 0)
            which[n++] = k;
    if (!s)
        s = replace(x, i, &tokens, which, n, &changed);
    x->n_tokens += tokens.n, x->n_replaceable += n, x->n_replaced += changed;
    if (!s && changed) {
        made = tokenizer_decode(t, tokens.ids, tokens.n, true, &n_bytes);
        s = made ? count_otherwise(x, &tokens, made, n_bytes) : no_memory(x);
    }
    if (!s && changed && (n_bytes != strlen(text) || memcmp(made, text, n_bytes) != 0)) {
        s = keep_truth(x, i, response_keys);
        if (!s)
            s = set_words(x, i, made, n_bytes);
    }
    free(made);
    free(which);
    token_list_free(&tokens);
    return s ? ctx_prefix(x->ctx, s, "%.500s:%zu", x->f.path, x->f.lines[i]) : s;
}

static agon_status replace_in_rows(noiser *x) {
    agon_status s = list_plain(x);
    for (size_t i = 0; i < x->f.n && !s; i++) {
        s = ctx_check_interrupt(x->ctx);
        s = s ? s : replace_in_row(x, i);
    }
    return s;
}

/* ---- files -------------------------------------------------------------------------------------------------- */

static json_t *report_json(const noiser *x, const char *path) {
    size_t changed = 0;
    for (size_t i = 0; i < x->f.n; i++)
        changed += x->truth[i] != NULL;
    char seed[24];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)x->options->seed);
    json_t *made = json_pack("{s:I,s:I,s:s,s:f,s:s,s:o}", "rows", (json_int_t)x->f.n, "changed", (json_int_t)changed, "kind",
                             kind_names[x->kind], "rate", x->options->rate, "seed", seed, "truth", utf8_json(path));
    const struct {
        const char *name;
        size_t value;
    } counts[] = {{"tokens", x->n_tokens}, {"replaceable", x->n_replaceable}, {"replaced", x->n_replaced}, {"read_otherwise", x->n_otherwise}};
    for (size_t i = 0; made && x->options->level != NOISE_RESPONSE && i < 4; i++)
        json_object_set_new(made, counts[i].name, json_integer((json_int_t)counts[i].value));
    return made;
}

/* The truth first: noisy rows are never there without it. */
static agon_status write_files(noiser *x, const char *to, const char *truth_path) {
    bool *changed = memory_new(x->f.n, sizeof *changed);
    agon_status s = changed ? AGON_OK : no_memory(x);
    for (size_t i = 0; i < x->f.n && !s; i++)
        changed[i] = x->truth[i] != NULL;
    if (!s)
        s = rows_write_two(x->ctx, &(rows_output){truth_path, x->truth, changed, x->f.n}, &(rows_output){to, x->f.rows, NULL, x->f.n});
    free(changed);
    return s;
}

static void noiser_free(noiser *x) {
    for (size_t i = 0; x->truth && i < x->f.n; i++)
        json_decref(x->truth[i]);
    free(x->truth);
    free(x->plain);
    free(x->plain_index);
    row_file_free(&x->f);
}

agon_status noise_file(agon_ctx *ctx, const char *from, const char *to, const noise_options *options, json_t **report) {
    noiser x = {.ctx = ctx, .options = options};
    char *truth_path = truth_path_of(to);
    json_t *made = NULL;
    agon_status s = truth_path ? check_options(ctx, options) : no_memory(&x);
    if (!s)
        s = outputs_are_new(ctx, to, truth_path);
    if (!s)
        s = row_file_read(ctx, from, &x.f);
    if (!s && !(x.truth = memory_new(x.f.n, sizeof *x.truth)))
        s = no_memory(&x);
    if (!s) {
        x.kind = kind_of(options);
        s = check_rows(&x);
    }
    if (!s)
        s = options->level == NOISE_RESPONSE ? change_rows(&x) : replace_in_rows(&x);
    if (!s && !(made = report_json(&x, truth_path)))
        s = no_memory(&x);
    if (!s)
        s = write_files(&x, to, truth_path);
    if (!s)
        *report = made;
    else
        json_decref(made);
    noiser_free(&x);
    free(truth_path);
    return s;
}
