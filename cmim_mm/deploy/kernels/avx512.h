// The vectors of rows.h for the AVX-512 kernels and stems; included inside their targets.
namespace cmim_mm {
namespace {

constexpr int LANES = 16;
using Floats = float __attribute__((vector_size(64)));
using Ints = int32_t __attribute__((vector_size(64)));
using Cell = uint32_t;

inline Cell cell(uint32_t bits) { return bits; }
inline uint64_t at_least(Floats a, Floats b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GE_OQ); }
inline Floats affine(Floats v, Floats gain, Floats shift) {
  return (Floats)_mm512_fmadd_ps((__m512)v, (__m512)gain, (__m512)shift);
}
inline uint64_t at_least(Ints a, Ints b) { return _mm512_cmpge_epi32_mask((__m512i)a, (__m512i)b); }

}  // namespace
}  // namespace cmim_mm
