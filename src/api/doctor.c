/* agon.h, whether this machine can do the work: a list of checks, each with what was found and how to mend it. */
#include "api/models.h"
#include "api/options.h"
#include "base/clock.h"
#include "base/available.h"
#include "base/ctx.h"
#include "base/fp_environment.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/utf8.h"
#include "base/numerics.h"
#include "compute/compute.h"
#include "train/train.h"
#include <curl/curl.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <utf8proc.h>
#include <yaml.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

typedef struct doctor {
    agon_ctx *ctx;
    json_t *checks;
    bool ok;
} doctor;

static void check(doctor *d, const char *name, bool ok, const char *format, ...) PRINTF_LIKE(4, 5);

static void check(doctor *d, const char *name, bool ok, const char *format, ...) {
    char text[1200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_array_append_new(d->checks, json_pack("{s:s,s:b,s:o}", "name", name, "ok", (int)ok, "detail", utf8_json(text)));
    d->ok = d->ok && ok;
}

/* ---- the machine ---------------------------------------------------------------------------------------- */

static void check_cpu(doctor *d) {
    char present[64] = "";
    agon_status s = compute_check_once(d->ctx); /* may change the path */
    for (int p = 0; p < CPU_N_PATHS; p++)
        if (cpu_path_present((cpu_path)p)) {
            size_t n = strlen(present);
            snprintf(present + n, sizeof present - n, "%s%s", n ? ", " : "", cpu_path_name((cpu_path)p));
        }
    const agon_numerics numerics = d->ctx->numerics, best = compute_fastest_numerics(d->ctx);
    char faster[96] = "";
    if (best != numerics)
        snprintf(faster, sizeof faster, "; fastest here: AGON_NUMERICS=%s", numerics_name(best));
    check(d, "cpu", true, "%s path in use (present: %s), numerics %s%s", cpu_path_name(d->ctx->cpu), present,
          numerics_name(numerics), faster);
    check(d, "threads", d->ctx->n_threads > 0, "%d threads, %ld cores online", d->ctx->n_threads,
          sysconf(_SC_NPROCESSORS_ONLN));
    check(d, "arithmetic", s == AGON_OK, "%s%s", s ? agon_error(d->ctx) : "every kernel gives its recorded bits",
          d->ctx->amx_failed ? "; those of AMX did not, so AVX-512 is used in its place" : "");
}

enum { WANTED_MEMORY_MIB = 1024, WANTED_DISK_MIB = 1024 };

static void check_memory(doctor *d) {
    size_t bytes = memory_room(d->ctx), mib = bytes >> 20;
    if (bytes == SIZE_MAX)
        check(d, "memory", true, "how much is free is not known here, or AGON_MEMORY is unlimited");
    else
        check(d, "memory", mib >= WANTED_MEMORY_MIB, "%zu MiB can be had (system, control group, AGON_MEMORY)%s", mib,
              mib >= WANTED_MEMORY_MIB ? "" : "; a small model needs about 1 GiB, the quickstart up to 3: end other programs");
}

/* What training would take on this model: eight rows of 512 tokens a step, all of them responses. */
static void predict_memory(doctor *d, const model *m) {
    enum { TOKENS = 512, ROWS = 8, RANK = 16 };
    train_options o = train_options_default();
    train_response response = {.n = TOKENS, .weight = 1};
    train_row rows[ROWS];
    size_t room = memory_room(d->ctx), limit;
    o.objective = objective_find("sft");
    objective_defaults(o.objective, o.objective_options);
    for (size_t i = 0; i < ROWS; i++)
        rows[i] = (train_row){.responses = &response, .n_responses = 1, .weight = 1};
    train_memory lora = train_predict(m, adapter_n_values(model_get_config(m), RANK, 0), RANK, rows, ROWS, &o);
    train_memory full = train_predict(m, 0, 0, rows, ROWS, &o);
    size_t a = train_memory_total(&lora, room, &limit), b = train_memory_total(&full, room, &limit);
    check(d, "training", true, "on rows of %d tokens: about %zu MiB more for LoRA of rank %d%s, %zu MiB for all weights%s", TOKENS,
          a >> 20, RANK, a > room ? " (does not fit)" : "", b >> 20, b > room ? " (does not fit)" : "");
}

static void check_disk(doctor *d, const char *name, const char *path) {
    struct statvfs info;
    if (statvfs(path, &info) != 0) {
        check(d, name, errno == ENOENT, "%s: %s", path, strerror(errno));
        return;
    }
    unsigned long long mib = (unsigned long long)info.f_bavail * info.f_frsize >> 20;
    bool writable = access(path, W_OK) == 0;
    check(d, name, mib >= WANTED_DISK_MIB && writable, "%s: %llu MiB free%s%s", path, mib,
          mib >= WANTED_DISK_MIB ? "" : "; checkpoints and models need about 1 GiB: make room",
          writable ? "" : "; it is not writable: change its permissions, or work elsewhere");
}

/* ---- the model ------------------------------------------------------------------------------------------ */

/* Reads the model and lets it answer: finite log_probs of a fixed text, and how fast they came. */
static agon_status try_model(doctor *d, const agon_model *m) {
    static const char text[] = "The capital of France is Paris, and two and two make four.";
    int32_t *ids = NULL;
    size_t n = 0;
    double from, seconds;
    agon_score_result result = {0};
    agon_status s = agon_tokenize(d->ctx, &m->tokenizer, text, sizeof text - 1, false, true, &ids, &n);
    agon_score_request request = {.completion = ids, .n_completion = n};
    from = monotonic_seconds();
    if (!s)
        s = agon_score(d->ctx, m, NULL, &request, 1, 1, 0, &result);
    seconds = monotonic_seconds() - from;
    if (!s)
        check(d, "inference", true, "%zu tokens scored, %.3f nats a token, in %.0f ms", n,
              n > 1 ? -result.log_prob / (double)(n - 1) : 0, 1000 * seconds);
    agon_score_result_free(&result);
    agon_tokens_free(ids);
    return s;
}

static void check_model(doctor *d, const char *name) {
    char *path = NULL, *text = NULL;
    agon_model *m = NULL;
    agon_status s = agon_model_find(d->ctx, name, &path);
    if (!s)
        s = agon_model_open(d->ctx, path, NULL, &m);
    if (!s)
        s = agon_model_describe(d->ctx, m, &text);
    json_t *j = text ? json_loads(text, 0, NULL) : NULL;
    const char *id = json_string_value(json_object_get(j, "id")), *template = m ? agon_chat_template(&m->tokenizer) : NULL;
    if (s)
        check(d, "model", false, "%s", agon_error(d->ctx));
    else
        check(d, "model", true, "%s: id %.16s, chat template %s", path, id ? id : "", template ? template : "unknown");
    if (!s && (s = try_model(d, m)))
        check(d, "inference", false, "%s", agon_error(d->ctx));
    if (!s)
        predict_memory(d, m->m);
    json_decref(j);
    agon_text_free(text);
    agon_text_free(path);
    agon_model_free(m);
}

/* ---- all of it ------------------------------------------------------------------------------------------- */

static json_t *library_versions(void) {
    char pcre[64] = "";
    int major, minor, patch;
    char yaml[32];
    pcre2_config(PCRE2_CONFIG_VERSION, pcre);
    yaml_get_version(&major, &minor, &patch);
    snprintf(yaml, sizeof yaml, "%d.%d.%d", major, minor, patch);
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "sqlite", sqlite3_libversion(), "curl", curl->version, "jansson",
                     jansson_version_str(), "yaml", yaml, "pcre2", pcre, "utf8proc", utf8proc_version(), "crypto",
                     OpenSSL_version(OPENSSL_VERSION));
}

agon_status agon_doctor(agon_ctx *ctx, const char *model, char **json) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the place for the answer", json, 1});
    if (s)
        return s;
    doctor d = {.ctx = ctx, .checks = json_array(), .ok = true};
    char *cache = NULL;
    struct utsname machine;
    if (!d.checks)
        return ctx_no_memory(ctx);
    check_cpu(&d);
    check_memory(&d);
    check_disk(&d, "disk", ".");
    if (models_cache(ctx, &cache) == AGON_OK)
        check_disk(&d, "cache", cache);
    check_model(&d, model);
    bool known = uname(&machine) == 0;
    json_t *answer = json_pack("{s:b,s:s,s:o,s:o,s:s}", "ok", (int)d.ok, "version", AGON_VERSION, "checks", d.checks,
                               "libraries", library_versions(), "machine", known ? machine.machine : "");
    free(cache);
    return json_give_take(ctx, answer, json);
}
