/* Family "writing": a short text about a topic under one or two constraints (constraint.c judges those).
 *
 * Parameters: {"topic": "the sea", "setting": "at night" or "", "constraints": [{"name", "arguments"}, ..]}. Besides its constraints an answer must be
 * about the topic (a word of it or of its kin occurs, in a title inside it; the setting may be left out), be sentences of at least three words that
 * differ where sentences were asked, have no JSON key and no marked word too many, and not be the request copied, so neither "no" nor a constant text passes. Many answers are right, so there is no gold; the
 * second solver of `check` composes an answer from slots and has it judged. */
#include "base/ctx.h"
#include "task/words.h"
#include "task/writing.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static const writing_form forms[] = {
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

const writing_form *writing_form_find(const char *cell) {
    for (size_t i = 0; i < N_FORMS; i++)
        if (strcmp(forms[i].cell, cell) == 0)
            return &forms[i];
    return NULL;
}

/* ---- parameters ---------------------------------------------------------------------------------- */

static const char *const genres[] = {"a poem", "a song", "a film", "a story", "a painting", "a letter", "a game"};
enum { N_GENRES = sizeof genres / sizeof *genres };

static bool form_has(const writing_form *f, const char *constraint) {
    return strcmp(f->constraints[0], constraint) == 0 || (f->constraints[1] && strcmp(f->constraints[1], constraint) == 0);
}

/* Settings multiply the topics: a cell has hundreds of tasks, so that held-out ones do not starve training. */
static bool setting_known(const writing_form *f, const char *setting) {
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

const char *writing_draw_setting(const writing_form *f, const topic *t, rng *r) {
    size_t genre = rng_below(r, N_GENRES), k = rng_below(r, setting_count() + 1);
    if (form_has(f, "title"))
        return genres[genre];
    return form_has(f, "required_word") || k == setting_count() || t->timeless ? "" : setting_at(k);
}

agon_status writing_read(agon_ctx *ctx, const task_query *query, writing_request *out) {
    writing_request q = {.form = writing_form_find(query->cell)};
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

const json_t *writing_argument(const writing_request *q, const char *key) {
    for (size_t i = 0; i < q->n_constraints; i++)
        if (json_object_get(q->arguments[i], key))
            return json_object_get(q->arguments[i], key);
    return NULL;
}

const char *writing_text(const writing_request *q, const char *key) {
    const char *text = json_string_value(writing_argument(q, key));
    return text ? text : "";
}

int64_t writing_n(const writing_request *q) {
    return json_integer_value(writing_argument(q, "n"));
}

bool writing_has(const writing_request *q, const char *name) {
    return form_has(q->form, name);
}

const char *writing_topic_name(const topic *t) {
    return strncmp(t->about, "the ", 4) == 0 ? t->about + 4 : t->about;
}

/* ---- verify -------------------------------------------------------------------------------------- */

/* The response is the query over again: of its first five words at most one is another. */
static bool copies_request(const char *text, const char *response) {
    size_t p = 0, at = 0, end, n = 0, other = 0;
    span a, b;
    for (; n < 5 && word_next(text, &p, &a); n++) {
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)(a.end - a.start < 63 ? a.end - a.start : 63), text + a.start);
        if (!word_next(response, &at, &b))
            return false;
        other += !phrase_at(response, b.start, word, &end) || end != b.end;
    }
    return n > 0 && other <= (n == 5);
}

bool writing_mentions(const topic *t, const char *text, span *where) {
    char stem[64];
    for (size_t k = 0; alternative(t->words, k, stem, sizeof stem); k++)
        if (stem_find(text, stem, where))
            return true;
    return false;
}

#define FAIL_AT(start, end, ...) verdict_set(ctx, out, OUTCOME_FAIL, response, start, end, NULL, __VA_ARGS__)
#define FAIL(...) FAIL_AT(0, 0, __VA_ARGS__)

/* The same words, whatever the case and the marks between them. *n: how many `a` has. */
static bool same_words(const char *text, span a, span b, size_t *n) {
    size_t i = a.start, k = b.start;
    bool same = true;
    span x, y;
    for (*n = 0; word_next(text, &i, &x) && x.start < a.end; ++*n) {
        bool more = same && word_next(text, &k, &y) && y.start < b.end;
        size_t p = x.start, q = more ? y.start : 0;
        same = more && x.end - x.start == y.end - y.start;
        while (same && p < x.end)
            same = code_fold(text_next(text, &p)) == code_fold(text_next(text, &q));
    }
    return same && !(word_next(text, &k, &y) && y.start < b.end);
}

/* Sentences of at least three words that differ. */
static agon_status verify_sentences(agon_ctx *ctx, const char *response, task_verdict *out) {
    span s[32];
    size_t n = text_sentences(response, s, 32), words;
    for (size_t i = 0; i < n && i < 32; i++) {
        same_words(response, s[i], s[i], &words);
        if (words < 3)
            return FAIL_AT(s[i].start, s[i].end, "has a sentence of only %zu word%s", words, words == 1 ? "" : "s");
        for (size_t k = 0; k < i; k++)
            if (same_words(response, s[i], s[k], &words))
                return FAIL_AT(s[i].start, s[i].end, "has the same sentence twice");
    }
    return AGON_OK;
}

/* One word between asterisks, and nothing else. */
static agon_status verify_highlight(agon_ctx *ctx, const char *response, task_verdict *out) {
    size_t start, end, words = 0, n = highlights(response, &start, &end);
    span s;
    for (size_t at = start; n == 1 && token_next(response, &at, &s) && s.start < end;)
        words++;
    if (n != 1)
        return FAIL("marks %zu parts with asterisks, but one word is asked", n);
    return words == 1 ? AGON_OK : FAIL_AT(start, end, "marks %zu words with asterisks, but one is asked", words);
}

static bool value_mentions(const topic *t, const json_t *value) {
    const char *key;
    json_t *entry;
    size_t i;
    span s;
    bool found = json_is_string(value) && writing_mentions(t, json_string_value(value), &s);
    json_array_foreach(value, i, entry) found = found || value_mentions(t, entry);
    json_object_foreach((json_t *)value, key, entry) found = found || value_mentions(t, entry);
    return found;
}

/* No key but those asked for; "topic", or where it is not asked some value, names the topic. */
static agon_status verify_object(agon_ctx *ctx, const writing_request *q, const char *response, task_verdict *out) {
    const json_t *keys = writing_argument(q, "keys"), *asked;
    json_t *object = json_answer(response), *value;
    const char *key;
    char excess[EXCERPT_SIZE] = "";
    size_t i;
    bool topic_asked = false;
    json_object_foreach(object, key, value) {
        bool known = false;
        json_array_foreach(keys, i, asked) known = known || strcmp(json_string_value(asked), key) == 0;
        if (!known)
            excerpt(key, 0, strlen(key), excess);
        topic_asked = topic_asked || (known && strcmp(key, "topic") == 0);
    }
    bool mentions = value_mentions(q->topic, topic_asked ? json_object_get(object, "topic") : object);
    json_decref(object);
    if (*excess)
        return FAIL("the JSON object has the key '%s', which was not asked for", excess);
    if (!mentions)
        return FAIL("%s does not mention %s", topic_asked ? "the value of 'topic'" : "the JSON object", q->topic->about);
    return AGON_OK;
}

/* What every answer of this form must be, whatever the constraint; `said` is the response or its part that counts: behind the request, inside
 * the title. */
static agon_status verify_form(agon_ctx *ctx, const writing_request *q, const char *response, const char *said, task_verdict *out) {
    span s;
    size_t n_words = text_n_words(said), n = text_n_sentences(said);
    bool one = q->form->ask == SENTENCE || q->form->ask == REPEAT;
    if (one && n_words < 3)
        return FAIL("has only %zu word%s, which is no sentence", n_words, n_words == 1 ? "" : "s");
    if (one && n > 1)
        return FAIL("has %zu sentences, but one sentence is asked", n);
    if (q->form->ask == KEYED)
        return verify_object(ctx, q, response, out);
    if (!writing_mentions(q->topic, said, &s))
        return FAIL("does not mention %s", q->topic->about);
    if (writing_has(q, "sentences"))
        return verify_sentences(ctx, response, out);
    return writing_has(q, "highlight") ? verify_highlight(ctx, response, out) : AGON_OK;
}

/* The constraints in turn; a title's word must stand in the title, which begins at byte `inside` of the response. */
static agon_status verify_constraints(agon_ctx *ctx, const writing_request *q, const char *response, const char *title, size_t inside,
                                      task_verdict *out) {
    for (size_t i = 0; i < q->n_constraints; i++) {
        bool in_title = title && i > 0;
        agon_status status = writing_constraint_verify(ctx, q->form->constraints[i], q->arguments[i], in_title ? title : response, out);
        if (in_title && !status && out->quote) {
            out->span_start += inside;
            out->span_end += inside;
        }
        if (status != AGON_OK || out->outcome == OUTCOME_FAIL)
            return status;
    }
    return AGON_OK;
}

agon_status writing_verify(agon_ctx *ctx, const task_query *query, const char *response, task_verdict *out) {
    writing_request q;
    task_verdict form_verdict = {0};
    agon_status status = writing_read(ctx, query, &q);
    if (status != AGON_OK)
        return status;
    size_t said = 0, start = 0, end = 0;
    const char *request = q.form->ask == REPEAT ? writing_text(&q, "request") : query->text;
    if (q.form->ask == REPEAT)
        said = request_repeated(response, request);
    if ((said || q.form->ask != REPEAT) && copies_request(request, response + said))
        return FAIL("repeats the request instead of answering it");
    bool titled = writing_has(&q, "title") && title_find(response, &start, &end);
    char *title = titled ? strndup(response + start, end - start) : NULL;
    if (titled && !title)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for a title is exhausted");
    status = verify_constraints(ctx, &q, response, title, start, out);
    if (status == AGON_OK && out->outcome != OUTCOME_FAIL)
        status = verify_form(ctx, &q, response, title ? title : response + said, &form_verdict);
    free(title);
    if (status == AGON_OK && form_verdict.evidence) {
        task_verdict_free(out);
        *out = form_verdict;
    }
    return status;
}

/* ---- check --------------------------------------------------------------------------------------- */

/* The wording names the topic and every argument: else nobody could answer it. */
static agon_status check_wording(agon_ctx *ctx, const writing_request *q, const char *text) {
    static const char *const keys[] = {"word", "phrase", "letter", "request"};
    span s;
    if (!phrase_find(text, 0, writing_topic_name(q->topic), &s))
        return ctx_fail(ctx, AGON_EMISMATCH, "writing: the query does not name its topic '%s'", q->topic->about);
    if (*q->setting && !phrase_find(text, 0, q->setting, &s))
        return ctx_fail(ctx, AGON_EMISMATCH, "writing: the query does not say '%s'", q->setting);
    for (size_t i = 0; i < 4; i++)
        if (writing_argument(q, keys[i]) && !phrase_find(text, 0, writing_text(q, keys[i]), &s))
            return ctx_fail(ctx, AGON_EMISMATCH, "writing: the query does not name the %s '%.60s'", keys[i],
                            writing_text(q, keys[i]));
    return AGON_OK;
}

static agon_status writing_check(agon_ctx *ctx, const task_query *query) {
    writing_request q;
    char *answer = NULL;
    agon_status status = writing_read(ctx, query, &q);
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
    .wordings = writing_wordings,
};
