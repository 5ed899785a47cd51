/* What a function of the public API computes may not depend on the floating-point environment of its caller (rounding, flush-to-zero, traps). */
#ifndef BASE_FP_ENVIRONMENT_H
#define BASE_FP_ENVIRONMENT_H

#include <fenv.h>

/* The system's default environment, and the caller's as it was (its exception flags included) at the end of the block. The first statement
 * of each such function; scripts/check-layers asks for it. Threads that are started meanwhile inherit the default. */
#define FP_ENVIRONMENT() __attribute__((cleanup(fp_environment_restore), unused)) fenv_t environment_ = fp_environment_default()

static inline fenv_t fp_environment_default(void) {
    fenv_t callers;
    fegetenv(&callers);
    fesetenv(FE_DFL_ENV);
    return callers;
}

static inline void fp_environment_restore(const fenv_t *callers) {
    fesetenv(callers);
}

#endif
