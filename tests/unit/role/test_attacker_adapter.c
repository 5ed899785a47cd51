/* A trained attacker's folder: what is written comes back, and what is no attacker of this model and these prompts is refused by name. */
#include "base/file.h"
#include "base/json.h"
#include "role/attacker_adapter.h"
#include "tiny_model.h"
#include "weights_fixtures.h"

static const char model_name[] = "68ef761f9cce60aca114d5ccc581cdf17d425a03b32ee158056bb37454f16250";

typedef struct fixture {
    agon_ctx *ctx;
    model *m;
    adapter *a;
    fixture_folder folder;
    char about[256]; /* path of attacker.json */
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    const model_config c = tiny_config();
    f->ctx = test_ctx(1, NULL);
    f->m = tiny_model(f->ctx, &c, COMPUTE_F32);
    f->a = tiny_adapter(f->ctx, f->m, 3, 5);
    f->folder = fixture_folder_new();
    fixture_path(f->about, &f->folder, "attacker.json");
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    adapter_free(f->a);
    model_free(f->m);
    agon_ctx_free(f->ctx);
    fixture_remove(&f->folder);
    free(f);
    return 0;
}

/* Bit k - 1: kind k. */
static attacker_kinds kinds_of(unsigned bits) {
    attacker_kinds kinds = {0};
    for (int k = PERTURBATION_NONE + 1; k < PERTURBATION_N; k++)
        kinds.of[k] = bits >> (k - 1) & 1;
    return kinds;
}

enum { PARAPHRASES = 1, REMARKS = 2, NAMES = 4, ALL = 7 };

static void export_all(fixture *f) {
    const attacker_kinds all = attacker_all_kinds();
    assert_ok(f->ctx, attacker_export(f->ctx, f->a, model_name, "tiny", &all, f->folder.path));
}

/* Sets a member of attacker.json; value taken, NULL removes. */
static void set_member(fixture *f, const char *key, json_t *value) {
    json_t *about = NULL;
    assert_ok(f->ctx, json_read_file(f->ctx, f->about, &about));
    if (value)
        json_object_set_new(about, key, value);
    else
        json_object_del(about, key);
    assert_int_equal(json_dump_file(about, f->about, 0), 0);
    json_decref(about);
}

/* Refused with both words in the sentence, and nothing given out. */
static void refused(fixture *f, const char *folder, agon_status code, const char *says, const char *and_says) {
    adapter *out = NULL;
    attacker_kinds kinds = kinds_of(NAMES);
    const attacker_kinds before = kinds;
    assert_refused(f->ctx, attacker_open(f->ctx, f->m, model_name, folder, &out, &kinds), code, says, and_says);
    assert_null(out);
    assert_memory_equal(&kinds, &before, sizeof kinds);
}

static void attacker__written__comes_back(void **state) {
    fixture *f = *state;
    const hash256 wanted = adapter_hash(f->a);
    for (unsigned bits = 1; bits <= ALL; bits++) {
        const attacker_kinds kinds = kinds_of(bits);
        attacker_kinds found = {0};
        adapter *back = NULL;
        if (bits == NAMES)
            continue;
        assert_ok(f->ctx, attacker_export(f->ctx, f->a, model_name, "tiny", &kinds, f->folder.path));
        assert_ok(f->ctx, attacker_open(f->ctx, f->m, model_name, f->folder.path, &back, &found));
        const hash256 got = adapter_hash(back);
        assert_memory_equal(&got, &wanted, sizeof got);
        assert_memory_equal(&found, &kinds, sizeof found);
        adapter_free(back);
    }
}

/* The file is the contract with attackers trained by other versions. */
static void attacker_json__says_model_and_prompts(void **state) {
    fixture *f = *state;
    const attacker_kinds kinds = kinds_of(PARAPHRASES | NAMES);
    json_t *about = NULL, *wanted = json_pack("{ss s[ss]}", "model", model_name, "prompts", attacker_template(PERTURBATION_PARAPHRASE), attacker_template(PERTURBATION_RENAME));
    assert_ok(f->ctx, attacker_export(f->ctx, f->a, model_name, "tiny", &kinds, f->folder.path));
    assert_ok(f->ctx, json_read_file(f->ctx, f->about, &about));
    assert_true(json_equal(about, wanted));
    json_decref(about);
    json_decref(wanted);
}

/* Without its adapter nothing may pass for an attacker. */
static void attacker__adapter_not_written__has_no_attacker_json(void **state) {
    fixture *f = *state;
    const attacker_kinds all = attacker_all_kinds();
    char path[256];
    assert_ok(f->ctx, folder_make(f->ctx, fixture_path(path, &f->folder, "adapter_model.safetensors/in the way")));
    assert_int_not_equal(attacker_export(f->ctx, f->a, model_name, "tiny", &all, f->folder.path), AGON_OK);
    assert_false(file_exists(f->about));
}

static void attacker__no_folder_of_one__is_refused(void **state) {
    fixture *f = *state;
    refused(f, "/nowhere/attacker-1", AGON_ENOTFOUND, "/nowhere/attacker-1", "no such folder");
    refused(f, f->folder.path, AGON_EINVAL, f->folder.path, "no attacker.json");
    assert_ok(f->ctx, adapter_export_peft(f->ctx, f->a, "tiny", f->folder.path)); /* an adapter, but of what? */
    refused(f, f->folder.path, AGON_EINVAL, f->folder.path, "no attacker.json");
}

static void attacker__without_its_adapter__is_refused(void **state) {
    fixture *f = *state;
    char path[256];
    export_all(f);
    assert_int_equal(remove(fixture_path(path, &f->folder, "adapter_model.safetensors")), 0);
    adapter *out = NULL;
    attacker_kinds kinds = {0};
    assert_int_not_equal(attacker_open(f->ctx, f->m, model_name, f->folder.path, &out, &kinds), AGON_OK);
    assert_non_null(strstr(agon_error(f->ctx), f->folder.path));
    assert_null(out);
    assert_false(kinds.of[PERTURBATION_PARAPHRASE]);
}

static void attacker__of_another_model__is_refused(void **state) {
    fixture *f = *state;
    export_all(f);
    set_member(f, "model", json_string("0123456789abcdef"));
    refused(f, f->folder.path, AGON_EMISMATCH, "another model (0123456789ab)", "the run's (68ef761f9cce)");
}

static void attacker__of_other_prompts__is_refused(void **state) {
    fixture *f = *state;
    export_all(f);
    set_member(f, "prompts", json_pack("[ss]", attacker_template(PERTURBATION_PARAPHRASE), "attack-paraphrase@1"));
    refused(f, f->folder.path, AGON_EMISMATCH, f->about, "'attack-paraphrase@1'");
    set_member(f, "prompts", json_pack("[si]", attacker_template(PERTURBATION_PARAPHRASE), 3));
    refused(f, f->folder.path, AGON_EMISMATCH, f->about, "'no text'");
}

/* Most queries have no names: the loop would have nothing to ask for. */
static void attacker__of_names_alone__is_refused(void **state) {
    fixture *f = *state;
    const attacker_kinds names = kinds_of(NAMES);
    assert_ok(f->ctx, attacker_export(f->ctx, f->a, model_name, "tiny", &names, f->folder.path));
    refused(f, f->folder.path, AGON_EINVAL, f->about, "neither paraphrases nor remarks");
    set_member(f, "prompts", json_array());
    refused(f, f->folder.path, AGON_EINVAL, f->about, "neither paraphrases nor remarks");
}

static void attacker_json__damaged__is_refused(void **state) {
    fixture *f = *state;
    static const char *const files[] = {"{", "", "[]", "3", "{}", "{\"model\": 3, \"prompts\": []}", "{\"prompts\": []}", "{\"model\": \"x\"}",
                                        "{\"model\": \"x\", \"prompts\": \"attack-paraphrase@3\"}"};
    export_all(f);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        assert_ok(f->ctx, file_write(f->ctx, f->about, files[i], strlen(files[i])));
        refused(f, f->folder.path, AGON_EFORMAT, f->about, "");
    }
}

/* ---- kinds ---------------------------------------------------------------------------------------------------- */

/* The kinds of runs that have no trained attacker, turn by turn: runs begun before there were any go on so. */
static void kinds__all__take_turns(void **state) {
    (void)state;
    const attacker_kinds all = attacker_all_kinds();
    static const task_perturbation with[] = {PERTURBATION_PARAPHRASE, PERTURBATION_DISTRACTOR, PERTURBATION_RENAME};
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(attacker_choose(&all, true, i), with[i % 3]);
        assert_int_equal(attacker_choose(&all, false, i), with[i % 2]);
    }
}

static void kinds__some__take_turns_among_those_that_fit(void **state) {
    (void)state;
    const attacker_kinds none = kinds_of(0), names = kinds_of(NAMES), both = kinds_of(REMARKS | NAMES);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(attacker_choose(&none, true, i), PERTURBATION_NONE);
        assert_int_equal(attacker_choose(&names, false, i), PERTURBATION_NONE);
        assert_int_equal(attacker_choose(&names, true, i), PERTURBATION_RENAME);
        assert_int_equal(attacker_choose(&both, false, i), PERTURBATION_DISTRACTOR);
        assert_int_equal(attacker_choose(&both, true, i), i % 2 ? PERTURBATION_RENAME : PERTURBATION_DISTRACTOR);
    }
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        with_folder(attacker__written__comes_back),
        with_folder(attacker_json__says_model_and_prompts),
        with_folder(attacker__adapter_not_written__has_no_attacker_json),
        with_folder(attacker__no_folder_of_one__is_refused),
        with_folder(attacker__without_its_adapter__is_refused),
        with_folder(attacker__of_another_model__is_refused),
        with_folder(attacker__of_other_prompts__is_refused),
        with_folder(attacker__of_names_alone__is_refused),
        with_folder(attacker_json__damaged__is_refused),
        cmocka_unit_test(kinds__all__take_turns),
        cmocka_unit_test(kinds__some__take_turns_among_those_that_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
