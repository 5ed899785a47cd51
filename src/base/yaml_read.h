/* YAML from text, by libyaml. */
#ifndef BASE_YAML_READ_H
#define BASE_YAML_READ_H

#include "agon.h"
#include <stddef.h>
#include <yaml.h>

enum { YAML_LIMIT = 1 << 20 };

/* The first document of text [n], at most YAML_LIMIT bytes; yaml_document_delete(out) after AGON_OK. AGON_EFORMAT begins with `where` and the line. */
AGON_MUST_CHECK agon_status yaml_read(agon_ctx *ctx, const char *where, const char *text, size_t n, yaml_document_t *out);

#endif
