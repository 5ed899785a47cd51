/* The gate's own critic: what joining it with people's verdicts gives, on made-up held-out answers; then whole runs, in which the learner is a tiny model trained
 * here and a reviewer judges by rules of their own. */
#include "recipe/loop_private.h"
#include "recipe_runs.h"
#include "store/store_internal.h"
#include "vectors.h"
#include <math.h>
#include <signal.h>
#include <sys/wait.h>

/* ---- the estimate -------------------------------------------------------------------------------------------------------------------------- */

enum { MOST = 1000 };

/* Held-out answers of two versions: `open` queries that only people can judge, of which people were asked about the first `asked`, then verified ones. The
 * versions never say the same. */
typedef struct bench {
    agon_ctx *ctx;
    cast cast;
    run_config config;
    loop l;
    held_out_result r;
    query queries[MOST];
    answer answers[2 * MOST];
    bool incumbent[MOST], candidate[MOST], same[MOST], base_unknown[MOST];
    held_out_verdict verdicts[2 * MOST];
    const char *labels[2 * MOST];
    size_t counted[MOST], left_to_people[MOST];
} bench;

enum { RULES = 12 };

static bench *bench_new(size_t open, size_t asked, size_t verified) {
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    const size_t n = open + verified;
    assert_true(n <= MOST);
    b->ctx = test_ctx(1, NULL);
    b->cast = (cast){.actors.ctx = b->ctx, .config = &b->config, .rules = RULES};
    b->l = (loop){.c = &b->cast, .config = &b->config, .held_out = {.items = b->queries, .n = n}, .held_out_answers = {.items = b->answers, .n = 2 * n}, .verdicts = b->verdicts};
    b->r = (held_out_result){.first = {0, 0, n}, .base = b->incumbent, .incumbent = b->incumbent, .same = b->same, .base_unknown = b->base_unknown, .labels = b->labels, .candidate = b->candidate, .counted = b->counted,
                             .left_to_people = b->left_to_people, .n_left_to_people = open, .n_asked = asked};
    for (size_t i = 0; i < n; i++) {
        b->queries[i].cell = i < open ? SIZE_MAX : 0;
        b->left_to_people[i] = i;
        b->answers[i].text = "as before";
        b->answers[n + i].text = "anew";
    }
    return b;
}

static void bench_free(bench *b) {
    agon_ctx_free(b->ctx);
    free(b);
}

/* What the gate's critic says of an item, and what a verifier or a person did: d in {-1, 0, 1}; counts: false where somebody skipped, or nobody was asked. */
static void set_item(bench *b, size_t i, double before, double after, int d, bool counts) {
    b->answers[i].p_raw = before;
    b->answers[b->l.held_out.n + i].p_raw = after;
    if (!counts)
        return;
    b->counted[b->r.n] = i;
    b->incumbent[b->r.n] = d < 0;
    b->candidate[b->r.n++] = d > 0;
}

static void join__of_the_vector__gives_its_estimate(void **state) {
    (void)state;
    json_t *all = vectors_load("gate_vectors.json");
    const json_t *v = json_object_get(all, "gate.ppi_paired"), *e = json_object_get(v, "expected"), *range = json_object_get(e, "interval95");
    const double tol = vectors_number(v, "tol");
    size_t n_rest, n;
    double *rest = vectors_list(json_object_get(v, "unlabelled_judge_difference"), &n_rest), *judge = vectors_list(json_object_get(v, "labelled_judge_difference"), &n),
           *truth = vectors_list(json_object_get(v, "labelled_true_difference"), &n);
    bench *b = bench_new(n + n_rest, n, 0);
    gain_estimate g = {0};
    for (size_t i = 0; i < n + n_rest; i++) {
        const double h = i < n ? judge[i] : rest[i - n];
        set_item(b, i, fmax(-h, 0), fmax(h, 0), i < n ? (int)truth[i] : 0, i < n);
    }
    assert_ok(b->ctx, loop_join_verdicts(&b->l, &b->r, 0.025, &g));
    assert_true(g.made && g.reported.n_known == 0 && g.reported.n_labelled == n && g.reported.n_unlabelled == n_rest);
    assert_close(g.reported.lambda, vectors_number(e, "lambda"), tol);
    assert_close(g.reported.tuned.estimate, vectors_number(e, "estimate"), tol);
    assert_close(g.reported.tuned.standard_error, vectors_number(e, "standard_error"), tol);
    assert_close(g.reported.tuned.range.low, json_number_value(json_array_get(range, 0)), tol);
    assert_close(g.reported.tuned.range.high, json_number_value(json_array_get(range, 1)), tol);
    assert_close(g.reported.labels_only.estimate, vectors_number(e, "labels_only_estimate"), tol);
    assert_close(g.decides.tuned.range.low, json_number_value(json_array_get(range, 0)), tol); /* at twice 0.025 */
    bench_free(b);
    free(rest);
    free(judge);
    free(truth);
    json_decref(all);
}

/* Of queries that are held out together one speaks, the first in the file and not the one that was drawn for people; before rules 24 each did. */
static void join__of_rows_that_go_together__takes_one(void **state) {
    (void)state;
    size_t sets[] = {0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 11};
    for (int64_t rules = 23; rules <= 24; rules++) {
        bench *b = bench_new(8, 4, 4);
        gain_estimate g = {0};
        b->cast.rules = rules;
        b->l.file_sets = sets;
        b->l.n_file_held_out = 12;
        b->left_to_people[0] = 1; /* drawn; its set's first was not */
        b->left_to_people[7] = 0;
        for (size_t k = 1; k < 7; k++)
            b->left_to_people[k] = k + 1;
        for (size_t i = 0; i < 12; i++)
            set_item(b, i, 0.2, 0.8, (int)(i % 2), (i > 0 && i < 5) || i >= 8);
        assert_ok(b->ctx, loop_join_verdicts(&b->l, &b->r, 0.05, &g));
        assert_int_equal(g.reported.n_labelled, rules == 23 ? 4 : 2); /* of 1, 2, 3, 4: 2 and 4 */
        assert_int_equal(g.reported.n_unlabelled, rules == 23 ? 4 : 2);
        assert_int_equal(g.reported.n_known, rules == 23 ? 4 : 3);
        assert_close(g.reported.labels_only.estimate, rules == 23 ? 0.5 : 1 / 3. * 3 / 7, 1e-12); /* labelled 2 and 4: 0; known 8, 10, 11: 0, 0, 1, of 7 in all */
        bench_free(b);
    }
}

/* Equal words differ in nothing whatever the critic says, no answer is a wrong one, and an abstention favours nobody. */
static void join__of_answers_that_need_no_critic__does_not_read_it(void **state) {
    (void)state;
    bench *b = bench_new(8, 4, 2);
    const size_t n = 10;
    gain_estimate g = {0};
    for (size_t i = 0; i < n; i++)
        set_item(b, i, 0.2, 0.8, (int)(i % 2), i < 4 || i >= 8);
    b->answers[n + 4].text = "as before";
    b->answers[n + 5].text = "";
    b->answers[n + 6].p_raw = NAN;
    b->answers[n + 7].p_raw = NAN;
    assert_ok(b->ctx, loop_join_verdicts(&b->l, &b->r, 0.05, &g));
    /* Judge differences: 0.6 four times, 0, -0.2, 0.3, 0.3; of the verified, 0 and 1. */
    assert_close(g.reported.judge_only.estimate, 0.2 * 0.5 + 0.8 * (4 * 0.6 - 0.2 + 0.3 + 0.3) / 8, 1e-12);
    assert_int_equal(g.reported.n_known, 2);
    bench_free(b);
}

/* A judge passes a right answer with `true_pass`, a wrong one with `false_pass`; `favour` is added for the candidate. */
typedef struct judge {
    double true_pass, false_pass, favour;
} judge;

typedef struct gates {
    int promoted, judge_promoted;
    double width; /* mean, against people alone */
} gates;

static bool happens(rng *r, double p) {
    return rng_uniform(r) < p;
}

static void judge_by_hand(bench *b, size_t place, const char *text, bool right) {
    b->verdicts[b->l.n_verdicts++] = (held_out_verdict){.place = place, .text = text, .label = "", .right = right};
}

/* `runs` gates, each of 400 open queries, 100 of them asked about, and 60 verified ones, the candidate truly better by `gain` of all. rambles: share of what the
 * candidate gets wrong that it answers so that nobody can judge it: it is skipped, and the critic loves it. */
static gates simulate(const judge *j, double gain, double rambles, int64_t rules, uint64_t seed, int runs) {
    enum { OPEN = 400, ASKED = 100, VERIFIED = 60 };
    gates out = {0};
    bench *b = bench_new(OPEN, ASKED, VERIFIED);
    rng r = rng_new(seed);
    b->cast.rules = rules;
    for (int k = 0; k < runs; k++) {
        gain_estimate g = {0};
        b->r.n = b->r.n_labels = b->l.n_verdicts = 0;
        for (size_t i = 0; i < OPEN + VERIFIED; i++) {
            const bool before = happens(&r, 0.4), other = happens(&r, 0.4), kept = happens(&r, 0.6) ? before : other, mended = happens(&r, gain / 0.6), after = kept || mended;
            const bool skipped = happens(&r, rambles) && i < OPEN && !after;
            const double p_before = happens(&r, before ? j->true_pass : j->false_pass), p_after = happens(&r, (after ? j->true_pass : j->false_pass) + j->favour);
            set_item(b, i, p_before, skipped ? 1 : p_after, after - before, i >= OPEN);
            if (i >= ASKED)
                continue;
            judge_by_hand(b, i, "as before", before);
            if (!skipped)
                judge_by_hand(b, i, "anew", after);
            b->counted[i] = HELD_OUT_VERSIONS;
            loop_count_place(&b->l, &b->r, i);
            if (b->counted[i] < HELD_OUT_VERSIONS)
                set_item(b, i, p_before, skipped ? 1 : p_after, b->candidate[i] - b->incumbent[i], true);
        }
        assert_ok(b->ctx, loop_join_verdicts(&b->l, &b->r, 0.05, &g));
        out.promoted += g.decides.tuned.range.low > 0;
        out.judge_promoted += g.decides.judge_only.range.low > 0;
        out.width += g.reported.tuned.standard_error / g.reported.labels_only.standard_error / runs;
    }
    bench_free(b);
    return out;
}

/* gate.md, acceptance: a null candidate is promoted at no more than alpha, also where the critic favours it; a good critic narrows the interval, one that tells
 * nothing costs nothing, and a gain is let through. */
static void join__a_null_candidate__is_promoted_no_more_than_alpha(void **state) {
    (void)state;
    enum { RUNS = 1000, FEW = 300 };
    static const judge good = {0.9, 0.1, 0}, useless = {0.5, 0.5, 0}, partial = {0.75, 0.3, 0.1}, bribed = {0.75, 0.3, 0.25};
    static const judge *const all[] = {&good, &useless, &partial, &bribed};
    const double most = 0.05 + 2 * sqrt(0.05 * 0.95 / RUNS);
    for (size_t k = 0; k < 4; k++) {
        const gates null = simulate(all[k], 0, 0, RULES, 40 + k, RUNS), better = simulate(all[k], 0.15, 0, RULES, 50 + k, FEW);
        assert_true(null.promoted <= most * RUNS && null.promoted >= 0.03 * RUNS);
        assert_true(better.promoted >= 0.7 * FEW);
        assert_true(all[k] == &good ? null.width < 0.85 : null.width < 1.01);
        assert_true(all[k] != &bribed || null.judge_promoted > 0.9 * RUNS);
    }
    /* What the candidate gets wrong and people skip is wrong. */
    for (int k = 1; k <= 3; k++)
        assert_true(simulate(&good, 0, 0.2 * k, RULES, 60 + (uint64_t)k, RUNS).promoted <= most * RUNS);
    assert_true(simulate(&good, 0, 0.6, 11, 63, RUNS).promoted > 0.15 * RUNS); /* before, it hid what was lost */
}

/* ---- whole runs ---------------------------------------------------------------------------------------------------------------------------- */

static const char *run_yaml(stand *x, const char *file, int iterations, const char *human, const char *gate) {
    return arena_printf(x->memory,
                        "name: own\niterations: %d\ntasks: {file: %s}\nlearner: {samples: 1, max_tokens: 6}\ncritic: {examples: 40, epochs: 1, lr: 0.01}\n"
                        "refine: {queries: 0, learnability: 0}\nhuman: {backend: queue, audits: 0, demonstrations: 0, %s}\ntrain: {rank: 2, batch: 4, epochs: 2, lr: 0.05}\n"
                        "build: {documents: 2, real_share: 0}\nevaluate: {tasks: 6, general: 0, documents: 0, gsm8k: 0}\ngate: {monitor_prompts: 2, approval_items: 20%s}\n",
                        iterations, file, human, gate);
}

/* The open items of that kind: accepted where the SQL expression over t, the answer's text record, holds. */
static size_t review(stand *x, const char *kind, const char *accept) {
    json_t *items = NULL, *item, *verdicts[] = {json_pack("{ss}", "verdict", "reject"), json_pack("{ss}", "verdict", "accept")};
    const char *sql = arena_printf(x->memory, "SELECT o.id, (%s) AS good FROM review_open o JOIN text t ON t.id = o.response WHERE o.kind = '%s' ORDER BY o.id", accept, kind);
    assert_ok(x->ctx, store_query_json(x->store, sql, NULL, &items));
    const size_t n = json_array_size(items);
    size_t i;
    json_array_foreach(items, i, item)
        assert_ok(x->ctx, store_inbox_add(x->store, field_text(item, "id"), "reviewer-1", 3, verdicts[field_int(item, "good") != 0]));
    json_decref(items);
    json_decref(verdicts[0]);
    json_decref(verdicts[1]);
    return n;
}

#define BY_CANDIDATE "t.producer = (SELECT id FROM model_version WHERE role = 'learner' ORDER BY rowid DESC LIMIT 1)"
#define GATE_CRITICS "(SELECT json_extract(result, '$.version') FROM step WHERE path LIKE '%/gate_critic/train')"

static json_t *run_to_state(stand *x, const char *yaml, const char *state) {
    json_t *summary = run_well(x, yaml);
    assert_string_equal(field_text(summary, "state"), state);
    return summary;
}

static void run_until_it_waits(stand *x, const char *yaml) {
    json_decref(run_to_state(x, yaml, "waiting"));
}

static const json_t *g1_of(const json_t *summary) {
    return json_object_get(json_object_get(json_object_get(summary, "gate"), "figures"), "G1");
}

static const char labels_and_items[] = "labels: 1400, gate_items: 100", critic[] = ", critic: true";

static void gate__with_a_critic_of_its_own__joins_it_with_people(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    const char *file = own_file(x, 640, 60, "."), *yaml = run_yaml(x, file, 1, labels_and_items, critic);
    run_until_it_waits(x, yaml);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step WHERE path LIKE '%gate_critic%'"), 0); /* nothing to train the learner on yet */
    assert_true(review(x, "verdict", "instr(t.body, 'a') % 2") > 400);
    run_until_it_waits(x, yaml);
    /* It was taught before the learner was trained, and nobody has seen what it makes of held-out answers. */
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step a, step b WHERE a.path = 'iteration/1/gate_critic/train' AND b.path = 'iteration/1/train' AND a.seq < b.seq"), 1);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step WHERE path = 'iteration/1/gate/judge'"), 0);
    assert_int_equal(stand_count(x, "SELECT count(DISTINCT query) FROM review_item WHERE kind = 'held_out'"), 100);
    review(x, "held_out", BY_CANDIDATE);
    json_t *summary = run_to_state(x, yaml, "done");
    const json_t *g1 = g1_of(summary), *judged = json_object_get(g1, "judged"), *report = json_object_get(summary, "gate_critic");
    assert_string_equal(field_text(g1, "test"), "prediction-powered inference, lower bound above 0");
    assert_true(field_true(g1, "holds") && field_real(g1, "lower_bound") > 0);
    assert_int_equal(field_int(g1, "labelled"), 100);
    assert_int_equal(field_int(g1, "unlabelled"), field_int(judged, "left_to_people") - 100);
    assert_true(field_int(g1, "unlabelled") > 10 && field_int(g1, "known") > 3);
    assert_int_equal(field_int(g1, "known"), field_int(judged, "verifier"));
    assert_true(field_real(g1, "lambda") >= 0 && field_real(g1, "lambda") <= 1);
    assert_int_equal(field_int(report, "taught"), field_int(report, "taught_by_people")); /* there are more of those than it may learn */
    assert_true(field_int(report, "taught") >= 20 && field_int(report, "taught") <= 40 && field_int(report, "examined") == 40);
    /* All the answers are judged that differ, people's part and the rest alike. */
    const int64_t judgements = stand_count(x, "SELECT count(*) FROM step_item WHERE path = 'iteration/1/gate/judge'");
    assert_true(judgements > 200 && judgements <= 2 * (100 + field_int(g1, "unlabelled")));
    /* Over-approval is the other critic's, whom the candidate learnt to please. */
#define JUDGED_BY(step, whom) "SELECT count(*) FROM step_item WHERE path = 'iteration/1/" step "/judge' AND json_extract(input, '$.version') " whom
    assert_int_equal(stand_count(x, JUDGED_BY("gate", "NOT IN " GATE_CRITICS)), 0);
    assert_int_equal(stand_count(x, JUDGED_BY("approval", "IN " GATE_CRITICS)), 0);
    assert_true(stand_count(x, JUDGED_BY("approval", "IS NOT NULL")) >= 20);
    json_decref(summary);
    /* A finished run says the same again and does nothing. */
    const int64_t steps = stand_count(x, "SELECT count(*) FROM step");
    json_decref(run_to_state(x, yaml, "done"));
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step"), steps);
    /* In the next iteration people's verdicts teach both critics, each those of one half of the queries; what they said at the gate teaches none. */
    yaml = run_yaml(x, file, 2, labels_and_items, critic);
    run_until_it_waits(x, yaml);
    assert_true(stand_count(x, "SELECT count(*) FROM model_version WHERE role = 'critic'") >= 3);
    assert_true(stand_count(x, "SELECT count(*) FROM step WHERE path = 'iteration/2/critic/train'") == 1);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM model_version_example a JOIN example_text s ON s.example = a.example JOIN example_text t ON t.text = s.text"
                                    " JOIN model_version_example b ON b.example = t.example JOIN model_version v ON v.id = b.model_version"
                                    " WHERE a.model_version IN " GATE_CRITICS " AND v.role = 'critic' AND v.id NOT IN " GATE_CRITICS), 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM example_label e JOIN label l ON l.id = e.label WHERE l.purpose = 'gate'"), 0);
    journal_report books;
    assert_ok(x->ctx, journal_verify(x->ctx, x->store, &books));
    assert_string_equal(books.problem, "");
    stand_free(x);
}

/* A training that changes no word: nobody is asked and nothing judged; the hundred that were drawn for people are labelled, each with no difference. */
static void gate__with_a_critic__of_the_same_words_asks_nobody(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    const char *lr = "train: {rank: 2, batch: 4, epochs: 2, lr: 0.05}", *yaml = run_yaml(x, own_file(x, 640, 60, "."), 1, labels_and_items, critic), *at = strstr(yaml, lr);
    assert_non_null(at);
    yaml = arena_printf(x->memory, "%.*strain: {rank: 2, batch: 4, epochs: 1, lr: 1e-9}%s", (int)(at - yaml), yaml, at + strlen(lr));
    run_until_it_waits(x, yaml);
    review(x, "verdict", "instr(t.body, 'a') % 2");
    json_t *summary = run_to_state(x, yaml, "done");
    const json_t *g1 = g1_of(summary), *table = json_object_get(g1, "table");
    assert_int_equal(stand_count(x, "SELECT count(*) FROM review_item WHERE kind = 'held_out'"), 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step WHERE path = 'iteration/1/gate/judge'"), 0);
    assert_int_equal(field_int(g1, "labelled"), 100);
    assert_true(field_int(g1, "unlabelled") > 10);
    assert_int_equal(field_int(table, "same"), 100);
    assert_int_equal(field_int(table, "n"), 100 + field_int(g1, "known"));
    assert_true(field_real(g1, "lower_bound") == 0 && !field_true(g1, "holds"));
    json_decref(summary);
    stand_free(x);
}

/* Too few are asked, or there are no more to ask the critic about: the exact test of what was judged, and why. */
static void gate__where_there_is_nothing_to_join__counts_what_was_judged(void **state) {
    (void)state;
    static const char *const why[] = {"not asked: people were asked about fewer than 100 held-out queries", NULL};
    for (int k = 0; k < 2; k++) {
        stand *x = stand_new(NULL);
        const char *yaml = run_yaml(x, own_file(x, 90, 10, "."), 1, "labels: 400, gate_items: 100", k == 0 ? critic : "");
        run_until_it_waits(x, yaml);
        review(x, "verdict", "instr(t.body, 'a') % 2");
        run_until_it_waits(x, yaml);
        review(x, "held_out", BY_CANDIDATE);
        json_t *summary = run_to_state(x, yaml, "done");
        const json_t *g1 = g1_of(summary);
        assert_string_equal(field_text(g1, "test"), "one-sided exact McNemar");
        assert_string_equal(field_text(g1, "critic"), why[k] ? why[k] : "");
        assert_true(field_true(g1, "holds"));
        assert_int_equal(json_object_get(summary, "gate_critic") != NULL, k == 0);
        assert_int_equal(stand_count(x, "SELECT count(*) > 0 FROM step WHERE path LIKE '%gate_critic%'"), k == 0);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM step WHERE path LIKE '%gate/judge'"), 0);
        json_decref(summary);
        stand_free(x);
    }
}

typedef struct bomb {
    long left; /* progress calls until the process dies */
} bomb;

static void tick(void *arg, const recipe_progress *progress) {
    (void)progress;
    if (--((bomb *)arg)->left == 0)
        raise(SIGKILL);
}

/* Runs in a child that dies at its k-th progress call; false: it came to its end before. */
static bool is_killed(stand *x, const char *yaml, long k) {
    stand_close(x);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        agon_ctx *ctx = test_ctx(1, NULL);
        run_config *config = NULL;
        store *s = NULL;
        json_t *summary = NULL;
        char path[2048];
        bomb b = {k};
        golden_path(path, "tiny-text.gguf");
        agon_status status = run_file_parse(ctx, "test.yaml", yaml, strlen(yaml), &config);
        if (!status && !(config->model = strdup(path)))
            status = AGON_ENOMEM;
        if (!status)
            status = store_open(ctx, x->folder, STORE_RUN, &s);
        if (!status)
            status = recipe_run(ctx, s, config, tick, &b, &summary);
        _exit(status ? 1 : 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    stand_open(x);
    return WIFSIGNALED(status);
}

static void kill_often(stand *x, const char *yaml, int least) {
    int n = 0;
    for (long k = 3; is_killed(x, yaml, k); k = k * 2 - 1)
        n++;
    assert_true(n >= least);
}

static char *head_of(stand *x) {
    json_t *rows = NULL;
    assert_ok(x->ctx, store_query_json(x->store, "SELECT hash FROM step s WHERE run = (SELECT id FROM run WHERE name = 'own') ORDER BY seq DESC LIMIT 1", NULL, &rows));
    char *hash = strdup(field_text(json_array_get(rows, 0), "hash"));
    json_decref(rows);
    return hash;
}

/* Killed while the critics and the learner are trained, and while the gate's critic judges: the journal ends with the same hash as one of nobody's harm, and what
 * is recorded is computed again to the bit. */
static void gate__killed_anywhere__ends_the_same(void **state) {
    (void)state;
    stand *whole = stand_new(NULL), *x = stand_new(NULL);
    json_t *again = NULL;
    const char *yaml = run_yaml(whole, own_file(whole, 640, 60, "."), 1, labels_and_items, critic);
    stand *const both[] = {whole, x};
    for (int k = 0; k < 2; k++) {
        run_until_it_waits(both[k], yaml);
        review(both[k], "verdict", "instr(t.body, 'a') % 2");
        if (both[k] == x)
            kill_often(x, yaml, 4);
        run_until_it_waits(both[k], yaml);
        review(both[k], "held_out", BY_CANDIDATE);
        if (both[k] == x)
            kill_often(x, yaml, 4);
        json_decref(run_to_state(both[k], yaml, "done"));
    }
    char *expected = head_of(whole), *found = head_of(x);
    assert_string_equal(found, expected);
    assert_ok(x->ctx, recipe_reexecute(x->ctx, x->store, "own", 60, 1, &again));
    assert_true(field_int(again, "executed") >= 50 && field_int(again, "executed") == field_int(again, "equal"));
    json_decref(again);
    free(expected);
    free(found);
    stand_free(x);
    stand_free(whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(join__of_the_vector__gives_its_estimate),
        cmocka_unit_test(join__of_rows_that_go_together__takes_one),
        cmocka_unit_test(join__of_answers_that_need_no_critic__does_not_read_it),
        cmocka_unit_test(join__a_null_candidate__is_promoted_no_more_than_alpha),
        cmocka_unit_test(gate__with_a_critic_of_its_own__joins_it_with_people),
        cmocka_unit_test(gate__with_a_critic__of_the_same_words_asks_nobody),
        cmocka_unit_test(gate__where_there_is_nothing_to_join__counts_what_was_judged),
        cmocka_unit_test(gate__killed_anywhere__ends_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
