/* How the loop's critic earns trust from what people judged, and how audits are drawn: a file of queries that nobody can verify, programs or a tiny model as
 * roles, and a reviewer who accepts what says "good". */
#include "recipe_runs.h"
#include "store/store_internal.h"
#include "role_program.h"

static const char *opinions_file(stand *x, size_t n) {
    const char *text = "";
    for (size_t i = 0; i < n; i++)
        text = arena_printf(x->memory, "%s{\"query\": \"What do you think of the number %zu and more?\"}\n", text, i);
    return write_file(x, "own.jsonl", text);
}

/* Good about even numbers, bad about others. */
static const char learner_program[] =
    EACH_LINE("case \"$line\" in *[02468]' and more'*) a='a good answer';; *) a='a bad answer';; esac;"
              SAY("\\\"completions\\\":[\\\"$a\\\"]"));
/* Knows which is which; and one that calls all of them right. */
static const char knowing_critic[] =
    EACH_LINE("case \"$line\" in *'good answer'*) v=pass;; *) v=fail;; esac;"
              SAY("\\\"verdict\\\":\\\"$v\\\",\\\"confidence\\\":0.9,\\\"evidence\\\":\\\"so it says\\\""));
static const char pleased_critic[] = EACH_LINE(SAY("\\\"verdict\\\":\\\"pass\\\",\\\"confidence\\\":0.9,\\\"evidence\\\":\\\"so it says\\\""));

/* The reviewer answers all that is open of this iteration and kind, accepting what says "good", or every fifth; how many. */
static size_t review_as(stand *x, int iteration, const char *kind, bool reads) {
    json_t *items = NULL, *item, *accept = json_pack("{ss}", "verdict", "accept"), *reject = json_pack("{ss}", "verdict", "reject");
    size_t i, n;
    const char *sql = arena_printf(x->memory, "SELECT i.id, instr(t.body, 'good') AS good FROM review_item i JOIN text t ON t.id = i.response"
                                              " WHERE i.iteration = %d AND i.kind = '%s'", iteration, kind);
    assert_ok(x->ctx, store_query_json(x->store, sql, NULL, &items));
    n = json_array_size(items);
    json_array_foreach(items, i, item)
        assert_ok(x->ctx, store_inbox_add(x->store, field_text(item, "id"), "reviewer-1", 3, (reads ? field_int(item, "good") > 0 : i % 5 == 0) ? accept : reject));
    json_decref(items);
    json_decref(accept);
    json_decref(reject);
    return n;
}

static size_t review(stand *x, int iteration, const char *kind) {
    return review_as(x, iteration, kind, true);
}

static int64_t count_asked(stand *x, int iteration, const char *kind) {
    return stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM review_item WHERE iteration = %d AND kind = '%s'", iteration, kind));
}

static int64_t count_decided(stand *x, int iteration, const char *route) {
    return stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM decision WHERE iteration = %d AND route = '%s'", iteration, route));
}

static void check_journal(stand *x) {
    journal_report report;
    assert_ok(x->ctx, journal_verify(x->ctx, x->store, &report));
    assert_string_equal(report.problem, "");
}

static const char programs_yaml[] = "name: own\niterations: %d\ntasks: {file: %s}\nlearner: {backend: command, command: sh %s, samples: 1}\n"
                                    "critic: {backend: command, command: sh %s}\n"
                                    "human: {backend: queue, labels: 400, audits: 20, demonstrations: 0}\n"
                                    "build: {documents: 2, real_share: 0}\nevaluate: {tasks: 6, general: 2, documents: 2, gsm8k: 0}\n";

/* The paper's promise: people are asked only where the critic has not earned trust. Their verdicts of iteration 1 decide what is asked in iteration 2. */
static void loop__a_critic_that_earned_trust__spares_reviews(void **state) {
    (void)state;
    static const char *const critics[] = {knowing_critic, pleased_critic};
    for (int k = 0; k < 2; k++) {
        const bool knows = k == 0;
        stand *x = stand_new(NULL);
        json_t *summary = NULL;
        const char *file = opinions_file(x, 120), *learner = write_file(x, "learner.sh", learner_program), *critic = write_file(x, "critic.sh", critics[k]);
        summary = run_well(x, arena_printf(x->memory, programs_yaml, 1, file, learner, critic));
        json_decref(summary);
        const int64_t n = count_asked(x, 1, "verdict");
        assert_true(n >= 60);
        assert_int_equal(count_decided(x, 1, "auto"), 0); /* nobody judged anything yet */
        assert_int_equal(count_decided(x, 1, "escalate"), n);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item WHERE path = 'iteration/1/decide/judge'"), 0);
        assert_int_equal(review(x, 1, "verdict"), n);
        summary = run_well(x, arena_printf(x->memory, programs_yaml, 2, file, learner, critic));
        assert_true(stand_count(x, "SELECT count(*) FROM calibration WHERE iteration = 2") > 0);
        assert_int_equal(count_asked(x, 2, "verdict"), knows ? 0 : n);
        assert_int_equal(count_decided(x, 2, "auto"), knows ? n : 0);
        /* Who may decide nothing is asked nothing. */
        assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item WHERE path = 'iteration/2/decide/judge'"), knows ? n : 0);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM decision WHERE iteration = 2 AND reason LIKE 'no score of the critic%' AND confidence IS NULL"), knows ? 0 : n);
        /* What the critic decided is audited: blindly, at random, with the propensity of that. */
        assert_int_equal(count_asked(x, 2, "audit"), knows ? 20 : 0);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM review_item WHERE kind = 'audit' AND (critique IS NOT NULL OR propensity >= 1)"), 0);
        const json_t *trust = json_object_get(json_array_get(json_object_get(summary, "critic"), 0), "trust");
        assert_int_equal(field_int(json_array_get(trust, 0), "n"), n);
        json_decref(summary);
        assert_int_equal(review(x, 2, "audit"), knows ? 20 : 0);
        summary = run_well(x, arena_printf(x->memory, programs_yaml, 3, file, learner, critic));
        const json_t *audited = json_object_get(json_object_get(json_object_get(summary, "budget"), "audited"), "critic");
        assert_int_equal(field_int(audited, "audits"), knows ? 20 : 0);
        assert_int_equal(field_int(audited, "agreed"), knows ? 20 : 0);
        assert_int_equal(count_asked(x, 3, "verdict"), knows ? 0 : n);
        json_decref(summary);
        check_journal(x);
        stand_free(x);
    }
}

/* A critic whose word no longer holds is asked no more, until what people judge since speaks for it: here an auditor accepts every fifth answer. */
static void loop__trust_that_audits_contradict__is_lost_and_earned_again(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL, *status = NULL;
    const char *file = opinions_file(x, 120), *learner = write_file(x, "learner.sh", learner_program), *critic = write_file(x, "critic.sh", knowing_critic);
    int64_t n = 0, agreed = 0;
    for (int iteration = 1; iteration <= 4; iteration++) {
        summary = run_well(x, arena_printf(x->memory, programs_yaml, iteration, file, learner, critic));
        const json_t *trust = json_object_get(json_array_get(json_object_get(summary, "critic"), (size_t)iteration - 2), "trust");
        n = iteration == 1 ? count_asked(x, 1, "verdict") : n;
        assert_int_equal(count_asked(x, iteration, "verdict"), iteration % 2 ? n : 0);
        assert_int_equal(field_int(json_array_get(trust, 0), "n"), iteration == 1 ? 0 : iteration == 3 ? 20 : n);
        agreed = field_int(json_object_get(json_object_get(json_object_get(summary, "budget"), "audited"), "critic"), "agreed");
        json_decref(summary);
        review(x, iteration, "verdict");
        review_as(x, iteration, "audit", false);
    }
    assert_int_equal(stand_count(x, "SELECT count(*) FROM event WHERE message LIKE 'the critic''s calibration no longer holds%'"), 2);
    assert_ok(x->ctx, store_status(x->store, "own", &status));
    const json_t *audits = json_array_get(json_object_get(status, "audits"), 0);
    assert_string_equal(field_text(audits, "source"), "critic");
    assert_int_equal(field_int(audits, "audits"), 20);
    assert_int_equal(field_int(audits, "agreed"), agreed);
    json_decref(status);
    check_journal(x);
    stand_free(x);
}

/* Of every report: the new critic stands only where it is shown to be better, and the one that stands is asked next. *taken, *refused: it was. */
static void check_reports(const json_t *reports, bool *taken, bool *refused) {
    double last = NAN;
    for (size_t i = 0; i < json_array_size(reports); i++) {
        const json_t *r = json_array_get(reports, i);
        const double before = field_real(r, "auroc_before"), new = field_real(r, "auroc_new"), now = field_real(r, "auroc");
        const bool old_stands = strcmp(field_text(r, "stands"), "the old one") == 0;
        assert_int_equal(old_stands, !(field_real(r, "p") < 0.05)); /* null: too few to tell */
        assert_true(old_stands || new > before);
        assert_close(now, old_stands ? before : new, 1e-12);
        if (i > 0)
            assert_close(before, last, 1e-12); /* the same answers examine it: nobody judged others since */
        last = now;
        *taken = *taken || !old_stands;
        *refused = *refused || old_stands;
    }
}

/* Each new critic goes on from the one before unless that ranked worse than the one that stood; then from that one. */
static void check_lineage(stand *x, const json_t *reports) {
    json_t *critics = NULL;
    const char *stands = "", *pupil = "";
    assert_ok(x->ctx, store_query_json(x->store, "SELECT id, parent FROM model_version WHERE role = 'critic' ORDER BY rowid", NULL, &critics));
    assert_int_equal(json_array_size(critics), json_array_size(reports));
    for (size_t i = 0; i < json_array_size(critics); i++) {
        const json_t *r = json_array_get(reports, i), *critic = json_array_get(critics, i);
        const bool worse = field_real(r, "auroc_new") < field_real(r, "auroc_before");
        if (i > 0)
            assert_string_equal(field_text(critic, "parent"), pupil);
        else
            stands = pupil = field_text(critic, "parent"); /* the base */
        stands = strcmp(field_text(r, "stands"), "the new one") == 0 ? field_text(critic, "id") : stands;
        pupil = worse ? stands : field_text(critic, "id");
    }
    json_decref(critics);
}

/* A critic that is trained here: people are asked less, no query both teaches and examines, of what taught it decides nothing, and the new one is taken only
 * if it is better. */
static void loop__a_trained_critic__is_examined_on_other_queries(void **state) {
    (void)state;
    bool taken = false, refused = false;
    for (int seed = 2; seed <= 6 && !(taken && refused); seed++) {
        stand *x = stand_new(NULL);
        json_t *summary = NULL;
        const char *file = opinions_file(x, 100), *learner = write_file(x, "learner.sh", learner_program);
        const char *yaml = "name: own\nseed: %d\niterations: %d\ntasks: {file: %s}\nlearner: {backend: command, command: sh %s, samples: 1}\n"
                           "critic: {examples: 64, epochs: 1, lr: 0.03, alpha: 0.3, least_calibration: 10}\n"
                           "human: {backend: queue, labels: 400, audits: 4, demonstrations: 0}\n"
                           "train: {rank: 2, batch: 2}\nbuild: {documents: 2, real_share: 0}\nevaluate: {tasks: 6, general: 2, documents: 2, gsm8k: 0}\n";
        summary = run_well(x, arena_printf(x->memory, yaml, seed, 1, file, learner));
        json_decref(summary);
        const int64_t n = (int64_t)review(x, 1, "verdict");
        summary = run_well(x, arena_printf(x->memory, yaml, seed, 4, file, learner));
        const int64_t n_taught = stand_count(x, "SELECT count(DISTINCT k.text) FROM example e JOIN example_text k ON k.example = e.id JOIN text q ON q.id = k.text"
                                                " WHERE e.objective = 'critique' AND e.iteration = 2 AND q.kind = 'query'");
        assert_true(n_taught >= 10 && n_taught < n);
        assert_true(count_asked(x, 2, "verdict") < n && count_asked(x, 2, "verdict") >= n_taught);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM decision WHERE iteration = 2 AND reason LIKE 'the critic was trained on%'"), n_taught);
        assert_true(stand_count(x, "SELECT count(*) FROM calibration_label") >= 10);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM calibration_label c JOIN label l ON l.id = c.label JOIN text a ON a.id = l.target"
                                        " JOIN example_text k ON k.text = a.parent JOIN example e ON e.id = k.example WHERE e.objective = 'critique'"), 0);
        /* Who judged what examines a critic did not read its words; the others did. */
        assert_int_equal(stand_count(x, "SELECT count(*) FROM calibration_label c JOIN label l ON l.id = c.label JOIN review_item r ON r.response = l.target"
                                        " WHERE r.critique IS NOT NULL"), 0);
        assert_true(stand_count(x, "SELECT count(*) FROM review_item WHERE kind = 'verdict' AND critique IS NOT NULL") >= 10);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM decision d JOIN text a ON a.id = d.response JOIN example_text k ON k.text = a.parent"
                                        " JOIN example e ON e.id = k.example WHERE e.objective = 'critique' AND d.iteration >= e.iteration AND d.route = 'auto'"), 0);
        assert_int_equal(json_array_size(json_object_get(summary, "critic")), 3);
        check_reports(json_object_get(summary, "critic"), &taken, &refused);
        check_lineage(x, json_object_get(summary, "critic"));
        json_decref(summary);
        check_journal(x);
        stand_free(x);
    }
    assert_true(taken && refused);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loop__a_critic_that_earned_trust__spares_reviews),
        cmocka_unit_test(loop__trust_that_audits_contradict__is_lost_and_earned_again),
        cmocka_unit_test(loop__a_trained_critic__is_examined_on_other_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
