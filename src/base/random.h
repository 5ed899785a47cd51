/* Random numbers: splitmix64 streams keyed by what they are for (spec: loop 0.3, training 0.7).
 * There is no global generator; a stream's whole state is its 64-bit word and can be journaled. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

typedef struct rng {
    uint64_t state;
} rng;

/* First 8 bytes, big-endian, of SHA-256(decimal run_seed "|" key). */
uint64_t seed_derive(uint64_t run_seed, const char *key);
/* The same with key = printf(format, ...), at most 511 bytes. */
uint64_t seed_derivef(uint64_t run_seed, const char *format, ...) __attribute__((format(printf, 2, 3)));

rng rng_new(uint64_t seed);
uint64_t rng_next(rng *r);
/* [0, 1): (x >> 11) * 2^-53. */
double rng_uniform(rng *r);
/* Uniform in [0, n), n > 0: floor(uniform * n) (loop V:splitmix64). */
uint64_t rng_below(rng *r, uint64_t n);
/* Uniform in [low, high], both ends included. */
int64_t rng_range(rng *r, int64_t low, int64_t high);
/* Standard normal (Box-Muller, one value per two uniforms). */
double rng_normal(rng *r);
/* Fisher-Yates, from the last element down; j = next % (i + 1), as training V:rng.splitmix64 has it
 * (the two specifications draw differently; the modulo bias is below 2^-40 for any set in memory). */
void rng_shuffle(rng *r, size_t *items, size_t n);

#endif
