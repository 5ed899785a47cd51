/* See result_files.h. */
#include "api/result_files.h"
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

static const char *const names[] = {"adapter_config.json", "adapter_model.safetensors", "panacea.safetensors",
                                    "config.json", "model.safetensors", "reward_scale.json"};
enum { N_NAMES = sizeof names / sizeof *names };

const char *result_files_find(int folder) {
    for (size_t i = 0; i < N_NAMES; i++)
        if (faccessat(folder, names[i], F_OK, 0) == 0)
            return names[i];
    return NULL;
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
