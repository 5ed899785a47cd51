/* Opening who a file says answers for a role. See backend.h. */
#include "base/ctx.h"
#include "role/backend.h"
#include <string.h>

static bool is(const backend_config *c, const char *name) {
    return strcmp(c->backend, name) == 0;
}

agon_status backend_config_check(agon_ctx *ctx, const char *role, const backend_config *c) {
    if (is(c, "remote") && (!c->url || !c->name))
        return ctx_fail(ctx, AGON_EINVAL, "%s: backend remote needs url and name", role);
    if (is(c, "command") && !c->command)
        return ctx_fail(ctx, AGON_EINVAL, "%s: backend command needs command", role);
    if (is(c, "scripted") && !c->script)
        return ctx_fail(ctx, AGON_EINVAL, "%s: backend scripted needs script", role);
    if (!is(c, "remote") && !is(c, "command") && !is(c, "scripted") && !is(c, "local"))
        return ctx_fail(ctx, AGON_EINVAL, "%s: backend is '%.40s'; it must be local, remote, command or scripted", role, c->backend);
    return AGON_OK;
}

agon_status backend_open(agon_ctx *ctx, const char *role, const backend_config *c, const model *m, backend **out) {
    json_t *script = NULL;
    agon_status s = backend_config_check(ctx, role, c);
    if (s)
        return s;
    if (is(c, "remote")) {
        const backend_remote_options o = {.url = c->url, .model = c->name, .key_env = c->key_env, .timeout_seconds = c->timeout,
                                          .per_minute = c->per_minute};
        return backend_remote_new(ctx, &o, out);
    }
    if (is(c, "command"))
        return backend_command_new(ctx, c->command, c->timeout, out);
    if (is(c, "local"))
        return backend_local_new(ctx, m, 0, out);
    s = json_read_file(ctx, c->script, &script);
    if (!s)
        s = backend_scripted_new(ctx, script, out);
    json_decref(script);
    return s;
}
