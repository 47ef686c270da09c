// AVX-512 without a popcount: Harley and Seal's carry-save adders in ternary logic.
//
// Full adders keep the sum of many words bit by bit in ones, twos and fours; only what carries into the eights,
// one word of eight, is counted by a table of nibbles. 16 outputs x 32 bits a word.
#include "x86.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "kernel.h"

namespace cmim_mm {
namespace {
bool supported() {
  return saves_avx512() && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
      && __builtin_cpu_supports("popcnt");
}
}  // namespace
}  // namespace cmim_mm

#pragma GCC target("avx512f,avx512bw,avx512vl,popcnt")
#include "avx512.h"

namespace cmim_mm {
namespace {

constexpr int PIXELS = 2;
constexpr int BLOCK = 8;         // words whose sum carries into the eights once
constexpr int MOST_BLOCKS = 31;  // bytes of eights hold 255 = 31 * 8 + 7

struct CarrySave {
  __m512i ones, twos, fours, eights;  // eights: bytes
};

// low + a + b = low' + 2 carry, bit by bit.
inline __m512i add_carry(__m512i& low, __m512i a, __m512i b) {
  __m512i carry = _mm512_ternarylogic_epi32(low, a, b, 0xe8);  // the majority
  low = _mm512_ternarylogic_epi32(low, a, b, 0x96);            // the parity
  return carry;
}

// Bytes with the number of 1 bits in v, times a power of 2.
inline __m512i count_bytes(__m512i v, int times) {
  const __m512i nibble = _mm512_set1_epi8(15);
  __m512i table = _mm512_broadcast_i32x4(_mm_slli_epi16(
      _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4), times));
  __m512i high = _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble);
  return _mm512_add_epi8(_mm512_shuffle_epi8(table, _mm512_and_si512(v, nibble)),
                         _mm512_shuffle_epi8(table, high));
}

// Up to TAIL words where there were none before: they carry nothing into the eights.
template <int TAIL>
inline CarrySave start_with(const __m512i (&words)[BLOCK]) {
  CarrySave s = {};
  if (TAIL == 0) return s;
  if (TAIL == 2) {
    s.ones = _mm512_xor_si512(words[0], words[1]);
    s.twos = _mm512_and_si512(words[0], words[1]);
    return s;
  }
  __m512i twos_a = add_carry(s.ones, words[0], words[1]), twos_b = add_carry(s.ones, words[2], words[3]);
  s.fours = add_carry(s.twos, twos_a, twos_b);
  if (TAIL == 4) return s;
  twos_a = add_carry(s.ones, words[4], words[5]);
  twos_b = add_carry(s.ones, words[6], __m512i{});
  s.fours = _mm512_or_si512(s.fours, add_carry(s.twos, twos_a, twos_b));
  return s;
}

inline void add_block(CarrySave& s, const __m512i (&words)[BLOCK]) {
  __m512i twos_a = add_carry(s.ones, words[0], words[1]), twos_b = add_carry(s.ones, words[2], words[3]);
  __m512i fours_a = add_carry(s.twos, twos_a, twos_b);
  twos_a = add_carry(s.ones, words[4], words[5]);
  twos_b = add_carry(s.ones, words[6], words[7]);
  __m512i fours_b = add_carry(s.twos, twos_a, twos_b);
  s.eights = _mm512_add_epi8(s.eights, count_bytes(add_carry(s.fours, fours_a, fours_b), 0));
}

// 16 sums of 32 bits.
inline __m512i total(const CarrySave& s) {
  __m512i low = _mm512_add_epi8(_mm512_add_epi8(count_bytes(s.ones, 0), count_bytes(s.twos, 1)),
                                count_bytes(s.fours, 2));
  __m512i pairs = _mm512_add_epi16(_mm512_maddubs_epi16(low, _mm512_set1_epi8(1)),
                                   _mm512_maddubs_epi16(s.eights, _mm512_set1_epi8(8)));
  return _mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
}

// Vectors of 16 outputs, one after the other. n % BLOCK words, at most TAIL, come first.
template <int P, int Q, int TAIL>
void add_up(const Cell* x, int64_t stride, const Step* steps, int64_t n, const uint32_t* w, int32_t* counts) {
  const int64_t first = n % BLOCK, pitch = 16 * Q;
  for (int lane = 0; lane < 16 * Q; lane += 16, w += 16) {
    CarrySave sums[P];
    __m512i totals[P] = {};
    __m512i filters[BLOCK] = {};
#pragma GCC unroll 8
    for (int k = 0; k < TAIL; k++)
      if (k < first) filters[k] = _mm512_loadu_si512(w + pitch * steps[k].w);
#pragma GCC unroll 4
    for (int p = 0; p < P; p++) {
      __m512i words[BLOCK] = {};
#pragma GCC unroll 8
      for (int k = 0; k < TAIL; k++)
        if (k < first) words[k] = _mm512_xor_si512(_mm512_set1_epi32(x[steps[k].x + p * stride]), filters[k]);
      sums[p] = start_with<TAIL>(words);
    }
    for (int64_t i = first, blocks = 0; i < n; i += BLOCK, blocks++) {
      if (blocks == MOST_BLOCKS) {
        for (int p = 0; p < P; p++) {
          totals[p] = _mm512_add_epi32(totals[p], total(sums[p]));
          sums[p] = CarrySave{};
        }
        blocks = 0;
      }
      const Step* step = steps + i;
#pragma GCC unroll 8
      for (int k = 0; k < BLOCK; k++) filters[k] = _mm512_loadu_si512(w + pitch * step[k].w);
#pragma GCC unroll 4
      for (int p = 0; p < P; p++) {
        __m512i words[BLOCK];
#pragma GCC unroll 8
        for (int k = 0; k < BLOCK; k++)
          words[k] = _mm512_xor_si512(_mm512_set1_epi32(x[step[k].x + p * stride]), filters[k]);
        add_block(sums[p], words);
      }
    }
    for (int p = 0; p < P; p++)
      _mm512_store_si512(counts + 64 * p + lane, _mm512_add_epi32(totals[p], total(sums[p])));
  }
}

template <int P, int Q>
void tile(const Cell* x, int64_t stride, const Step* steps, int64_t n, const uint32_t* w, int32_t* counts) {
  int64_t tail = n % BLOCK;
  auto* function = tail == 0 ? add_up<P, Q, 0> : tail <= 2 ? add_up<P, Q, 2>
      : tail <= 4 ? add_up<P, Q, 4> : add_up<P, Q, 7>;
  function(x, stride, steps, n, w, counts);
}

int64_t limit(int64_t rounds) {
  constexpr int CHAINS = 4;
  CarrySave sums[CHAINS] = {};
  __m512i x = _mm512_set1_epi32(1), w = _mm512_set1_epi32(2);
  for (int64_t i = 0; i < rounds; i++)
#pragma GCC unroll 4
    for (int j = 0; j < CHAINS; j++) {
      __m512i words[BLOCK];
#pragma GCC unroll 8
      for (int k = 0; k < BLOCK; k++) {
        asm volatile("" : "+v"(x), "+v"(w));  // unknown to the compiler
        words[k] = _mm512_xor_si512(x, w);
      }
      add_block(sums[j], words);
    }
  for (int j = 0; j < CHAINS; j++) asm volatile("" : : "v"(total(sums[j])));
  return 512 * BLOCK * CHAINS * rounds;
}

}  // namespace
}  // namespace cmim_mm

#include "rows.h"

namespace cmim_mm {
const Kernel avx512bw = {"avx512bw", supported, Layout::LANES, pack_row, conv_row, limit};
}
#endif
