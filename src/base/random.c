/* splitmix64 streams, see random.h. Generator: Steele, Lea, Flood 2014. */
#include "base/random.h"
#include "base/hash.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

uint64_t seed_derive(uint64_t run_seed, const char *key) {
    char head[24];
    int n = snprintf(head, sizeof head, "%llu|", (unsigned long long)run_seed);
    hasher *h = hasher_new();
    if (!h)
        return 0;
    hasher_add(h, head, (size_t)n);
    size_t length = 0;
    while (key[length])
        length++;
    hasher_add(h, key, length);
    hash256 hash = hasher_end(h);
    uint64_t seed = 0;
    for (int i = 0; i < 8; i++)
        seed = seed << 8 | hash.bytes[i];
    return seed;
}

uint64_t seed_derivef(uint64_t run_seed, const char *format, ...) {
    char key[512];
    va_list args;
    va_start(args, format);
    vsnprintf(key, sizeof key, format, args);
    va_end(args);
    return seed_derive(run_seed, key);
}

rng rng_new(uint64_t seed) {
    return (rng){seed};
}

uint64_t rng_next(rng *r) {
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double rng_uniform(rng *r) {
    return (double)(rng_next(r) >> 11) * 0x1p-53;
}

uint64_t rng_below(rng *r, uint64_t n) {
    return (uint64_t)(rng_uniform(r) * (double)n);
}

int64_t rng_range(rng *r, int64_t low, int64_t high) {
    return low + (int64_t)rng_below(r, (uint64_t)(high - low) + 1);
}

double rng_normal(rng *r) {
    double u = 1.0 - rng_uniform(r), v = rng_uniform(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void rng_shuffle(rng *r, size_t *items, size_t n) {
    for (size_t i = n; i-- > 1;) {
        size_t j = (size_t)(rng_next(r) % (i + 1)), t = items[i];
        items[i] = items[j];
        items[j] = t;
    }
}
