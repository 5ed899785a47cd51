/* Rewordings where a role is remote: beside the program a judge behind the server must call them the same task; without one nobody is asked. */
#include "actors.h"
#include "loopback.h"
#include "role/attacker.h"
#include "role/prompt.h"

/* The query the attacker is to reword: what follows the last "Task: " of the prompt, up to the next label; as JSON text. */
static void asked_query(const char *request, char out[512]) {
    const char *from = request, *last = NULL;
    while ((from = strstr(from, "Task: ")))
        last = from += 6;
    const char *end = last ? strstr(last, "\\n") : NULL;
    snprintf(out, 512, "%.*s", end ? (int)(end - last) : 0, last ? last : "");
}

/* Plays the attacker, and the judge: yes to a remark, then no, then no verdict on paraphrases. */
static void attacker_and_judge(int fd, int i, const char *request) {
    static int n_paraphrases;
    char query[512], text[700];
    (void)i;
    if (strstr(request, "exam questions")) {
        good(fd, strstr(request, "The sky is blue") ? "Nothing changed. Same: [[Yes]]"
                 : n_paraphrases++ == 0             ? "It adds a request. Same: [[No]]"
                                                    : "Hard to say.");
    } else if (strstr(request, "Remark:\"")) { /* the prompt's last word */
        good(fd, "The sky is blue today.");
    } else {
        asked_query(request, query);
        snprintf(text, sizeof text, "Please tell me: %s", query);
        good(fd, text);
    }
}

static size_t vary(stand *x, size_t first, size_t n_queries) {
    const attacker_kinds all = attacker_all_kinds();
    size_t which[8], n_rejected = 0;
    for (size_t i = 0; i < n_queries; i++)
        which[i] = first + i;
    assert_ok(x->ctx, vary_queries(&x->actors, "vary", &x->queries, which, n_queries, "base", &all, &n_rejected));
    return n_rejected;
}

static void rewordings__remote__need_the_judge(void **state) {
    (void)state;
    server s = server_start(attacker_and_judge); /* before there is a lock it would inherit */
    stand *x = stand_new(NULL);
    const backend_remote_options o = {.url = s.url, .model = "m", .timeout_seconds = 60, .max_retries = -1, .max_parallel = 1};
    backend *b = NULL;
    assert_ok(x->ctx, backend_remote_new(x->ctx, &o, &b));
    for (int again = 0; again < 2; again++) { /* the second time all is recorded, and the server is gone */
        x->actors.attacker = b;
        stand_begin(x);
        size_t first = stand_draw(x, "q", "arithmetic", "two_digit_sum", 3);
        assert_int_equal(vary(x, first, 3), 2);
        assert_int_equal(x->queries.n, 4);
        assert_int_equal(strncmp(x->queries.items[3].text, "The sky is blue today. ", 23), 0);
        assert_true(x->queries.items[3].varied);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item WHERE path = 'vary/validate'"), 3); /* all passed the program */
        assert_int_equal(s.seen->n, 3 * ATTACKER_TRIES + 3);
        if (again)
            break;
        stand_again(x);
        kill(s.pid, SIGKILL);
    }
    backend_free(b);
    server_stop(&s);
    stand_free(x);
}

static void rewordings__not_remote__are_judged_by_the_program_alone(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    stand_begin(x);
    size_t first = stand_draw(x, "q", "arithmetic", "two_digit_sum", 1);
    json_t *script = json_pack("{s{s[o]}}", "answers", x->queries.items[0].id,
                               json_sprintf("Please tell me: %s", x->queries.items[0].text));
    backend *b = NULL;
    assert_ok(x->ctx, backend_scripted_new(x->ctx, script, &b));
    x->actors.attacker = b;
    assert_int_equal(vary(x, first, 1), 0);
    assert_int_equal(x->queries.n, 2);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step WHERE path = 'vary/validate'"), 0);
    json_decref(script);
    backend_free(b);
    stand_free(x);
}

static void repeated_queries__are_dropped(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    stand_draw(x, "q", "arithmetic", "two_digit_sum", 3);
    static const size_t copies[] = {1, 0, 1};
    for (size_t i = 0; i < 3; i++) {
        query *q = query_list_add(&x->queries);
        assert_non_null(q);
        *q = x->queries.items[copies[i]];
        json_incref(q->task);
    }
    stand_draw(x, "other", "arithmetic", "two_digit_sum", 1);
    const char *last = x->queries.items[6].text;
    assert_int_equal(query_list_drop_repeated(&x->queries, 4), 2); /* what lies before is left alone */
    assert_int_equal(x->queries.n, 5);
    assert_ptr_equal(x->queries.items[4].text, last);
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rewordings__remote__need_the_judge),
        cmocka_unit_test(repeated_queries__are_dropped),
        cmocka_unit_test(rewordings__not_remote__are_judged_by_the_program_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
