/* What the API's files on workspaces share. */
#ifndef API_WORKSPACES_H
#define API_WORKSPACES_H

#include "store/store.h"

/* Opens the workspace of a public call (NULL: the only one here). *out new: store_close. */
AGON_MUST_CHECK agon_status workspaces_open(agon_ctx *ctx, const char *workspace, store_mode mode, store **out);

#endif
