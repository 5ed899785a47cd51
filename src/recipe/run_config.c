/* What a run file says, see run_config.h. libyaml parses; run_file_keys.h knows the keys. */
#include "recipe/run_config.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/decimal.h"
#include "base/nearest.h"
#include "base/yaml_read.h"
#include "recipe/recipes.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum key_type { KEY_TEXT, KEY_INT, KEY_REAL, KEY_BOOL, KEY_LIST, KEY_CHOICE } key_type;

typedef struct key {
    const char *section; /* "" at the top level */
    const char *name;
    key_type type;
    size_t offset;
    const char *preset; /* default, as it would stand in the file; NULL: none */
    double min, max;
    const char *comment;
} key;

#define KEY(section, name, type, member, preset, min, max, comment)                                  \
    {section, name, type, offsetof(run_config, member), preset, min, max, comment},
static const key keys[] = {
#include "recipe/run_file_keys.h"
};
#undef KEY
enum { N_KEYS = sizeof keys / sizeof *keys };

static const char *const sections[] = {"tasks", "verifier", "attacker", "learner", "critic", "refine", "human",
                                       "build", "train",    "evaluate", "gate"};
enum { N_SECTIONS = sizeof sections / sizeof *sections };

typedef struct reader {
    agon_ctx *ctx;
    const char *where;
    yaml_document_t document;
    run_config *config;
} reader;

static size_t line_of(const yaml_node_t *node) {
    return node->start_mark.line + 1;
}

static void *slot(run_config *c, const key *k) {
    return (char *)c + k->offset;
}

static agon_status set_text(agon_ctx *ctx, char **to, const char *text) {
    char *copy = strdup(text);
    if (!copy)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    free(*to);
    *to = copy;
    return AGON_OK;
}

static bool is_choice(const key *k, const char *value) {
    const char *p = k->comment, *end = strchr(p, ':');
    size_t n = strlen(value);
    while (p < end) {
        size_t length = strcspn(p, "|:");
        if (length == n && strncmp(p, value, n) == 0)
            return true;
        p += length + 1;
    }
    return false;
}

static agon_status set_number(reader *r, const key *k, const char *text, size_t line) {
    char *end;
    errno = 0;
    double value = decimal_read(text, &end);
    if (end == text || *end || errno || !isfinite(value) || (k->type == KEY_INT && value != floor(value)))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s:%zu: '%s' must be %s, not '%.60s'", r->where, line,
                        k->name, k->type == KEY_INT ? "a whole number" : "a number", text);
    if (value < k->min || value > k->max)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s:%zu: '%s' must be between %g and %g, not %.60s", r->where,
                        line, k->name, k->min, k->max, text);
    if (k->type == KEY_INT)
        *(int64_t *)slot(r->config, k) = (int64_t)value;
    else
        *(double *)slot(r->config, k) = value;
    return AGON_OK;
}

static agon_status set_scalar(reader *r, const key *k, const char *text, size_t line) {
    switch (k->type) {
    case KEY_INT:
    case KEY_REAL:
        return set_number(r, k, text, line);
    case KEY_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return ctx_fail(r->ctx, AGON_EINVAL, "%s:%zu: '%s' must be true or false, not '%.60s'",
                            r->where, line, k->name, text);
        *(bool *)slot(r->config, k) = text[0] == 't';
        return AGON_OK;
    case KEY_CHOICE:
        if (!is_choice(k, text))
            return ctx_fail(r->ctx, AGON_EINVAL, "%s:%zu: '%s' must be one of %.*s, not '%.60s'", r->where,
                            line, k->name, (int)strcspn(k->comment, ":"), k->comment, text);
        return set_text(r->ctx, slot(r->config, k), text);
    case KEY_TEXT:
        return set_text(r->ctx, slot(r->config, k), text);
    case KEY_LIST:
        break;
    }
    return ctx_fail(r->ctx, AGON_EINVAL, "%s:%zu: '%s' must be a list, [a, b]", r->where, line, k->name);
}

static agon_status set_list(reader *r, const key *k, yaml_node_t *node) {
    text_items *list = slot(r->config, k);
    size_t n = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (n == 0) /* it would mean all of them, or the usual ones */
        return ctx_fail(r->ctx, AGON_EINVAL, "%s:%zu: '%s' is an empty list; name one or more, or leave the line out", r->where, line_of(node), k->name);
    list->items = calloc(n, sizeof *list->items);
    if (!list->items)
        return ctx_fail(r->ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        yaml_node_t *item = yaml_document_get_node(&r->document, node->data.sequence.items.start[i]);
        if (!item || item->type != YAML_SCALAR_NODE)
            return ctx_fail(r->ctx, AGON_EINVAL, "%s:%zu: '%s' must be a list of words", r->where,
                            line_of(node), k->name);
        agon_status s = set_text(r->ctx, &list->items[i], (char *)item->data.scalar.value);
        if (s)
            return s;
        list->n = i + 1;
    }
    return AGON_OK;
}

static agon_status unknown_key(reader *r, const char *section, const char *name, size_t line) {
    const char *names[N_KEYS + N_SECTIONS];
    size_t n = 0;
    for (size_t i = 0; i < N_KEYS; i++)
        if (strcmp(keys[i].section, section) == 0)
            names[n++] = keys[i].name;
    for (size_t i = 0; !*section && i < N_SECTIONS; i++)
        names[n++] = sections[i];
    if (!*section && strcmp(name, "experiment") == 0)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s is the file of an experiment; agon experiment takes it", r->where);
    const char *near = nearest_word(name, names, n);
    return ctx_fail(r->ctx, AGON_EINVAL, "%s:%zu: unknown key '%.60s'%s%s%s%s%s%s", r->where, line, name,
                    *section ? " in section '" : "", section, *section ? "'" : "",
                    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static agon_status read_mapping(reader *r, const char *section, yaml_node_t *node);

/* YAML's null, in all its forms; in quotes they are texts. */
static bool is_null(const yaml_node_t *node) {
    static const char *const forms[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp((const char *)node->data.scalar.value, forms[i]) == 0)
            return true;
    return false;
}

static agon_status read_pair(reader *r, const char *section, yaml_node_t *name, yaml_node_t *value) {
    if (name->type != YAML_SCALAR_NODE)
        return ctx_fail(r->ctx, AGON_EFORMAT, "%s:%zu: a key must be a word", r->where, line_of(name));
    const char *word = (char *)name->data.scalar.value;
    for (size_t i = 0; !*section && i < N_SECTIONS; i++)
        if (strcmp(word, sections[i]) == 0) {
            if (value->type == YAML_SCALAR_NODE && value->data.scalar.length == 0)
                return AGON_OK; /* all of its lines are comments */
            if (value->type != YAML_MAPPING_NODE)
                return ctx_fail(r->ctx, AGON_EINVAL, "%s:%zu: section '%s' must hold 'key: value' lines",
                                r->where, line_of(name), word);
            return read_mapping(r, sections[i], value);
        }
    for (size_t i = 0; i < N_KEYS; i++) {
        const key *k = &keys[i];
        if (strcmp(k->section, section) != 0 || strcmp(k->name, word) != 0)
            continue;
        if (r->config->given[i])
            return ctx_fail(r->ctx, AGON_EINVAL, "%s:%zu: '%s' stands twice", r->where, line_of(name),
                            word);
        r->config->given[i] = true;
        if (k->type == KEY_LIST && value->type == YAML_SEQUENCE_NODE)
            return set_list(r, k, value);
        if (value->type != YAML_SCALAR_NODE)
            return ctx_fail(r->ctx, AGON_EINVAL, "%s:%zu: '%s' must be a single value", r->where,
                            line_of(value), word);
        if (is_null(value))
            return ctx_fail(r->ctx, AGON_EINVAL, "%s:%zu: '%s' has no value; give one, or leave the line out", r->where, line_of(name), word);
        return set_scalar(r, k, (char *)value->data.scalar.value, line_of(value));
    }
    return unknown_key(r, section, word, line_of(name));
}

static agon_status read_mapping(reader *r, const char *section, yaml_node_t *node) {
    agon_status s = AGON_OK;
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start; !s && p < node->data.mapping.pairs.top;
         p++)
        s = read_pair(r, section, yaml_document_get_node(&r->document, p->key),
                      yaml_document_get_node(&r->document, p->value));
    return s;
}

static agon_status set_presets(reader *r) {
    agon_status s = AGON_OK;
    for (size_t i = 0; !s && i < N_KEYS; i++)
        if (keys[i].preset)
            s = set_scalar(r, &keys[i], keys[i].preset, 0);
    return s;
}

bool run_config_gives(const run_config *c, const char *section, const char *name) {
    for (size_t i = 0; i < N_KEYS; i++)
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
            return c->given[i];
    return false;
}

agon_status run_config_parse(agon_ctx *ctx, const char *where, const char *text, size_t n, run_config **out) {
    reader r = {.ctx = ctx, .where = where, .config = calloc(1, sizeof *r.config)};
    if (!r.config || !(r.config->given = calloc(N_KEYS, sizeof *r.config->given))) {
        run_config_free(r.config);
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    }
    agon_status s = set_text(ctx, &r.config->source, where);
    if (!s)
        s = set_presets(&r);
    if (!s)
        s = yaml_read(ctx, where, text, n, &r.document);
    if (!s) {
        yaml_node_t *root = yaml_document_get_root_node(&r.document);
        s = root && root->type == YAML_MAPPING_NODE ? read_mapping(&r, "", root)
                                                    : ctx_fail(ctx, AGON_EFORMAT, "%s: a run file holds 'key: value' lines", where);
        yaml_document_delete(&r.document);
    }
    if (s)
        run_config_free(r.config);
    else
        *out = r.config;
    return s;
}

void run_config_free(run_config *c) {
    if (!c)
        return;
    for (size_t i = 0; i < N_KEYS; i++) {
        if (keys[i].type == KEY_TEXT || keys[i].type == KEY_CHOICE)
            free(*(char **)slot(c, &keys[i]));
        if (keys[i].type == KEY_LIST) {
            text_items *list = slot(c, &keys[i]);
            for (size_t j = 0; j < list->n; j++)
                free(list->items[j]);
            free(list->items);
        }
    }
    free(c->given);
    free(c->source);
    free(c);
}

static json_t *value_json(const run_config *c, const key *k) {
    const void *p = (const char *)c + k->offset;
    switch (k->type) {
    case KEY_INT:
        return json_integer(*(const int64_t *)p);
    case KEY_REAL:
        return json_real(*(const double *)p);
    case KEY_BOOL:
        return json_boolean(*(const bool *)p);
    case KEY_TEXT:
    case KEY_CHOICE:
        return *(char *const *)p ? json_string(*(char *const *)p) : json_null();
    case KEY_LIST:
        break;
    }
    json_t *list = json_array();
    const text_items *items = p;
    for (size_t i = 0; i < items->n; i++)
        json_array_append_new(list, json_string(items->items[i]));
    return list;
}

bool run_config_is_preset(const run_config *c, const char *section, const char *name) {
    size_t i = 0;
    while (i < N_KEYS && (strcmp(keys[i].section, section) != 0 || strcmp(keys[i].name, name) != 0))
        i++;
    json_t *value = i < N_KEYS ? value_json(c, &keys[i]) : NULL;
    const char *preset = value ? keys[i].preset : NULL, *text = json_string_value(value);
    bool same = !preset              ? json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0)
                : json_is_number(value)  ? json_number_value(value) == decimal_read(preset, NULL)
                : json_is_boolean(value) ? json_is_true(value) == (preset[0] == 't')
                                         : text && strcmp(text, preset) == 0;
    json_decref(value);
    return same;
}

json_t *run_config_json(const run_config *c) {
    json_t *all = json_object();
    for (size_t i = 0; all && i < N_KEYS; i++) {
        json_t *to = all;
        if (*keys[i].section) {
            if (!json_object_get(all, keys[i].section))
                json_object_set_new(all, keys[i].section, json_object());
            to = json_object_get(all, keys[i].section);
        }
        json_object_set_new(to, keys[i].name, value_json(c, &keys[i]));
    }
    return all;
}

/* Writes the value as YAML; false when there is none (the line is then a comment). */
static bool write_value(buffer *b, const run_config *c, const key *k) {
    const void *p = (const char *)c + k->offset;
    if (k->type == KEY_INT)
        return buffer_printf(b, "%lld", (long long)*(const int64_t *)p);
    if (k->type == KEY_REAL)
        return buffer_printf(b, "%.10g", *(const double *)p);
    if (k->type == KEY_BOOL)
        return buffer_text(b, *(const bool *)p ? "true" : "false");
    if (k->type == KEY_CHOICE)
        return buffer_text(b, *(char *const *)p);
    json_t *value = value_json(c, k);
    bool present = !json_is_null(value) && !(json_is_array(value) && json_array_size(value) == 0);
    char *text = json_dumps(value, JSON_ENCODE_ANY); /* JSON is YAML */
    if (present && text)
        buffer_text(b, text);
    free(text);
    json_decref(value);
    return present;
}

char *run_config_write(const run_config *c) {
    buffer out = {0}, line = {0};
    const char *section = "";
    for (size_t i = 0; i < N_KEYS; i++) {
        const key *k = &keys[i];
        if (strcmp(k->section, section) != 0) {
            section = k->section;
            buffer_printf(&out, "\n%s:\n", section);
        }
        buffer_clear(&line);
        buffer_printf(&line, "%s: ", k->name);
        bool present = write_value(&line, c, k);
        buffer_printf(&out, "%s%s%-34s # %s\n", *section ? "  " : "", present ? "" : "# ",
                      line.data ? line.data : "", k->comment);
    }
    buffer_free(&line);
    return buffer_take(&out);
}
