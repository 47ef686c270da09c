// NEON: exclusive or, the popcount of bytes, and their addition, for 4 outputs x 32 bits.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "kernel.h"

namespace cmim_mm {
namespace {

bool supported() { return true; }  // every 64-bit ARM processor has it

constexpr int LANES = 4;
constexpr int PIXELS = 4;
constexpr int MOST_STEPS = 31;  // a byte holds 255 >= 31 steps of 8
using Floats = float __attribute__((vector_size(16)));
using Ints = int32_t __attribute__((vector_size(16)));
using Cell = uint32_t;

inline Cell cell(uint32_t bits) { return bits; }
inline uint64_t mask(uint32x4_t lanes) {
  const uint32_t powers[4] = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(lanes, vld1q_u32(powers)));
}
inline uint64_t at_least(Floats a, Floats b) { return mask(vcgeq_f32((float32x4_t)a, (float32x4_t)b)); }
inline uint64_t at_least(Ints a, Ints b) { return mask(vcgeq_s32((int32x4_t)a, (int32x4_t)b)); }
inline Floats affine(Floats v, Floats gain, Floats shift) {
  return (Floats)vfmaq_f32((float32x4_t)shift, (float32x4_t)v, (float32x4_t)gain);
}

inline uint8x16_t differing(uint32x4_t x, uint32x4_t w) { return vcntq_u8(vreinterpretq_u8_u32(veorq_u32(x, w))); }

template <int P, int Q>
void tile(const Cell* x, int64_t stride, const Step* steps, int64_t n, const uint32_t* w, int32_t* counts) {
  for (int q = 0; q < Q; q++) {
    uint32x4_t totals[P][4] = {};
    for (int64_t start = 0; start < n; start += MOST_STEPS) {
      uint8x16_t sums[P][4] = {};
      for (int64_t i = start; i < std::min(n, start + MOST_STEPS); i++) {
        const uint32_t* words = w + int64_t(16 * Q) * steps[i].w + 16 * q;
        uint32x4_t filters[4];
        for (int v = 0; v < 4; v++) filters[v] = vld1q_u32(words + 4 * v);
        for (int p = 0; p < P; p++) {
          uint32x4_t bits = vdupq_n_u32(x[steps[i].x + p * stride]);
          for (int v = 0; v < 4; v++) sums[p][v] = vaddq_u8(sums[p][v], differing(bits, filters[v]));
        }
      }
      for (int p = 0; p < P; p++)
        for (int v = 0; v < 4; v++) totals[p][v] = vpadalq_u16(totals[p][v], vpaddlq_u8(sums[p][v]));
    }
    for (int p = 0; p < P; p++)
      for (int v = 0; v < 4; v++)
        vst1q_s32(counts + 64 * p + 16 * q + 4 * v, vreinterpretq_s32_u32(totals[p][v]));
  }
}

int64_t limit(int64_t rounds) {
  constexpr int CHAINS = 16;
  uint8x16_t sums[CHAINS] = {};
  uint32x4_t x = vdupq_n_u32(1), w = vdupq_n_u32(2);
  for (int64_t i = 0; i < rounds; i++)
#pragma GCC unroll 16
    for (int j = 0; j < CHAINS; j++) {
      asm volatile("" : "+w"(x), "+w"(w));  // unknown to the compiler
      sums[j] = vaddq_u8(sums[j], differing(x, w));
    }
#pragma GCC unroll 16
  for (int j = 0; j < CHAINS; j++) asm volatile("" : : "w"(sums[j]));
  return 128 * CHAINS * rounds;
}

}  // namespace
}  // namespace cmim_mm

#include "rows.h"

namespace cmim_mm {
const Kernel neon = {"neon", supported, Layout::LANES, pack_row, conv_row, limit};
}
#endif
