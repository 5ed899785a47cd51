/* See available.h. Sources: proc(5), and the kernel's documents on control groups, where memory.current and usage_in_bytes count file
 * pages that are given up under pressure: those on the inactive list are taken as room. */
#include "base/available.h"
#include "base/memory.h"
#include "base/spare.h"
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The number behind `key` in a file of "key value" lines, times `unit`; key NULL: the file's first word. SIZE_MAX: absent, "max" or
 * too large to be meant. */
static size_t read_value(const char *path, const char *key, size_t unit) {
    char line[512], format[96] = "%llu";
    unsigned long long value;
    size_t found = SIZE_MAX;
    FILE *f = fopen(path, "re");
    if (key)
        snprintf(format, sizeof format, "%s%%llu", key);
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, format, &value) == 1) {
            found = value > (1ull << 60) ? SIZE_MAX : (size_t)value * unit;
            break;
        }
    if (f)
        fclose(f);
    return found;
}

typedef struct group_files {
    const char *limit, *usage, *inactive;
} group_files;

static size_t room_in(const char *folder, const group_files *names) {
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", folder, names->limit);
    size_t limit = read_value(path, NULL, 1);
    snprintf(path, sizeof path, "%s/%s", folder, names->usage);
    size_t usage = read_value(path, NULL, 1);
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    size_t inactive = read_value(path, names->inactive, 1);
    if (limit == SIZE_MAX || usage == SIZE_MAX)
        return SIZE_MAX;
    usage -= inactive < usage ? inactive : 0;
    return usage < limit ? limit - usage : 0;
}

/* The least room from the group up to the root. Inside a container the path may be the host's: then only the root is there. */
static size_t room_along(const char *mount, char *group, const group_files *names) {
    char folder[PATH_MAX];
    size_t least = SIZE_MAX;
    for (;;) {
        snprintf(folder, sizeof folder, "%s%s", mount, group);
        size_t room = room_in(folder, names);
        least = room < least ? room : least;
        char *slash = strrchr(group, '/');
        if (!slash)
            return least;
        *slash = 0;
    }
}

static size_t group_room(const char *root) {
    static const group_files v2 = {"memory.max", "memory.current", "inactive_file "};
    static const group_files v1 = {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "};
    char path[PATH_MAX], line[2048], mount[PATH_MAX];
    size_t least = SIZE_MAX;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = 0;
        group[strcspn(group, "\n")] = 0;
        bool old = strstr(controllers, "memory") != NULL;
        if (!old && controllers[1])
            continue; /* another controller's hierarchy */
        snprintf(mount, sizeof mount, "%s/sys/fs/cgroup%s", root, old ? "/memory" : "");
        size_t room = room_along(mount, group, old ? &v1 : &v2);
        least = room < least ? room : least;
    }
    if (f)
        fclose(f);
    return least;
}

double available_processors(const char *root, int n_threads) {
    char path[PATH_MAX];
    unsigned long long quota, period;
    double most = fmin(n_threads, ctx_usable_cores());
    snprintf(path, sizeof path, "%s/sys/fs/cgroup/cpu.max", root);
    FILE *f = fopen(path, "re");
    if (f && fscanf(f, "%llu %llu", &quota, &period) == 2 && period > 0) /* "max": no limit */
        most = fmin(most, (double)quota / (double)period);
    if (f)
        fclose(f);
    return most;
}

/* Bytes of this process; zeros: not known. */
typedef struct process_size {
    size_t addresses, resident, data;
} process_size;

static process_size read_process_size(void) {
    unsigned long long all, resident, data;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    process_size size = {0};
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%llu %llu %*u %*u %*u %llu", &all, &resident, &data) == 3)
        size = (process_size){(size_t)all * page, (size_t)resident * page, (size_t)data * page};
    if (f)
        fclose(f);
    return size;
}

/* What the process's own limits (ulimit -v, -d) leave of addresses and of data. */
static size_t process_room(void) {
    static const int limits[] = {RLIMIT_AS, RLIMIT_DATA};
    const process_size size = read_process_size();
    const size_t taken[] = {size.addresses, size.data};
    size_t least = SIZE_MAX;
    for (int i = 0; i < 2; i++) {
        struct rlimit l;
        if (getrlimit(limits[i], &l) != 0 || l.rlim_cur == RLIM_INFINITY)
            continue;
        size_t room = l.rlim_cur > taken[i] ? (size_t)l.rlim_cur - taken[i] : 0;
        least = room < least ? room : least;
    }
    return least;
}

size_t memory_available(const char *root) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    size_t system = read_value(path, "MemAvailable: ", 1024), group = group_room(root), process = process_room();
    system = system < group ? system : group;
    return system < process ? system : process;
}

size_t memory_resident(void) {
    return read_process_size().resident;
}

size_t memory_room(const agon_ctx *ctx) {
    if (ctx->memory_limit == SIZE_MAX)
        return SIZE_MAX;
    const size_t resident = memory_resident(), left = resident < ctx->memory_limit ? ctx->memory_limit - resident : 0;
    return size_add(ctx->memory_limit ? left : memory_available(""), spare_bytes(ctx)); /* which can be had back */
}

agon_status memory_check(agon_ctx *ctx, size_t bytes, const char *what, const char *mend) {
    if (bytes > SPARE_BYTES)
        spare_drop(ctx);
    size_t room = memory_room(ctx);
    if (bytes <= room)
        return AGON_OK;
    return ctx_fail(ctx, AGON_ENOMEM,
                    "%s needs about %zu MiB of memory more and %zu MiB are there: %s, or set AGON_MEMORY to what it may use in all "
                    "(MiB, or unlimited)",
                    what, (bytes >> 20) + 1, room >> 20, mend);
}
