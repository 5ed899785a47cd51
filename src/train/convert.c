/* Formats of rows: see convert.h. */
#include "train/convert.h"
#include "base/buffer.h"
#include "base/csv.h"
#include "base/ctx.h"
#include "base/decimal.h"
#include "base/file.h"
#include "base/json.h"
#include "base/nearest.h"
#include "base/utf8.h"
#include "train/row_file.h"
#include "train/row_reader.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[N_DATA_FORMATS] = {"auto", "trl", "alpaca", "sharegpt", "hh", "gsm8k", "spin", "orca",
                                                "refine-sft", "refine-guided", "refine-pairs", "refine-critic"};

const char *data_format_name(data_format f) {
    return f < N_DATA_FORMATS ? names[f] : "";
}

agon_status data_format_find(agon_ctx *ctx, const char *name, data_format *out) {
    for (size_t i = 0; i < N_DATA_FORMATS; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (data_format)i;
            return AGON_OK;
        }
    const char *near = nearest_word(name, names, N_DATA_FORMATS);
    buffer all = {0};
    for (size_t i = 0; i < N_DATA_FORMATS; i++)
        buffer_printf(&all, "%s%s", i == 0 ? "" : i + 1 < N_DATA_FORMATS ? ", " : " and ", names[i]);
    agon_status s = all.failed ? ctx_no_memory(ctx)
                               : ctx_fail(ctx, AGON_EINVAL, "no data format is called '%.40s'; %s%s%sthere are %s", name, near ? "did you mean " : "",
                                          near ? near : "", near ? "? " : "", all.data);
    buffer_free(&all);
    return s;
}

/* ---- messages ------------------------------------------------------------------------------------------ */

/* Appends one message; false on memory. */
static bool say(json_t *messages, const char *role, const char *content, size_t n) {
    json_t *text = json_stringn(content, n);
    return json_array_append_new(messages, json_pack("{s:s,s:o}", "role", role, "content", text)) == 0;
}

static agon_status no_memory(agon_ctx *ctx) {
    return ctx_fail(ctx, AGON_ENOMEM, "out of memory converting rows");
}

static agon_status text_of(agon_ctx *ctx, const char *where, json_t *row, const char *key, bool required,
                           const char **out) {
    *out = NULL;
    agon_status s = json_get_text(ctx, where, row, key, required, out);
    return s == AGON_OK && required && !**out ? ctx_fail(ctx, AGON_EINVAL, "%s: %s is empty", where, key) : s;
}

static agon_status from_alpaca(agon_ctx *ctx, const char *where, json_t *row, json_t **out) {
    const char *system, *instruction, *input, *output;
    agon_status s = text_of(ctx, where, row, "system", false, &system);
    if (s == AGON_OK)
        s = text_of(ctx, where, row, "instruction", true, &instruction);
    if (s == AGON_OK)
        s = text_of(ctx, where, row, "input", false, &input);
    if (s == AGON_OK)
        s = text_of(ctx, where, row, "output", true, &output);
    if (s != AGON_OK)
        return s;
    json_t *messages = json_array();
    buffer query = {0};
    buffer_text(&query, instruction);
    if (input && *input)
        buffer_printf(&query, "\n\n%s", input);
    char *text = buffer_take(&query);
    bool made = messages && text && (!system || !*system || say(messages, "system", system, strlen(system))) &&
                say(messages, "user", text, strlen(text)) && say(messages, "assistant", output, strlen(output));
    free(text);
    buffer_free(&query);
    *out = json_pack("{s:o}", "messages", messages);
    if (made && *out)
        return AGON_OK;
    json_decref(*out);
    *out = NULL;
    return no_memory(ctx);
}

const char *convert_role(const char *speaker) {
    static const char *const words[][2] = {{"human", "user"},     {"user", "user"},          {"gpt", "assistant"},
                                           {"assistant", "assistant"}, {"chatgpt", "assistant"}, {"bard", "assistant"},
                                           {"bing", "assistant"}, {"system", "system"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i][0], speaker) == 0)
            return words[i][1];
    return NULL;
}

static agon_status add_turn(agon_ctx *ctx, const char *where, json_t *turn, size_t i, json_t *messages) {
    const char *from = json_string_value(json_object_get(turn, "from"));
    json_t *value = json_object_get(turn, "value");
    if (!from || !json_is_string(value))
        return ctx_fail(ctx, AGON_EINVAL, "%s: conversations[%zu] must have from and value, both texts", where, i);
    const char *role = convert_role(from);
    if (!role)
        return ctx_fail(ctx, AGON_EINVAL, "%s: conversations[%zu] is from '%.40s', which is neither human, gpt nor system",
                        where, i, from);
    return say(messages, role, json_string_value(value), json_string_length(value)) ? AGON_OK : no_memory(ctx);
}

/* *n_cut grows by the turns after the last answer. */
static agon_status from_sharegpt(agon_ctx *ctx, const char *where, json_t *row, json_t **out, size_t *n_cut) {
    json_t *turns = json_object_get(row, "conversations"), *messages = json_array();
    const char *system;
    agon_status s = text_of(ctx, where, row, "system", false, &system);
    if (s == AGON_OK && (!json_is_array(turns) || json_array_size(turns) == 0))
        s = ctx_fail(ctx, AGON_EINVAL, "%s: conversations must be a list of turns", where);
    if (s == AGON_OK && system && *system && !say(messages, "system", system, strlen(system)))
        s = no_memory(ctx);
    for (size_t i = 0; s == AGON_OK && i < json_array_size(turns); i++)
        s = add_turn(ctx, where, json_array_get(turns, i), i, messages);
    /* A question at the end has no answer to learn. */
    size_t n = json_array_size(messages);
    while (s == AGON_OK && n && strcmp(json_string_value(json_object_get(json_array_get(messages, n - 1), "role")), "assistant") != 0)
        json_array_remove(messages, --n), ++*n_cut;
    if (s == AGON_OK && json_array_size(messages) == 0)
        s = ctx_fail(ctx, AGON_EINVAL, "%s: conversations has no answer", where);
    if (s == AGON_OK && !(*out = json_pack("{s:O}", "messages", messages)))
        s = no_memory(ctx);
    json_decref(messages);
    return s;
}

static agon_status from_gsm8k(agon_ctx *ctx, const char *where, json_t *row, json_t **out) {
    const char *question, *answer;
    agon_status s = text_of(ctx, where, row, "question", true, &question);
    if (s == AGON_OK)
        s = text_of(ctx, where, row, "answer", true, &answer);
    if (s == AGON_OK && !(*out = json_pack("{s:[{s:s,s:s}],s:[{s:s,s:s}]}", "prompt", "role", "user", "content", question,
                                           "completion", "role", "assistant", "content", answer)))
        s = no_memory(ctx);
    return s;
}

/* ---- pairs --------------------------------------------------------------------------------------------- */

/* The next "\n\nHuman: " or "\n\nAssistant: " at or after p; *length of the mark, *role. NULL: none. */
static const char *next_mark(const char *p, size_t *length, const char **role) {
    static const char *const marks[2] = {"\n\nHuman:", "\n\nAssistant:"};
    const char *found[2] = {strstr(p, marks[0]), strstr(p, marks[1])};
    if (!found[0] && !found[1])
        return NULL;
    int k = !found[0] || (found[1] && found[1] < found[0]);
    *length = strlen(marks[k]);
    *role = k ? "assistant" : "user";
    return found[k];
}

static agon_status read_transcript(agon_ctx *ctx, const char *where, const char *key, const char *text, json_t *out) {
    size_t length = 0, next_length = 0;
    const char *role = NULL, *next_role = NULL, *at = next_mark(text, &length, &role);
    if (at != text)
        return ctx_fail(ctx, AGON_EINVAL, "%s: %s does not begin with \"\\n\\nHuman:\"", where, key);
    while (at) {
        const char *start = at + length, *next = next_mark(start, &next_length, &next_role);
        const char *end = next ? next : start + strlen(start);
        start += *start == ' ';
        if (!say(out, role, start, (size_t)(end - start)))
            return no_memory(ctx);
        at = next, length = next_length, role = next_role;
    }
    return AGON_OK;
}

/* {"prompt": what both share, "chosen": [the answer], "rejected": [the answer]}. */
static agon_status make_pair(agon_ctx *ctx, const char *where, const char *const keys[2], json_t *sides[2], json_t **out) {
    size_t n = json_array_size(sides[0]);
    if (n < 2 || json_array_size(sides[1]) != n)
        return ctx_fail(ctx, AGON_EINVAL, "%s: %s has %zu messages and %s %zu; both need the same prompt and one answer", where,
                        keys[0], n, keys[1], json_array_size(sides[1]));
    for (size_t k = 0; k < 2; k++) {
        const char *role = json_string_value(json_object_get(json_array_get(sides[k], n - 1), "role"));
        if (!role || strcmp(role, "assistant") != 0)
            return ctx_fail(ctx, AGON_EINVAL, "%s: %s does not end with an answer of the assistant", where, keys[k]);
    }
    json_t *prompt = json_array();
    bool made = prompt != NULL;
    for (size_t i = 0; i + 1 < n; i++) {
        if (!json_equal(json_array_get(sides[0], i), json_array_get(sides[1], i))) {
            json_decref(prompt);
            return ctx_fail(ctx, AGON_EINVAL, "%s: %s and %s differ before their answers, in message %zu", where, keys[0],
                            keys[1], i);
        }
        made = json_array_append(prompt, json_array_get(sides[0], i)) == 0 && made;
    }
    *out = json_pack("{s:o,s:[O],s:[O]}", "prompt", prompt, "chosen", json_array_get(sides[0], n - 1), "rejected",
                     json_array_get(sides[1], n - 1));
    return made && *out ? AGON_OK : no_memory(ctx);
}

/* A transcript with its lines ended by "\n", from "\r\n" or either; new. */
static char *without_returns(const char *text) {
    char *out = malloc(strlen(text) + 1);
    size_t n = 0;
    for (size_t i = 0; out && text[i]; i++)
        if (text[i] != '\r' || text[i + 1] != '\n')
            out[n++] = text[i];
    if (out)
        out[n] = '\0';
    return out;
}

static agon_status from_hh(agon_ctx *ctx, const char *where, json_t *row, json_t **out) {
    static const char *const keys[2] = {"chosen", "rejected"};
    json_t *sides[2] = {json_array(), json_array()};
    agon_status s = AGON_OK;
    for (size_t k = 0; s == AGON_OK && k < 2; k++) {
        const char *text = NULL;
        s = text_of(ctx, where, row, keys[k], true, &text);
        char *plain = s == AGON_OK ? without_returns(text) : NULL;
        if (s == AGON_OK)
            s = plain ? read_transcript(ctx, where, keys[k], plain, sides[k]) : no_memory(ctx);
        free(plain);
    }
    if (s == AGON_OK)
        s = make_pair(ctx, where, keys, sides, out);
    json_decref(sides[0]);
    json_decref(sides[1]);
    return s;
}

static agon_status from_spin(agon_ctx *ctx, const char *where, json_t *row, json_t **out) {
    static const char *const keys[2] = {"real", "generated"};
    json_t *sides[2] = {json_object_get(row, keys[0]), json_object_get(row, keys[1])};
    for (size_t k = 0; k < 2; k++)
        if (!json_is_array(sides[k]))
            return ctx_fail(ctx, AGON_EINVAL, "%s: %s must be a list of messages", where, keys[k]);
    return make_pair(ctx, where, keys, sides, out);
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

static data_format format_of(json_t *row) {
    json_t *chosen = json_object_get(row, "chosen");
    const char *text = json_string_value(chosen);
    if (json_object_get(row, "conversations"))
        return DATA_SHAREGPT;
    if (json_object_get(row, "instruction") && json_object_get(row, "output"))
        return DATA_ALPACA;
    if (json_object_get(row, "question") && chosen && json_object_get(row, "rejected"))
        return DATA_ORCA;
    if (json_object_get(row, "question") && json_object_get(row, "answer"))
        return DATA_GSM8K;
    if (json_object_get(row, "real") && json_object_get(row, "generated"))
        return DATA_SPIN;
    if (text && !json_object_get(row, "prompt") && (strncmp(text, "\n\nHuman:", 8) == 0 || strncmp(text, "\r\n\r\nHuman:", 10) == 0))
        return DATA_HH;
    if (convert_question(row))
        return DATA_ORCA;
    if (chosen || json_object_get(row, "text") || json_object_get(row, "messages") || json_object_get(row, "prompt"))
        return DATA_TRL;
    return DATA_AUTO;
}

/* Whether an answer says nothing: a blank text, or a last message without content. */
static bool is_empty(const json_t *answer) {
    if (json_is_array(answer))
        answer = json_array_size(answer) ? json_object_get(json_array_get(answer, json_array_size(answer) - 1), "content") : NULL;
    return json_absent(answer) || (json_is_string(answer) && row_is_blank(json_string_value(answer)));
}

/* What no objective learns from is refused here too, not only when it is trained on. */
static agon_status check_made(agon_ctx *ctx, const char *where, const json_t *made) {
    static const char *const answers[] = {"text", "completion", "chosen", "rejected"};
    const json_t *messages = json_object_get(made, "messages"), *chosen = json_object_get(made, "chosen"), *one;
    size_t k;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        if (json_object_get(made, answers[i]) && is_empty(json_object_get(made, answers[i])))
            return ctx_fail(ctx, AGON_EINVAL, "%s: %s is empty or white space only", where, answers[i]);
    json_array_foreach(json_object_get(made, "completions"), k, one)
        if (is_empty(one))
            return ctx_fail(ctx, AGON_EINVAL, "%s: completions[%zu] is empty or white space only", where, k);
    json_array_foreach((json_t *)(uintptr_t)messages, k, one) {
        const char *role = json_string_value(json_object_get(one, "role"));
        if (role && strcmp(role, "assistant") == 0 && is_empty(json_object_get(one, "content")))
            return ctx_fail(ctx, AGON_EINVAL, "%s: messages[%zu] is an empty answer (or white space only)", where, k);
    }
    if (chosen && json_equal(chosen, json_object_get(made, "rejected")))
        return ctx_fail(ctx, AGON_EINVAL, "%s: chosen and rejected are the same; such a pair teaches nothing", where);
    return AGON_OK;
}

agon_status convert_row(agon_ctx *ctx, const char *where, data_format from, json_t *row, json_t **out,
                        data_format *format, size_t *n_cut) {
    json_t *made = NULL;
    agon_status s;
    *format = from == DATA_AUTO ? format_of(row) : from;
    switch (*format) {
    case DATA_ALPACA: s = from_alpaca(ctx, where, row, &made); break;
    case DATA_SHAREGPT: s = from_sharegpt(ctx, where, row, &made, n_cut); break;
    case DATA_HH: s = from_hh(ctx, where, row, &made); break;
    case DATA_GSM8K: s = from_gsm8k(ctx, where, row, &made); break;
    case DATA_SPIN: s = from_spin(ctx, where, row, &made); break;
    case DATA_ORCA: s = convert_orca(ctx, where, row, &made); break;
    case DATA_TRL: s = convert_trl(ctx, where, row, &made); break;
    case DATA_REFINE_SFT:
    case DATA_REFINE_GUIDED:
    case DATA_REFINE_PAIRS:
    case DATA_REFINE_CRITIC: s = convert_refined(ctx, where, *format, row, &made); break;
    default:
        s = ctx_fail(ctx, AGON_EINVAL, "%s: the fields tell no known format; say which it is, or rename them to prompt and "
                     "completion", where);
    }
    const bool reads_system = *format == DATA_ALPACA || *format == DATA_SHAREGPT || *format == DATA_ORCA;
    if (s == AGON_OK && !reads_system)
        s = convert_system(ctx, where, row, &made);
    if (s == AGON_OK)
        s = check_made(ctx, where, made);
    /* What the row was labelled for, whose it is and what it counts go with it. */
    static const char *const carried[] = {"dimension", "adapter", "weight"};
    for (size_t i = 0; s == AGON_OK && i < sizeof carried / sizeof *carried; i++) {
        json_t *value = json_object_get(row, carried[i]);
        if (value && json_object_set(made, carried[i], value) != 0)
            s = ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", where);
    }
    if (s == AGON_OK)
        *out = made;
    else
        json_decref(made);
    return s;
}

/* ---- files --------------------------------------------------------------------------------------------- */

typedef struct writer {
    agon_ctx *ctx;
    data_format format;
    bool skip_bad;
    buffer text;
    convert_report *report;
} writer;

/* Adds a sentence to *list, up to so many. */
static agon_status note(writer *w, json_t **list, const char *sentence) {
    if (!*list && !(*list = json_array()))
        return no_memory(w->ctx);
    if (json_array_size(*list) == MAX_SKIPPED)
        return AGON_OK;
    return json_array_append_new(*list, json_pack("{so}", "sentence", utf8_json(sentence))) == 0 ? AGON_OK : no_memory(w->ctx);
}

static agon_status leave_out(writer *w) {
    w->report->n_skipped++;
    return note(w, &w->report->skipped, agon_error(w->ctx));
}

static agon_status note_cut(writer *w, const char *where, size_t n) {
    char sentence[ROW_PLACE_SIZE + 80];
    w->report->n_cut += n;
    snprintf(sentence, sizeof sentence, "%s: %zu turn%s after the last answer %s left out", where, n, n == 1 ? "" : "s", n == 1 ? "is" : "are");
    return n ? note(w, &w->report->cut, sentence) : AGON_OK;
}

void convert_report_free(convert_report *r) {
    json_decref(r->skipped);
    json_decref(r->cut);
    r->skipped = r->cut = NULL;
}

static agon_status write_row(void *arg, const char *where, json_t *object) {
    writer *w = arg;
    json_t *made = NULL;
    data_format found = DATA_AUTO;
    size_t n_cut = 0;
    agon_status s = convert_row(w->ctx, where, w->format, object, &made, &found, &n_cut);
    if (s == AGON_EINVAL && w->skip_bad)
        return leave_out(w);
    if (s != AGON_OK)
        return s;
    char *line = json_dumps(made, JSON_COMPACT);
    bool kept = line && buffer_text(&w->text, line) && buffer_char(&w->text, '\n');
    free(line);
    json_decref(made);
    if (!kept)
        return no_memory(w->ctx);
    w->report->n_rows++;
    w->report->by_format[found]++;
    return note_cut(w, where, n_cut);
}

static agon_status bad_line(void *arg, agon_status status) {
    writer *w = arg;
    return w->skip_bad ? leave_out(w) : status;
}

/* Whether the file's first character opens a list. What is looked into and then read from its beginning is no pipe. */
static agon_status holds_list(agon_ctx *ctx, const char *path, bool *out) {
    char head[4096];
    byte_reader r;
    agon_status s = byte_reader_open(ctx, path, &r);
    if (s)
        return s;
    const size_t n = r.size < sizeof head ? r.size : sizeof head - 1;
    s = byte_reader_read(ctx, &r, 0, head, n);
    byte_reader_close(&r);
    head[s ? 0 : n] = '\0';
    *out = head[strspn(head, " \t\r\n")] == '[';
    return s;
}

static agon_status read_list_file(agon_ctx *ctx, const char *path, writer *w) {
    json_t *list = NULL;
    agon_status s = json_read_file(ctx, path, &list);
    for (size_t i = 0; s == AGON_OK && i < json_array_size(list); i++) {
        char where[600];
        snprintf(where, sizeof where, "%.500s: row %zu", path, i + 1);
        if ((s = ctx_check_interrupt(ctx)))
            break;
        if (json_is_object(json_array_get(list, i)))
            s = write_row(w, where, json_array_get(list, i));
        else
            s = bad_line(w, ctx_fail(ctx, AGON_EFORMAT, "%s: must be a JSON object", where));
    }
    json_decref(list);
    return s;
}

/* A table holds texts alone: those of numbers as numbers, empty ones left out. */
static agon_status write_record(void *arg, const char *where, json_t *object) {
    static const char *const numbers[] = {"label", "weight", "reward", "margin", "advantage"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const char *text = json_string_value(json_object_get(object, numbers[i]));
        char *end = NULL;
        const double x = text ? decimal_read(text, &end) : 0;
        if (text && !*text)
            json_object_del(object, numbers[i]);
        else if (text && (strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0))
            json_object_set_new(object, numbers[i], json_boolean(strcasecmp(text, "true") == 0));
        else if (text && end != text && !*end)
            json_object_set_new(object, numbers[i], json_real(x));
    }
    return write_row(arg, where, object);
}

agon_status convert_file(agon_ctx *ctx, const char *from, data_format format, const char *to, bool skip_bad,
                         convert_report *out) {
    convert_report report = {0};
    writer w = {.ctx = ctx, .format = format, .skip_bad = skip_bad, .report = &report};
    bool list = false;
    agon_status s = output_is_new(ctx, to);
    if (s == AGON_OK)
        s = holds_list(ctx, from, &list);
    if (s == AGON_OK)
        s = list ? read_list_file(ctx, from, &w) : path_ends(from, ".csv") ? csv_read(ctx, from, write_record, &w) : jsonl_read_lenient(ctx, from, write_row, bad_line, &w);
    if (s == AGON_OK && report.n_rows == 0 && report.n_skipped)
        s = ctx_fail(ctx, AGON_EINVAL, "%s: none of %zu rows could be converted; the first: %s", from, report.n_skipped,
                     json_string_value(json_object_get(json_array_get(report.skipped, 0), "sentence")));
    else if (s == AGON_OK && report.n_rows == 0)
        s = ctx_fail(ctx, AGON_EINVAL, "%s: there are no rows", from);
    if (s == AGON_OK)
        s = file_write_new(ctx, to, w.text.data, w.text.size);
    buffer_free(&w.text);
    if (s == AGON_OK)
        *out = report;
    else
        convert_report_free(&report);
    return s;
}
