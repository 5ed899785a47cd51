/* Context: see ctx.h and agon.h. */
#include "base/ctx.h"
#include "base/fp_environment.h"
#include "base/numerics.h"
#include "base/pool.h"
#include "base/slab.h"
#include "base/spare.h"
#include "base/utf8.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sched.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#endif

static const char *const path_names[CPU_N_PATHS] = {"portable", "avx2", "avx512", "amx", "neon"};

const char *agon_status_name(agon_status status) {
    static const char *const names[] = {
        "OK",        "EINVAL",       "ENOTFOUND", "EFORMAT",      "EIO",     "ENOMEM",  "ENUMERIC",
        "EBUSY",     "EMISMATCH",    "EUNSUPPORTED", "EREFUSED", "EINTERRUPTED", "EBUDGET", "EREMOTE"};
    int i = -(int)status;
    return i >= 0 && i < (int)(sizeof names / sizeof *names) ? names[i] : "UNKNOWN";
}

const char *cpu_path_name(cpu_path path) {
    return path_names[path];
}

#if defined(__x86_64__)
/* AMX with bf16 in the CPU, its state switched on by the system, and this process allowed to use it. */
static bool amx_present(void) {
    enum { TILE_DATA = 18, REQUEST_PERMISSION = 0x1023 /* ARCH_REQ_XCOMP_PERM */ };
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27)) || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return false;
    if (!(d & (1u << 22)) || !(d & (1u << 24))) /* AMX-BF16, AMX-TILE */
        return false;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    return (low >> 17 & 3) == 3 && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}
#endif

bool cpu_path_present(cpu_path path) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    switch (path) {
    case CPU_PORTABLE:
        return true;
    case CPU_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case CPU_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    case CPU_AMX:
        return cpu_path_present(CPU_AVX512) && __builtin_cpu_supports("avx512bf16") && amx_present();
    default:
        return false;
    }
#elif defined(__aarch64__)
    return path == CPU_PORTABLE || path == CPU_NEON; /* every 64-bit ARM has NEON */
#else
    return path == CPU_PORTABLE;
#endif
}

int ctx_usable_cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

static bool choose_cpu(const char *name, cpu_path *out) {
    if (!name || !*name)
        name = getenv("AGON_CPU");
    if (!name || !*name) {
        for (int p = CPU_N_PATHS - 1; p >= 0; p--)
            if (cpu_path_present((cpu_path)p)) {
                *out = (cpu_path)p;
                return true;
            }
    }
    for (int p = 0; name && p < CPU_N_PATHS; p++)
        if (strcmp(name, path_names[p]) == 0 && cpu_path_present((cpu_path)p)) {
            *out = (cpu_path)p;
            return true;
        }
    return false;
}

agon_ctx_options agon_ctx_options_default(void) {
    return (agon_ctx_options){.struct_size = sizeof(agon_ctx_options), .numerics = AGON_NUMERICS_DEFAULT};
}

static bool choose_numerics(agon_numerics asked, agon_numerics *out) {
    const char *name = asked == AGON_NUMERICS_DEFAULT ? getenv("AGON_NUMERICS") : NULL;
    *out = asked == AGON_NUMERICS_DEFAULT ? AGON_NUMERICS_PORTABLE : asked;
    if (name && *name)
        return numerics_of_name(name, out);
    return numerics_name(*out) != NULL;
}

/* "unlimited", or MiB from 1 on. */
static bool choose_memory(const char *text, size_t *out) {
    if (!text || !*text)
        text = getenv("AGON_MEMORY");
    if (!text || !*text)
        return true;
    if (strcmp(text, "unlimited") == 0) {
        *out = SIZE_MAX;
        return true;
    }
    char *end = NULL;
    unsigned long long mib = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (mib == 0 || mib > SIZE_MAX >> 21 || *end)
        return false;
    *out = (size_t)mib << 20;
    return true;
}

/* Messages reach terminals and JSON, and quote hostile text. The format may read what stands in `out`. */
PRINTF_LIKE(3, 0)
static void say_list(char *out, size_t size, const char *format, va_list args) {
    char raw[1600];
    int n = vsnprintf(raw, sizeof raw, format, args);
    size_t length = n < 0 ? 0 : (size_t)n;
    utf8_escape(out, size, raw, length < sizeof raw ? length : utf8_whole(raw, sizeof raw - 1));
}

PRINTF_LIKE(3, 4)
static void say(char *out, size_t size, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say_list(out, size, format, args);
    va_end(args);
}

/* The options over the defaults; a program of an older header gives fewer of them. */
static bool take_options(const agon_ctx_options *given, agon_ctx_options *out, char *reason, size_t reason_size) {
    enum { MOST_THREADS = 1024 };
    size_t size = given ? given->struct_size : sizeof *out;
    *out = agon_ctx_options_default();
    if (size < sizeof size || size > sizeof *out) {
        say(reason, reason_size, "agon_ctx_options: struct_size is %zu, this library knows %zu; begin with agon_ctx_options_default()",
            size, sizeof *out);
        return false;
    }
    if (given)
        memcpy(out, given, size);
    if (out->n_threads < 0 || out->n_threads > MOST_THREADS) {
        say(reason, reason_size, "n_threads is %d; it must be from 1 to %d, or 0 for one per core", out->n_threads, MOST_THREADS);
        return false;
    }
    return true;
}

agon_status agon_ctx_new(const agon_ctx_options *options, agon_ctx **out, char *reason,
                         size_t reason_size) {
    FP_ENVIRONMENT();
    agon_ctx_options opt;
    if (!reason)
        reason_size = 0;
    if (reason_size)
        reason[0] = 0;
    if (!out) {
        say(reason, reason_size, "the place for the context is NULL; it must be given");
        return AGON_EINVAL;
    }
    if (!take_options(options, &opt, reason, reason_size))
        return AGON_EINVAL;
    agon_ctx *ctx = calloc(1, sizeof *ctx);
    if (!ctx)
        return AGON_ENOMEM;
    if (!choose_numerics(opt.numerics, &ctx->numerics)) {
        const char *name = getenv("AGON_NUMERICS");
        if (opt.numerics == AGON_NUMERICS_DEFAULT)
            say(reason, reason_size, "numerics (AGON_NUMERICS) is " NUMERICS_NAMES ", not '%.40s'", name ? name : "");
        else
            say(reason, reason_size, "numerics is none of enum agon_numerics: %d", (int)opt.numerics);
        free(ctx);
        return AGON_EINVAL;
    }
    if (!choose_cpu(opt.cpu, &ctx->cpu)) {
        const char *name = opt.cpu ? opt.cpu : getenv("AGON_CPU");
        char here[64] = "";
        for (int p = 0; p < CPU_N_PATHS; p++)
            if (cpu_path_present((cpu_path)p))
                snprintf(here + strlen(here), sizeof here - strlen(here), "%s%s", *here ? ", " : "", path_names[p]);
        say(reason, reason_size, "this machine has no CPU path '%.40s'; set AGON_CPU to one of %s, or leave it unset for the best",
            name ? name : "", here);
        free(ctx);
        return AGON_EINVAL;
    }
    if (!choose_memory(opt.memory, &ctx->memory_limit)) {
        say(reason, reason_size, "the memory limit (AGON_MEMORY) is a number of MiB or 'unlimited', not '%.40s'",
            opt.memory && *opt.memory ? opt.memory : getenv("AGON_MEMORY"));
        free(ctx);
        return AGON_EINVAL;
    }
    const char *named = opt.cpu && *opt.cpu ? opt.cpu : getenv("AGON_CPU");
    ctx->cpu_forced = named && *named;
#if defined(__x86_64__)
    ctx->has_avx512_bf16 = ctx->cpu >= CPU_AVX512 && __builtin_cpu_supports("avx512bf16");
    /* On AMD it does twice the work of FMAs in the same time; on an Intel CPU with AMX it did half of it (104 against 203 GFLOP/s a core). */
    ctx->fast_bf16_dot = ctx->has_avx512_bf16 && !__builtin_cpu_is("intel");
#endif
    ctx->n_threads = opt.n_threads > 0 ? opt.n_threads : ctx_usable_cores();
    ctx->pool = pool_new(ctx->n_threads);
    ctx->scratch = aligned_alloc(64, ((size_t)ctx->n_threads * CTX_SCRATCH_FLOATS + CTX_SHARED_FLOATS) * sizeof(float));
    if (!ctx->pool || !ctx->scratch) {
        say(reason, reason_size, "could not start %d worker threads", ctx->n_threads);
        pool_free(ctx->pool);
        free(ctx->scratch);
        free(ctx);
        return AGON_ENOMEM;
    }
    *out = ctx;
    return AGON_OK;
}

void agon_ctx_free(agon_ctx *ctx) {
    if (!ctx)
        return;
    pool_free(ctx->pool);
    slab_drop(ctx->weights);
    spare_drop(ctx);
    free(ctx->scratch);
    free(ctx);
}

const char *agon_error(const agon_ctx *ctx) {
    return ctx ? ctx->message : "";
}

void agon_interrupt(agon_ctx *ctx) {
    if (ctx)
        atomic_store(&ctx->interrupted, 1);
}

void agon_interrupt_clear(agon_ctx *ctx) {
    if (ctx)
        atomic_store(&ctx->interrupted, 0);
}

agon_status ctx_check_interrupt(agon_ctx *ctx) {
    if (ctx && atomic_load_explicit(&ctx->interrupted, memory_order_relaxed))
        return ctx_fail(ctx, AGON_EINTERRUPTED, "stopped on request; run the same command again");
    return AGON_OK;
}

void numerics_set(numerics_switch *s, agon_ctx *ctx, agon_numerics numerics) {
    if (!s->ctx)
        *s = (numerics_switch){ctx, ctx->numerics};
    ctx->numerics = numerics;
}

void numerics_restore(numerics_switch *s) {
    if (s->ctx)
        s->ctx->numerics = s->before;
    *s = (numerics_switch){0};
}

agon_status ctx_fail(agon_ctx *ctx, agon_status code, const char *format, ...) {
    if (!ctx)
        return code;
    va_list args;
    va_start(args, format);
    say_list(ctx->message, sizeof ctx->message, format, args);
    va_end(args);
    return code;
}

agon_status ctx_no_memory(agon_ctx *ctx) {
    return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
}

agon_status ctx_prefix(agon_ctx *ctx, agon_status code, const char *format, ...) {
    if (!ctx)
        return code;
    char prefix[512];
    va_list args;
    va_start(args, format);
    say_list(prefix, sizeof prefix, format, args);
    va_end(args);
    return ctx_fail(ctx, code, "%s: %s", prefix, ctx->message);
}
