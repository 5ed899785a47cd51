/* What `agon run` shows while it works: a view redrawn in place, plain lines, JSON lines, or nothing. */
#ifndef CLI_LIVE_H
#define CLI_LIVE_H

#include "agon.h"
#include <jansson.h>

typedef enum live_mode { LIVE_SCREEN, LIVE_PLAIN, LIVE_JSON, LIVE_QUIET } live_mode;

typedef struct live live;
/* New; NULL on memory. `title` borrowed. */
live *live_new(live_mode mode, const char *title);
/* An agon_run_observer whose arg is the live. */
void live_observe(void *arg, const agon_progress *p);
void live_free(live *l); /* leaves what the last drawing shows on the screen */

/* Seconds as "8 s", "3 min 05 s", "2 h 10 min". */
const char *duration_text(double seconds, char out[32]);

/* The closing table of a run from its summary. */
void print_summary(FILE *to, const json_t *summary);
/* "27.0 %" for fractions, three digits for anything above 1, "-" where there is no number. */
const char *share_text(const json_t *value, char out[24]);

#endif
