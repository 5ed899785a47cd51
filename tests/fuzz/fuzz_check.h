/* An invariant of a fuzz target: broken, the run ends with the sentence. */
#ifndef TESTS_FUZZ_FUZZ_CHECK_H
#define TESTS_FUZZ_FUZZ_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define FUZZ_CHECK(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, ": broken: %s\n", #condition);                                         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
