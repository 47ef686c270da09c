// The sizes of upsample.h, and its rows once for each width of vectors.
#include "upsample.h"

#include <cfloat>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace cmim_mm {

Tap tap(int64_t in, int64_t out, bool align_corners, int64_t i) {
  if (in == out) return {i, i, 1, 0};
  float source;
  if (align_corners) {
    source = out > 1 ? static_cast<float>(in - 1) / (out - 1) * i : 0;
  } else {
    source = std::max(static_cast<float>(in) / out * (i + 0.5f) - 0.5f, 0.f);
  }
  int64_t first = std::min(static_cast<int64_t>(source), in - 1);
  float weight = std::min(source - first, 1.f);
  return {first, std::min(first + 1, in - 1), 1 - weight, weight};
}

std::vector<Tap> taps(int64_t in, int64_t out, bool align_corners) {
  std::vector<Tap> all(out);
  for (int64_t i = 0; i < out; i++) all[i] = tap(in, out, align_corners, i);
  return all;
}

namespace plain {

constexpr int LANES = 4;
using Floats = float __attribute__((vector_size(16)));

inline float largest(Floats v) { return std::max(std::max(v[0], v[1]), std::max(v[2], v[3])); }
inline uint64_t equal(Floats a, float b) {
  return uint64_t(a[0] == b) | uint64_t(a[1] == b) << 1 | uint64_t(a[2] == b) << 2 | uint64_t(a[3] == b) << 3;
}

#include "upsample_rows.h"
}  // namespace plain

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2")
namespace avx2_vectors {

constexpr int LANES = 8;
using Floats = float __attribute__((vector_size(32)));

inline float largest(Floats v) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}
inline uint64_t equal(Floats a, float b) {
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps((__m256)a, _mm256_set1_ps(b), _CMP_EQ_OQ)));
}

#include "upsample_rows.h"
}  // namespace avx2_vectors
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f")
namespace avx512_vectors {

constexpr int LANES = 16;
using Floats = float __attribute__((vector_size(64)));

inline float largest(Floats v) { return _mm512_reduce_max_ps((__m512)v); }
inline uint64_t equal(Floats a, float b) {
  return _mm512_cmp_ps_mask((__m512)a, _mm512_set1_ps(b), _CMP_EQ_OQ);
}

#include "upsample_rows.h"
}  // namespace avx512_vectors
#pragma GCC pop_options
#endif

const Upsampler& upsampler(const Kernel& kernel) {
#if defined(__x86_64__)
  if (&kernel == &avx2) return avx2_vectors::rows;
  if (!strncmp(kernel.name, "avx512", 6)) return avx512_vectors::rows;
#endif
  return plain::rows;
}

}  // namespace cmim_mm
