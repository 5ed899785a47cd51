/* How much memory there is, so that what cannot fit is refused before it begins. */
#ifndef BASE_AVAILABLE_H
#define BASE_AVAILABLE_H

#include "base/ctx.h"

/* Bytes the system can still give this process: MemAvailable, the room in every control group above it (version 1 and 2), and
 * what RLIMIT_AS and RLIMIT_DATA leave, whichever is least. SIZE_MAX: not known. `root` is put in front of /proc and /sys; "" outside tests. */
size_t memory_available(const char *root);
/* Processors' worth of time that n_threads threads get at most: of those this process may use, and of what a control group (version 2) leaves it. */
double available_processors(const char *root, int n_threads);
/* Bytes of this process that are in memory now; 0: not known. */
size_t memory_resident(void);
/* Bytes this context may still take: memory_available, or what is left of the limit it was given. SIZE_MAX: no limit. */
size_t memory_room(const agon_ctx *ctx);
/* AGON_ENOMEM when `what` ("training on rows of 512 tokens") needs more bytes than there is room for; `mend` says what would help. */
AGON_MUST_CHECK agon_status memory_check(agon_ctx *ctx, size_t bytes, const char *what, const char *mend);

#endif
