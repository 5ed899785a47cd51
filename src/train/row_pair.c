/* Rows of pairs (row_read.c): prompt, chosen and rejected, or the two alone, whose common beginning is the prompt. */
#include "train/row_reader.h"
#include "train/row_file.h"
#include <math.h>
#include <string.h>

/* Puts prompt, chosen and rejected (all new, NULL: out of memory) into the row, which owns them as long as it lives. */
static agon_status divide(row_reader *r, json_t *object, json_t *prompt, json_t *tails[2], json_t **chosen, json_t **rejected) {
    bool built = json_object_set_new(object, "prompt", prompt) == 0;
    built = json_object_set_new(object, "chosen", tails[0]) == 0 && built;
    built = json_object_set_new(object, "rejected", tails[1]) == 0 && built;
    *chosen = tails[0], *rejected = tails[1];
    return built ? AGON_OK : row_no_memory(r);
}

/* The words both texts begin with. */
static agon_status common_text(row_reader *r, const char *where, json_t *object, json_t **chosen, json_t **rejected) {
    const char *a = json_string_value(*chosen), *b = json_string_value(*rejected);
    size_t n = row_common_words(a, b);
    agon_status s = row_check_implicit_prompt(r, where, object, a, n);
    if (s != AGON_OK)
        return s;
    if (n == 0)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: " NO_COMMON_WORDS, where);
    json_t *tails[2] = {json_string(a + n), json_string(b + n)};
    return divide(r, object, json_stringn(a, n), tails, chosen, rejected);
}

/* What chosen and rejected both begin with, words or messages, when there is no prompt of its own. */
static agon_status common_prompt(row_reader *r, const char *where, json_t *object, json_t **chosen, json_t **rejected) {
    size_t n = 0;
    if (json_is_string(*chosen) && json_is_string(*rejected))
        return common_text(r, where, object, chosen, rejected);
    if (!json_is_array(*chosen) || !json_is_array(*rejected))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: prompt is missing", where);
    while (n < json_array_size(*chosen) && json_equal(json_array_get(*chosen, n), json_array_get(*rejected, n)))
        n++;
    if (json_equal(*chosen, *rejected))
        return BAD(r, FAULT_EQUAL, "%s: chosen and rejected are the same; such a pair teaches nothing", where);
    if (n == 0)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: prompt is missing, and the conversations of chosen and rejected share no beginning", where);
    if (n == json_array_size(*chosen) || n == json_array_size(*rejected))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: prompt is missing, and %s is no more than the beginning of the other conversation, so it has no answer", where,
                        n == json_array_size(*chosen) ? "chosen" : "rejected");
    json_t *shared = json_array(), *tails[2] = {json_array(), json_array()}, *from[2] = {*chosen, *rejected};
    bool built = shared && tails[0] && tails[1];
    for (size_t i = 0; built && i < n; i++)
        built = json_array_append(shared, json_array_get(*chosen, i)) == 0;
    for (int k = 0; k < 2; k++)
        for (size_t i = n; built && i < json_array_size(from[k]); i++)
            built = json_array_append(tails[k], json_array_get(from[k], i)) == 0;
    agon_status s = divide(r, object, shared, tails, chosen, rejected);
    return built ? s : row_no_memory(r);
}

/* A reward model's margin is a strength: which side is better is said by the label, or by the sides' places without one. Rewards
 * that say the other side would be read as a strength of what they deny. */
static agon_status margin_check(row_reader *r, const char *where, double margin, const train_response *w, const train_response *l) {
    const double gap = w->reward - l->reward, label = isnan(w->label) ? 1 : w->label;
    if (!(r->needs & TAKES_REWARD) || isnan(gap))
        return AGON_OK;
    if (margin < 0)
        return BAD(r, FAULT_RANGE, "%s: margin is %g; it says how far the better side stands above the other, 0 or more", where, margin);
    if (isnan(margin) && gap * (label - 0.5) < 0)
        return BAD(r, FAULT_RANGE, "%s: rewards are %g for chosen and %g for rejected, and %s is the better side; swap the sides or mend the %s",
                   where, w->reward, l->reward, label > 0.5 ? "chosen" : "by its label rejected", isnan(w->label) ? "rewards" : "label");
    return AGON_OK;
}

/* weight, label (how likely the chosen side is the better one), and rewards of both sides or their margin. */
static agon_status pair_numbers(row_reader *r, const char *where, json_t *object, train_row *row) {
    train_response *w = (train_response *)&row->responses[0], *l = (train_response *)&row->responses[1];
    double margin = NAN;
    agon_status s = row_number(r, where, object, "weight", &row->weight);
    if (s == AGON_OK)
        s = row_number(r, where, object, "label", &w->label);
    if (s == AGON_OK)
        s = row_number(r, where, object, "margin", &margin);
    if (s == AGON_OK && !isnan(margin))
        w->reward = margin, l->reward = 0;
    if (s == AGON_OK)
        s = row_list_number(r, where, object, "rewards", 2, 0, &w->reward);
    if (s == AGON_OK)
        s = row_list_number(r, where, object, "rewards", 2, 1, &l->reward);
    if (s == AGON_OK)
        s = margin_check(r, where, json_object_get(object, "rewards") ? NAN : margin, w, l);
    if (s == AGON_OK && (r->needs & NEEDS_REWARD) && isnan(w->reward))
        s = ctx_fail(r->ctx, AGON_EINVAL, "%s: rewards (or margin) is missing; %s needs it", where, r->o->name);
    if (s == AGON_OK && (r->needs & NEEDS_LABEL) && isnan(w->label))
        s = ctx_fail(r->ctx, AGON_EINVAL, "%s: label is missing; %s needs it", where, r->o->name);
    if (s == AGON_OK && w->label <= 0.5 && !(r->needs & (NEEDS_LABEL | TAKES_LABEL)))
        s = BAD(r, FAULT_RANGE, "%s: label is %g, so %s, which %s does not read; %s, or train dpo-soft", where, w->label,
                w->label < 0.5 ? "rejected is the better side" : "neither side is better", r->o->name,
                w->label < 0.5 ? "swap them" : "leave the row out");
    return s;
}

/* Whether two texts differ in nothing but the white space they end with. */
static bool differ_at_end(const char *a, const char *b) {
    size_t n = 0;
    while (a && b && a[n] && a[n] == b[n])
        n++;
    return a && b && row_is_blank(a + n) && row_is_blank(b + n);
}

agon_status row_read_pair(row_reader *r, const char *where, json_t *object) {
    row_example e[2] = {{{0}, {0}, 0}, {{0}, {0}, 0}};
    row_prompt p = {0};
    train_row *kept = NULL;
    json_t *chosen = json_object_get(object, "chosen"), *rejected = json_object_get(object, "rejected");
    const bool implicit = !json_object_get(object, "prompt");
    size_t n_context[2] = {0, 0};
    agon_status s = AGON_OK;
    if (json_object_get(object, "spans"))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: spans go with a completion or completions, not with a pair", where);
    if (implicit)
        s = common_prompt(r, where, object, &chosen, &rejected);
    if (s == AGON_OK && row_learns_words(r) && (!json_is_string(json_object_get(object, "chosen_critique")) || !json_is_string(json_object_get(object, "rejected_critique"))))
        s = ctx_fail(r->ctx, AGON_EINVAL, "%s: chosen_critique and rejected_critique must be texts; %s learns their words and rewards what it read", where,
                     r->o->name);
    if (s == AGON_OK)
        s = row_add_critique(r, where, object, "chosen_critique", json_object_get(object, "chosen_critique"), "chosen", &chosen, &n_context[0]);
    if (s == AGON_OK)
        s = row_add_critique(r, where, object, "rejected_critique", json_object_get(object, "rejected_critique"), "rejected", &rejected,
                         &n_context[1]);
    if (s == AGON_OK)
        s = row_prompt_of(r, where, object, &p);
    if (s == AGON_OK)
        s = row_encode_pair(r, where, "chosen", &p, chosen, &e[0]);
    if (s == AGON_OK)
        s = row_encode_pair(r, where, "rejected", &p, rejected, &e[1]);
    for (size_t k = 0; k < 2 && s == AGON_OK; k++) {
        const char *key = k ? "rejected_finish" : "chosen_finish";
        if (n_context[k] == 0)
            s = row_read_finish(r, where, key, json_object_get(object, key), &e[k]);
    }
    if (s == AGON_OK && e[0].tokens.n == e[1].tokens.n &&
        memcmp(e[0].tokens.ids, e[1].tokens.ids, e[0].tokens.n * sizeof(int32_t)) == 0)
        s = BAD(r, FAULT_EQUAL, "%s: chosen and rejected are the same; such a pair teaches nothing", where);
    if (s == AGON_OK)
        s = row_keep(r, where, e, 2, &kept);
    if (s == AGON_OK && row_same_tokens(&kept->responses[0], &kept->responses[1]))
        s = BAD(r, FAULT_EQUAL, "%s: chosen and rejected are equal after cutting to %zu tokens; such a pair teaches nothing", where, r->max_tokens);
    if (s == AGON_OK)
        s = pair_numbers(r, where, object, kept);
    r->d->n_implicit += s == AGON_OK && implicit;
    r->d->n_space_only += s == AGON_OK && differ_at_end(row_completion_text(chosen), row_completion_text(rejected));
    for (size_t k = 0; k < 2 && s == AGON_OK && row_learns_words(r); k++)
        s = row_place_spans(r, where, NULL, k ? rejected : chosen, n_context[k], &e[k], (train_response *)&kept->responses[k]);
    row_example_free(&e[0]);
    row_example_free(&e[1]);
    return s;
}
