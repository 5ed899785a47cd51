/* Files: whole reads with a limit, read-only maps, reads by place, and writes that are never seen half done. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/byte_stream.h"
#include "base/hash.h"

/* The sentence for errno: what happened to `path` while `doing` ("writing"). AGON_ENOTFOUND, AGON_EIO. */
agon_status file_fail(agon_ctx *ctx, const char *path, const char *doing);

/* Reads a whole file; *data new, NUL-terminated (free()), *size without the NUL. AGON_ENOTFOUND,
 * AGON_EIO, AGON_EINVAL when longer than `limit_bytes`. gzip is not decoded. */
AGON_MUST_CHECK agon_status file_read(agon_ctx *ctx, const char *path, size_t limit_bytes, char **data,
                                      size_t *size);

typedef struct file_map {
    const uint8_t *data;
    size_t size;
} file_map;

/* Maps a regular file read-only. Release with file_unmap. */
AGON_MUST_CHECK agon_status file_map_open(agon_ctx *ctx, const char *path, file_map *out);
void file_unmap(file_map *map);
/* Gives back the memory of what was read so far; it is read from the file again when it is wanted. */
void file_map_release(const file_map *map);

/* Bytes that are read by place: of a regular file, of memory, or a part of either. Zero: none. */
typedef struct byte_reader {
    char *path; /* NULL: in memory */
    int fd;
    const uint8_t *data;
    size_t start, size;
} byte_reader;
/* Close it with byte_reader_close. AGON_ENOTFOUND, AGON_EIO, AGON_EINVAL. */
AGON_MUST_CHECK agon_status byte_reader_open(agon_ctx *ctx, const char *path, byte_reader *out);
void byte_reader_close(byte_reader *r); /* one that is none is fine */
/* Of bytes [n] that are in memory, borrowed; and of n of r's bytes from `from` on, which must be there, for as long as r is open. Neither is closed. */
byte_reader byte_reader_of(const void *data, size_t n);
byte_reader byte_reader_part(const byte_reader *r, size_t from, size_t n);
/* n bytes from `from` on. AGON_EFORMAT: they are not all there, also where the file was cut since; AGON_EIO. */
AGON_MUST_CHECK agon_status byte_reader_read(agon_ctx *ctx, const byte_reader *r, size_t from, void *to, size_t n);
AGON_MUST_CHECK agon_status byte_reader_hash(agon_ctx *ctx, const byte_reader *r, hash256 *out);

/* Durable write: temporary name beside it, write, fsync, rename, fsync the folder. Either the old
 * content or all of the new one is there, whenever the power goes; after a failure it is the old content, or none where there was none, but for a folder that
 * cannot be synced after a file was replaced: then it is the new one. */
AGON_MUST_CHECK agon_status file_write(agon_ctx *ctx, const char *path, const void *data, size_t size);
/* The same where nothing of that name is: AGON_EINVAL otherwise, also when it appeared a moment ago. */
AGON_MUST_CHECK agon_status file_write_new(agon_ctx *ctx, const char *path, const void *data, size_t size);

/* file_write of what is made while it is written. */
AGON_MUST_CHECK agon_status file_write_stream(agon_ctx *ctx, const char *path, const byte_stream *x);

/* The same in pieces, for large files. file_writer_commit renames into place; file_writer_abort (NULL is fine) removes the
 * temporary file. After a failed add only abort is allowed. */
typedef struct file_writer file_writer;
AGON_MUST_CHECK agon_status file_writer_open(agon_ctx *ctx, const char *path, file_writer **out);
AGON_MUST_CHECK agon_status file_writer_add(agon_ctx *ctx, file_writer *w, const void *data, size_t size);
uint64_t file_writer_size(const file_writer *w);
/* The commit refuses (AGON_EINVAL) where something has the final name by then, as file_write_new does. */
void file_writer_is_new(file_writer *w);
/* Another final name, in the same file system, for what was opened under a name of no use: where the bytes decide how they are called. */
AGON_MUST_CHECK agon_status file_writer_rename(agon_ctx *ctx, file_writer *w, const char *path);
AGON_MUST_CHECK agon_status file_writer_commit_take(agon_ctx *ctx, file_writer *w);
void file_writer_abort(file_writer *w);

/* Removes from a folder what killed writers left: files with the name of a writer's temporary file that no living writer holds (on a file
 * system without locks: none). A folder that cannot be read stays as it is. */
void file_sweep(const char *folder);
/* The same of the writers of one file, in a folder that others use too; whether there was any. NULL is fine. */
bool file_sweep_of(const char *path);
/* Whether a file of this name is a writer's temporary file. */
bool file_is_temporary(const char *name);

/* "FOLDER/NAME"; new, NULL on memory. */
char *path_join(const char *folder, const char *name);
bool path_ends(const char *path, const char *ending); /* whatever the case of its letters: ".csv" */
/* Makes a folder and its missing parents. */
AGON_MUST_CHECK agon_status folder_make(agon_ctx *ctx, const char *path);
bool file_exists(const char *path);   /* a regular file */
bool folder_exists(const char *path);
bool file_same(const char *a, const char *b); /* both are there and the same file or folder, whatever the paths */

#endif
