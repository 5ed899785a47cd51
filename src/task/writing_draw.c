/* Family "writing": a query drawn from its seed, its words, and what a rewording must keep. */
#include "base/ctx.h"
#include "task/wording.h"
#include "task/writing.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const start_phrases[] = {"In my view", "To be honest", "Every year", "In short", "As we know",
                                            "For many people", "In general", "Most of the time"};
static const char *const end_phrases[] = {"in my opinion", "as we know", "for all of us", "and that is true",
                                          "every single day", "for many people", "as you can see", "most of the time"};
static const char *const common_words[] = {"and", "very", "beautiful", "important", "world"};
static const char *const json_keys[] = {"topic", "feature", "action", "time"};

static json_t *text_argument(const char *key, const char *value) {
    return json_pack("{s:s}", key, value);
}

static json_t *draw_keys(rng *r) {
    size_t a = rng_below(r, 4), b = (a + 1 + rng_below(r, 3)) % 4;
    return json_pack("{s:[s,s]}", "keys", json_keys[a], json_keys[b]);
}

static json_t *draw_required(const topic *t, rng *r) {
    const char *word;
    span s;
    do
        word = tail_word(rng_below(r, tail_count()));
    while (writing_mentions(t, word, &s));
    return text_argument("word", word);
}

/* A letter that the topic does not have and some sentence about it avoids. */
static json_t *draw_letter(const topic *t, const char *setting, rng *r) {
    static const char letters[] = "oudgpbwyvk";
    size_t first = rng_below(r, sizeof letters - 1);
    for (size_t i = 0; i < sizeof letters - 1; i++) {
        char letter[2] = {letters[(first + i) % (sizeof letters - 1)], 0}, sentence[WRITING_TEXT_SIZE];
        for (int k = 0; k < 40 && !strchr(t->about, letter[0]); k++) {
            topic_sentence(t, STYLE_SHORT, *setting ? setting : NULL, r, sentence, sizeof sentence);
            char *lower = text_lower(sentence);
            bool free_of_it = lower && !strchr(lower, letter[0]);
            free(lower);
            if (free_of_it)
                return text_argument("letter", letter);
        }
    }
    return text_argument("letter", "z");
}

static int64_t draw_exact(const topic *t, const char *setting, rng *r) {
    char sentence[WRITING_TEXT_SIZE];
    topic_sentence(t, STYLE_SHORT, *setting ? setting : NULL, r, sentence, sizeof sentence);
    return (int64_t)text_n_words(sentence);
}

/* Arguments of constraint `name` in this form; NULL: none (or memory, which json_pack of the caller notices). */
static json_t *draw_arguments(const writing_form *f, const char *name, const topic *t, const char *setting, rng *r) {
    char text[256];
    if (strcmp(name, "max_words") == 0)
        return json_pack("{s:I}", "n", (json_int_t)rng_range(r, 8, 14));
    if (strcmp(name, "min_words") == 0)
        return json_pack("{s:I}", "n", (json_int_t)rng_range(r, 6, 9));
    if (strcmp(name, "exact_words") == 0)
        return json_pack("{s:I}", "n", (json_int_t)draw_exact(t, setting, r));
    if (strcmp(name, "bullets") == 0)
        return json_pack("{s:I}", "n", (json_int_t)rng_range(r, 2, 3));
    if (strcmp(name, "sentences") == 0)
        return json_pack("{s:I}", "n", (json_int_t)(f->ask == LISTING && f->constraints[1] ? 1 : rng_range(r, 2, 3)));
    if (strcmp(name, "placeholders") == 0)
        return json_pack("{s:I}", "n", (json_int_t)rng_range(r, 1, 3));
    if (strcmp(name, "highlight") == 0)
        return json_pack("{s:I}", "n", (json_int_t)1);
    if (strcmp(name, "required_word") == 0)
        return f->ask == LISTING ? text_argument("word", writing_topic_name(t)) : draw_required(t, r);
    if (strcmp(name, "forbidden_word") == 0) {
        size_t k = rng_below(r, 5);
        return text_argument("word", k == 4 ? (t->plural ? "are" : "is") : common_words[k]);
    }
    if (strcmp(name, "start_phrase") == 0)
        return text_argument("phrase", draw_text(r, start_phrases, 8));
    if (strcmp(name, "end_phrase") == 0)
        return text_argument("phrase", draw_text(r, end_phrases, 8));
    if (strcmp(name, "json_object") == 0)
        return draw_keys(r);
    if (strcmp(name, "no_letter") == 0)
        return draw_letter(t, setting, r);
    if (strcmp(name, "repeat_request") == 0) {
        snprintf(text, sizeof text, "Write one sentence about %s%s%s.", t->about, *setting ? " " : "", setting);
        return text_argument("request", text);
    }
    return NULL;
}

static agon_status draw_parameters(agon_ctx *ctx, const writing_form *f, rng *r, json_t **out) {
    const topic *t = topic_at(rng_below(r, topic_count()));
    const char *setting = writing_draw_setting(f, t, r);
    json_t *list = json_array();
    for (size_t i = 0; i < 2 && f->constraints[i]; i++) {
        json_t *arguments = draw_arguments(f, f->constraints[i], t, setting, r);
        json_t *entry = arguments ? json_pack("{s:s,s:o}", "name", f->constraints[i], "arguments", arguments)
                                  : json_pack("{s:s}", "name", f->constraints[i]);
        json_array_append_new(list, entry);
    }
    *out = json_pack("{s:s,s:s,s:o}", "topic", t->about, "setting", setting, "constraints", list);
    return *out ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "memory for a task's parameters is exhausted");
}

static void quoted_keys(const writing_request *q, char *out, size_t size) {
    const json_t *keys = writing_argument(q, "keys");
    size_t n = json_array_size(keys), used = 0;
    out[0] = 0;
    for (size_t i = 0; i < n && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s\"%s\"", i == 0 ? "" : i + 1 < n ? ", " : " and ",
                                 json_string_value(json_array_get(keys, i)));
}

static const char *const usual_asks[] = {"Write one sentence about {about}", "Write a sentence about {about}"};
static const char *const rare_asks[] = {"Compose a single sentence on the topic of {about}", "Please give me one sentence about {about}"};

enum { N_FILLS = 9 };
typedef struct fill_texts {
    char keys[WRITING_TEXT_SIZE], about[128], n[24];
} fill_texts;

static void fill(const writing_request *q, fill_texts *t, text_fill fills[N_FILLS]) {
    snprintf(t->n, sizeof t->n, "%lld", (long long)writing_n(q));
    snprintf(t->about, sizeof t->about, "%s%s%s", q->topic->about, *q->setting ? " " : "", q->setting);
    quoted_keys(q, t->keys, sizeof t->keys);
    const text_fill made[N_FILLS] = {
        {"about", t->about}, {"genre", q->setting}, {"n", t->n}, {"s", writing_n(q) == 1 ? "" : "s"}, {"keys", t->keys},
        {"word", writing_text(q, "word")}, {"phrase", writing_text(q, "phrase")}, {"letter", writing_text(q, "letter")},
        {"request", writing_text(q, "request")},
    };
    memcpy(fills, made, sizeof made);
}

/* The query's words from its parameters. */
static agon_status word_query(agon_ctx *ctx, const writing_request *q, task_perturbation p, rng *r, char **out) {
    bool rare = p == PERTURBATION_PARAPHRASE;
    const char *phrasing = draw_text(r, rare ? q->form->rare : q->form->usual, 2);
    const char *ask = draw_text(r, rare ? rare_asks : usual_asks, 2), *distractor = draw_distractor(r);
    char pattern[WRITING_TEXT_SIZE];
    bool clause = q->form->ask == SENTENCE, distracts = p == PERTURBATION_DISTRACTOR;
    fill_texts texts;
    text_fill fills[N_FILLS];
    snprintf(pattern, sizeof pattern, "%s%s%s%s%s%s", distracts ? distractor : "", distracts ? " " : "", clause ? ask : "", clause ? " " : "",
             phrasing, clause ? "." : "");
    fill(q, &texts, fills);
    return task_fill(ctx, pattern, fills, N_FILLS, out);
}

/* Every clause behind every way to ask for a sentence, and before it where it begins with a preposition. */
static agon_status word_clause(agon_ctx *ctx, const char *clause, const text_fill *fills, wordings *out) {
    static const char *const before[] = {"with ", "in ", "using ", "without "};
    char pattern[WRITING_TEXT_SIZE];
    bool leads = false;
    agon_status status = AGON_OK;
    for (size_t i = 0; i < 4; i++)
        leads = leads || (strncmp(clause, before[i], strlen(before[i])) == 0 && strncmp(clause, "in which", 8) != 0);
    for (size_t i = 0; i < 2 && !status; i++) { /* the other ways say the same in other words */
        snprintf(pattern, sizeof pattern, "%s %s", usual_asks[i], clause);
        status = wordings_add(ctx, out, pattern, fills, N_FILLS);
        snprintf(pattern, sizeof pattern, "%s, %s", clause, usual_asks[i]);
        if (!status && leads)
            status = wordings_add(ctx, out, pattern, fills, N_FILLS);
    }
    return status;
}

agon_status writing_wordings(agon_ctx *ctx, const task_query *query, wordings *out) {
    static const char *const same[] = {
        "about|on the topic of|regarding", "uses|use|using|includes|include|including|contains|contain|containing|has", "without|without any|without using|without using any",
        "end|ends|ending|close|closes|closing|finish|finishes", "start|starts|starting|begin|begins|beginning|open|opens|opening",
        "at most|no more than|a maximum of", "at least|a minimum of|no fewer than|no less than", "exactly|precisely", "lower case letters|lower case|lowercase|lowercase letters",
        "capital letters|upper case|uppercase|capitals|uppercase letters|upper case letters", "double quotation marks|double quotes", "exclamation mark|exclamation point",
        "comma|commas", "digit|digits", "placeholder|placeholders", NULL};
    writing_request q;
    fill_texts texts;
    text_fill fills[N_FILLS];
    agon_status status = writing_read(ctx, query, &q);
    if (status)
        return status;
    fill(&q, &texts, fills);
    out->same = same;
    out->neutral = "a|an|one|single|the|please|give me|write|compose|create|make|pose|ask|can you|could you|in it";
    for (size_t i = 0; i < 4 && !status; i++) {
        const char *phrasing = i < 2 ? q.form->usual[i] : q.form->rare[i - 2];
        status = q.form->ask == SENTENCE ? word_clause(ctx, phrasing, fills, out) : wordings_add(ctx, out, phrasing, fills, N_FILLS);
    }
    return status;
}

/* What a rewording must keep. Numbers of the text are kept anyway. */
static agon_status draw_keep(agon_ctx *ctx, const writing_request *q, json_t **keep) {
    static const char *const keys[] = {"word", "phrase", "request"};
    agon_status status = writing_has(q, "title") ? AGON_OK : keep_add(ctx, keep, "text", q->topic->about);
    if (status == AGON_OK && *q->setting)
        status = keep_add(ctx, keep, "text", q->setting);
    for (size_t i = 0; i < 3 && status == AGON_OK; i++)
        if (writing_argument(q, keys[i]))
            status = keep_add(ctx, keep, "text", writing_text(q, keys[i]));
    if (writing_argument(q, "letter") && status == AGON_OK) {
        char quoted[16];
        snprintf(quoted, sizeof quoted, "\"%s\"", writing_text(q, "letter"));
        status = keep_add(ctx, keep, "text", quoted);
    }
    for (size_t i = 0; i < json_array_size(writing_argument(q, "keys")) && status == AGON_OK; i++)
        status = keep_add(ctx, keep, "text", json_string_value(json_array_get(writing_argument(q, "keys"), i)));
    if (status == AGON_OK && writing_argument(q, "n") && q->form->ask != LISTING && !writing_has(q, "highlight")) {
        char n[24];
        snprintf(n, sizeof n, "%lld", (long long)writing_n(q));
        status = keep_add(ctx, keep, "number", n);
    }
    if (status == AGON_OK && q->form->ask == SENTENCE)
        status = keep_add(ctx, keep, "any", "sentence|sentences");
    return status == AGON_OK && q->form->keep ? keep_add(ctx, keep, "any", q->form->keep) : status;
}

agon_status writing_generate(agon_ctx *ctx, const task_cell *cell, task_query *query) {
    writing_request q;
    rng r = rng_new(query->seed);
    agon_status status = draw_parameters(ctx, writing_form_find(cell->name), &r, &query->parameters);
    if (status == AGON_OK)
        status = writing_read(ctx, query, &q);
    if (status == AGON_OK)
        status = word_query(ctx, &q, query->perturbation, &r, &query->text);
    if (status == AGON_OK)
        status = draw_keep(ctx, &q, &query->keep);
    return status;
}
