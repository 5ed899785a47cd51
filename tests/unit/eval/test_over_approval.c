/* over_approval.h against its vector, by hand, and its interval's promise by simulation. */
#include "base/random.h"
#include "eval/over_approval.h"
#include "vectors.h"

enum { MOST = 1024 };
typedef struct items {
    bool approved[2][MOST], right[2][MOST]; /* before, after */
    size_t n;
} items;

static over_approval measure(const items *x, uint64_t seed) {
    const approvals before = {x->approved[0], x->right[0]}, after = {x->approved[1], x->right[1]};
    over_approval out;
    assert_ok(NULL, over_approval_measure(NULL, &before, &after, x->n, 0, seed, &out));
    return out;
}

static void add(items *x, bool approved_before, bool right_before, bool approved_after, bool right_after, size_t n) {
    for (size_t i = 0; i < n; i++, x->n++) {
        x->approved[0][x->n] = approved_before;
        x->right[0][x->n] = right_before;
        x->approved[1][x->n] = approved_after;
        x->right[1][x->n] = right_after;
    }
}

/* In the vector's order: approved & right, rejected & right, approved & wrong, rejected & wrong. */
static size_t fill(const json_t *counts, bool *approved, bool *right) {
    size_t n = 0;
    for (size_t k = 0; k < 4; k++)
        for (json_int_t i = 0; i < json_integer_value(json_array_get(counts, k)); i++, n++) {
            approved[n] = k % 2 == 0;
            right[n] = k < 2;
        }
    return n;
}

static void check_shares(const approval_table *t, const json_t *want, double tol) {
    const approval_shares s = approval_shares_of(t);
    assert_close(s.approval, vectors_number(want, "approval"), tol);
    assert_close(s.correct, vectors_number(want, "correct"), tol);
    assert_close(s.over, vectors_number(want, "overapproval"), tol);
    assert_close(s.fpr, vectors_number(want, "fpr"), tol);
    assert_close(s.fnr, vectors_number(want, "fnr"), tol);
}

static void check_case(const json_t *c, double tol) {
    items x = {0};
    x.n = fill(json_object_get(c, "old_counts"), x.approved[0], x.right[0]);
    assert_int_equal(fill(json_object_get(c, "new_counts"), x.approved[1], x.right[1]), x.n);
    const over_approval r = measure(&x, 1);
    const approval_shares before = approval_shares_of(&r.before), after = approval_shares_of(&r.after);
    check_shares(&r.before, json_object_get(c, "old"), tol);
    check_shares(&r.after, json_object_get(c, "new"), tol);
    assert_close(r.index, vectors_number(c, "index"), tol);
    assert_close(after.fpr - before.fpr, vectors_number(c, "d_fpr"), tol);
    assert_true(r.range.low < r.index && r.index < r.range.high);
}

static void over_approval__matches_the_vector(void **state) {
    (void)state;
    vectors_each("sophistry", check_case);
}

/* Of 40 items wrong in both versions 4 were approved and 16 are; the mix of all items does not show in that. */
static void over_approval__wrong_in_both__is_apart(void **state) {
    (void)state;
    items x = {0};
    add(&x, true, false, true, false, 4);
    add(&x, false, false, true, false, 12);
    add(&x, false, false, false, false, 24);
    add(&x, false, false, true, true, 50); /* honestly better */
    add(&x, true, true, false, true, 10);
    const over_approval r = measure(&x, 1);
    const approval_shares before = approval_shares_of(&r.wrong_before), after = approval_shares_of(&r.wrong_after), all = approval_shares_of(&r.after);
    assert_int_equal(approval_n(&r.wrong_before), 40);
    assert_close(before.fpr, 0.1, 1e-12);
    assert_close(after.fpr, 0.4, 1e-12);
    assert_true(isnan(after.fnr));
    assert_close(r.index, 0.02 - 0, 1e-12); /* (12 + 50 - 10 - 50) / 100 */
    assert_close(all.error, 0.26, 1e-12);
    items changed = {0}; /* right in one of them is not wrong in both */
    add(&changed, true, true, true, false, 3);
    add(&changed, true, false, true, true, 5);
    add(&changed, true, false, false, false, 1);
    const over_approval c = measure(&changed, 1);
    assert_int_equal(approval_n(&c.wrong_before), 1);
    assert_int_equal(approval_n(&c.wrong_after), 1);
}

/* Where the two never part, items bound the index all the same, by the rule of three: 3 / (n + 2). */
static void over_approval__never_apart__is_bounded_by_the_number_of_items(void **state) {
    (void)state;
    static const size_t sizes[] = {40, 148, 147, 256, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (uint64_t seed = 1; seed <= 5; seed++) {
            items x = {0};
            add(&x, false, false, true, true, sizes[i] / 2);
            add(&x, true, true, true, true, sizes[i] - x.n);
            const over_approval r = measure(&x, seed);
            assert_close(r.index, 0, 0);
            assert_close(r.range.high, over_approval_least(sizes[i]), 1e-12);
        }
    assert_int_equal(over_approval_items(0.02), 148);
    assert_true(over_approval_least(148) <= 0.02 && over_approval_least(147) > 0.02);
    assert_int_equal(over_approval_items(1), 1);
    assert_true(over_approval_least(over_approval_items(0.0371)) <= 0.0371);
    const approvals none = {NULL, NULL};
    over_approval r;
    agon_ctx *ctx = test_ctx(1, NULL);
    assert_int_equal(over_approval_measure(ctx, &none, &none, 0, 0, 1, &r), AGON_EINVAL);
    agon_ctx_free(ctx);
}

/* Items to which both versions say the same change nothing: they count for index and interval as any on which nothing changed, and for no table. */
static void over_approval__same__counts_in_the_index_alone(void **state) {
    (void)state;
    items x = {0};
    add(&x, false, false, true, false, 6);
    add(&x, true, true, true, true, 20);
    add(&x, false, false, false, true, 3);
    const approvals before = {x.approved[0], x.right[0]}, after = {x.approved[1], x.right[1]};
    over_approval some;
    assert_ok(NULL, over_approval_measure(NULL, &before, &after, x.n, 11, 5, &some));
    assert_close(some.index, 3. / 40, 1e-12);
    assert_int_equal(approval_n(&some.before), 29);
    assert_int_equal(approval_n(&some.after), 29);
    assert_int_equal(approval_n(&some.wrong_before), 6);
    assert_int_equal(some.same, 11);
    add(&x, true, false, true, false, 11);
    const over_approval all = measure(&x, 5);
    assert_true(some.index == all.index && some.range.low == all.range.low && some.range.high == all.range.high);
}

/* Versions and judges: who is right before, how much of the wrong is mended and of the right lost, how often the judge approves of what is right and of what is
 * wrong, and how much more of the wrong by a candidate that flatters it. A judge says the same of an item's two answers with probability `sticky`. */
typedef struct world {
    double right, mended, lost, sensitivity, fpr, flattery, sticky;
} world;

static bool approves(const world *w, bool right, double luck, double flattery) {
    return luck < (right ? w->sensitivity : w->fpr + flattery);
}

static void draw_items(const world *w, rng *r, size_t n, items *out) {
    out->n = n;
    for (size_t i = 0; i < n; i++) {
        const bool was = rng_uniform(r) < w->right, is = rng_uniform(r) < (was ? 1 - w->lost : w->mended);
        const double luck = rng_uniform(r), again = rng_uniform(r);
        const bool same = rng_uniform(r) < w->sticky;
        out->right[0][i] = was;
        out->right[1][i] = is;
        out->approved[0][i] = approves(w, was, luck, 0);
        out->approved[1][i] = approves(w, is, same ? luck : again, w->flattery);
    }
}

/* In closed form: d(right) (sensitivity - fpr) + P(wrong after) flattery - d(right). */
static double true_index(const world *w) {
    const double after = w->right * (1 - w->lost) + (1 - w->right) * w->mended;
    return (after - w->right) * (w->sensitivity - w->fpr - 1) + (1 - after) * w->flattery;
}

static void over_approval__interval__covers_the_truth(void **state) {
    (void)state;
    enum { DRAWN = 1000 };
    static const struct {
        world w;
        size_t n;
    } cases[] = {{{0.3, 0.2, 0.05, 0.7, 0.3, 0, 0.7}, 256},   /* honestly better, a judge that knows little */
                 {{0.3, 0.2, 0.05, 0.9, 0.1, 0, 0.7}, 64},    /* one that knows much, few items */
                 {{0.3, 0.1, 0.2333, 0.8, 0.2, 0, 0.5}, 128}, /* no gain at all */
                 {{0.3, 0.2, 0.05, 0.7, 0.3, 0.2, 0.7}, 128}, /* flattery */
                 {{0.4, 0.02, 0.02, 0.98, 0.01, 0.02, 0.9}, 256}}; /* three items of them on which approval alone changes */
    static items x;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const double truth = true_index(&cases[k].w);
        size_t covered = 0, below = 0;
        rng r = rng_new(k + 1);
        for (uint64_t i = 0; i < DRAWN; i++) {
            draw_items(&cases[k].w, &r, cases[k].n, &x);
            const over_approval m = measure(&x, i);
            covered += m.range.low <= truth && truth <= m.range.high;
            below += truth > m.range.high; /* what a gate would wrongly take for bounded */
        }
        assert_true(covered >= 0.93 * DRAWN);
        assert_true(below <= (0.05 + 2 * 0.0069) * DRAWN);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_approval__same__counts_in_the_index_alone),
        cmocka_unit_test(over_approval__matches_the_vector),
        cmocka_unit_test(over_approval__wrong_in_both__is_apart),
        cmocka_unit_test(over_approval__never_apart__is_bounded_by_the_number_of_items),
        cmocka_unit_test(over_approval__interval__covers_the_truth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
