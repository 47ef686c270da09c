// AVX-512 with VPOPCNTDQ.
#include "x86.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "kernel.h"

namespace cmim_mm {
namespace {
bool supported() {
  return saves_avx512() && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
      && __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("popcnt");
}
}  // namespace
}  // namespace cmim_mm

#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vpopcntdq,popcnt")
#include "avx512vpopcntdq.h"

namespace cmim_mm {
const Kernel avx512vpopcntdq = {
    "avx512vpopcntdq", supported, Layout::LANES, pack_row, conv_row, limit, &avx512vpopcntdq_bf16};
}
#endif
