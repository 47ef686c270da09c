// Vectors of LANES float32 in memory and in maps; included inside the target that defines Floats and LANES.
#pragma once
namespace cmim_mm {
namespace {

using Halves = uint16_t __attribute__((vector_size(LANES * 2)));
using Words = uint32_t __attribute__((vector_size(LANES * 4)));

template <class Vector, class Scalar>
inline Vector vector_at(const Scalar* data) {
  Vector v;
  memcpy(&v, data, sizeof v);
  return v;
}

inline Floats load_floats(const Map& map, int64_t at, int64_t count) {
  if (count < LANES) {
    float values[LANES] = {};
    for (int64_t i = 0; i < count; i++) values[i] = load(map, at + i);
    return vector_at<Floats>(values);
  }
  if (!map.bfloat16) return vector_at<Floats>(static_cast<const float*>(map.data) + at);
  Words bits = __builtin_convertvector(vector_at<Halves>(static_cast<const uint16_t*>(map.data) + at), Words);
  return (Floats)(bits << 16);
}

inline void store_floats(const Map& map, int64_t at, int64_t count, Floats v) {
  if (count < LANES) {
    for (int64_t i = 0; i < count; i++) store(map, at + i, v[i]);
  } else if (!map.bfloat16) {
    memcpy(static_cast<float*>(map.data) + at, &v, sizeof v);
  } else {
#if defined(CMIM_MM_HALVES)
    Halves halves = (Halves)CMIM_MM_HALVES(v);
#else
    Words bits = (Words)v;
    bits = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;  // to nearest, ties to even
    bits = v != v ? Words{} + 0x7fc0 : bits;
    Halves halves = __builtin_convertvector(bits, Halves);
#endif
    memcpy(static_cast<uint16_t*>(map.data) + at, &halves, sizeof halves);
  }
}

}  // namespace
}  // namespace cmim_mm
