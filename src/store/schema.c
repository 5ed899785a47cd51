/* The schema, see schema.h.
 *
 * Rules
 *   1. Record tables are append-only: every one has triggers that refuse UPDATE and DELETE. What changes over
 *      time (a version's status) is a new record; views show the latest.
 *   2. New columns are nullable and come by a migration: absent columns do not enter a content hash, so old
 *      ids stay valid.
 *   3. `descent` is the graph of what came from what. `sealed_descent` is everything below a record marked sealed;
 *      triggers keep it away from examples, calibrations and gates. It starts at the sealed rows (a partial index, as
 *      a rule empty), so the check costs next to nothing.
 *   4. Columns that hold JSON are TEXT, canonical.
 */
#include "store/schema.h"
#include <string.h>

static const record_table tables[RECORD_N_KINDS] = {
    [RECORD_TEXT] = {"text", false,
                     {"run", "iteration", "kind", "parent", "turn", "producer", "template", "family",
                      "cell", "slot", "oracle", "sealed", "body", "meta"}},
    [RECORD_VERIFICATION] = {"verification", false,
                             {"run", "iteration", "response", "checker", "outcome", "evidence", "meta"}},
    [RECORD_DECISION] = {"decision", false,
                         {"run", "iteration", "response", "route", "reason", "judge_index", "confidence",
                          "threshold", "propensity", "calibration", "meta"}},
    [RECORD_LABEL] = {"label", false,
                      {"run", "iteration", "target", "other", "kind", "value", "source", "producer",
                       "template", "calibration", "verification", "decision", "derived_from",
                       "supersedes", "purpose", "confidence_raw", "confidence", "propensity", "weight",
                       "seconds", "sealed", "meta"}},
    [RECORD_EXAMPLE] = {"example", false,
                        {"run", "iteration", "objective", "origin", "n_tokens", "fields", "labels",
                         "texts", "slot"}},
    [RECORD_CALIBRATION] = {"calibration", false,
                            {"run", "iteration", "critic", "family", "method", "n", "threshold",
                             "auroc", "ece", "brier", "error_bound", "parameters", "labels"}},
    [RECORD_TEMPLATE] = {"template", true, {"name", "version", "role", "body", "hash"}},
    [RECORD_VERSION] = {"model_version", true,
                        {"run", "iteration", "parent", "role", "object", "path", "base", "data_hash",
                         "config_hash", "numerics", "examples", "meta"}},
    [RECORD_VERSION_STATUS] = {"version_status", false,
                               {"run", "iteration", "version", "status", "reason", "held_out"}},
    [RECORD_METRIC] = {"metric", false,
                       {"run", "iteration", "name", "scope", "version", "n", "value", "low", "high",
                        "meta"}},
    [RECORD_REVIEW] = {"review_item", false,
                       {"run", "iteration", "kind", "query", "response", "other", "critique", "purpose",
                        "priority", "propensity", "meta"}},
    [RECORD_GATE] = {"gate", false,
                     {"run", "iteration", "candidate", "incumbent", "verdict", "reason", "figures",
                      "labels", "texts"}},
    [RECORD_OBJECT] = {"object", true, {"size"}},
};

const record_table *schema_table(record_kind kind) {
    return &tables[kind];
}

record_kind schema_find(const char *name) {
    int k = 0;
    while (k < RECORD_N_KINDS && strcmp(tables[k].name, name) != 0)
        k++;
    return (record_kind)k;
}

#define APPEND_ONLY(table)                                                                          \
    "CREATE TRIGGER " table "_no_update BEFORE UPDATE ON " table                                    \
    " BEGIN SELECT RAISE(ABORT, 'refused: " table " is append-only'); END;"                         \
    "CREATE TRIGGER " table "_no_delete BEFORE DELETE ON " table                                    \
    " BEGIN SELECT RAISE(ABORT, 'refused: " table " is append-only'); END;"

/* A link table from `owner` to what it was made of, filled from the owner's JSON column, so that the two cannot
 * differ, and guarded by the descent rule. */
#define LINK(owner, column, target)                                                                 \
    "CREATE TABLE " owner "_" target " ("                                                           \
    " " owner " TEXT NOT NULL REFERENCES " owner "(id),"                                            \
    " " target " TEXT NOT NULL REFERENCES " target "(id),"                                          \
    " PRIMARY KEY (" owner ", " target ")) STRICT, WITHOUT ROWID;"                                  \
    "CREATE INDEX " owner "_" target "_up ON " owner "_" target "(" target ");"                     \
    "CREATE TRIGGER " owner "_links_" column " AFTER INSERT ON " owner " BEGIN"                     \
    " INSERT OR IGNORE INTO " owner "_" target " SELECT NEW.id, value FROM json_each(NEW." column ");" \
    "END;" APPEND_ONLY(owner "_" target)

/* Each link table. */
#define LINKS(what)                                                                                 \
    what("example", "labels", "label") what("example", "texts", "text") what("gate", "labels", "label") \
    what("gate", "texts", "text") what("calibration", "labels", "label") what("model_version", "examples", "example")

#define LINK_ROW(owner, column, target) {owner, column, target},
static const record_link links[] = {LINKS(LINK_ROW)};

const record_link *schema_link(size_t i) {
    return i < sizeof links / sizeof *links ? &links[i] : NULL;
}

#define GUARD(owner, target)                                                                        \
    "CREATE TRIGGER " owner "_" target "_sealed BEFORE INSERT ON " owner "_" target                 \
    " WHEN EXISTS (SELECT 1 FROM sealed_descent WHERE id = NEW." target ")"                         \
    " BEGIN SELECT RAISE(ABORT, 'refused: the " target                                              \
    " descends from a sealed verifier answer and may not enter an " owner " (who may know the truth)'); END;"

static const char tables_sql[] =
    "CREATE TABLE run ("
    " id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, seed TEXT NOT NULL, config TEXT NOT NULL,"
    " hash TEXT NOT NULL, created_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE step ("
    " run TEXT NOT NULL REFERENCES run(id), seq INTEGER NOT NULL, path TEXT NOT NULL, item TEXT NOT NULL,"
    " attempt INTEGER NOT NULL, kind TEXT NOT NULL, shape TEXT NOT NULL CHECK (shape IN ('single', 'batch')),"
    " reproducible INTEGER NOT NULL, input TEXT, input_hash TEXT NOT NULL, result TEXT,"
    " result_hash TEXT NOT NULL, records TEXT NOT NULL, n_items INTEGER NOT NULL, prev TEXT NOT NULL,"
    " hash TEXT NOT NULL, created_ms INTEGER NOT NULL,"
    " PRIMARY KEY (run, seq), UNIQUE (run, path, item, attempt)) STRICT;"
    "CREATE TABLE step_item ("
    " run TEXT NOT NULL REFERENCES run(id), path TEXT NOT NULL, attempt INTEGER NOT NULL, item TEXT NOT NULL,"
    " position INTEGER NOT NULL, kind TEXT NOT NULL, reproducible INTEGER NOT NULL, input TEXT NOT NULL,"
    " input_hash TEXT NOT NULL, result TEXT NOT NULL, result_hash TEXT NOT NULL, records TEXT NOT NULL,"
    " hash TEXT NOT NULL, created_ms INTEGER NOT NULL,"
    " PRIMARY KEY (run, path, attempt, item), UNIQUE (run, path, attempt, position)) STRICT;"
    APPEND_ONLY("run") APPEND_ONLY("step") APPEND_ONLY("step_item")
    "CREATE TABLE checkpoint ("
    " run TEXT NOT NULL REFERENCES run(id), path TEXT NOT NULL, item TEXT NOT NULL, attempt INTEGER NOT NULL,"
    " n INTEGER NOT NULL, object TEXT NOT NULL, size INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    " PRIMARY KEY (run, path, item, attempt)) STRICT;"
    "CREATE TABLE progress ("
    " run TEXT PRIMARY KEY REFERENCES run(id), state TEXT NOT NULL, iteration INTEGER NOT NULL,"
    " stage TEXT NOT NULL, data TEXT, updated_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE event ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT REFERENCES run(id), iteration INTEGER NOT NULL,"
    " stage TEXT NOT NULL, message TEXT NOT NULL, data TEXT, time_ms INTEGER NOT NULL) STRICT;"

    "CREATE TABLE text ("
    " id TEXT PRIMARY KEY, run TEXT REFERENCES run(id), iteration INTEGER NOT NULL, kind TEXT NOT NULL,"
    " parent TEXT REFERENCES text(id), turn INTEGER NOT NULL, producer TEXT, template TEXT REFERENCES template(id),"
    " family TEXT, cell TEXT, slot TEXT, oracle TEXT CHECK (oracle IN ('open', 'sealed')),"
    " sealed INTEGER NOT NULL CHECK (sealed IN (0, 1)), body TEXT NOT NULL, meta TEXT,"
    " created_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX text_parent ON text(parent);"
    "CREATE INDEX text_kind ON text(run, iteration, kind);"
    "CREATE INDEX text_sealed ON text(id) WHERE sealed = 1;"
    "CREATE TABLE verification ("
    " id TEXT PRIMARY KEY, run TEXT REFERENCES run(id), iteration INTEGER NOT NULL,"
    " response TEXT NOT NULL REFERENCES text(id), checker TEXT NOT NULL,"
    " outcome TEXT NOT NULL CHECK (outcome IN ('pass', 'fail', 'unknown')), evidence TEXT, meta TEXT,"
    " created_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX verification_response ON verification(response);"
    "CREATE TABLE calibration ("
    " id TEXT PRIMARY KEY, run TEXT REFERENCES run(id), iteration INTEGER NOT NULL, critic TEXT, family TEXT,"
    " method TEXT NOT NULL, n INTEGER NOT NULL, threshold REAL, auroc REAL, ece REAL, brier REAL,"
    " error_bound REAL, parameters TEXT, labels TEXT, created_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE decision ("
    " id TEXT PRIMARY KEY, run TEXT REFERENCES run(id), iteration INTEGER NOT NULL,"
    " response TEXT NOT NULL REFERENCES text(id),"
    " route TEXT NOT NULL CHECK (route IN ('auto', 'escalate', 'audit', 'drop')), reason TEXT,"
    " judge_index INTEGER NOT NULL, confidence REAL, threshold REAL, propensity REAL,"
    " calibration TEXT REFERENCES calibration(id), meta TEXT, created_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX decision_response ON decision(response);"
    "CREATE TABLE label ("
    " id TEXT PRIMARY KEY, run TEXT REFERENCES run(id), iteration INTEGER NOT NULL,"
    " target TEXT NOT NULL REFERENCES text(id), other TEXT REFERENCES text(id),"
    " kind TEXT NOT NULL CHECK (kind IN ('point', 'pair', 'edit', 'span', 'demonstration')), value TEXT NOT NULL,"
    " source TEXT NOT NULL CHECK (source IN ('verifier', 'critic', 'cascade', 'principle', 'human',"
    " 'simulated', 'demonstration')),"
    " producer TEXT, template TEXT REFERENCES template(id), calibration TEXT REFERENCES calibration(id),"
    " verification TEXT REFERENCES verification(id), decision TEXT REFERENCES decision(id),"
    " derived_from TEXT REFERENCES label(id), supersedes TEXT REFERENCES label(id), purpose TEXT,"
    " confidence_raw REAL, confidence REAL, propensity REAL NOT NULL, weight REAL NOT NULL, seconds REAL,"
    " sealed INTEGER NOT NULL CHECK (sealed IN (0, 1)), meta TEXT, created_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX label_target ON label(target);"
    "CREATE INDEX label_other ON label(other);"
    "CREATE INDEX label_derived ON label(derived_from);"
    "CREATE INDEX label_source ON label(run, iteration, source);"
    "CREATE INDEX label_sealed ON label(id) WHERE sealed = 1;"
    "CREATE TABLE example ("
    " id TEXT PRIMARY KEY, run TEXT REFERENCES run(id), iteration INTEGER NOT NULL, objective TEXT NOT NULL,"
    " origin TEXT NOT NULL CHECK (origin IN ('real', 'replay', 'new')), n_tokens INTEGER NOT NULL,"
    " fields TEXT NOT NULL, labels TEXT, texts TEXT, slot TEXT, created_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX example_iteration ON example(run, iteration);"
    "CREATE TABLE template ("
    " id TEXT PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL, role TEXT, body TEXT NOT NULL,"
    " hash TEXT NOT NULL, created_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE model_version ("
    " id TEXT PRIMARY KEY, run TEXT REFERENCES run(id), iteration INTEGER NOT NULL,"
    " parent TEXT REFERENCES model_version(id), role TEXT NOT NULL, object TEXT REFERENCES object(id), path TEXT,"
    " base TEXT, data_hash TEXT, config_hash TEXT, numerics TEXT, examples TEXT, meta TEXT,"
    " created_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX model_version_parent ON model_version(parent);"
    "CREATE TABLE version_status ("
    " id TEXT PRIMARY KEY, run TEXT REFERENCES run(id), iteration INTEGER NOT NULL,"
    " version TEXT NOT NULL REFERENCES model_version(id),"
    " status TEXT NOT NULL CHECK (status IN ('base', 'candidate', 'promoted', 'rejected', 'rolled_back')),"
    " reason TEXT, held_out TEXT, created_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX version_status_version ON version_status(version);"
    "CREATE TABLE metric ("
    " id TEXT PRIMARY KEY, run TEXT REFERENCES run(id), iteration INTEGER NOT NULL, name TEXT NOT NULL,"
    " scope TEXT, version TEXT, n INTEGER NOT NULL, value REAL, low REAL, high REAL, meta TEXT,"
    " created_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX metric_name ON metric(run, name, iteration);"
    "CREATE TABLE review_item ("
    " id TEXT PRIMARY KEY, run TEXT REFERENCES run(id), iteration INTEGER NOT NULL, kind TEXT NOT NULL,"
    " query TEXT NOT NULL REFERENCES text(id), response TEXT REFERENCES text(id), other TEXT REFERENCES text(id),"
    " critique TEXT REFERENCES text(id), purpose TEXT, priority REAL, propensity REAL NOT NULL, meta TEXT,"
    " created_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE gate ("
    " id TEXT PRIMARY KEY, run TEXT REFERENCES run(id), iteration INTEGER NOT NULL,"
    " candidate TEXT NOT NULL REFERENCES model_version(id), incumbent TEXT REFERENCES model_version(id),"
    " verdict TEXT NOT NULL CHECK (verdict IN ('promote', 'reject')), reason TEXT, figures TEXT NOT NULL,"
    " labels TEXT, texts TEXT, created_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE object (id TEXT PRIMARY KEY, size INTEGER NOT NULL, created_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE counter ("
    " run TEXT NOT NULL REFERENCES run(id), name TEXT NOT NULL, value INTEGER NOT NULL,"
    " PRIMARY KEY (run, name)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE inbox ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT, review TEXT NOT NULL REFERENCES review_item(id),"
    " reviewer TEXT NOT NULL, seconds REAL, answer TEXT NOT NULL, time_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX inbox_review ON inbox(review);";

static const char rules_sql[] =
    APPEND_ONLY("text") APPEND_ONLY("verification") APPEND_ONLY("decision") APPEND_ONLY("label")
    APPEND_ONLY("example") APPEND_ONLY("calibration") APPEND_ONLY("template")
    APPEND_ONLY("model_version") APPEND_ONLY("version_status") APPEND_ONLY("metric")
    APPEND_ONLY("review_item") APPEND_ONLY("gate") APPEND_ONLY("object")
    LINKS(LINK)
    /* child came from parent, because ... */
    "CREATE VIEW descent AS"
    " SELECT id AS child, 'text' AS child_table, parent, 'text' AS parent_table, kind || ' of' AS because"
    "  FROM text WHERE parent IS NOT NULL"
    " UNION ALL SELECT id, 'text', producer, 'model_version', 'written by' FROM text"
    "  WHERE producer IN (SELECT id FROM model_version)"
    " UNION ALL SELECT id, 'text', template, 'template', 'prompted with' FROM text WHERE template IS NOT NULL"
    " UNION ALL SELECT id, 'verification', response, 'text', 'verdict on' FROM verification"
    " UNION ALL SELECT id, 'decision', response, 'text', 'decision on' FROM decision"
    " UNION ALL SELECT id, 'decision', calibration, 'calibration', 'calibrated by' FROM decision"
    "  WHERE calibration IS NOT NULL"
    " UNION ALL SELECT id, 'label', target, 'text', 'verdict on' FROM label"
    " UNION ALL SELECT id, 'label', other, 'text', 'compared with' FROM label WHERE other IS NOT NULL"
    " UNION ALL SELECT id, 'label', verification, 'verification', 'taken from' FROM label"
    "  WHERE verification IS NOT NULL"
    " UNION ALL SELECT id, 'label', decision, 'decision', 'routed by' FROM label WHERE decision IS NOT NULL"
    " UNION ALL SELECT id, 'label', calibration, 'calibration', 'calibrated by' FROM label"
    "  WHERE calibration IS NOT NULL"
    " UNION ALL SELECT id, 'label', derived_from, 'label', 'derived from' FROM label"
    "  WHERE derived_from IS NOT NULL"
    " UNION ALL SELECT id, 'label', producer, 'model_version', 'judged by' FROM label"
    "  WHERE producer IN (SELECT id FROM model_version)"
    " UNION ALL SELECT id, 'label', template, 'template', 'prompted with' FROM label WHERE template IS NOT NULL"
    " UNION ALL SELECT calibration, 'calibration', label, 'label', 'fitted on' FROM calibration_label"
    " UNION ALL SELECT example, 'example', label, 'label', 'labelled by' FROM example_label"
    " UNION ALL SELECT example, 'example', text, 'text', 'made of' FROM example_text"
    " UNION ALL SELECT model_version, 'model_version', example, 'example', 'trained on' FROM model_version_example"
    " UNION ALL SELECT id, 'model_version', parent, 'model_version', 'continues' FROM model_version"
    "  WHERE parent IS NOT NULL"
    " UNION ALL SELECT id, 'version_status', version, 'model_version', 'status of' FROM version_status"
    " UNION ALL SELECT gate, 'gate', label, 'label', 'counts' FROM gate_label"
    " UNION ALL SELECT gate, 'gate', text, 'text', 'counts' FROM gate_text"
    " UNION ALL SELECT id, 'gate', candidate, 'model_version', 'decides on' FROM gate"
    " UNION ALL SELECT id, 'gate', incumbent, 'model_version', 'compares with' FROM gate"
    "  WHERE incumbent IS NOT NULL"
    " UNION ALL SELECT id, 'review_item', query, 'text', 'asks about' FROM review_item"
    " UNION ALL SELECT id, 'review_item', response, 'text', 'asks about' FROM review_item"
    "  WHERE response IS NOT NULL;"
    /* Everything below a sealed record through what it says (not through who wrote it: a model's weights
     * are covered by the examples it was trained on). Written out edge by edge, parents indexed. */
    "CREATE VIEW sealed_descent AS WITH RECURSIVE below(id) AS ("
    " SELECT id FROM label WHERE sealed = 1 UNION SELECT id FROM text WHERE sealed = 1 UNION"
    " SELECT t.id FROM below b JOIN text t ON t.parent = b.id"
    " UNION SELECT l.id FROM below b JOIN label l ON l.target = b.id"
    " UNION SELECT l.id FROM below b JOIN label l ON l.other = b.id"
    " UNION SELECT l.id FROM below b JOIN label l ON l.derived_from = b.id"
    " UNION SELECT e.example FROM below b JOIN example_label e ON e.label = b.id"
    " UNION SELECT e.example FROM below b JOIN example_text e ON e.text = b.id"
    " UNION SELECT e.calibration FROM below b JOIN calibration_label e ON e.label = b.id"
    " UNION SELECT e.gate FROM below b JOIN gate_label e ON e.label = b.id"
    " UNION SELECT e.gate FROM below b JOIN gate_text e ON e.text = b.id"
    ") SELECT id FROM below;"
    "CREATE VIEW descent_violation AS"
    " SELECT id, 'example' AS record FROM example WHERE id IN (SELECT id FROM sealed_descent)"
    " UNION ALL SELECT id, 'gate' FROM gate WHERE id IN (SELECT id FROM sealed_descent)"
    " UNION ALL SELECT id, 'calibration' FROM calibration WHERE id IN (SELECT id FROM sealed_descent)"
    " UNION ALL SELECT v.id, 'verification' FROM verification v JOIN text t ON t.id = v.response"
    "  WHERE t.oracle = 'sealed'"
    " UNION ALL SELECT l.id, 'label' FROM label l JOIN text t ON t.id = l.target"
    "  WHERE l.source = 'verifier' AND l.sealed = 0 AND t.oracle = 'sealed';"
    GUARD("example", "label") GUARD("example", "text") GUARD("gate", "label") GUARD("gate", "text")
    GUARD("calibration", "label")
    "CREATE TRIGGER text_oracle BEFORE INSERT ON text"
    " WHEN NEW.oracle IS NOT 'sealed' AND (SELECT oracle FROM text WHERE id = NEW.parent) = 'sealed'"
    " BEGIN SELECT RAISE(ABORT, 'refused: a text under a sealed oracle must say so'); END;"
    "CREATE TRIGGER verification_sealed BEFORE INSERT ON verification"
    " WHEN (SELECT oracle FROM text WHERE id = NEW.response) = 'sealed' BEGIN SELECT RAISE(ABORT,"
    " 'refused: the verifier''s answer about a sealed text belongs in the ledger'); END;"
    "CREATE TRIGGER label_verifier_sealed BEFORE INSERT ON label"
    " WHEN NEW.source = 'verifier' AND NEW.sealed = 0"
    " AND (SELECT oracle FROM text WHERE id = NEW.target) = 'sealed' BEGIN SELECT RAISE(ABORT,"
    " 'refused: a verifier''s label on a sealed text must be marked sealed'); END;";

/* The query that a text belongs to: itself, or above it, past the critique and the draft that a refinement has. */
#define QUERY_OF(text)                                                                                               \
    "(WITH RECURSIVE up(id, kind, parent) AS (SELECT " text ".id, " text ".kind, " text ".parent UNION ALL"            \
    " SELECT a.id, a.kind, a.parent FROM up JOIN text a ON a.id = up.parent WHERE up.kind <> 'query')"                \
    " SELECT id FROM up WHERE kind = 'query')"

static const char views_sql[] =
    "CREATE VIEW labels_view AS SELECT l.id, r.name AS run, l.iteration, l.kind, l.value, l.source, l.producer,"
    " l.purpose, l.confidence, l.propensity, l.weight, coalesce(t.family, q.family) AS family,"
    " q.body AS query,"
    " CASE WHEN t.kind = 'query' THEN o.body ELSE t.body END AS response, o.body AS other, l.template, l.sealed"
    " FROM label l LEFT JOIN run r ON r.id = l.run JOIN text t ON t.id = l.target"
    " LEFT JOIN text q ON q.id = " QUERY_OF("t") " LEFT JOIN text o ON o.id = l.other;"
    "CREATE VIEW lineage AS SELECT v.rowid AS number, v.id, v.parent, v.role, v.iteration, v.run,"
    " s.status, s.reason, s.held_out, v.object, v.path"
    " FROM model_version v LEFT JOIN version_status s ON s.rowid ="
    " (SELECT max(rowid) FROM version_status WHERE version = v.id);"
    "CREATE VIEW answers AS SELECT t.id, r.name AS run, t.iteration, t.kind, t.producer,"
    " coalesce(t.family, q.family) AS family, q.body AS query, t.body AS response, v.outcome, v.evidence,"
    " d.route, d.confidence FROM text t LEFT JOIN run r ON r.id = t.run LEFT JOIN text q ON q.id = " QUERY_OF("t")
    " LEFT JOIN verification v ON v.response = t.id LEFT JOIN decision d ON d.response = t.id"
    " WHERE t.kind IN ('response', 'refinement');"
    "CREATE VIEW review_open AS SELECT i.*, q.body AS query_text, t.body AS response_text,"
    " o.body AS other_text, c.body AS critique_text FROM review_item i JOIN text q ON q.id = i.query"
    " LEFT JOIN text t ON t.id = i.response LEFT JOIN text o ON o.id = i.other"
    " LEFT JOIN text c ON c.id = i.critique"
    " WHERE NOT EXISTS (SELECT 1 FROM inbox WHERE review = i.id);"
    /* What each step settled; the journal's record lists hold it, so that the chain covers it. */
    "CREATE VIEW settlement AS SELECT s.run, s.path, s.item, s.attempt, json_extract(e.value, '$[1]') AS counter,"
    " json_extract(e.value, '$[2]') AS amount FROM"
    " (SELECT run, path, item, attempt, records FROM step UNION ALL"
    " SELECT run, path, item, attempt, records FROM step_item) s, json_each(s.records) e"
    " WHERE json_extract(e.value, '$[0]') = 'settlement';"
    "CREATE VIEW journal AS SELECT r.name AS run, s.seq, s.path, s.item, s.attempt, s.shape, s.n_items,"
    " s.hash, datetime(s.created_ms / 1000, 'unixepoch') AS written FROM step s JOIN run r ON r.id = s.run"
    " ORDER BY s.run, s.seq;";

/* Workspaces made before the views walked up to the query have these; they stay as they are. */
static const char earlier_views_sql[] =
    "DROP VIEW labels_view; DROP VIEW answers;"
    "CREATE VIEW labels_view AS SELECT l.id, r.name AS run, l.iteration, l.kind, l.value, l.source, l.producer,"
    " l.purpose, l.confidence, l.propensity, l.weight, coalesce(t.family, p.family) AS family,"
    " CASE WHEN t.kind = 'query' THEN t.body ELSE p.body END AS query,"
    " CASE WHEN t.kind = 'query' THEN o.body ELSE t.body END AS response, o.body AS other, l.template, l.sealed"
    " FROM label l LEFT JOIN run r ON r.id = l.run JOIN text t ON t.id = l.target"
    " LEFT JOIN text p ON p.id = t.parent LEFT JOIN text o ON o.id = l.other;"
    "CREATE VIEW answers AS SELECT t.id, r.name AS run, t.iteration, t.kind, t.producer,"
    " coalesce(t.family, q.family) AS family, q.body AS query, t.body AS response, v.outcome, v.evidence,"
    " d.route, d.confidence FROM text t LEFT JOIN run r ON r.id = t.run LEFT JOIN text q ON q.id = t.parent"
    " LEFT JOIN verification v ON v.response = t.id LEFT JOIN decision d ON d.response = t.id"
    " WHERE t.kind IN ('response', 'refinement');";

static const char ledger_sql[] =
    "CREATE TABLE IF NOT EXISTS ledger ("
    " run TEXT NOT NULL, response TEXT NOT NULL, checker TEXT NOT NULL,"
    " outcome TEXT NOT NULL CHECK (outcome IN ('pass', 'fail', 'unknown')), evidence TEXT, hash TEXT NOT NULL,"
    " PRIMARY KEY (run, response, checker)) STRICT;";

static const char *const first_schema[] = {tables_sql, rules_sql, views_sql};

const char *schema_migration(int version, int part) {
    enum { N_PARTS = sizeof first_schema / sizeof *first_schema };
    return version == 0 && part < N_PARTS ? first_schema[part] : NULL;
}

const char *schema_earlier_views(void) {
    return earlier_views_sql;
}

const char *schema_ledger(void) {
    return ledger_sql;
}
