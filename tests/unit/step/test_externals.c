/* Whose word a record is: who plays a role from elsewhere speaks for himself, not for the version that would have played it here. */
#include "actors.h"
#include "role/attacker.h"
#include "role/prompt.h"
#include "step/trust.h"

static void play_elsewhere(stand *x) {
    static const char *const roles[] = {"attacker", "learner", "critic"};
    for (size_t i = 0; i < 3; i++)
        assert_ok(x->ctx, actors_set_external_take(&x->actors, roles[i], json_pack("{ss ss}", "backend", "command", "command", roles[i])));
}

/* A rewording, an answer, words about it, and a verdict on it. */
static void work(stand *x) {
    const attacker_kinds all = attacker_all_kinds();
    const ask_options ask = {.version = "base", .kind = "response", .samples = 1, .max_tokens = 8};
    const size_t first = 0;
    trust_table t = {.critic = "base", .n_families = 1};
    size_t n_rejected = 0, n_decided = 0;
    backend *attacker = NULL;
    t.families[0] = (trust){.family = "arithmetic", .n = 1, .pass = {.lambda = 0.5}, .fail = {.abstain = true}};
    stand_begin(x);
    stand_draw(x, "q", "arithmetic", "two_digit_sum", 1);
    json_t *script = json_pack("{s{s[o]}}", "answers", x->queries.items[0].id, json_sprintf("Please tell me: %s", x->queries.items[0].text));
    assert_ok(x->ctx, backend_scripted_new(x->ctx, script, &attacker));
    x->actors.attacker = attacker;
    assert_ok(x->ctx, vary_queries(&x->actors, "vary", &x->queries, &first, 1, "base", &all, &n_rejected));
    assert_int_equal(x->queries.n, 2);
    assert_ok(x->ctx, respond_queries(&x->actors, "respond", &x->queries, 1, 1, &ask, &x->answers));
    assert_ok(x->ctx, write_critiques(&x->actors, "criticise", &x->queries, &x->answers, &first, 1, "base"));
    assert_string_not_equal(x->answers.items[0].critique[0], "");
    x->answers.items[0].p_raw = 0.9;
    assert_ok(x->ctx, trust_decide(&x->actors, "decide", &t, &x->queries, &x->answers, &first, 1, &n_decided));
    assert_int_equal(n_decided, 1);
    json_decref(script);
    backend_free(attacker);
    x->actors.attacker = x->attacker;
}

static int64_t come_from(stand *x, const char *what, const char *who) {
    return stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM %s AND producer = (SELECT id FROM model_version WHERE role = 'external' AND meta ->> 'command' = '%s')",
                                       what, who));
}

static void records__of_roles_played_elsewhere__name_the_player(void **state) {
    (void)state;
    static const char rewordings[] = "text WHERE kind = 'query' AND template IS NOT NULL", answers[] = "text WHERE kind = 'response'",
                      words[] = "text WHERE kind = 'critique'", verdicts[] = "label WHERE source = 'critic'";
    stand *x = stand_new("{\"default\": \"I do not know.\"}");
    journal_report report;
    for (int again = 0; again < 2; again++) { /* the second time all is recorded */
        play_elsewhere(x);
        work(x);
        assert_int_equal(come_from(x, rewordings, "attacker"), 1);
        assert_int_equal(come_from(x, answers, "learner"), 1);
        assert_int_equal(come_from(x, words, "critic"), 1);
        assert_int_equal(come_from(x, verdicts, "critic"), 1);
        assert_string_equal(x->answers.items[0].critic, actors_external_of(&x->actors, "critic")->id);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM model_version"), 3);
        /* as `agon why` tells it */
        assert_int_equal(stand_count(x, "SELECT count(*) FROM descent WHERE parent_table = 'model_version' AND because = 'written by'"), 3);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM descent WHERE parent_table = 'model_version' AND because = 'judged by'"), 1);
        actors_forget_externals(&x->actors);
        if (!again)
            stand_again(x);
    }
    assert_ok(x->ctx, journal_verify(x->ctx, x->store, &report));
    assert_string_equal(report.problem, "");
    stand_free(x);
}

static void records__of_roles_played_here__name_the_version(void **state) {
    (void)state;
    stand *x = stand_new("{\"default\": \"I do not know.\"}");
    work(x);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM text WHERE producer = 'base'"), 3);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE producer = 'base'"), 1);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM model_version"), 0);
    stand_free(x);
}

/* The id is of what tells players apart, in whatever order it is named. */
static void external__id__is_of_who_plays(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    char id[3][STORE_ID_SIZE];
    json_t *players[3] = {json_pack("{ss ss ss}", "backend", "remote", "url", "http://a/v1", "name", "m"), json_pack("{ss ss ss}", "name", "m", "url", "http://a/v1", "backend", "remote"),
                          json_pack("{ss ss ss}", "backend", "remote", "url", "http://a/v1", "name", "n")};
    for (size_t i = 0; i < 3; i++) {
        assert_ok(x->ctx, actors_set_external_take(&x->actors, "critic", players[i]));
        memcpy(id[i], actors_external_of(&x->actors, "critic")->id, STORE_ID_SIZE);
    }
    assert_int_equal(strlen(id[0]), 64);
    assert_string_equal(id[0], id[1]);
    assert_string_not_equal(id[0], id[2]);
    assert_string_equal(actors_speaker(&x->actors, "learner", "base"), "base");
    actors_forget_externals(&x->actors);
    assert_string_equal(actors_speaker(&x->actors, "critic", "base"), "base");
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records__of_roles_played_elsewhere__name_the_player),
        cmocka_unit_test(records__of_roles_played_here__name_the_version),
        cmocka_unit_test(external__id__is_of_who_plays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
