/* Included before the kernels that tests/amx/run builds: VCVTNE2PS2BF16 as two VCVTNEPS2BF16, as Bochs (3.0 and 3.1) takes the upper half
 * of its result from beyond the operand. Everything else is the product's code. */
#if defined(__x86_64__)
#include <immintrin.h>
#define _mm512_cvtne2ps_pbh(upper, lower)                                                            \
    ((__m512bh)_mm512_inserti64x4(_mm512_castsi256_si512((__m256i)_mm512_cvtneps_pbh(lower)),        \
                                  (__m256i)_mm512_cvtneps_pbh(upper), 1))
#endif
