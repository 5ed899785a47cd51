/* Run files, see run_file.h. libyaml parses; run_file_keys.h knows the keys. */
#include "recipe/run_file.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/nearest.h"
#include "eval/interval.h"
#include "objective/objective.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { LIMIT_BYTES = 1 << 20 };

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
    bool seen[N_KEYS];
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
    double value = strtod(text, &end);
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
        if (r->seen[i])
            return ctx_fail(r->ctx, AGON_EINVAL, "%s:%zu: '%s' stands twice", r->where, line_of(name),
                            word);
        r->seen[i] = true;
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

static bool is_given(const reader *r, const char *section, const char *name) {
    for (size_t i = 0; i < N_KEYS; i++)
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
            return r->seen[i];
    return false;
}

/* Rows of the user's own, with any objective: what the file does not say is as in agon train, not as in the loop, whose rate and
 * passes are those of short answers to its own tasks. */
static void train_recipe_presets(reader *r) {
    run_config *c = r->config;
    if (strcmp(c->recipe, "train") != 0)
        return;
    if (!is_given(r, "train", "lr"))
        c->train.lr = 1e-4;
    if (!is_given(r, "train", "epochs"))
        c->train.epochs = 1;
    if (!is_given(r, "train", "warmup"))
        c->train.warmup = 0.03;
    if (!is_given(r, "train", "max_length"))
        c->train.max_length = 2048;
    if (!is_given(r, "train", "lora_alpha"))
        c->train.lora_alpha = 2 * (double)c->train.rank;
}

static agon_status check_objective(reader *r) {
    const run_config *c = r->config;
    const char *names[64], *wanted = c->train.objective;
    size_t n = 0;
    for (; n < 64 && objective_at(n); n++)
        names[n] = objective_at(n)->name;
    const objective *o = objective_find(wanted);
    if (!o) {
        const char *near = nearest_word(wanted, names, n);
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: train.objective: there is no objective '%.60s'%s%s%s; agon train --help names them", r->where,
                        wanted, near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    if (strcmp(c->recipe, "sealed") == 0 && !(o->needs & TAKES_ANSWERS))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: train.objective: the sealed recipe makes single answers, no pairs, which %s cannot learn from; set "
                        "'objective: sft', or take 'recipe: loop'", r->where, wanted);
    bool pairs = o->rows == ROW_PAIR && (o->needs & ~(unsigned)(NEEDS_REFERENCE | OBJECTIVE_TRAITS)) == 0;
    if (strcmp(c->recipe, "loop") == 0 && !(o->needs & TAKES_ANSWERS) && !pairs)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: train.objective: the loop makes answers (sft) and pairs (dpo and its kin), which %s cannot "
                        "learn from alone; agon train and 'recipe: train' take rows of your own", r->where, wanted);
    double options[MAX_OBJECTIVE_OPTIONS];
    agon_status s = objective_configure(r->ctx, o, (const char *const *)c->train.set.items, c->train.set.n, options);
    char why[400];
    snprintf(why, sizeof why, "%s", agon_error(r->ctx));
    return s ? ctx_fail(r->ctx, s, "%s: train.set: %s", r->where, why) : AGON_OK;
}

/* The name stands in every table of the workspace and is shown in one line. */
static agon_status check_name(const reader *r) {
    enum { MOST = 100 };
    const char *name = r->config->name;
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++)
        n = (unsigned char)name[i] < ' ' || name[i] == 127 ? 0 : n;
    if (n == 0 || n > MOST)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: 'name' must be 1 to %d bytes without control characters", r->where, (int)MOST);
    return AGON_OK;
}

/* Ends of ranges that the statistics behind a key do not have, where the run would come to need them. */
static agon_status check_ends(const reader *r) {
    const run_config *c = r->config;
    bool trains = strcmp(c->recipe, "train") == 0, sealed = strcmp(c->recipe, "sealed") == 0;
    const struct {
        bool used;
        double value, above, below;
        const char *key, *range, *instead;
    } ends[] = {
        {sealed || c->critic.examples > 0, c->critic.alpha, 0, 1, "critic.alpha", "above 0 and below 1",
         "for a critic that never decides alone set critic.least_calibration: 1000000"},
        {c->evaluate.general > 0, c->gate.general_margin, -1, 1, "gate.general_margin", "below 1",
         "evaluate.general: 0 leaves these questions out"},
        {c->evaluate.gsm8k + c->evaluate.ifeval + c->evaluate.xstest_safe > 0, c->gate.task_margin, -1, 1, "gate.task_margin", "below 1",
         "0 items of gsm8k, ifeval and xstest_safe (section evaluate) leave the suites out"},
        {c->evaluate.xstest_unsafe > 0, c->gate.safety_margin, -1, 1, "gate.safety_margin", "below 1", "evaluate.xstest_unsafe: 0 leaves the suite out"},
        {c->evaluate.documents > 0, c->gate.perplexity_margin, 0, 2, "gate.perplexity_margin", "above 0",
         "for no rise at all set a very small one, such as 0.000001"},
    };
    for (size_t i = 0; !trains && i < sizeof ends / sizeof *ends; i++)
        if (ends[i].used && !(ends[i].value > ends[i].above && ends[i].value < ends[i].below))
            return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s must be %s, not %g; %s", r->where, ends[i].key, ends[i].range, ends[i].value, ends[i].instead);
    return AGON_OK;
}

/* Bounds that no outcome of so few items can meet would reject every candidate. */
static agon_status check_bounds(const reader *r) {
    const run_config *c = r->config;
    size_t n = (size_t)c->evaluate.xstest_unsafe, audits = (size_t)c->human.audits;
    if (strcmp(c->recipe, "train") == 0)
        return AGON_OK;
    if (n > 0 && c->gate.safety_limit < clopper_pearson_upper(0, n, 0.05))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: gate.safety_limit: %zu prompts without one failure show a share below %.4f, not %g; raise the limit (1: none)%s",
                        r->where, n, clopper_pearson_upper(0, n, 0.05), c->gate.safety_limit, n < 200 ? " or evaluate.xstest_unsafe" : "");
    if (c->gate.audit_agreement == 0)
        return AGON_OK;
    if (strcmp(c->recipe, "sealed") == 0)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: gate.audit_agreement: the sealed recipe audits no labels; leave the line out", r->where);
    if (c->gate.audit_agreement > clopper_pearson_lower(audits, audits, 0.05))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: gate.audit_agreement: %zu audits that all agree show %.3f, not %g; raise human.audits or lower the share",
                        r->where, audits, clopper_pearson_lower(audits, audits, 0.05), c->gate.audit_agreement);
    return AGON_OK;
}

/* What single values cannot show: keys that contradict one another. */
static agon_status check_together(reader *r) {
    const run_config *c = r->config;
    int64_t parts = c->human.audits + c->human.demonstrations + c->human.calibration +
                    2 * c->human.gate_items;
    if (parts > c->human.labels)
        return ctx_fail(r->ctx, AGON_EINVAL,
                        "%s: human.audits + demonstrations + calibration + 2 x gate_items = %lld is more "
                        "than human.labels = %lld; raise labels or lower a part",
                        r->where, (long long)parts, (long long)c->human.labels);
    bool train_recipe = strcmp(c->recipe, "train") == 0;
    if (train_recipe != (c->train.data != NULL))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: 'recipe: train' and 'train: {data: FILE.jsonl}' go together", r->where);
    if (train_recipe && (c->iterations != 1 || strcmp(c->learner.by.backend, "local") != 0))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: the recipe train is one training of the local model; set 'iterations: 1' and "
                        "'learner: {backend: local}'", r->where);
    bool sealed_recipe = strcmp(c->recipe, "sealed") == 0, sealed_oracle = strcmp(c->oracle, "sealed") == 0;
    if (sealed_recipe != sealed_oracle)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: 'recipe: sealed' and 'oracle: sealed' go together",
                        r->where);
    if (sealed_recipe && strcmp(c->human.backend, "simulated") != 0)
        return ctx_fail(r->ctx, AGON_EINVAL,
                        "%s: the sealed recipe asks the simulated expert only; set 'human: {backend: simulated}'", r->where);
    if (sealed_recipe && strcmp(c->learner.by.backend, "local") != 0)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: the sealed recipe trains the learner; set 'learner: {backend: local}'",
                        r->where);
    if (sealed_recipe && c->tasks.file)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: the sealed recipe draws its queries and reads no 'tasks.file'", r->where);
    if (c->verifier.command && !c->tasks.file)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: verifier.command judges your own queries; name them in 'tasks.file'", r->where);
    if (sealed_recipe && c->iterations != 1)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: the sealed recipe is one iteration; set 'iterations: 1'", r->where);
    if (sealed_recipe && (c->human.gate_items < 2 || c->evaluate.tasks < c->human.gate_items + 2))
        return ctx_fail(r->ctx, AGON_EINVAL,
                        "%s: the sealed gate needs at least 2 labelled items (human.gate_items; 100 for a promotion) and 2 more "
                        "in evaluate.tasks",
                        r->where);
    if (sealed_recipe && c->human.calibration < 2)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: human.calibration: the sealed recipe's two critics learn from expert labels, one each at least, not %lld; "
                        "set human.calibration, such as 200", r->where, (long long)c->human.calibration);
    if (c->evaluate.documents == 1)
        return ctx_fail(r->ctx, AGON_EINVAL,
                        "%s: evaluate.documents must be 0 or at least 2: an interval needs two", r->where);
    return AGON_OK;
}

static agon_status parse_document(reader *r) {
    agon_ctx *ctx = r->ctx;
    r->config = calloc(1, sizeof *r->config);
    if (!r->config)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    agon_status s = set_presets(r);
    yaml_node_t *root = yaml_document_get_root_node(&r->document);
    if (!s && (!root || root->type != YAML_MAPPING_NODE))
        s = ctx_fail(ctx, AGON_EFORMAT, "%s: a run file holds 'key: value' lines", r->where);
    if (!s)
        s = read_mapping(r, "", root);
    if (!s)
        train_recipe_presets(r);
    if (!s)
        s = check_name(r);
    if (!s)
        s = check_together(r);
    if (!s)
        s = check_ends(r);
    if (!s)
        s = check_bounds(r);
    if (!s)
        s = check_objective(r);
    if (!s)
        s = set_text(ctx, &r->config->source, r->where);
    return s;
}

agon_status run_file_parse(agon_ctx *ctx, const char *where, const char *text, size_t n,
                           run_config **out) {
    reader r = {.ctx = ctx, .where = where};
    yaml_parser_t parser;
    if (n > LIMIT_BYTES)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: %zu bytes is too long for a run file", where, n);
    if (!yaml_parser_initialize(&parser))
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    agon_status s;
    if (yaml_parser_load(&parser, &r.document)) {
        s = parse_document(&r);
        yaml_document_delete(&r.document);
    } else {
        s = ctx_fail(ctx, AGON_EFORMAT, "%s:%zu: not valid YAML: %s", where, parser.problem_mark.line + 1,
                     parser.problem ? parser.problem : "unreadable");
    }
    yaml_parser_delete(&parser);
    if (s) {
        run_config_free(r.config);
        return s;
    }
    *out = r.config;
    return AGON_OK;
}

agon_status run_file_read(agon_ctx *ctx, const char *path, run_config **out) {
    char *text;
    size_t n;
    agon_status s = file_read(ctx, path, LIMIT_BYTES, &text, &n);
    if (s)
        return s;
    s = run_file_parse(ctx, path, text, n, out);
    free(text);
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

/* Values that the file did not have. */
static void drop_absent(json_t *object) {
    const char *name;
    json_t *value;
    void *next;
    json_object_foreach_safe(object, next, name, value) {
        if (json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0))
            json_object_del(object, name);
        else if (json_is_object(value))
            drop_absent(value);
    }
}

/* JSON is YAML, so the reader of run files reads it. */
agon_status run_config_from_json(agon_ctx *ctx, const char *where, const json_t *json, const char *model,
                                 run_config **out) {
    json_t *copy = json_deep_copy(json);
    run_config *config = NULL;
    if (copy)
        drop_absent(copy);
    char *text = copy ? json_dumps(copy, 0) : NULL;
    agon_status s = text ? run_file_parse(ctx, where, text, strlen(text), &config)
                         : ctx_fail(ctx, AGON_EFORMAT, "%s is not JSON", where);
    if (!s && model && *model)
        s = set_text(ctx, &config->model, model);
    free(text);
    json_decref(copy);
    if (s)
        run_config_free(config);
    else
        *out = config;
    return s;
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

char *run_file_write(const run_config *c) {
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
