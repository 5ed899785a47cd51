/* Temporary folders, and the small recipe, for the tests of store and journal. */
#ifndef TESTS_WORKSPACE_H
#define TESTS_WORKSPACE_H

#include "small_recipe.h"
#include "test.h"
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static inline char *workspace_new(void) {
    char *folder = strdup("/tmp/agon-test-XXXXXX");
    if (!folder || !mkdtemp(folder))
        fail_msg("no temporary folder");
    return folder;
}

static inline void workspace_remove(char *folder) {
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        print_message("could not remove %s\n", folder);
    free(folder);
}

/* How many half written objects lie there. */
static inline size_t workspace_n_left(const char *workspace) {
    char path[300];
    size_t n = 0;
    snprintf(path, sizeof path, "%s/objects", workspace);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *e; (e = readdir(folder));)
        n += file_is_temporary(e->d_name);
    closedir(folder);
    return n;
}

#endif
