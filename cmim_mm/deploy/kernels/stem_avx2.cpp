// A stem by AVX2 and FMA.
#include "x86.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "stem.h"

namespace cmim_mm {
namespace {
bool supported() { return saves_avx() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
}  // namespace
}  // namespace cmim_mm

#pragma GCC target("avx2,fma")

namespace cmim_mm {
namespace {

constexpr int LANES = 8, PIXELS = 6, VECTORS = 2;
constexpr Lane LANE = Lane::FLOAT;
using Floats = float __attribute__((vector_size(32)));
using Sums = Floats;

inline Floats multiply_add(Floats sum, Floats weights, float x) {
  return (Floats)_mm256_fmadd_ps((__m256)weights, _mm256_set1_ps(x), (__m256)sum);
}

inline Floats affine(Floats v, Floats gain, Floats shift) {
  return (Floats)_mm256_fmadd_ps((__m256)v, (__m256)gain, (__m256)shift);
}

inline Floats larger(Floats a, Floats b) {
  __m256 x = (__m256)a;  // max gives the second where one is NaN
  return (Floats)_mm256_blendv_ps(_mm256_max_ps(x, (__m256)b), x, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}

}  // namespace
}  // namespace cmim_mm

#include "stem_rows.h"

namespace cmim_mm {
const StemKernel stem_avx2 = {supported, LANE, largest, image_row, conv_row, pool_row};
}
#endif
