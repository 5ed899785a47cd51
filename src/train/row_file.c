/* Rows as JSON: see row_file.h. */
#include "train/row_file.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct collector {
    agon_ctx *ctx;
    row_file *f;
} collector;

static agon_status grow(collector *c) {
    row_file *f = c->f;
    if (f->n < f->capacity)
        return AGON_OK;
    size_t capacity = f->capacity ? 2 * f->capacity : 256;
    json_t **rows = realloc(f->rows, size_mul(capacity, sizeof *rows));
    if (rows)
        f->rows = rows;
    size_t *lines = realloc(f->lines, size_mul(capacity, sizeof *lines));
    if (lines)
        f->lines = lines;
    if (!rows || !lines)
        return ctx_fail(c->ctx, AGON_ENOMEM, "%s: out of memory", f->path);
    f->capacity = capacity;
    return AGON_OK;
}

static agon_status collect(void *arg, const char *where, json_t *object) {
    collector *c = arg;
    const char *number = strrchr(where, ':');
    agon_status s = grow(c);
    if (s == AGON_OK) {
        c->f->lines[c->f->n] = number ? strtoul(number + 1, NULL, 10) : 0;
        c->f->rows[c->f->n++] = json_incref(object);
    }
    return s;
}

agon_status row_file_read(agon_ctx *ctx, const char *path, row_file *out) {
    row_file f = {.path = path};
    agon_status s = jsonl_read(ctx, path, collect, &(collector){ctx, &f});
    if (s == AGON_OK && f.n == 0)
        s = ctx_fail(ctx, AGON_EINVAL, "%s: there are no rows", path);
    if (s == AGON_OK)
        *out = f;
    else
        row_file_free(&f);
    return s;
}

void row_file_free(row_file *f) {
    for (size_t i = 0; i < f->n; i++)
        json_decref(f->rows[i]);
    free(f->rows);
    free(f->lines);
    *f = (row_file){0};
}

agon_status row_fail(agon_ctx *ctx, const row_file *f, size_t i, const char *format, ...) {
    char sentence[512];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return ctx_fail(ctx, AGON_EINVAL, "%.500s:%zu: %s", f->path, f->lines[i], sentence);
}

agon_status output_is_new(agon_ctx *ctx, const char *path) {
    struct stat st;
    if (!path)
        return ctx_fail(ctx, AGON_EINVAL, "the path to write is NULL");
    if (lstat(path, &st) != 0) {
        file_sweep_of(path);
        return AGON_OK;
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
        return ctx_fail(ctx, AGON_EINVAL, "%s is no regular file; name one that is not there yet", path);
    return ctx_fail(ctx, AGON_EINVAL, "%s is there already; move it away, or write elsewhere", path);
}

agon_status outputs_are_new(agon_ctx *ctx, const char *path, const char *beside) {
    struct stat st;
    if (path && lstat(path, &st) != 0 && file_sweep_of(path) && lstat(beside, &st) == 0 && S_ISREG(st.st_mode))
        unlink(beside); /* what rows_write_two had named when it was killed */
    agon_status s = output_is_new(ctx, path);
    return s ? s : output_is_new(ctx, beside);
}

static agon_status add_rows(agon_ctx *ctx, file_writer *w, const char *path, json_t *const *rows, const bool *kept, size_t n) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < n && s == AGON_OK; i++) {
        if (kept && !kept[i])
            continue;
        char *line = json_dumps(rows[i], JSON_COMPACT | JSON_REAL_PRECISION(17));
        s = line ? file_writer_add(ctx, w, line, strlen(line)) : ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", path);
        if (s == AGON_OK)
            s = file_writer_add(ctx, w, "\n", 1);
        free(line);
    }
    return s;
}

agon_status rows_write(agon_ctx *ctx, const char *path, json_t *const *rows, const bool *kept, size_t n) {
    file_writer *w = NULL;
    agon_status s = file_writer_open(ctx, path, &w);
    if (s == AGON_OK)
        s = add_rows(ctx, w, path, rows, kept, n);
    if (s == AGON_OK) {
        file_writer_is_new(w);
        return file_writer_commit_take(ctx, w);
    }
    file_writer_abort(w);
    return s;
}

agon_status rows_write_two(agon_ctx *ctx, const rows_output *beside, const rows_output *to) {
    file_writer *w = NULL;
    agon_status s = file_writer_open(ctx, to->path, &w);
    if (s == AGON_OK)
        s = add_rows(ctx, w, to->path, to->rows, to->kept, to->n);
    if (s == AGON_OK)
        s = rows_write(ctx, beside->path, beside->rows, beside->kept, beside->n);
    if (s != AGON_OK) {
        file_writer_abort(w);
        return s;
    }
    file_writer_is_new(w);
    if ((s = file_writer_commit_take(ctx, w)))
        unlink(beside->path); /* both or none: the next call would not write over it */
    return s;
}

/* ---- what a row holds ------------------------------------------------------------------------------------- */

static const char BLANKS[] = " \t\r\n\v\f";

const char *row_column(const json_t *row, const char *key) {
    const char *text = json_string_value(json_object_get(row, key));
    return text && text[strspn(text, BLANKS)] ? text : NULL;
}

bool row_holds_text(const char *text, size_t n, const char *part) {
    part += strspn(part, BLANKS);
    size_t n_part = strlen(part);
    while (n_part && strchr(BLANKS, part[n_part - 1]))
        n_part--;
    return memmem(text, n, part, n_part) != NULL;
}

row_form row_form_of(const json_t *row) {
    static const struct {
        const char *key;
        row_form form;
    } keys[] = {{"chosen", FORM_PAIR}, {"rejected", FORM_PAIR}, {"completions", FORM_GROUP}, {"text", FORM_TEXT},
                {"messages", FORM_MESSAGES}, {"completion", FORM_COMPLETION}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (json_object_get(row, keys[i].key))
            return keys[i].form;
    return FORM_NONE;
}

/* The last message of a list, when it is an assistant's. */
static json_t *last_answer(const json_t *list) {
    size_t n = json_array_size(list);
    json_t *message = n ? json_array_get(list, n - 1) : NULL;
    const char *role = json_string_value(json_object_get(message, "role"));
    return role && strcmp(role, "assistant") == 0 ? message : NULL;
}

static json_t *answer_message(const json_t *row) {
    row_form form = row_form_of(row);
    return form == FORM_MESSAGES     ? last_answer(json_object_get(row, "messages"))
           : form == FORM_COMPLETION ? last_answer(json_object_get(row, "completion"))
                                     : NULL;
}

/* A completion that is one text. */
static const char *plain_completion(const json_t *row) {
    return row_form_of(row) == FORM_COMPLETION ? json_string_value(json_object_get(row, "completion")) : NULL;
}

const char *row_response(const json_t *row) {
    const char *plain = plain_completion(row);
    return plain ? plain : json_string_value(json_object_get(answer_message(row), "content"));
}

agon_status row_set_response(agon_ctx *ctx, json_t *row, const char *text, size_t n) {
    bool plain = plain_completion(row) != NULL;
    json_t *words = json_stringn(text, n);
    if (!words || json_object_set_new(plain ? row : answer_message(row), plain ? "completion" : "content", words) != 0)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory changing a response");
    json_object_del(row, "log_probs"); /* of the tokens that stood there */
    return AGON_OK;
}

/* Exchanges two members; one of them may be absent. */
static bool exchange(json_t *row, const char *a, const char *b) {
    json_t *x = json_incref(json_object_get(row, a)), *y = json_incref(json_object_get(row, b));
    bool done = true;
    if (x || y) {
        done = y ? json_object_set(row, a, y) == 0 : json_object_del(row, a) == 0;
        done = (x ? json_object_set(row, b, x) == 0 : json_object_del(row, b) == 0) && done;
    }
    json_decref(x);
    json_decref(y);
    return done;
}

agon_status row_swap(agon_ctx *ctx, json_t *row) {
    if (!exchange(row, "chosen", "rejected") || !exchange(row, "chosen_critique", "rejected_critique"))
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory swapping a pair");
    return AGON_OK;
}

agon_status row_swap_rewards(agon_ctx *ctx, json_t *row) {
    json_t *rewards = json_object_get(row, "rewards"), *margin = json_object_get(row, "margin");
    bool done = true;
    if (json_array_size(rewards) == 2)
        done = json_object_set_new(row, "rewards", json_pack("[O,O]", json_array_get(rewards, 1), json_array_get(rewards, 0))) == 0;
    if (json_is_number(margin))
        done = json_object_set_new(row, "margin", json_real(-json_number_value(margin))) == 0 && done;
    return done ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory swapping a pair");
}

/* What two rows must not share across parts. */
static json_t *prompt_of(json_t *row) {
    static const char *const keys[] = {"prompt", "question", "instruction", "text"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (json_object_get(row, keys[i]))
            return json_object_get(row, keys[i]);
    json_t *messages = json_object_get(row, "messages");
    messages = messages ? messages : json_object_get(row, "chosen");
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const char *role = json_string_value(json_object_get(json_array_get(messages, i), "role"));
        if (role && strcmp(role, "user") == 0)
            return json_array_get(messages, i);
    }
    return row;
}

static const char SPACES[] = " \n\t";

static size_t common_bytes(const char *a, const char *b) {
    size_t n = 0;
    while (a[n] && a[n] == b[n])
        n++;
    return n;
}

size_t row_common_words(const char *a, const char *b) {
    size_t n = common_bytes(a, b);
    while (n && !strchr(SPACES, a[n - 1]))
        n--;
    while (n && strchr(SPACES, a[n - 1]))
        n--;
    return a[n + strspn(a + n, SPACES)] && b[n + strspn(b + n, SPACES)] ? n : 0;
}

/* Bytes of the prompt of two texts, as far as it can be told from them; 0: they share no words. */
static size_t common_prompt(const char *a, const char *b, bool *guessed) {
    static const char mark[] = "\nAssistant:";
    const size_t n_mark = sizeof mark - 1, words = row_common_words(a, b);
    for (size_t n = words ? common_bytes(a, b) : 0; n >= n_mark; n--)
        if (memcmp(a + n - n_mark, mark, n_mark) == 0)
            return n;
    *guessed = words > 0;
    for (size_t n = words; n > 0; n--)
        if (strchr(".?!", a[n - 1]) ? strchr(SPACES, a[n]) != NULL : a[n] == '\n' && !strchr(SPACES, a[n - 1]))
            return n;
    return words;
}

agon_status row_prompt_hash(agon_ctx *ctx, json_t *row, hash256 *out, bool *guessed) {
    json_t *prompt = prompt_of(row);
    const char *sides[2] = {json_string_value(json_object_get(row, "chosen")), json_string_value(json_object_get(row, "rejected"))};
    bool unsure = false;
    size_t n = prompt == row && sides[0] && sides[1] ? common_prompt(sides[0], sides[1], &unsure) : 0;
    if (guessed)
        *guessed = unsure;
    if (n) {
        *out = hash_bytes(sides[0], n);
        return AGON_OK;
    }
    json_t *only = json_is_array(prompt) && json_array_size(prompt) == 1 ? json_array_get(prompt, 0) : prompt;
    const char *content = json_is_object(only) && only != row ? json_string_value(json_object_get(only, "content"))
                                                              : json_string_value(only);
    char *text = content ? NULL : json_canonical(prompt);
    if (!content && !text)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory reading a prompt");
    *out = hash_bytes(content ? content : text, strlen(content ? content : text));
    free(text);
    return AGON_OK;
}
