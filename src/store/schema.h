/* The workspace's schema: tables, triggers, readable views and their migrations. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include "agon.h"
#include <sqlite3.h>

enum {
    SCHEMA_APPLICATION_ID = 0x61676f6e, /* "agon" */
    SCHEMA_VERSION = 1,
    SCHEMA_MAX_COLUMNS = 24,
};

typedef enum record_kind {
    RECORD_TEXT,
    RECORD_VERIFICATION,
    RECORD_DECISION,
    RECORD_LABEL,
    RECORD_EXAMPLE,
    RECORD_CALIBRATION,
    RECORD_TEMPLATE,
    RECORD_VERSION,
    RECORD_VERSION_STATUS,
    RECORD_METRIC,
    RECORD_REVIEW,
    RECORD_GATE,
    RECORD_OBJECT,
    RECORD_N_KINDS
} record_kind;

/* A table of immutable records. `columns` are those that enter its content hash (in any order: the hash is over
 * sorted keys); id and created_ms are beside them. own_id: the id is given, not derived from the content. */
typedef struct record_table {
    const char *name;
    bool own_id;
    const char *columns[SCHEMA_MAX_COLUMNS]; /* NULL-terminated */
} record_table;

const record_table *schema_table(record_kind kind);
/* RECORD_N_KINDS when there is no such table. */
record_kind schema_find(const char *name);

/* A link table owner_target, filled from the owner's JSON list `column` when the owner is added. */
typedef struct record_link {
    const char *owner, *column, *target;
} record_link;

/* The i-th; NULL after the last. */
const record_link *schema_link(size_t i);

/* Part `part` of the SQL that takes a database from user_version `version` to the next; NULL after the last part. */
const char *schema_migration(int version, int part);
/* Turns the views of a database just made into those that workspaces of an earlier agon have. */
const char *schema_earlier_views(void);
const char *schema_ledger(void);

#endif
