/* Where the files that come with agon are: the held-out texts and questions of data/. */
#ifndef BASE_SHARE_H
#define BASE_SHARE_H

#include "agon.h"

/* The path of a file that comes with agon ("data/held_out.txt"), *path new (free()): under AGON_SHARE when that is set
 * and nowhere else, otherwise in the source tree this was built from, otherwise where it was
 * installed. AGON_ENOTFOUND says where it looked. */
AGON_MUST_CHECK agon_status share_find(agon_ctx *ctx, const char *name, char **path);

/* The path of a file of the external data, under AGON_DATA; *path new (free()). AGON_ENOTFOUND: AGON_DATA is not set, or the
 * file is not in it. */
AGON_MUST_CHECK agon_status data_find(agon_ctx *ctx, const char *name, char **path);

#endif
