// A stem by AVX-512 with BF16: products of pairs of bfloat16, summed in float32.
#include "x86.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "stem.h"

namespace cmim_mm {
namespace {
bool supported() { return saves_avx512() && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512bf16"); }
}  // namespace
}  // namespace cmim_mm

#pragma GCC target("avx512f,avx512bw,avx512bf16")
#include "stem_avx512.h"

namespace cmim_mm {
namespace {

constexpr Lane LANE = Lane::PAIR;
using Sums = Floats;

inline Floats multiply_add(Floats sum, Floats weights, float x) {
  return (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)weights, (__m512bh)_mm512_set1_ps(x));
}

}  // namespace
}  // namespace cmim_mm

#include "stem_rows.h"

namespace cmim_mm {
const StemKernel stem_avx512bf16 = {supported, LANE, largest, image_row, conv_row, pool_row};
}
#endif
