/* Family "writing": a short text about a topic under one or two constraints (constraint.c judges those).
 *
 * Parameters: {"topic": "the sea", "setting": "at night" or "", "constraints": [{"name", "arguments"}, ..]}. Besides its constraints an answer must be
 * about the topic (a word of it or of its kin occurs; the setting may be left out), be one sentence of at least three words where one was asked, and
 * not be the request copied, so neither "no" nor a constant text passes. Many answers are right, so there is no gold; the
 * second solver of `check` composes an answer from slots and has it judged. */
#include "base/buffer.h"
#include "base/ctx.h"
#include "task/family.h"
#include "task/topic.h"
#include "task/words.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMPOSE_TRIES = 400, TEXT_SIZE = 1024 };

/* SENTENCE: phrasings are clauses after "Write one sentence about ..". LISTING: whole queries about the topic. KEYED: the topic
 * is not checked, because the values of a JSON object need not repeat it. REPEAT: a sentence after the repeated request. */
typedef enum ask { SENTENCE, LISTING, KEYED, REPEAT } ask;

typedef struct form {
    const char *cell;
    ask ask;
    const char *constraints[2];
    const char *usual[2], *rare[2];
    const char *keep; /* wordings of which a rewording needs one; NULL: none */
} form;

/* name, difficulty, hard, by default. Not by default, run by name: what asks for counting words or letters while writing, and
 * no_digits, which says little about a model that seldom writes digits. */
static const task_cell cells[] = {
    {"no_commas", 1, false, true},
    {"max_words", 1, false, true},
    {"min_words", 1, false, true},
    {"json_object", 1, false, true},
    {"quotation", 1, false, true},
    {"exclamation", 1, false, true},
    {"question", 1, false, true},
    {"no_digits", 1, false, false},
    {"lower_case", 2, false, true},
    {"start_phrase", 2, false, true},
    {"bullets", 2, false, true},
    {"required_word", 2, false, true},
    {"forbidden_word", 2, false, true},
    {"title", 2, false, true},
    {"highlight", 2, false, true},
    {"upper_case", 3, true, true},
    {"sentences", 3, true, true},
    {"end_phrase", 3, true, true},
    {"placeholders", 3, true, true},
    {"lower_case_max_words", 3, true, true},
    {"quotation_no_commas", 3, true, true},
    {"repeat_request", 4, true, true},
    {"exact_words", 5, true, false},
    {"no_letter", 5, true, false},
};
enum { N_CELLS = sizeof cells / sizeof *cells };

static const form forms[] = {
    {"no_commas", SENTENCE, {"no_commas"},
     {"without commas", "without using any commas"}, {"that has no comma in it", "and leave out all commas"},
     "without commas|without any commas|without using commas|without using any commas|no comma|no commas|out all commas|"
     "avoid commas|avoid using commas|free of commas"},
    {"max_words", SENTENCE, {"max_words"},
     {"with at most {n} words", "in {n} words or fewer"}, {"that is no longer than {n} words", "using no more than {n} words"},
     "at most|or fewer|or less|no longer than|no more than|not more than|maximum|up to|within"},
    {"min_words", SENTENCE, {"min_words"},
     {"with at least {n} words", "in {n} words or more"}, {"that is no shorter than {n} words", "using a minimum of {n} words"},
     "at least|or more|no shorter than|no fewer than|no less than|not less than|minimum"},
    {"json_object", KEYED, {"json_object"},
     {"Describe {about} as a JSON object with the keys {keys}.", "Write a JSON object about {about} with the keys {keys}."},
     {"Give me a description of {about} in the form of a JSON object that has the keys {keys}.",
      "Please put some facts about {about} into a JSON object whose keys are {keys}."}, "JSON object"},
    {"quotation", SENTENCE, {"quotation"},
     {"in double quotation marks", "and wrap it in double quotation marks"},
     {"enclosed in double quotation marks", "and put double quotation marks around it"},
     "double quotation marks|double quotes|quotation marks"},
    {"exclamation", SENTENCE, {"exclamation"},
     {"that ends with an exclamation mark", "and end it with an exclamation mark"},
     {"that closes with an exclamation mark", "whose last character is an exclamation mark"},
     "exclamation mark|exclamation point"},
    {"question", LISTING, {"question", "sentences"},
     {"Ask one question about {about}.", "Write one question about {about}."},
     {"Compose a single question on the topic of {about}.", "Please pose one question about {about}."}, "question"},
    {"no_digits", SENTENCE, {"no_digits"},
     {"without digits", "without any digits"}, {"that has no digit in it", "and leave out all digits"},
     "without digits|without any digits|no digit|no digits|out all digits|avoid digits"},
    {"lower_case", SENTENCE, {"lower_case"},
     {"in lower case only", "with only lower case letters"}, {"without any capital letters", "in small letters only"},
     "lower case|lowercase|lower-case|without any capital|without capital|no capital|small letters"},
    {"start_phrase", SENTENCE, {"start_phrase"},
     {"that starts with \"{phrase}\"", "beginning with \"{phrase}\""},
     {"that opens with \"{phrase}\"", "whose first words are \"{phrase}\""},
     "start|starts|starting|begin|begins|beginning|open|opens|opening|first words"},
    {"bullets", LISTING, {"bullets"},
     {"List exactly {n} facts about {about} as bullet points.", "Write exactly {n} bullet points about {about}."},
     {"Make a list of exactly {n} bullet points on the topic of {about}.",
      "Please give me exactly {n} bullet points with facts about {about}."}, "bullet points|bullets|bullet list|bulleted"},
    {"required_word", SENTENCE, {"required_word"},
     {"that uses the word \"{word}\"", "with the word \"{word}\" in it"},
     {"in which the word \"{word}\" appears", "that includes the word \"{word}\""},
     "contain|contains|containing|include|includes|including|use|uses|using|mention|mentions|appear|appears|with"},
    {"forbidden_word", SENTENCE, {"forbidden_word"},
     {"without the word \"{word}\"", "that does not use the word \"{word}\""},
     {"that avoids the word \"{word}\"", "in which the word \"{word}\" never appears"},
     "without|not|never|avoid|avoids|avoiding|leave out|leaves out|exclude|excludes|don't|doesn't"},
    {"title", LISTING, {"title", "required_word"},
     {"Write a title with the word \"{word}\" for {genre} in double angle brackets like <<title>>.",
      "Give {genre} a title that has the word \"{word}\" and put it in double angle brackets like <<title>>."},
     {"Think of a title for {genre} that contains the word \"{word}\" and enclose it in double angle brackets like <<title>>.",
      "Please suggest a title for {genre} with the word \"{word}\", set in double angle brackets like <<title>>."},
     "double angle brackets|<<title>>"},
    {"highlight", SENTENCE, {"highlight"},
     {"with one word between asterisks like *this*", "and put asterisks around one word like *this*"},
     {"in which one word is marked with asterisks like *this*", "and highlight one word with asterisks like *this*"},
     "asterisks"},
    {"upper_case", SENTENCE, {"upper_case"},
     {"in upper case only", "with only capital letters"}, {"in capitals only", "in block capitals"},
     "upper case|uppercase|upper-case|capital letters|capitals|all caps"},
    {"sentences", LISTING, {"sentences"},
     {"Write exactly {n} sentences about {about}.", "Write exactly {n} short sentences about {about}."},
     {"Compose a text of exactly {n} sentences on the topic of {about}.",
      "Please tell me about {about} in exactly {n} sentences."}, "sentences"},
    {"end_phrase", SENTENCE, {"end_phrase"},
     {"that ends with \"{phrase}\"", "ending with \"{phrase}\""},
     {"that closes with \"{phrase}\"", "whose last words are \"{phrase}\""},
     "end|ends|ending|close|closes|closing|last words|finish|finishes"},
    {"placeholders", SENTENCE, {"placeholders"},
     {"with at least {n} placeholder{s} in square brackets like [name]", "that has at least {n} placeholder{s} like [name]"},
     {"containing at least {n} placeholder{s} such as [name]", "in which at least {n} placeholder{s} such as [name] can be filled in"},
     "placeholder|placeholders"},
    {"lower_case_max_words", SENTENCE, {"lower_case", "max_words"},
     {"in lower case with at most {n} words", "with only lower case letters and at most {n} words"},
     {"without any capital letters and no longer than {n} words", "in small letters using no more than {n} words"},
     "lower case|lowercase|lower-case|without any capital|without capital|no capital|small letters"},
    {"quotation_no_commas", SENTENCE, {"quotation", "no_commas"},
     {"in double quotation marks without commas", "without commas and wrap it in double quotation marks"},
     {"enclosed in double quotation marks that has no comma in it", "and put double quotation marks around it but use no commas"},
     "without commas|without any commas|no comma|no commas|avoid commas"},
    {"repeat_request", REPEAT, {"repeat_request"},
     {"Repeat this request word for word and then answer it: {request}", "First repeat this request and then answer it: {request}"},
     {"Say this request again without changes and then answer it: {request}",
      "Copy the following request word for word and answer it afterwards: {request}"},
     "repeat|say|copy|restate"},
    {"exact_words", SENTENCE, {"exact_words"},
     {"with exactly {n} words", "in exactly {n} words"}, {"of precisely {n} words", "using {n} words and no more or fewer"},
     "exactly|precisely|no more or fewer"},
    {"no_letter", SENTENCE, {"no_letter"},
     {"without the letter \"{letter}\"", "that does not use the letter \"{letter}\""},
     {"that avoids the letter \"{letter}\"", "in which the letter \"{letter}\" never appears"},
     "without|not|never|avoid|avoids|avoiding|don't|doesn't"},
};
enum { N_FORMS = sizeof forms / sizeof *forms };
_Static_assert((int)N_FORMS == (int)N_CELLS, "one form a cell");

static const form *form_find(const char *cell) {
    for (size_t i = 0; i < N_FORMS; i++)
        if (strcmp(forms[i].cell, cell) == 0)
            return &forms[i];
    return NULL;
}

/* ---- parameters ---------------------------------------------------------------------------------- */

/* A query's parameters, read and checked. Texts are borrowed from the query. */
typedef struct request {
    const form *form;
    const topic *topic;
    const char *setting; /* "" or one of topic_setting; a title's genre */
    const json_t *arguments[2]; /* NULL: none */
    size_t n_constraints;
} request;

static const char *const genres[] = {"a poem", "a song", "a film", "a story", "a painting", "a letter", "a game"};
enum { N_GENRES = sizeof genres / sizeof *genres };

static bool form_has(const form *f, const char *constraint) {
    return strcmp(f->constraints[0], constraint) == 0 || (f->constraints[1] && strcmp(f->constraints[1], constraint) == 0);
}

/* Settings multiply the topics: a cell has hundreds of tasks, so that held-out ones do not starve training. */
static bool setting_known(const form *f, const char *setting) {
    if (form_has(f, "title")) {
        for (size_t i = 0; i < N_GENRES; i++)
            if (strcmp(genres[i], setting) == 0)
                return true;
        return false;
    }
    for (size_t i = 0; i < setting_count(); i++)
        if (strcmp(setting_at(i), setting) == 0)
            return true;
    return !*setting;
}

/* Where the words of the query come to name a place or time already, none is drawn. */
static const char *draw_setting(const form *f, const topic *t, rng *r) {
    size_t genre = rng_below(r, N_GENRES), k = rng_below(r, setting_count() + 1);
    if (form_has(f, "title"))
        return genres[genre];
    return form_has(f, "required_word") || k == setting_count() || t->timeless ? "" : setting_at(k);
}

static agon_status request_read(agon_ctx *ctx, const task_query *query, request *out) {
    request q = {.form = form_find(query->cell)};
    const char *about = NULL, *name;
    if (!q.form)
        return ctx_fail(ctx, AGON_EINVAL, "writing: there is no cell '%.60s'", query->cell);
    agon_status status = json_get_text(ctx, "writing", query->parameters, "topic", true, &about);
    if (status != AGON_OK)
        return status;
    status = json_get_text(ctx, "writing", query->parameters, "setting", true, &q.setting);
    if (status != AGON_OK)
        return status;
    const json_t *list = json_object_get(query->parameters, "constraints");
    q.topic = topic_find(about);
    q.n_constraints = q.form->constraints[1] ? 2 : 1;
    if (!q.topic)
        return ctx_fail(ctx, AGON_EINVAL, "writing: there is no topic '%.60s'", about);
    if (!setting_known(q.form, q.setting))
        return ctx_fail(ctx, AGON_EINVAL, "writing/%s: there is no setting '%.60s'", query->cell, q.setting);
    if (json_array_size(list) != q.n_constraints)
        return ctx_fail(ctx, AGON_EINVAL, "writing/%s: 'constraints' must be a list of %zu", query->cell, q.n_constraints);
    for (size_t i = 0; i < q.n_constraints; i++) {
        const json_t *entry = json_array_get(list, i);
        q.arguments[i] = json_object_get(entry, "arguments");
        status = json_get_text(ctx, "writing", entry, "name", true, &name);
        if (status != AGON_OK)
            return status;
        if (strcmp(name, q.form->constraints[i]) != 0)
            return ctx_fail(ctx, AGON_EINVAL, "writing/%s: constraint %zu must be '%s', not '%.60s'", query->cell, i + 1,
                            q.form->constraints[i], name);
        status = writing_constraint_check(ctx, "writing", name, q.arguments[i]);
        if (status != AGON_OK)
            return status;
    }
    *out = q;
    return AGON_OK;
}

/* The argument `key` of whichever constraint has it. */
static const json_t *argument_of(const request *q, const char *key) {
    for (size_t i = 0; i < q->n_constraints; i++)
        if (json_object_get(q->arguments[i], key))
            return json_object_get(q->arguments[i], key);
    return NULL;
}

static const char *text_of(const request *q, const char *key) {
    const char *text = json_string_value(argument_of(q, key));
    return text ? text : "";
}

static int64_t n_of(const request *q) {
    return json_integer_value(argument_of(q, "n"));
}

static bool has_constraint(const request *q, const char *name) {
    return form_has(q->form, name);
}

/* ---- verify -------------------------------------------------------------------------------------- */

/* The response is the query over again: it begins with its first five words. */
static bool copies_request(const char *text, const char *response) {
    size_t p = 0, at = 0, end, same = 0;
    span a, b;
    while (same < 5 && word_next(text, &p, &a)) {
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)(a.end - a.start < 63 ? a.end - a.start : 63), text + a.start);
        if (!word_next(response, &at, &b) || !phrase_at(response, b.start, word, &end) || end != b.end)
            return false;
        same++;
    }
    return same > 0;
}

static bool mentions(const topic *t, const char *text, span *where) {
    char stem[64];
    for (size_t k = 0; alternative(t->words, k, stem, sizeof stem); k++)
        if (stem_find(text, stem, where))
            return true;
    return false;
}

/* What every answer of this form must be, whatever the constraint; `said` is the response or its part after the request. */
static agon_status verify_form(agon_ctx *ctx, const request *q, const char *response, const char *said, task_verdict *out) {
    span s;
    size_t n_words = text_n_words(said), n = text_n_sentences(said);
    bool one = q->form->ask == SENTENCE || q->form->ask == REPEAT;
    if (one && n_words < 3)
        return verdict_set(ctx, out, OUTCOME_FAIL, response, 0, 0, NULL, "has only %zu word%s, which is no sentence",
                           n_words, n_words == 1 ? "" : "s");
    if (one && n > 1)
        return verdict_set(ctx, out, OUTCOME_FAIL, response, 0, 0, NULL, "has %zu sentences, but one sentence is asked", n);
    if (q->form->ask != KEYED && !mentions(q->topic, said, &s))
        return verdict_set(ctx, out, OUTCOME_FAIL, response, 0, 0, NULL, "does not mention %s", q->topic->about);
    return AGON_OK;
}

static agon_status writing_verify(agon_ctx *ctx, const task_query *query, const char *response, task_verdict *out) {
    request q;
    task_verdict form_verdict = {0};
    agon_status status = request_read(ctx, query, &q);
    if (status != AGON_OK)
        return status;
    size_t said = 0;
    if (q.form->ask == REPEAT)
        said = request_repeated(response, text_of(&q, "request"));
    else if (copies_request(query->text, response))
        return verdict_set(ctx, out, OUTCOME_FAIL, response, 0, 0, NULL, "repeats the request instead of answering it");
    for (size_t i = 0; i < q.n_constraints; i++) {
        status = writing_constraint_verify(ctx, q.form->constraints[i], q.arguments[i], response, out);
        if (status != AGON_OK || out->outcome == OUTCOME_FAIL)
            return status;
    }
    status = verify_form(ctx, &q, response, response + said, &form_verdict);
    if (status == AGON_OK && form_verdict.evidence) {
        task_verdict_free(out);
        *out = form_verdict;
    }
    return status;
}

/* ---- generate ------------------------------------------------------------------------------------ */

static const char *const start_phrases[] = {"In my view", "To be honest", "Every year", "In short", "As we know",
                                            "For many people", "In general", "Most of the time"};
static const char *const end_phrases[] = {"in my opinion", "as we know", "for all of us", "and that is true",
                                          "every single day", "for many people", "as you can see", "most of the time"};
static const char *const common_words[] = {"and", "very", "beautiful", "important", "world"};
static const char *const json_keys[] = {"topic", "feature", "action", "time"};

/* The topic's own word, as a title has it: "sea", "dogs". */
static const char *topic_name(const topic *t) {
    return strncmp(t->about, "the ", 4) == 0 ? t->about + 4 : t->about;
}

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
    while (mentions(t, word, &s));
    return text_argument("word", word);
}

/* A letter that the topic does not have and some sentence about it avoids. */
static json_t *draw_letter(const topic *t, const char *setting, rng *r) {
    static const char letters[] = "oudgpbwyvk";
    size_t first = rng_below(r, sizeof letters - 1);
    for (size_t i = 0; i < sizeof letters - 1; i++) {
        char letter[2] = {letters[(first + i) % (sizeof letters - 1)], 0}, sentence[TEXT_SIZE];
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
    char sentence[TEXT_SIZE];
    topic_sentence(t, STYLE_SHORT, *setting ? setting : NULL, r, sentence, sizeof sentence);
    return (int64_t)text_n_words(sentence);
}

/* Arguments of constraint `name` in this form; NULL: none (or memory, which json_pack of the caller notices). */
static json_t *draw_arguments(const form *f, const char *name, const topic *t, const char *setting, rng *r) {
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
        return f->ask == LISTING ? text_argument("word", topic_name(t)) : draw_required(t, r);
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

static agon_status draw_parameters(agon_ctx *ctx, const form *f, rng *r, json_t **out) {
    const topic *t = topic_at(rng_below(r, topic_count()));
    const char *setting = draw_setting(f, t, r);
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

static void quoted_keys(const request *q, char *out, size_t size) {
    const json_t *keys = argument_of(q, "keys");
    size_t n = json_array_size(keys), used = 0;
    out[0] = 0;
    for (size_t i = 0; i < n && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s\"%s\"", i == 0 ? "" : i + 1 < n ? ", " : " and ",
                                 json_string_value(json_array_get(keys, i)));
}

/* The query's words from its parameters. */
static agon_status word_query(agon_ctx *ctx, const request *q, task_perturbation p, rng *r, char **out) {
    static const char *const usual_asks[] = {"Write one sentence about {about} ", "Write a sentence about {about} "};
    static const char *const rare_asks[] = {"Compose a single sentence on the topic of {about} ",
                                            "Please give me one sentence about {about} "};
    bool rare = p == PERTURBATION_PARAPHRASE;
    const char *phrasing = draw_text(r, rare ? q->form->rare : q->form->usual, 2);
    const char *ask = draw_text(r, rare ? rare_asks : usual_asks, 2), *distractor = draw_distractor(r);
    char pattern[TEXT_SIZE], keys[TEXT_SIZE], about[128], n[24];
    bool clause = q->form->ask == SENTENCE, distracts = p == PERTURBATION_DISTRACTOR;
    snprintf(pattern, sizeof pattern, "%s%s%s%s%s", distracts ? distractor : "", distracts ? " " : "", clause ? ask : "",
             phrasing, clause ? "." : "");
    snprintf(n, sizeof n, "%lld", (long long)n_of(q));
    snprintf(about, sizeof about, "%s%s%s", q->topic->about, *q->setting ? " " : "", q->setting);
    quoted_keys(q, keys, sizeof keys);
    const text_fill fills[] = {
        {"about", about}, {"genre", q->setting}, {"n", n}, {"s", n_of(q) == 1 ? "" : "s"}, {"keys", keys},
        {"word", text_of(q, "word")}, {"phrase", text_of(q, "phrase")}, {"letter", text_of(q, "letter")},
        {"request", text_of(q, "request")},
    };
    return task_fill(ctx, pattern, fills, sizeof fills / sizeof *fills, out);
}

/* What a rewording must keep. Numbers of the text are kept anyway. */
static agon_status draw_keep(agon_ctx *ctx, const request *q, json_t **keep) {
    static const char *const keys[] = {"word", "phrase", "request"};
    agon_status status = has_constraint(q, "title") ? AGON_OK : keep_add(ctx, keep, "text", q->topic->about);
    if (status == AGON_OK && *q->setting)
        status = keep_add(ctx, keep, "text", q->setting);
    for (size_t i = 0; i < 3 && status == AGON_OK; i++)
        if (argument_of(q, keys[i]))
            status = keep_add(ctx, keep, "text", text_of(q, keys[i]));
    if (argument_of(q, "letter") && status == AGON_OK) {
        char quoted[16];
        snprintf(quoted, sizeof quoted, "\"%s\"", text_of(q, "letter"));
        status = keep_add(ctx, keep, "text", quoted);
    }
    for (size_t i = 0; i < json_array_size(argument_of(q, "keys")) && status == AGON_OK; i++)
        status = keep_add(ctx, keep, "text", json_string_value(json_array_get(argument_of(q, "keys"), i)));
    if (status == AGON_OK && argument_of(q, "n") && q->form->ask != LISTING && !has_constraint(q, "highlight")) {
        char n[24];
        snprintf(n, sizeof n, "%lld", (long long)n_of(q));
        status = keep_add(ctx, keep, "number", n);
    }
    if (status == AGON_OK && q->form->ask == SENTENCE)
        status = keep_add(ctx, keep, "any", "sentence|sentences");
    return status == AGON_OK && q->form->keep ? keep_add(ctx, keep, "any", q->form->keep) : status;
}

static agon_status writing_generate(agon_ctx *ctx, const task_cell *cell, task_query *query) {
    request q;
    rng r = rng_new(query->seed);
    agon_status status = draw_parameters(ctx, form_find(cell->name), &r, &query->parameters);
    if (status == AGON_OK)
        status = request_read(ctx, query, &q);
    if (status == AGON_OK)
        status = word_query(ctx, &q, query->perturbation, &r, &query->text);
    if (status == AGON_OK)
        status = draw_keep(ctx, &q, &query->keep);
    return status;
}

/* ---- demonstrate --------------------------------------------------------------------------------- */

static char to_capital(char c) {
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* The first letter small again, inside a sentence ("I" stays). */
static void uncapitalise(char *text) {
    if (text[0] >= 'A' && text[0] <= 'Z' && text[1] != ' ')
        text[0] = (char)(text[0] - 'A' + 'a');
}

static const char *required_tail(const request *q) {
    for (size_t i = 0; has_constraint(q, "required_word") && i < tail_count(); i++)
        if (strcmp(tail_word(i), text_of(q, "word")) == 0)
            return tail_at(i);
    return *q->setting && !has_constraint(q, "title") ? q->setting : NULL;
}

/* Sentences that differ; only the first names the setting. */
static void compose_list(const request *q, rng *r, buffer *b) {
    bool bullets = has_constraint(q, "bullets");
    char sentence[TEXT_SIZE];
    for (int64_t i = 0; i < n_of(q) && i < 20; i++) {
        for (int k = 0; k < 20 && (k == 0 || strstr(b->data, sentence)); k++) {
            topic_sentence(q->topic, STYLE_SHORT, i == 0 ? required_tail(q) : NULL, r, sentence, sizeof sentence);
            if (!b->data)
                break;
        }
        buffer_printf(b, "%s%s%s.", i == 0 ? "" : bullets ? "\n" : " ", bullets ? "- " : "", sentence);
    }
}

static void compose_title(const request *q, rng *r, buffer *b) {
    const char *adjective = q->topic->adjectives[rng_below(r, 3)], *name = text_of(q, "word");
    if (!*name) /* checked parameters always have one */
        return;
    buffer_printf(b, "<<%c%s %c%s>>", to_capital(adjective[0]), adjective + 1, to_capital(name[0]), name + 1);
}

static void compose_question(const request *q, rng *r, buffer *b) {
    const topic *t = q->topic;
    const char *adjective = t->adjectives[rng_below(r, 3)], *be = t->plural ? "are" : "is";
    if (rng_below(r, 2) == 0)
        buffer_printf(b, "Why %s %s so %s?", be, t->about, adjective);
    else
        buffer_printf(b, "Why do people say that %s %s %s?", t->about, be, adjective);
}

static const char *key_value(const topic *t, const char *key, rng *r) {
    if (strcmp(key, "topic") == 0)
        return topic_name(t);
    if (strcmp(key, "feature") == 0)
        return t->adjectives[rng_below(r, 3)];
    return strcmp(key, "action") == 0 ? t->actions[rng_below(r, 2)] : tail_at(rng_below(r, 6));
}

static void compose_json(const request *q, rng *r, buffer *b) {
    const json_t *keys = argument_of(q, "keys");
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const char *key = json_string_value(json_array_get(keys, i));
        buffer_printf(b, "%s\"%s\": \"%s\"", i == 0 ? "{" : ", ", key, key_value(q->topic, key, r));
    }
    buffer_char(b, '}');
}

static void compose_placeholders(const request *q, rng *r, buffer *b) {
    static const char *const who[] = {"[name]", "[friend]", "[person]"}, *const where[] = {"[place]", "[city]", "[country]"},
                      *const when[] = {"[day]", "[date]", "[month]"};
    char sentence[TEXT_SIZE];
    if (n_of(q) == 1) {
        topic_sentence(q->topic, STYLE_SHORT, "every year", r, sentence, sizeof sentence);
        buffer_printf(b, "%s in %s.", sentence, draw_text(r, where, 3));
    } else if (n_of(q) == 2) {
        buffer_printf(b, "%s talks about %s in %s.", draw_text(r, who, 3), q->topic->about, draw_text(r, where, 3));
    } else {
        buffer_printf(b, "%s talked about %s in %s in %s.", draw_text(r, who, 3), q->topic->about, draw_text(r, where, 3),
                      draw_text(r, when, 3));
    }
}

/* A sentence with its opening and end as the constraints want them. */
static void compose_sentence(const request *q, rng *r, buffer *b) {
    char sentence[TEXT_SIZE];
    bool quoted = has_constraint(q, "quotation");
    topic_sentence(q->topic, has_constraint(q, "min_words") ? STYLE_LONG : STYLE_SHORT, required_tail(q), r, sentence,
                   sizeof sentence);
    buffer_text(b, quoted ? "\"" : "");
    if (q->form->ask == REPEAT)
        buffer_printf(b, "%s ", text_of(q, "request"));
    if (has_constraint(q, "start_phrase")) {
        uncapitalise(sentence);
        buffer_printf(b, "%s, ", text_of(q, "phrase"));
    }
    char *last = strrchr(sentence, ' ');
    if (has_constraint(q, "highlight") && last)
        buffer_printf(b, "%.*s *%s*", (int)(last - sentence), sentence, last + 1);
    else
        buffer_text(b, sentence);
    if (has_constraint(q, "end_phrase"))
        buffer_printf(b, " %s", text_of(q, "phrase"));
    buffer_text(b, has_constraint(q, "exclamation") ? "!" : ".");
    buffer_text(b, quoted ? "\"" : "");
}

static char *compose(const request *q, rng *r) {
    buffer b = {0};
    if (has_constraint(q, "bullets") || (has_constraint(q, "sentences") && !has_constraint(q, "question")))
        compose_list(q, r, &b);
    else if (has_constraint(q, "title"))
        compose_title(q, r, &b);
    else if (has_constraint(q, "question"))
        compose_question(q, r, &b);
    else if (has_constraint(q, "json_object"))
        compose_json(q, r, &b);
    else if (has_constraint(q, "placeholders"))
        compose_placeholders(q, r, &b);
    else
        compose_sentence(q, r, &b);
    char *text = buffer_take(&b), *cased = NULL;
    bool lower = has_constraint(q, "lower_case"), upper = has_constraint(q, "upper_case");
    if (text && (lower || upper)) {
        cased = lower ? text_lower(text) : text_upper(text);
        free(text);
        return cased;
    }
    return text;
}

/* Draws until an answer passes, so that every demonstration is right whatever the arguments. */
static agon_status writing_demonstrate(agon_ctx *ctx, const task_query *query, uint64_t seed, char **response) {
    request q;
    agon_status status = request_read(ctx, query, &q);
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

/* ---- tamper -------------------------------------------------------------------------------------- */

/* Text with [start, end) replaced. */
static char *replaced(const char *text, size_t start, size_t end, const char *by) {
    buffer b = {0};
    buffer_append(&b, text, start);
    buffer_text(&b, by);
    buffer_text(&b, text + end);
    return buffer_take(&b);
}

/* The k-th of the response's tokens. */
static span token_at(const char *text, size_t k) {
    size_t at = 0;
    span s = {0, 0};
    for (size_t i = 0; i <= k && token_next(text, &at, &s); i++)
        ;
    return s;
}

static span random_word(const char *text, rng *r, size_t from) {
    size_t n = text_n_words(text);
    return token_at(text, n > from ? from + rng_below(r, n - from) : 0);
}

/* One letter of a random word in the other case. */
static char *fault_case(const char *text, bool lower, rng *r) {
    span s = random_word(text, r, 0);
    for (size_t i = s.start; i < s.end; i++) {
        char c = text[i], other[2] = {(char)(c ^ 0x20), 0};
        if (lower ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z')
            return replaced(text, i, i + 1, other);
    }
    return replaced(text, s.start, s.end, lower ? "And" : "and");
}

/* Words before the last one until the text is one too long. */
static char *fault_longer(const char *text, int64_t n, rng *r) {
    static const char *const filler[] = {"really", "very", "quite", "rather", "truly", "always"};
    buffer b = {0};
    span s = token_at(text, text_n_words(text) - 1);
    buffer_append(&b, text, s.start);
    for (int64_t have = (int64_t)text_n_words(text); have <= n && have < 5000; have++)
        buffer_printf(&b, "%s ", filler[rng_below(r, 6)]);
    buffer_text(&b, text + s.start);
    return buffer_take(&b);
}

/* The words behind the first n - 1 dropped. */
static char *fault_shorter(const char *text, int64_t n) {
    span s = token_at(text, n > 1 ? (size_t)n - 2 : 0);
    return replaced(text, s.end, strlen(text), ".");
}

static char *fault_drop(const char *text, const char *what, const char *by) {
    span s;
    return phrase_find(text, 0, what, &s) ? replaced(text, s.start, s.end, by) : strdup(text);
}

/* The last `mark` of the text replaced. */
static char *fault_mark(const char *text, const char *mark, const char *by) {
    const char *last = NULL;
    for (const char *p = text; (p = strstr(p, mark)); p++)
        last = p;
    size_t at = last ? (size_t)(last - text) : 0;
    return last ? replaced(text, at, at + strlen(mark), by) : strdup(text);
}

static char *fault_insert(const char *text, const char *what, rng *r) {
    span s = random_word(text, r, 1);
    return replaced(text, s.start, s.start, what);
}

/* The phrase with its last word gone: nearly right. */
static char *fault_phrase(const char *text, const char *phrase) {
    char shorter[256];
    snprintf(shorter, sizeof shorter, "%s", phrase);
    char *space = strrchr(shorter, ' ');
    if (space)
        *space = 0;
    return fault_drop(text, phrase, space ? shorter : "so");
}

static char *fault_sentences(const char *text, rng *r) {
    static const char *const more[] = {" It is so.", " That is all.", " People know this."};
    const char *end = strchr(text, '.');
    if (end && end[1] == ' ' && rng_below(r, 2) == 0)
        return replaced(text, (size_t)(end - text), (size_t)(end - text) + 1, ";");
    return replaced(text, strlen(text), strlen(text), more[rng_below(r, 3)]);
}

static char *fault_bullets(const char *text, rng *r) {
    const char *line = strrchr(text, '\n');
    if (line && rng_below(r, 2) == 0)
        return replaced(text, (size_t)(line - text), strlen(text), "");
    return replaced(text, strlen(text), strlen(text), "\n- It is well known.");
}

static char *plant(const request *q, const char *name, const char *text, rng *r) {
    char word[300];
    const char *argument = text_of(q, strcmp(name, "no_letter") == 0 ? "letter" : "word");
    if (strcmp(name, "lower_case") == 0 || strcmp(name, "upper_case") == 0)
        return fault_case(text, name[0] == 'l', r);
    if (strcmp(name, "max_words") == 0)
        return fault_longer(text, n_of(q), r);
    if (strcmp(name, "exact_words") == 0)
        return rng_below(r, 2) ? fault_longer(text, n_of(q), r) : fault_shorter(text, n_of(q));
    if (strcmp(name, "min_words") == 0)
        return fault_shorter(text, n_of(q));
    if (strcmp(name, "no_commas") == 0) {
        span s = random_word(text, r, 0);
        return replaced(text, s.end, s.end, text[s.end] ? "," : ", yes.");
    }
    if (strcmp(name, "no_digits") == 0)
        return fault_insert(text, "2 ", r);
    if (strcmp(name, "no_letter") == 0 || strcmp(name, "forbidden_word") == 0) {
        snprintf(word, sizeof word, "%s ", argument);
        return fault_insert(text, word, r);
    }
    if (strcmp(name, "required_word") == 0)
        return fault_drop(text, argument, "place");
    if (strcmp(name, "sentences") == 0)
        return fault_sentences(text, r);
    if (strcmp(name, "bullets") == 0)
        return fault_bullets(text, r);
    if (strcmp(name, "placeholders") == 0)
        return fault_mark(text, "]", "");
    if (strcmp(name, "highlight") == 0)
        return fault_mark(text, "*", "");
    if (strcmp(name, "start_phrase") == 0 || strcmp(name, "end_phrase") == 0)
        return fault_phrase(text, text_of(q, "phrase"));
    if (strcmp(name, "exclamation") == 0)
        return fault_mark(text, "!", ".");
    if (strcmp(name, "question") == 0)
        return fault_mark(text, "?", ".");
    if (strcmp(name, "quotation") == 0)
        return fault_mark(text, "\"", "");
    if (strcmp(name, "json_object") == 0)
        return rng_below(r, 2) ? fault_mark(text, "}", "") : fault_mark(text, "\":", "s\":");
    if (strcmp(name, "title") == 0)
        return fault_mark(text, ">>", ">");
    return fault_drop(text, "one sentence", "a sentence"); /* repeat_request */
}

/* The claim is what the judge says of the faulty answer, so it is true by construction. */
static agon_status writing_tamper(agon_ctx *ctx, const task_query *query, const char *correct, uint64_t seed,
                                  char **faulty, char **claim) {
    request q;
    task_verdict v = {0};
    rng r = rng_new(seed);
    agon_status status = request_read(ctx, query, &q);
    if (status != AGON_OK)
        return status;
    char *text = plant(&q, q.form->constraints[rng_below(&r, q.n_constraints)], correct, &r);
    if (!text)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a planted fault is exhausted");
    status = writing_verify(ctx, query, text, &v);
    if (status == AGON_OK && v.outcome != OUTCOME_FAIL)
        status = ctx_fail(ctx, AGON_EUNSUPPORTED, "writing/%s: the planted change is no fault", query->cell);
    if (status == AGON_OK)
        status = task_format(ctx, claim, "The answer is wrong: %s.", v.evidence);
    task_verdict_free(&v);
    if (status == AGON_OK)
        *faulty = text;
    else
        free(text);
    return status;
}

/* ---- check --------------------------------------------------------------------------------------- */

/* The wording names the topic and every argument: else nobody could answer it. */
static agon_status check_wording(agon_ctx *ctx, const request *q, const char *text) {
    static const char *const keys[] = {"word", "phrase", "letter", "request"};
    span s;
    if (!phrase_find(text, 0, topic_name(q->topic), &s))
        return ctx_fail(ctx, AGON_EMISMATCH, "writing: the query does not name its topic '%s'", q->topic->about);
    if (*q->setting && !phrase_find(text, 0, q->setting, &s))
        return ctx_fail(ctx, AGON_EMISMATCH, "writing: the query does not say '%s'", q->setting);
    for (size_t i = 0; i < 4; i++)
        if (argument_of(q, keys[i]) && !phrase_find(text, 0, text_of(q, keys[i]), &s))
            return ctx_fail(ctx, AGON_EMISMATCH, "writing: the query does not name the %s '%.60s'", keys[i],
                            text_of(q, keys[i]));
    return AGON_OK;
}

static agon_status writing_check(agon_ctx *ctx, const task_query *query) {
    request q;
    char *answer = NULL;
    agon_status status = request_read(ctx, query, &q);
    if (status == AGON_OK)
        status = check_wording(ctx, &q, query->text);
    if (status == AGON_OK)
        status = writing_demonstrate(ctx, query, query->seed, &answer);
    free(answer);
    return status == AGON_EUNSUPPORTED
               ? ctx_prefix(ctx, AGON_EMISMATCH, "no answer was found")
               : status;
}

static agon_status writing_gold(agon_ctx *ctx, const task_query *query, char **out) {
    (void)ctx, (void)query;
    *out = NULL;
    return AGON_OK;
}

const task_family family_writing = {
    .name = "writing",
    .cells = cells,
    .n_cells = N_CELLS,
    .generate = writing_generate,
    .verify = writing_verify,
    .demonstrate = writing_demonstrate,
    .tamper = writing_tamper,
    .check = writing_check,
    .gold = writing_gold,
};
