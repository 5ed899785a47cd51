/* See share.h. The two folders are the build's; a moved installation sets AGON_SHARE. */
#include "base/share.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/file.h"
#include <stdlib.h>

#ifndef AGON_SOURCE_FOLDER
#define AGON_SOURCE_FOLDER "."
#endif
#ifndef AGON_SHARE_FOLDER
#define AGON_SHARE_FOLDER "/usr/local/share/agon"
#endif

/* *path new, NULL when the file is not in `folder`. */
static agon_status try_folder(agon_ctx *ctx, const char *folder, const char *name, char **path) {
    buffer b = {0};
    buffer_printf(&b, "%s/%s", folder, name);
    if (!(*path = buffer_take(&b)))
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for a path");
    if (!file_exists(*path)) {
        free(*path);
        *path = NULL;
    }
    return AGON_OK;
}

agon_status share_find(agon_ctx *ctx, const char *name, char **path) {
    const char *set = getenv("AGON_SHARE");
    const char *folders[] = {set && *set ? set : AGON_SOURCE_FOLDER, AGON_SHARE_FOLDER};
    char *found = NULL;
    for (size_t i = 0; !found && i < (set && *set ? 1 : 2); i++) {
        agon_status s = try_folder(ctx, folders[i], name, &found);
        if (s)
            return s;
    }
    if (found) {
        *path = found;
        return AGON_OK;
    }
    if (set && *set)
        return ctx_fail(ctx, AGON_ENOTFOUND, "AGON_SHARE is %.300s, which holds no %s", set, name);
    return ctx_fail(ctx, AGON_ENOTFOUND,
                    "%s is neither in %.300s nor in %.300s; set AGON_SHARE to the folder that holds it", name,
                    folders[0], folders[1]);
}

agon_status data_find(agon_ctx *ctx, const char *name, char **path) {
    const char *set = getenv("AGON_DATA");
    char *found = NULL;
    if (!set || !*set)
        return ctx_fail(ctx, AGON_ENOTFOUND, "%s is not part of agon; set AGON_DATA to the folder that holds it", name);
    agon_status s = try_folder(ctx, set, name, &found);
    if (s)
        return s;
    if (!found)
        return ctx_fail(ctx, AGON_ENOTFOUND, "AGON_DATA is %.300s, which holds no %s", set, name);
    *path = found;
    return AGON_OK;
}
