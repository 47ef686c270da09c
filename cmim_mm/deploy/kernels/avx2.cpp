// AVX2: a table look-up instead of a popcount.
//
// For a nibble a of an activation the 16-byte table of popcount(a xor b), b = 0 ... 15, stands in memory; a
// shuffle looks up 32 outputs' nibbles in it: a load, a shuffle and an addition of bytes for 32 outputs x 4 bits.
// A cell holds, a byte each, where the tables of its 8 nibbles start.
#include "x86.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "kernel.h"

namespace cmim_mm {
namespace {

bool supported() {
  return saves_avx() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
      && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

struct Tables {
  alignas(64) uint8_t differing[256];  // [a][b]
  constexpr Tables() : differing() {
    for (int i = 0; i < 256; i++) {
      int v = (i >> 4) ^ (i & 15);
      differing[i] = (v & 1) + (v >> 1 & 1) + (v >> 2 & 1) + (v >> 3);
    }
  }
};
constexpr Tables TABLES;

}  // namespace
}  // namespace cmim_mm

#pragma GCC target("avx2,fma,bmi2,popcnt")

namespace cmim_mm {
namespace {

constexpr int LANES = 8;
constexpr int PIXELS = 4;
constexpr int MOST_STEPS = 7;  // a byte holds 255 >= 7 steps of 8 nibbles of 4
using Floats = float __attribute__((vector_size(32)));
using Ints = int32_t __attribute__((vector_size(32)));
using Cell = uint64_t;

inline Cell cell(uint32_t bits) { return _pdep_u64(bits, 0xf0f0f0f0f0f0f0f0); }
inline uint64_t at_least(Floats a, Floats b) {
  return _mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GE_OQ));
}
inline Floats affine(Floats v, Floats gain, Floats shift) {
  return (Floats)_mm256_fmadd_ps((__m256)v, (__m256)gain, (__m256)shift);
}
inline uint64_t at_least(Ints a, Ints b) { return _mm256_movemask_ps((__m256)(a >= b)); }

inline __m256i table_of(uint64_t start) {
  return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(TABLES.differing + start)));
}

inline void add_to(int32_t* counts, __m256i bytes) {
  alignas(32) uint8_t values[32];
  _mm256_store_si256(reinterpret_cast<__m256i*>(values), bytes);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    auto* sum = reinterpret_cast<__m256i*>(counts + 8 * i);
    __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(values + 8 * i)));
    _mm256_store_si256(sum, _mm256_add_epi32(_mm256_load_si256(sum), wide));
  }
}

// V vectors of 32 outputs.
template <int P, int V>
void tile_bytes(const Cell* x, int64_t stride, const Step* steps, int64_t n, const uint8_t* w, int32_t* counts) {
  const __m256i low_half = _mm256_set1_epi8(15);
  for (int p = 0; p < P; p++) memset(counts + 64 * p, 0, 4 * 32 * V);
  for (int64_t start = 0; start < n; start += MOST_STEPS) {
    __m256i sums[P][V] = {};
    for (int64_t i = start; i < std::min(n, start + MOST_STEPS); i++) {
      const uint8_t* starts[P];
#pragma GCC unroll 4
      for (int p = 0; p < P; p++) {
        starts[p] = reinterpret_cast<const uint8_t*>(x + steps[i].x + p * stride);
      }
      const uint8_t* bytes = w + int64_t(4 * 32 * V) * steps[i].w;
#pragma GCC unroll 8
      for (int nibble = 0; nibble < 8; nibble++) {
        __m256i nibbles[V];
#pragma GCC unroll 2
        for (int v = 0; v < V; v++) {
          const uint8_t* both = bytes + 32 * (nibble / 2 * V + v);
          nibbles[v] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(both));
          if (nibble % 2) nibbles[v] = _mm256_srli_epi16(nibbles[v], 4);
          nibbles[v] = _mm256_and_si256(nibbles[v], low_half);
        }
#pragma GCC unroll 4
        for (int p = 0; p < P; p++) {
          __m256i table = table_of(starts[p][nibble]);
#pragma GCC unroll 2
          for (int v = 0; v < V; v++) {
            __m256i sum = _mm256_add_epi8(sums[p][v], _mm256_shuffle_epi8(table, nibbles[v]));
            asm("" : "+x"(sum));  // else the compiler regroups the additions and spills registers
            sums[p][v] = sum;
          }
        }
      }
    }
#pragma GCC unroll 4
    for (int p = 0; p < P; p++)
#pragma GCC unroll 2
      for (int v = 0; v < V; v++) add_to(counts + 64 * p + 32 * v, sums[p][v]);
  }
}

template <int P, int Q>
void tile(const Cell* x, int64_t stride, const Step* steps, int64_t n, const uint32_t* w, int32_t* counts) {
  tile_bytes<P, (Q + 1) / 2>(x, stride, steps, n, reinterpret_cast<const uint8_t*>(w), counts);
}

int64_t limit(int64_t rounds) {
  constexpr int CHAINS = 8;
  __m256i sums[CHAINS] = {}, table = _mm256_set1_epi8(1), nibbles = _mm256_set1_epi8(2);
  for (int64_t i = 0; i < rounds; i++)
#pragma GCC unroll 8
    for (int j = 0; j < CHAINS; j++) {
      asm volatile("" : "+x"(table), "+x"(nibbles));  // unknown to the compiler
      sums[j] = _mm256_add_epi8(sums[j], _mm256_shuffle_epi8(table, nibbles));
    }
#pragma GCC unroll 8
  for (int j = 0; j < CHAINS; j++) asm volatile("" : : "x"(sums[j]));
  return 32 * 4 * CHAINS * rounds;
}

}  // namespace
}  // namespace cmim_mm

#include "rows.h"

namespace cmim_mm {
const Kernel avx2 = {"avx2", supported, Layout::NIBBLES, pack_row, conv_row, limit};
}
#endif
