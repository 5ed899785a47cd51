/* Prompt templates: id, version, hash, and fences that data cannot break (spec: loop 0.4, 8.2).
 *
 * Four kinds of field: {!name} puts a text in place as it is (a learner's query: that one is the
 * instruction), {name} puts it neutralised, {>name} neutralised with "> " before each of its lines but
 * the first (the short forms for models below about 1B parameters: no line of the text can pass for one
 * of the template's), and {{name}} neutralised inside a fence,
 *
 *     <<DATA 0123456789abcdef answer>>
 *     ...
 *     <<END 0123456789abcdef>>
 *
 * whose 16-digit nonce follows from the step's seed and occurs in none of the fields. Neutralised
 * text keeps its meaning for a reader, but no longer holds special tokens (<|im_end|>, </s>,
 * [INST], ...), fence marks or, inside fences, verdict marks ([[10]]): a backslash splits them. In {>name}
 * whatever a reader may take for the end of a line is one, and words with digits (<SPECIAL_20>) are split too.
 * Fields are cut at PROMPT_FIELD_MAX bytes. */
#ifndef ROLE_PROMPT_H
#define ROLE_PROMPT_H

#include "agon.h"

enum { PROMPT_FIELD_MAX = 16 * 1024 };

typedef struct prompt_template {
    const char *name, *version, *id; /* id: name "@" version, as records have it */
    const char *role;                /* attacker, learner, critic */
    const char *body;
} prompt_template;

size_t prompt_n_templates(void);
const prompt_template *prompt_template_at(size_t i);
/* By name the newest version, or by id. Asserts that it exists: names are constants of this program. */
const prompt_template *prompt_find(const char *name);

typedef struct prompt_field {
    const char *name, *text;
} prompt_field;

/* *out new. AGON_EINVAL: a field of the template was not given. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status prompt_render(agon_ctx *ctx, const prompt_template *t,
                                          const prompt_field *fields, size_t n_fields,
                                          uint64_t seed, char **out);

typedef enum prompt_form {
    PROMPT_SHORT,  /* {name} */
    PROMPT_LINES,  /* {>name} */
    PROMPT_FENCED, /* {{name}} */
} prompt_form;
/* A field's text in this form, without the fence itself, cut at PROMPT_FIELD_MAX bytes, or at `most` of them. New string, NULL on memory. */
char *prompt_neutralise(const char *text, prompt_form form);
char *prompt_neutralise_long(const char *text, prompt_form form, size_t most);

#endif
