/* See yaml_read.h. */
#include "base/yaml_read.h"
#include "base/ctx.h"

agon_status yaml_read(agon_ctx *ctx, const char *where, const char *text, size_t n, yaml_document_t *out) {
    yaml_parser_t parser;
    agon_status s = AGON_OK;
    if (n > YAML_LIMIT)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: %zu bytes is too long for YAML to be read", where, n);
    if (!yaml_parser_initialize(&parser))
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory reading %s", where);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    if (!yaml_parser_load(&parser, out))
        s = ctx_fail(ctx, AGON_EFORMAT, "%s:%zu: not valid YAML: %s", where, parser.problem_mark.line + 1, parser.problem ? parser.problem : "unreadable");
    yaml_parser_delete(&parser);
    return s;
}
