// xor, popcount and add of 16 outputs x 32 bits, three instructions; included inside the targets that have them.
#include "avx512.h"

namespace cmim_mm {
namespace {

constexpr int PIXELS = 6;

template <int P, int Q>
void tile(const Cell* x, int64_t stride, const Step* steps, int64_t n, const uint32_t* w, int32_t* counts) {
  __m512i sums[P][Q] = {};
  for (int64_t i = 0; i < n; i++) {
    const Cell* cells = x + steps[i].x;
    const uint32_t* words = w + int64_t(16 * Q) * steps[i].w;
    __m512i filters[Q];
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++) filters[q] = _mm512_loadu_si512(words + 16 * q);
#pragma GCC unroll 8
    for (int p = 0; p < P; p++) {
      __m512i bits = _mm512_set1_epi32(cells[p * stride]);
#pragma GCC unroll 4
      for (int q = 0; q < Q; q++)
        sums[p][q] = _mm512_add_epi32(sums[p][q], _mm512_popcnt_epi32(_mm512_xor_si512(bits, filters[q])));
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < P; p++)
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++) _mm512_store_si512(counts + 64 * p + 16 * q, sums[p][q]);
}

int64_t limit(int64_t rounds) {
  constexpr int CHAINS = 20;
  __m512i sums[CHAINS] = {}, x = _mm512_set1_epi32(1), w = _mm512_set1_epi32(2);
  for (int64_t i = 0; i < rounds; i++)
#pragma GCC unroll 20
    for (int j = 0; j < CHAINS; j++) {
      asm volatile("" : "+v"(x), "+v"(w));  // unknown to the compiler
      sums[j] = _mm512_add_epi32(sums[j], _mm512_popcnt_epi32(_mm512_xor_si512(x, w)));
    }
#pragma GCC unroll 20
  for (int j = 0; j < CHAINS; j++) asm volatile("" : : "v"(sums[j]));
  return 512 * CHAINS * rounds;
}

}  // namespace
}  // namespace cmim_mm

#include "rows.h"
