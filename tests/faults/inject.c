/* Loaded before the C library (LD_PRELOAD): makes one call of the program fail, as a full or dying disk does. SQLite's calls go through here too.
 *
 *   AGON_FAULT=CLASS:N:ERROR[:after]  the Nth call of the class fails, with :after every later one of any class that writes, too
 *   AGON_FAULT_FOLDER=DIR             only calls on what is in this folder (a real path) count
 *   AGON_FAULT_LOG=FILE               gets "hit CLASS N PATH" when it happens, and at the end "count CLASS N" of every class
 *
 * CLASS: open (to write or create) write sync rename mkdir truncate link unlink close (of what was written) read map.
 * ERROR: ENOSPC EDQUOT EIO EMFILE; SHORT: half of the bytes are written, or read; with :after nothing more then, for want of room; CUT, of map: the file is
 * emptied once it is mapped. */
#undef _FORTIFY_SOURCE
#undef _FILE_OFFSET_BITS /* both names are defined here */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEEN __attribute__((visibility("default")))
#define REAL(name) ((__typeof__(&name))real(#name))

enum { OPEN, WRITE, SYNC, RENAME, MKDIR, TRUNCATE, LINK, UNLINK, CLOSE, READ, MAP, N_CLASSES };
enum { SHORT = -1, CUT = -2 };
static const char *const class_names[N_CLASSES] = {"open", "write", "sync", "rename", "mkdir", "truncate", "link", "unlink", "close", "read", "map"};

static unsigned long counts[N_CLASSES], wanted;
static int fault_class = -1, fault_error;
static bool after, failing;
static const char *folder, *log_path;
static size_t folder_length;

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

static void add_line(const char *line, int n) {
    int fd = REAL(open)(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0 || REAL(write)(fd, line, (size_t)n) != n)
        abort();
    REAL(close)(fd);
}

__attribute__((constructor)) static void begin(void) {
    static const struct {
        const char *name;
        int value;
    } errors[] = {{"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EIO", EIO}, {"EMFILE", EMFILE}, {"SHORT", SHORT}, {"CUT", CUT}};
    const char *fault = getenv("AGON_FAULT");
    char class_name[16] = "", error[16] = "", more[16] = "";
    folder = getenv("AGON_FAULT_FOLDER");
    log_path = getenv("AGON_FAULT_LOG");
    if (!folder || !log_path)
        return;
    folder_length = strlen(folder);
    if (!fault || !*fault)
        return;
    if (sscanf(fault, "%15[a-z]:%lu:%15[A-Z]:%15s", class_name, &wanted, error, more) < 3)
        abort();
    for (int i = 0; i < N_CLASSES; i++)
        fault_class = strcmp(class_name, class_names[i]) == 0 ? i : fault_class;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        fault_error = strcmp(error, errors[i].name) == 0 ? errors[i].value : fault_error;
    after = strcmp(more, "after") == 0;
    if (fault_class < 0 || !fault_error || wanted == 0)
        abort();
}

__attribute__((destructor)) static void end(void) {
    char line[64];
    for (int i = 0; i < N_CLASSES && folder && log_path; i++)
        add_line(line, snprintf(line, sizeof line, "count %s %lu\n", class_names[i], counts[i]));
}

static bool takes_room(int class) {
    return class == OPEN || class == WRITE || class == SYNC || class == RENAME || class == MKDIR || class == TRUNCATE || class == LINK;
}

/* 0: the call is to be made; else the error it fails with, or SHORT. */
static int fault_at(int class, const char *path) {
    if (!folder || !log_path || strncmp(path, folder, folder_length) != 0 || (path[folder_length] && path[folder_length] != '/'))
        return 0;
    if (class == MKDIR && !path[folder_length]) /* a program makes the parents as well */
        return 0;
    unsigned long n = __atomic_add_fetch(&counts[class], 1, __ATOMIC_RELAXED);
    if (failing && takes_room(class))
        return fault_error == SHORT ? ENOSPC : fault_error;
    if (class != fault_class || n != wanted)
        return 0;
    char line[PATH_MAX + 64];
    add_line(line, snprintf(line, sizeof line, "hit %s %lu %s\n", class_names[class], n, path));
    failing = after;
    return fault_error;
}

static int fault_at_fd(int class, int fd) {
    char name[64], path[PATH_MAX + 1];
    int saved = errno;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, path, sizeof path - 1);
    errno = saved;
    if (n < 0)
        return 0;
    path[n] = 0;
    return fault_at(class, path);
}

static int fault_at_path(int class, int at, const char *path) {
    char name[64], whole[2 * PATH_MAX];
    int saved = errno;
    if (path[0] == '/')
        return fault_at(class, path);
    if (at == AT_FDCWD)
        snprintf(name, sizeof name, "/proc/self/cwd");
    else
        snprintf(name, sizeof name, "/proc/self/fd/%d", at);
    ssize_t n = readlink(name, whole, PATH_MAX);
    errno = saved;
    if (n < 0)
        return 0;
    snprintf(whole + n, sizeof whole - (size_t)n, "/%s", path);
    return fault_at(class, whole);
}

static bool fails(int error) {
    if (error) /* one byte has no half */
        errno = error == SHORT ? ENOSPC : error;
    return error != 0;
}

static bool writes(int flags) {
    return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
}

#define OPENING(name)                                                                                   \
    SEEN int name(const char *path, int flags, ...) {                                                   \
        va_list rest;                                                                                   \
        va_start(rest, flags);                                                                          \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                         \
        va_end(rest);                                                                                   \
        return writes(flags) && fails(fault_at_path(OPEN, AT_FDCWD, path)) ? -1 : REAL(name)(path, flags, mode); \
    }
#define OPENING_AT(name)                                                                                \
    SEEN int name(int at, const char *path, int flags, ...) {                                           \
        va_list rest;                                                                                   \
        va_start(rest, flags);                                                                          \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                         \
        va_end(rest);                                                                                   \
        return writes(flags) && fails(fault_at_path(OPEN, at, path)) ? -1 : REAL(name)(at, path, flags, mode); \
    }
OPENING(open)
OPENING(open64)
OPENING_AT(openat)
OPENING_AT(openat64)

#define MOVING(name, class, bytes)                                                \
    SEEN ssize_t name(int fd, bytes data, size_t n) {                             \
        int e = fault_at_fd(class, fd);                                           \
        if (e == SHORT && n > 1)                                                  \
            return REAL(name)(fd, data, n / 2);                                   \
        return fails(e) ? -1 : REAL(name)(fd, data, n);                           \
    }
#define MOVING_AT(name, class, bytes, offset)                                     \
    SEEN ssize_t name(int fd, bytes data, size_t n, offset at) {                  \
        int e = fault_at_fd(class, fd);                                           \
        if (e == SHORT && n > 1)                                                  \
            return REAL(name)(fd, data, n / 2, at);                               \
        return fails(e) ? -1 : REAL(name)(fd, data, n, at);                       \
    }
MOVING(write, WRITE, const void *)
MOVING(read, READ, void *)
MOVING_AT(pwrite, WRITE, const void *, off_t)
MOVING_AT(pwrite64, WRITE, const void *, off64_t)
MOVING_AT(pread, READ, void *, off_t)
MOVING_AT(pread64, READ, void *, off64_t)

#define ON_FD(name, class)                                                        \
    SEEN int name(int fd) {                                                       \
        return fails(fault_at_fd(class, fd)) ? -1 : REAL(name)(fd);               \
    }
ON_FD(fsync, SYNC)
ON_FD(fdatasync, SYNC)

#define TRUNCATING(name, offset)                                                  \
    SEEN int name(int fd, offset size) {                                          \
        return fails(fault_at_fd(TRUNCATE, fd)) ? -1 : REAL(name)(fd, size);      \
    }
TRUNCATING(ftruncate, off_t)
TRUNCATING(ftruncate64, off64_t)

SEEN int rename(const char *from, const char *to) {
    return fails(fault_at_path(RENAME, AT_FDCWD, to)) ? -1 : REAL(rename)(from, to);
}
SEEN int renameat2(int from_folder, const char *from, int folder, const char *to, unsigned flags) {
    return fails(fault_at_path(RENAME, folder, to)) ? -1 : REAL(renameat2)(from_folder, from, folder, to, flags);
}
SEEN int mkdir(const char *path, mode_t mode) {
    return fails(fault_at_path(MKDIR, AT_FDCWD, path)) ? -1 : REAL(mkdir)(path, mode);
}
SEEN int link(const char *from, const char *to) {
    return fails(fault_at_path(LINK, AT_FDCWD, to)) ? -1 : REAL(link)(from, to);
}
SEEN int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    return fails(fault_at_path(LINK, to_at, to)) ? -1 : REAL(linkat)(from_at, from, to_at, to, flags);
}
SEEN int unlink(const char *path) {
    return fails(fault_at_path(UNLINK, AT_FDCWD, path)) ? -1 : REAL(unlink)(path);
}
SEEN int unlinkat(int at, const char *path, int flags) {
    return fails(fault_at_path(UNLINK, at, path)) ? -1 : REAL(unlinkat)(at, path, flags);
}

/* The descriptor is gone whatever is said. */
SEEN int close(int fd) {
    int flags = fcntl(fd, F_GETFL), e = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY ? fault_at_fd(CLOSE, fd) : 0;
    int result = REAL(close)(fd);
    return fails(e) ? -1 : result;
}

static void empty(int fd) {
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    if (truncate(name, 0) != 0)
        abort();
}

#define MAPPING(name, offset)                                                                       \
    SEEN void *name(void *at, size_t n, int protection, int flags, int fd, offset from) {           \
        int e = fd >= 0 ? fault_at_fd(MAP, fd) : 0;                                                 \
        void *made = e != CUT && fails(e) ? MAP_FAILED : REAL(name)(at, n, protection, flags, fd, from); \
        if (e == CUT)                                                                               \
            empty(fd);                                                                              \
        return made;                                                                                \
    }
MAPPING(mmap, off_t)
MAPPING(mmap64, off64_t)
