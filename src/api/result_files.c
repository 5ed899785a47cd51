/* See result_files.h. */
#include "api/result_files.h"
#include "base/file.h"
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"adapter_config.json", "adapter_model.safetensors", RESULT_DIMENSIONS,
                                    "config.json", "model.safetensors", "reward_scale.json"};
enum { N_NAMES = sizeof names / sizeof *names };

const char *result_files_find(int folder) {
    for (size_t i = 0; i < N_NAMES; i++)
        if (faccessat(folder, names[i], F_OK, 0) == 0)
            return names[i];
    return NULL;
}

const char *result_files_missing(int folder, bool dimensions) {
    static const char *const wholes[][2] = {{"adapter_config.json", "adapter_model.safetensors"}, {"config.json", "model.safetensors"}};
    const char *missing = NULL;
    for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++) {
        const bool config = faccessat(folder, wholes[i][0], F_OK, 0) == 0, weights = faccessat(folder, wholes[i][1], F_OK, 0) == 0;
        if (config && weights)
            return dimensions && faccessat(folder, RESULT_DIMENSIONS, F_OK, 0) != 0 ? RESULT_DIMENSIONS : NULL;
        if (!missing && (config || weights))
            missing = wholes[i][config];
    }
    return missing ? missing : "what it made";
}

void result_files_remove(int folder) {
    for (size_t i = 0; i < N_NAMES; i++)
        unlinkat(folder, names[i], 0);
}

void result_files_remove_below(int folder, const char *name) {
    int below = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below < 0)
        return;
    result_files_remove(below);
    close(below);
    unlinkat(folder, name, AT_REMOVEDIR);
}

/* What stands in a model's folder beside `names`. */
static const char *const texts[] = {"tokenizer.json", "tokenizer_config.json", "generation_config.json"};
enum { N_TEXTS = sizeof texts / sizeof *texts };

typedef struct folder_counts {
    size_t temporary, last, foreign; /* files; of those that are renamed last, which say that the folder is whole */
} folder_counts;

static folder_counts count_files(DIR *folder) {
    folder_counts n = {0};
    rewinddir(folder);
    for (const struct dirent *e; (e = readdir(folder));) {
        bool known = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
        for (size_t i = 0; i < N_NAMES; i++)
            known |= strcmp(e->d_name, names[i]) == 0;
        for (size_t i = 0; i < N_TEXTS; i++)
            known |= strcmp(e->d_name, texts[i]) == 0;
        n.last += strcmp(e->d_name, "config.json") == 0 || strcmp(e->d_name, "adapter_config.json") == 0;
        n.temporary += file_is_temporary(e->d_name);
        n.foreign += !known && !file_is_temporary(e->d_name);
    }
    return n;
}

void result_folder_sweep(const char *path) {
    DIR *folder = opendir(path);
    if (!folder)
        return;
    folder_counts n = count_files(folder);
    if (n.temporary > 0 && n.last == 0 && n.foreign == 0) {
        file_sweep(path);
        if (count_files(folder).temporary == 0) {
            result_files_remove(dirfd(folder));
            for (size_t i = 0; i < N_TEXTS; i++)
                unlinkat(dirfd(folder), texts[i], 0);
            rmdir(path);
        }
    }
    closedir(folder);
}
