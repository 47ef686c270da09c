// The tiles and maxima of stem_rows.h for the AVX-512 stems; included inside their targets.
#include "avx512.h"

namespace cmim_mm {
namespace {

constexpr int PIXELS = 6, VECTORS = 4;

inline Floats larger(Floats a, Floats b) {
  __m512 x = (__m512)a;  // max gives the second where one is NaN
  return (Floats)_mm512_mask_mov_ps(_mm512_max_ps(x, (__m512)b), _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), x);
}

}  // namespace
}  // namespace cmim_mm
