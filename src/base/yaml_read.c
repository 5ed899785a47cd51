/* See yaml_read.h. */
#include "base/yaml_read.h"
#include "base/ctx.h"

enum { MOST_DEPTH = 64 }; /* what is nested deeper takes libyaml quadratic time: a megabyte of "[" a quarter of an hour */

/* What is no YAML at all is for yaml_parser_load to say. */
static agon_status check_depth(agon_ctx *ctx, const char *where, yaml_parser_t *parser) {
    yaml_event_t event = {0};
    bool more = true;
    for (int depth = 0; more && yaml_parser_parse(parser, &event); yaml_event_delete(&event)) {
        depth += event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_MAPPING_START_EVENT;
        depth -= event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
        more = event.type != YAML_DOCUMENT_END_EVENT && event.type != YAML_STREAM_END_EVENT;
        if (depth > MOST_DEPTH) {
            const size_t line = event.start_mark.line + 1;
            yaml_event_delete(&event);
            return ctx_fail(ctx, AGON_EFORMAT, "%s:%zu: values are nested deeper than %d here", where, line, MOST_DEPTH);
        }
    }
    return AGON_OK;
}

agon_status yaml_read(agon_ctx *ctx, const char *where, const char *text, size_t n, yaml_document_t *out) {
    yaml_parser_t parser;
    agon_status s = AGON_OK;
    if (n > YAML_LIMIT)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: %zu bytes is too long for YAML to be read", where, n);
    if (!yaml_parser_initialize(&parser))
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory reading %s", where);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    s = check_depth(ctx, where, &parser);
    yaml_parser_delete(&parser);
    if (s)
        return s;
    if (!yaml_parser_initialize(&parser))
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory reading %s", where);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    if (!yaml_parser_load(&parser, out))
        s = ctx_fail(ctx, AGON_EFORMAT, "%s:%zu: not valid YAML: %s", where, parser.problem_mark.line + 1, parser.problem ? parser.problem : "unreadable");
    yaml_parser_delete(&parser);
    return s;
}
