// A stem by AVX-512, and with BF16 by its product of pairs of bfloat16.
#include "x86.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "stem.h"

namespace cmim_mm {
namespace {
bool supported() { return saves_avx512() && __builtin_cpu_supports("avx512bw"); }
}  // namespace
}  // namespace cmim_mm

#pragma GCC target("avx512f,avx512bw")

namespace cmim_mm {
namespace {

constexpr int LANES = 16, PIXELS = 6, VECTORS = 4;
constexpr bool PAIRS = false;
using Floats = float __attribute__((vector_size(64)));

inline Floats multiply_add(Floats sum, Floats weights, float x) {
  return (Floats)_mm512_fmadd_ps((__m512)weights, _mm512_set1_ps(x), (__m512)sum);
}

inline Floats larger(Floats a, Floats b) {
  __m512 x = (__m512)a;  // max gives the second where one is NaN
  return (Floats)_mm512_mask_mov_ps(_mm512_max_ps(x, (__m512)b), _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), x);
}

}  // namespace
}  // namespace cmim_mm

#include "stem_rows.h"

namespace cmim_mm {
const StemKernel stem_avx512 = {supported, false, image_row, conv_row, pool_row};
}
#endif
