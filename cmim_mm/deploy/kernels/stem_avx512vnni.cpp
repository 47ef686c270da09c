// A stem by AVX-512 with VNNI: products of quads of int8 and uint8, summed in int32.
#include "x86.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "stem.h"

namespace cmim_mm {
namespace {
bool supported() { return saves_avx512() && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni"); }
}  // namespace
}  // namespace cmim_mm

#pragma GCC target("avx512f,avx512bw,avx512vnni")
#include "stem_avx512.h"

namespace cmim_mm {
namespace {

constexpr Lane LANE = Lane::QUAD;
using Sums = Ints;

inline Ints multiply_add(Ints sum, Floats weights, float x) {
  return (Ints)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)_mm512_set1_ps(x), (__m512i)weights);
}

}  // namespace
}  // namespace cmim_mm

#include "stem_rows.h"

namespace cmim_mm {
const StemKernel stem_avx512vnni = {supported, LANE, largest, image_row, conv_row, pool_row};
}
#endif
