/* See rows.h. */
#include "cli/rows.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT_BYTES = 1 << 30 };

int row_error(const char *name, size_t line, const char *format, ...) {
    va_list args;
    char *what = NULL;
    va_start(args, format);
    if (!line)
        say_error_list(name, format, args);
    else
        say_error(name, "input line %zu: %s", line, vasprintf(&what, format, args) >= 0 ? what : "out of memory");
    va_end(args);
    free(what);
    return EXIT_BAD_DATA;
}

int fail_in_row(const char *name, size_t line, agon_status status, const agon_ctx *ctx) {
    row_error(name, line, "%s", *agon_error(ctx) ? agon_error(ctx) : agon_status_name(status));
    return exit_code_of(status);
}

int fail_of_request(const char *name, const size_t *lines, size_t n, agon_status status, const agon_ctx *ctx) {
    size_t number = 0;
    int end = 0;
    if (n == 1 && (status == AGON_EINVAL || status == AGON_ENUMERIC))
        return fail_in_row(name, lines[0], status, ctx);
    if (sscanf(agon_error(ctx), "request %zu: %n", &number, &end) != 1 || !end || number < 1 || number > n)
        return fail_with(name, status, ctx);
    row_error(name, lines[number - 1], "%s", agon_error(ctx) + end);
    return exit_code_of(status);
}

char *read_all(const char *name, FILE *from, size_t *n) {
    size_t capacity = 1 << 16, size = 0;
    char *text = malloc(capacity);
    while (text) {
        errno = 0;
        size_t got = fread(text + size, 1, capacity - size - 1, from);
        size += got;
        if (got == 0)
            break;
        if (capacity - size > 1)
            continue;
        char *grown = capacity < LIMIT_BYTES ? realloc(text, capacity * 2) : NULL;
        if (!grown) {
            free(text);
            text = NULL;
            break;
        }
        text = grown;
        capacity *= 2;
    }
    if (!text || ferror(from)) {
        say_error(name, ferror(from) ? "the input could not be read: %s" : "%s", ferror(from) ? strerror(errno) : "the input is longer than 1 GiB");
        free(text);
        return NULL;
    }
    text[size] = 0;
    *n = size;
    return text;
}

char *read_lines(const char *name, FILE *from, int *code) {
    size_t n = 0, line = 1;
    char *text = read_all(name, from, &n);
    if (text && strlen(text) == n)
        return text;
    *code = text ? EXIT_BAD_DATA : EXIT_SYSTEM;
    if (!text)
        return NULL;
    for (const char *p = text; *p; p++)
        line += *p == '\n';
    row_error(name, line, "there is a NUL byte; the input must be JSON lines in UTF-8");
    free(text);
    return NULL;
}

/* Length of the well-formed UTF-8 character at p, 0 when there is none. */
static size_t character_length(const unsigned char *p, size_t n) {
    if (p[0] < 0x80)
        return 1;
    size_t want = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : p[0] >= 0xe0 && p[0] <= 0xef ? 3 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : 0;
    if (want == 0 || want > n)
        return 0;
    for (size_t i = 1; i < want; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool bad = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
               (p[0] == 0xf4 && p[1] > 0x8f);
    return bad ? 0 : want;
}

json_t *safe_string(const char *text, size_t n) {
    char *clean = malloc(3 * n + 1);
    size_t m = 0;
    if (!clean)
        return NULL;
    for (size_t i = 0; i < n;) {
        size_t k = character_length((const unsigned char *)text + i, n - i);
        memcpy(clean + m, k ? text + i : "\xef\xbf\xbd", k ? k : 3);
        m += k ? k : 3;
        i += k ? k : 1;
    }
    json_t *value = json_stringn(clean, m);
    free(clean);
    return value;
}

json_t *json_numbers(const int32_t *values, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(values[i]));
    return list;
}

json_t *json_floats(const float *values, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_real(values[i]));
    return list;
}

json_t *next_row(const char *name, char **at, size_t *line, int *code) {
    while (**at) {
        char *start = *at, *end = start + strcspn(start, "\n");
        *at = *end ? end + 1 : end;
        if ((*line)++ == 0 && strncmp(start, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
            start += 3;
        size_t n = (size_t)(end - start);
        if (strspn(start, " \t\r") >= n)
            continue;
        json_error_t error;
        json_t *row = json_loadb(start, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
        if (json_is_object(row))
            return row;
        *code = row ? row_error(name, *line, "this is not a JSON object")
                    : row_error(name, *line, "this is not JSON: %s (column %d)", error.text, error.column);
        json_decref(row);
        return NULL;
    }
    return NULL;
}

/* The rule of the library's own rows (is_misspelling). Is a field meant to be a known name? One letter after the first is off, two are exchanged, or case and dashes differ: short words, and
 * first letters (reference, preference), have neighbours of other meaning, as has context. */
static bool misspells(const char *key, const char *known) {
    size_t n = strlen(key), m = strlen(known), i = 0;
    if (strcmp(key, known) == 0 || strcmp(key, "content") == 0 || m < 5 || n > 32)
        return false;
    while (key[i] && key[i] == known[i])
        i++;
    if (n == m && i + 1 < n && key[i] == known[i + 1] && key[i + 1] == known[i] && strcmp(key + i + 2, known + i + 2) == 0)
        return true;
    char folded[33];
    for (i = 0; i <= n; i++)
        folded[i] = key[i] == '-' || key[i] == ' ' ? '_' : (char)tolower((unsigned char)key[i]);
    return folded[0] == known[0] && word_difference(folded, known) <= 1;
}

int check_fields(const char *name, size_t line, const json_t *row, const char *const *known) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)row, key, value) {
        const char *meant = NULL;
        bool is_known = false;
        for (size_t i = 0; known[i] && !is_known; i++) {
            is_known = strcmp(key, known[i]) == 0;
            meant = !meant && misspells(key, known[i]) && !json_object_get(row, known[i]) ? known[i] : meant;
        }
        if (!is_known && meant)
            return row_error(name, line, "there is no field \"%s\"; did you mean \"%s\"?", key, meant);
    }
    return EXIT_FINE;
}

const char *whole_text(const json_t *value) {
    const char *text = json_string_value(value);
    return text && strlen(text) == json_string_length(value) ? text : NULL;
}

agon_message *read_messages(const char *name, size_t line, const json_t *list, size_t *n) {
    *n = json_array_size(list);
    agon_message *messages = calloc(*n + 1, sizeof *messages);
    bool good = messages && json_is_array(list) && *n > 0, calls = false;
    for (size_t i = 0; good && i < *n; i++) {
        const json_t *m = json_array_get(list, i);
        messages[i].role = whole_text(json_object_get(m, "role"));
        messages[i].content = whole_text(json_object_get(m, "content"));
        calls = json_array_size(json_object_get(m, "tool_calls")) > 0 || json_is_object(json_object_get(m, "function_call"));
        good = messages[i].role && messages[i].content && !calls;
    }
    if (good)
        return messages;
    if (calls)
        row_error(name, line, "\"messages\" hold a tool call, which no template here writes; write it as the message's text");
    else
        row_error(name, line, "\"messages\" must be a list of {\"role\": text, \"content\": text}, the texts without NUL characters");
    free(messages);
    return NULL;
}

static bool copy_ids(const json_t *list, int32_t **ids, size_t *n) {
    int32_t *copy = calloc(json_array_size(list) + 1, sizeof *copy);
    *n = json_array_size(list);
    bool good = copy != NULL;
    for (size_t i = 0; good && i < *n; i++) {
        const json_t *v = json_array_get(list, i);
        good = json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= INT32_MAX;
        copy[i] = good ? (int32_t)json_integer_value(v) : 0;
    }
    if (good)
        *ids = copy;
    else
        free(copy);
    return good;
}

int read_tokens(const char *name, size_t line, agon_ctx *ctx, const agon_tokenizer *t, const char *key, const json_t *value,
                row_place place, int32_t **ids, size_t *n) {
    if (json_is_array(value) && copy_ids(value, ids, n))
        return EXIT_FINE;
    if (value && !json_is_string(value))
        return row_error(name, line, "\"%s\" must be a text or a list of token ids", key);
    const char *text = value ? json_string_value(value) : "";
    size_t n_text = json_string_length(value);
    agon_status s = place.part == ROW_PROMPT ? agon_tokenize(ctx, t, text, n_text, true, true, ids, n)
                                             : agon_tokenize_answer(ctx, t, place.prompt, place.n_prompt, text, n_text, true,
                                                                    place.part == ROW_ANSWER, ids, n);
    return s ? fail_in_row(name, line, s, ctx) : EXIT_FINE;
}

int read_prompt(const char *name, size_t line, agon_ctx *ctx, const agon_tokenizer *t, const json_t *row, bool chat,
                int32_t **ids, size_t *n) {
    const json_t *list = json_object_get(row, "messages"), *prompt = json_object_get(row, "prompt");
    agon_message user = {"user", whole_text(prompt)}, *messages = NULL;
    size_t n_messages = 1;
    if (!list && !prompt)
        return row_error(name, line, "there is no \"prompt\" and no \"messages\"; a row needs one of them");
    if (!list && chat && json_is_string(prompt) && !user.content)
        return row_error(name, line, "\"prompt\" holds a NUL character, which a chat message cannot");
    if (!list && !(chat && user.content))
        return read_tokens(name, line, ctx, t, "prompt", prompt, (row_place){ROW_PROMPT, NULL, 0}, ids, n);
    if (list && !(messages = read_messages(name, line, list, &n_messages)))
        return EXIT_BAD_DATA;
    agon_status s = agon_chat_tokenize(ctx, t, messages ? messages : &user, n_messages, true, ids, n, NULL);
    free(messages);
    return s ? fail_in_row(name, line, s, ctx) : EXIT_FINE;
}

agon_status find_model(agon_ctx *ctx, const char *model, const char *dtype, const char *chat_template, agon_model **out) {
    agon_model_options options = agon_model_options_default();
    char *path = NULL;
    options.chat_template = chat_template;
    options.f32 = dtype && strcmp(dtype, "f32") == 0;
    agon_status s = agon_model_find(ctx, model, &path);
    if (!s)
        s = agon_model_open(ctx, path, &options, out);
    agon_text_free(path);
    return s;
}

int open_model(const char *name, const char *model, const char *adapter, const char *dtype, const char *chat_template,
               opened *out) {
    *out = (opened){0};
    if (dtype && strcmp(dtype, "f32") != 0 && strcmp(dtype, "bf16") != 0) {
        say_error(name, "--dtype is f32 or bf16, not '%.40s'", dtype);
        return EXIT_USAGE;
    }
    out->ctx = open_context(name);
    if (!out->ctx)
        return EXIT_SYSTEM;
    agon_status s = find_model(out->ctx, model, dtype, chat_template, &out->model);
    if (!s && adapter)
        s = agon_adapter_open(out->ctx, out->model, adapter, &out->adapter);
    if (!s)
        return EXIT_FINE;
    int code = fail_with(name, s, out->ctx);
    close_model(out);
    return code;
}

void close_model(opened *o) {
    agon_adapter_free(o->adapter);
    agon_model_free(o->model);
    close_context(o->ctx);
    *o = (opened){0};
}

agon_status open_tokenizer(agon_ctx *ctx, const char *model, const char *chat_template, agon_tokenizer **out) {
    char *path = NULL;
    agon_status s = agon_model_find(ctx, model, &path);
    if (!s)
        s = agon_tokenizer_open(ctx, path, chat_template, out);
    agon_text_free(path);
    return s;
}
