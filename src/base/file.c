/* Files, see file.h. */
#include "base/file.h"
#include "base/ctx.h"
#include "base/memory.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

agon_status file_fail(agon_ctx *ctx, const char *path, const char *doing) {
    int e = errno;
    if (!*path)
        return ctx_fail(ctx, AGON_EINVAL, "an empty path names no file or folder (%s)", doing);
    agon_status code = e == ENOENT || e == ENOTDIR ? AGON_ENOTFOUND : AGON_EIO;
    if (e == ENOSPC || e == EDQUOT)
        return ctx_fail(ctx, AGON_EIO, "%s: no space left while %s; free some and run again", path,
                        doing);
    return ctx_fail(ctx, code, "%s: %s while %s", path, strerror(e), doing);
}

static agon_status no_path(agon_ctx *ctx) {
    return ctx_fail(ctx, AGON_EINVAL, "a path is NULL; it must be given");
}

static agon_status open_regular(agon_ctx *ctx, const char *path, int *fd, size_t *size) {
    struct stat st = {0};
    *fd = -1;
    *size = 0;
    if (!path)
        return no_path(ctx);
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe that nobody writes to is refused, not waited for */
    if (*fd < 0)
        return file_fail(ctx, path, "opening");
    if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(*fd);
        return S_ISDIR(st.st_mode) ? ctx_fail(ctx, AGON_EINVAL, "%s: this is a folder; name a file", path)
                                   : ctx_fail(ctx, AGON_EINVAL, "%s: not a regular file but a pipe or a device; write its bytes into a file first", path);
    }
    *size = (size_t)st.st_size;
    return AGON_OK;
}

agon_status file_read(agon_ctx *ctx, const char *path, size_t limit_bytes, char **data, size_t *size) {
    int fd;
    size_t total, done = 0;
    agon_status s = open_regular(ctx, path, &fd, &total);
    if (s)
        return s;
    char *bytes = NULL;
    if (total > limit_bytes)
        s = ctx_fail(ctx, AGON_EINVAL, "%s: %zu bytes is more than the limit of %zu", path, total,
                     limit_bytes);
    else if (!(bytes = malloc(total + 1)))
        s = ctx_fail(ctx, AGON_ENOMEM, "%s: no memory for %zu bytes", path, total);
    while (!s && done < total) {
        ssize_t n = read(fd, bytes + done, total - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            s = file_fail(ctx, path, "reading");
        else if (n == 0)
            break;
        else
            done += (size_t)n;
    }
    close(fd);
    if (s) {
        free(bytes);
        return s;
    }
    bytes[done] = 0;
    *data = bytes;
    *size = done;
    return AGON_OK;
}

agon_status file_map_open(agon_ctx *ctx, const char *path, file_map *out) {
    int fd;
    size_t size;
    agon_status s = open_regular(ctx, path, &fd, &size);
    if (s)
        return s;
    if (size == 0) {
        close(fd);
        return ctx_fail(ctx, AGON_EFORMAT, "%s: the file is empty", path);
    }
    void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return file_fail(ctx, path, "mapping");
    *out = (file_map){p, size};
    return AGON_OK;
}

void file_unmap(file_map *map) {
    if (map->data)
        munmap((void *)(uintptr_t)map->data, map->size);
    *map = (file_map){0};
}

void file_map_release(const file_map *map) {
    if (map->data)
        madvise((void *)(uintptr_t)map->data, map->size, MADV_DONTNEED);
}

agon_status byte_reader_open(agon_ctx *ctx, const char *path, byte_reader *out) {
    byte_reader r = {0};
    agon_status s = open_regular(ctx, path, &r.fd, &r.size);
    if (s)
        return s;
    if (!(r.path = strdup(path))) {
        close(r.fd);
        return ctx_no_memory(ctx);
    }
    *out = r;
    return AGON_OK;
}

void byte_reader_close(byte_reader *r) {
    if (r->path)
        close(r->fd);
    free(r->path);
    *r = (byte_reader){0};
}

byte_reader byte_reader_of(const void *data, size_t n) {
    return (byte_reader){.data = data, .size = n};
}

byte_reader byte_reader_part(const byte_reader *r, size_t from, size_t n) {
    byte_reader part = *r;
    part.start += from;
    part.size = n;
    return part;
}

agon_status byte_reader_read(agon_ctx *ctx, const byte_reader *r, size_t from, void *to, size_t n) {
    const char *name = r->path ? r->path : "what is read";
    if (from > r->size || n > r->size - from)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: it has %zu bytes, and byte %zu of it is asked for", name, r->size, size_add(from, n));
    if (!r->path && n)
        memcpy(to, r->data + r->start + from, n);
    for (size_t done = 0; r->path && done < n;) {
        ssize_t got = pread(r->fd, (char *)to + done, n - done, (off_t)(r->start + from + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return file_fail(ctx, name, "reading");
        if (got == 0)
            return ctx_fail(ctx, AGON_EFORMAT, "%s: it was cut short while it was read", name);
        done += (size_t)got;
    }
    return AGON_OK;
}

agon_status byte_reader_hash(agon_ctx *ctx, const byte_reader *r, hash256 *out) {
    enum { PIECE = 256 << 10 };
    hasher *h = hasher_new();
    char *piece = malloc(PIECE);
    agon_status s = h && piece ? AGON_OK : ctx_no_memory(ctx);
    for (size_t from = 0; from < r->size && !s;) {
        const size_t n = r->size - from < PIECE ? r->size - from : PIECE;
        s = byte_reader_read(ctx, r, from, piece, n);
        if (!s)
            hasher_add(h, piece, n);
        from += n;
    }
    free(piece);
    if (!h)
        return s;
    const hash256 found = hasher_end(h);
    if (!s)
        *out = found;
    return s;
}

struct file_writer {
    int fd;
    bool replaces; /* a file of this name was there */
    bool is_new;   /* nothing of this name may be there */
    uint64_t size;
    char *path, *temporary;
};

/* The folder of `path`, whose last name is cut off. */
static const char *folder_of(char *path) {
    char *slash = strrchr(path, '/');
    if (!slash)
        return ".";
    if (slash == path)
        return "/";
    *slash = 0;
    return path;
}

static agon_status sync_folder_of(agon_ctx *ctx, const char *path) {
    char *copy = strdup(path);
    if (!copy)
        return ctx_no_memory(ctx);
    const char *folder = folder_of(copy);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    agon_status s = AGON_OK;
    if (fd < 0 || fsync(fd) != 0)
        s = file_fail(ctx, path, "syncing its folder");
    if (fd >= 0)
        close(fd);
    free(copy);
    return s;
}

/* Names no one else gives: what killed writers left can be told from other files. */
static const char TEMPORARY[] = ".tmp-agon";
enum { N_RANDOM = 6 };

bool file_is_temporary(const char *name) {
    size_t n = strlen(name), tail = sizeof TEMPORARY - 1 + N_RANDOM;
    return n > tail && strncmp(name + n - tail, TEMPORARY, sizeof TEMPORARY - 1) == 0;
}

/* A living writer holds a lock on its temporary file until it has its name. */
static bool sweep_one(int folder, const char *name) {
    struct stat st;
    int fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool removed = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(folder, name, 0) == 0;
    close(fd);
    return removed;
}

/* `of`: only what writers of the file of this name left; NULL: of any. */
static bool sweep(const char *path, const char *of) {
    const size_t n = of ? strlen(of) : 0;
    DIR *folder = opendir(path);
    bool any = false;
    if (!folder)
        return false;
    for (struct dirent *e; (e = readdir(folder));)
        if (file_is_temporary(e->d_name) && (!of || (strncmp(e->d_name, of, n) == 0 && strlen(e->d_name) == n + sizeof TEMPORARY - 1 + N_RANDOM)))
            any |= sweep_one(dirfd(folder), e->d_name);
    closedir(folder);
    return any;
}

void file_sweep(const char *folder) {
    (void)sweep(folder, NULL);
}

bool file_sweep_of(const char *path) {
    const char *slash = path ? strrchr(path, '/') : NULL;
    char *copy = path ? strdup(path) : NULL;
    bool any = copy && sweep(folder_of(copy), slash ? slash + 1 : path);
    free(copy);
    return any;
}

/* A new file whose name ends in N_RANDOM characters of chance, which replace the last ones of `path`; -1 with errno. mkstemp's would be nobody else's to
 * read, and asking for the umask changes it for a moment in every thread. */
static int create_temporary(char *path) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    char *end = path + strlen(path) - N_RANDOM;
    unsigned char chance[N_RANDOM];
    for (int tries = 0; tries < 100; tries++) {
        if (getrandom(chance, sizeof chance, 0) != (ssize_t)sizeof chance)
            return -1;
        for (size_t i = 0; i < N_RANDOM; i++)
            end[i] = letters[chance[i] % (sizeof letters - 1)];
        int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

agon_status file_writer_rename(agon_ctx *ctx, file_writer *w, const char *path) {
    struct stat st;
    if (!path)
        return no_path(ctx);
    const bool replaces = stat(path, &st) == 0;
    if (replaces && !S_ISREG(st.st_mode)) /* the rename would put a file in the place of a pipe or a device */
        return ctx_fail(ctx, AGON_EINVAL, "%s is no regular file; write elsewhere", path);
    char *copy = strdup(path);
    if (!copy)
        return ctx_no_memory(ctx);
    free(w->path);
    w->path = copy;
    w->replaces = replaces;
    return AGON_OK;
}

agon_status file_writer_open(agon_ctx *ctx, const char *path, file_writer **out) {
    file_writer *w = calloc(1, sizeof *w);
    if (!w)
        return ctx_no_memory(ctx);
    w->fd = -1;
    agon_status s = file_writer_rename(ctx, w, path);
    if (!s && asprintf(&w->temporary, "%s%s%0*d", path, TEMPORARY, (int)N_RANDOM, 0) < 0) {
        w->temporary = NULL;
        s = ctx_no_memory(ctx);
    }
    if (!s && (w->fd = create_temporary(w->temporary)) < 0)
        s = file_fail(ctx, path, "creating");
    if (s) {
        file_writer_abort(w);
        return s;
    }
    (void)flock(w->fd, LOCK_EX | LOCK_NB); /* for file_sweep; where there are no locks nothing is swept */
    *out = w;
    return AGON_OK;
}

agon_status file_writer_add(agon_ctx *ctx, file_writer *w, const void *data, size_t size) {
    const char *p = data;
    while (size > 0) {
        ssize_t n = write(w->fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return file_fail(ctx, w->path, "writing");
        p += n;
        size -= (size_t)n;
        w->size += (uint64_t)n;
    }
    return AGON_OK;
}

void file_writer_is_new(file_writer *w) {
    w->is_new = true;
}

uint64_t file_writer_size(const file_writer *w) {
    return w->size;
}

/* rename, which with `is_new` refuses where something is. Where the file system cannot tell, it is looked at just before. */
static int put_in_place(const file_writer *w) {
    if (!w->is_new)
        return rename(w->temporary, w->path);
    if (renameat2(AT_FDCWD, w->temporary, AT_FDCWD, w->path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (access(w->path, F_OK) != 0)
        return rename(w->temporary, w->path);
    errno = EEXIST;
    return -1;
}

agon_status file_writer_commit_take(agon_ctx *ctx, file_writer *w) {
    agon_status s = AGON_OK;
    if (fsync(w->fd) != 0)
        s = file_fail(ctx, w->path, "syncing");
    if (!s && put_in_place(w) != 0)
        s = w->is_new && errno == EEXIST ? ctx_fail(ctx, AGON_EINVAL, "%s exists already and is not overwritten; give another name", w->path)
                                         : file_fail(ctx, w->path, "renaming into place");
    if (!s) {
        w->temporary[0] = 0;
        s = sync_folder_of(ctx, w->path);
        if (s && !w->replaces)
            unlink(w->path); /* what failed leaves nothing that would be in the way of the next try */
    }
    file_writer_abort(w);
    return s;
}

void file_writer_abort(file_writer *w) {
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    if (w->fd >= 0 && w->temporary[0])
        unlink(w->temporary);
    free(w->temporary);
    free(w->path);
    free(w);
}

typedef struct add_to {
    agon_ctx *ctx;
    file_writer *w;
} add_to;

static agon_status add_piece(void *arg, const void *data, size_t n) {
    const add_to *to = arg;
    return file_writer_add(to->ctx, to->w, data, n);
}

static agon_status write_whole(agon_ctx *ctx, const char *path, const byte_stream *x, bool is_new) {
    add_to to = {.ctx = ctx};
    agon_status s = file_writer_open(ctx, path, &to.w);
    if (s)
        return s;
    to.w->is_new = is_new;
    s = x->write(x, add_piece, &to);
    if (s) {
        file_writer_abort(to.w);
        return s;
    }
    return file_writer_commit_take(ctx, to.w);
}

agon_status file_write_stream(agon_ctx *ctx, const char *path, const byte_stream *x) {
    return write_whole(ctx, path, x, false);
}

agon_status file_write(agon_ctx *ctx, const char *path, const void *data, size_t size) {
    const byte_stream x = stream_of(data, size);
    return write_whole(ctx, path, &x, false);
}

agon_status file_write_new(agon_ctx *ctx, const char *path, const void *data, size_t size) {
    const byte_stream x = stream_of(data, size);
    return write_whole(ctx, path, &x, true);
}

agon_status folder_make(agon_ctx *ctx, const char *path) {
    if (path && !*path)
        return file_fail(ctx, path, "making the folder");
    char *copy = path ? strdup(path) : NULL;
    if (!copy)
        return path ? ctx_no_memory(ctx) : no_path(ctx);
    agon_status s = AGON_OK;
    for (char *p = copy + 1; !s; p++) {
        if (*p && *p != '/')
            continue;
        char saved = *p;
        *p = 0;
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            s = file_fail(ctx, copy, "making the folder");
        *p = saved;
        if (!saved)
            break;
    }
    if (!s && !folder_exists(path))
        s = ctx_fail(ctx, AGON_EIO, "%s: exists but is not a folder", path);
    free(copy);
    return s;
}

bool file_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

char *path_join(const char *folder, const char *name) {
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

bool path_ends(const char *path, const char *ending) {
    size_t n = strlen(path), n_ending = strlen(ending);
    return n > n_ending && strcasecmp(path + n - n_ending, ending) == 0;
}

bool file_same(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool folder_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}
