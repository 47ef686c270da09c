// A stem by AVX-512.
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
#include "stem_avx512.h"

namespace cmim_mm {
namespace {

constexpr Lane LANE = Lane::FLOAT;
using Sums = Floats;

inline Floats multiply_add(Floats sum, Floats weights, float x) {
  return (Floats)_mm512_fmadd_ps((__m512)weights, _mm512_set1_ps(x), (__m512)sum);
}

}  // namespace
}  // namespace cmim_mm

#include "stem_rows.h"

namespace cmim_mm {
const StemKernel stem_avx512 = {supported, LANE, largest, image_row, conv_row, pool_row};
}
#endif
