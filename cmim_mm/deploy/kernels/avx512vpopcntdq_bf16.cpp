// AVX-512 with VPOPCNTDQ and BF16, which rounds 16 floats at once.
#include "x86.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "kernel.h"

namespace cmim_mm {
namespace {
bool supported() { return avx512vpopcntdq.supported() && __builtin_cpu_supports("avx512bf16"); }
}  // namespace
}  // namespace cmim_mm

#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vpopcntdq,avx512bf16,popcnt")
#define CMIM_MM_HALVES(v) _mm512_cvtneps_pbh((__m512)v)
#include "avx512vpopcntdq.h"

namespace cmim_mm {
const Kernel avx512vpopcntdq_bf16 = {"avx512vpopcntdq", supported, Layout::LANES, pack_row, conv_row, limit};
}
#endif
