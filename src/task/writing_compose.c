/* Family "writing": an answer composed from slots, drawn until it passes, so that every demonstration is right. */
#include "base/buffer.h"
#include "base/ctx.h"
#include "task/writing.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMPOSE_TRIES = 400 };

static char to_capital(char c) {
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* The first letter small again, inside a sentence ("I" stays). */
static void uncapitalise(char *text) {
    if (text[0] >= 'A' && text[0] <= 'Z' && text[1] != ' ')
        text[0] = (char)(text[0] - 'A' + 'a');
}

static const char *required_tail(const writing_request *q) {
    for (size_t i = 0; writing_has(q, "required_word") && i < tail_count(); i++)
        if (strcmp(tail_word(i), writing_text(q, "word")) == 0)
            return tail_at(i);
    return *q->setting && !writing_has(q, "title") ? q->setting : NULL;
}

/* Sentences that differ; only the first names the setting. */
static void compose_list(const writing_request *q, rng *r, buffer *b) {
    bool bullets = writing_has(q, "bullets");
    char sentence[WRITING_TEXT_SIZE];
    for (int64_t i = 0; i < writing_n(q) && i < 20; i++) {
        for (int k = 0; k < 20 && (k == 0 || strstr(b->data, sentence)); k++) {
            topic_sentence(q->topic, STYLE_SHORT, i == 0 ? required_tail(q) : NULL, r, sentence, sizeof sentence);
            if (!b->data)
                break;
        }
        buffer_printf(b, "%s%s%s.", i == 0 ? "" : bullets ? "\n" : " ", bullets ? "- " : "", sentence);
    }
}

static void compose_title(const writing_request *q, rng *r, buffer *b) {
    const char *adjective = q->topic->adjectives[rng_below(r, 3)], *name = writing_text(q, "word");
    if (!*name) /* checked parameters always have one */
        return;
    buffer_printf(b, "<<%c%s %c%s>>", to_capital(adjective[0]), adjective + 1, to_capital(name[0]), name + 1);
}

static void compose_question(const writing_request *q, rng *r, buffer *b) {
    const topic *t = q->topic;
    const char *adjective = t->adjectives[rng_below(r, 3)], *be = t->plural ? "are" : "is";
    if (rng_below(r, 2) == 0)
        buffer_printf(b, "Why %s %s so %s?", be, t->about, adjective);
    else
        buffer_printf(b, "Why do people say that %s %s %s?", t->about, be, adjective);
}

/* A value that says something under its key; names: and what it is about ("the sea is deep"). */
static void key_value(const topic *t, const char *key, bool names, rng *r, buffer *b) {
    bool feature = strcmp(key, "feature") == 0, action = strcmp(key, "action") == 0;
    if (strcmp(key, "topic") == 0) {
        buffer_text(b, writing_topic_name(t));
        return;
    }
    if (names)
        buffer_printf(b, "%s %s", t->about, !feature ? "" : t->plural ? "are " : "is ");
    buffer_text(b, feature ? t->adjectives[rng_below(r, 3)] : action ? t->actions[rng_below(r, 2)] : tail_at(rng_below(r, 6)));
}

/* Where no key is "topic" the first value names it. */
static void compose_json(const writing_request *q, rng *r, buffer *b) {
    const json_t *keys = writing_argument(q, "keys"), *entry;
    bool named = false;
    size_t i;
    json_array_foreach(keys, i, entry) named = named || strcmp(json_string_value(entry), "topic") == 0;
    json_array_foreach(keys, i, entry) {
        const char *key = json_string_value(entry);
        buffer_printf(b, "%s\"%s\": \"", i == 0 ? "{" : ", ", key);
        key_value(q->topic, key, i == 0 && !named, r, b);
        buffer_char(b, '"');
    }
    buffer_char(b, '}');
}

static void compose_placeholders(const writing_request *q, rng *r, buffer *b) {
    static const char *const who[] = {"[name]", "[friend]", "[person]"}, *const where[] = {"[place]", "[city]", "[country]"},
                      *const when[] = {"[day]", "[date]", "[month]"};
    char sentence[WRITING_TEXT_SIZE];
    if (writing_n(q) == 1) {
        topic_sentence(q->topic, STYLE_SHORT, "every year", r, sentence, sizeof sentence);
        buffer_printf(b, "%s in %s.", sentence, draw_text(r, where, 3));
    } else if (writing_n(q) == 2) {
        buffer_printf(b, "%s talks about %s in %s.", draw_text(r, who, 3), q->topic->about, draw_text(r, where, 3));
    } else {
        buffer_printf(b, "%s talked about %s in %s in %s.", draw_text(r, who, 3), q->topic->about, draw_text(r, where, 3),
                      draw_text(r, when, 3));
    }
}

/* A sentence with its opening and end as the constraints want them. */
static void compose_sentence(const writing_request *q, rng *r, buffer *b) {
    char sentence[WRITING_TEXT_SIZE];
    bool quoted = writing_has(q, "quotation");
    topic_sentence(q->topic, writing_has(q, "min_words") ? STYLE_LONG : STYLE_SHORT, required_tail(q), r, sentence,
                   sizeof sentence);
    buffer_text(b, quoted ? "\"" : "");
    if (q->form->ask == REPEAT)
        buffer_printf(b, "%s ", writing_text(q, "request"));
    if (writing_has(q, "start_phrase")) {
        uncapitalise(sentence);
        buffer_printf(b, "%s, ", writing_text(q, "phrase"));
    }
    char *last = strrchr(sentence, ' ');
    if (writing_has(q, "highlight") && last)
        buffer_printf(b, "%.*s *%s*", (int)(last - sentence), sentence, last + 1);
    else
        buffer_text(b, sentence);
    if (writing_has(q, "end_phrase"))
        buffer_printf(b, " %s", writing_text(q, "phrase"));
    buffer_text(b, writing_has(q, "exclamation") ? "!" : ".");
    buffer_text(b, quoted ? "\"" : "");
}

static char *compose(const writing_request *q, rng *r) {
    buffer b = {0};
    if (writing_has(q, "bullets") || (writing_has(q, "sentences") && !writing_has(q, "question")))
        compose_list(q, r, &b);
    else if (writing_has(q, "title"))
        compose_title(q, r, &b);
    else if (writing_has(q, "question"))
        compose_question(q, r, &b);
    else if (writing_has(q, "json_object"))
        compose_json(q, r, &b);
    else if (writing_has(q, "placeholders"))
        compose_placeholders(q, r, &b);
    else
        compose_sentence(q, r, &b);
    char *text = buffer_take(&b), *cased = NULL;
    bool lower = writing_has(q, "lower_case"), upper = writing_has(q, "upper_case");
    if (text && (lower || upper)) {
        cased = lower ? text_lower(text) : text_upper(text);
        free(text);
        return cased;
    }
    return text;
}

/* Draws until an answer passes, so that every demonstration is right whatever the arguments. */
agon_status writing_demonstrate(agon_ctx *ctx, const task_query *query, uint64_t seed, char **response) {
    writing_request q;
    agon_status status = writing_read(ctx, query, &q);
    rng r = rng_new(seed ^ query->seed);
    for (int i = 0; status == AGON_OK && i < COMPOSE_TRIES; i++) {
        task_verdict v = {0};
        char *text = compose(&q, &r);
        if (!text)
            return ctx_fail(ctx, AGON_ENOMEM, "memory for a demonstration is exhausted");
        status = writing_verify(ctx, query, text, &v);
        bool right = v.outcome == OUTCOME_PASS && status == AGON_OK;
        task_verdict_free(&v);
        if (right) {
            *response = text;
            return AGON_OK;
        }
        free(text);
    }
    return status != AGON_OK ? status
                             : ctx_fail(ctx, AGON_EUNSUPPORTED, "writing/%s: no composed sentence keeps these constraints",
                                        query->cell);
}
