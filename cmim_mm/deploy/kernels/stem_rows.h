// A row of a stem by vectors. Included by the file of an instruction set, inside its target, which defines
//
//     Floats, LANES                  as for rows.h
//     PAIRS                          whether a lane of weights and a value of x are two bfloat16, else a float32
//     multiply_add(sum, weights, x)  sum + weights x, with PAIRS of both pairs
//     affine(v, gain, shift)         v gain + shift, rounded once
//     larger(a, b)                   the larger one, NaN if one of them is
//     PIXELS, VECTORS                the most output pixels of a tile, and vectors of outputs
#include "floats.h"

namespace cmim_mm {
namespace {

// C, where it is known to the compiler, makes a vector loop of interleaving.
template <class Value, int64_t C>
void interleave(const Stem& s, const float* line, void* to) {
  auto* values = static_cast<Value*>(to) + s.padding_w * s.channels;
  auto convert = [](float value) {
    if constexpr (sizeof(Value) == 4) return value;
    else return to_bfloat16(value);
  };
  int64_t channels = C ? C : s.channels;
  for (int64_t column = 0; column < s.width; column++)
    for (int64_t c = 0; c < channels; c++)
      values[column * channels + c] = convert(line[c * s.width + column]);
}

void image_row(const Stem& s, const Image& x, int64_t n, int64_t row, float* line, void* to) {
  using Value = std::conditional_t<PAIRS, uint16_t, float>;
  for (int64_t c = 0; c < s.channels; c++) {
    float* values = line + c * s.width;
    int64_t from = n * x.stride_n + c * x.stride_c + row * x.stride_h;
    if (x.map.bfloat16) {
      for (int64_t i = 0; i < s.width; i++) values[i] = load({x.map.data, true}, from + i * x.stride_w);
    } else {
      auto* source = static_cast<const float*>(x.map.data) + from;
      for (int64_t i = 0; i < s.width; i++) values[i] = source[i * x.stride_w];
    }
    if (x.rounds && !PAIRS)
      for (int64_t i = 0; i < s.width; i++) values[i] = from_bfloat16(to_bfloat16(values[i]));
  }
  s.channels == 3 ? interleave<Value, 3>(s, line, to) : interleave<Value, 0>(s, line, to);
}

// P pixels x Q vectors of outputs.
template <int P, int Q>
void tile(const Stem& s, const void* const* rows, const void* weights, const float* gain, const float* shift,
          int64_t x, float* out) {
  Floats sums[P][Q] = {};
  int64_t steps = PAIRS ? (s.run() + 1) / 2 : s.run(), step = s.stride_w * s.channels;
  constexpr int64_t SIZE = PAIRS ? 2 : 4;
  auto* w = static_cast<const float*>(weights);  // a lane of pairs has the size of a float too
  for (int64_t kh = 0; kh < s.kernel_h; kh++) {
    auto* row = static_cast<const char*>(rows[kh]) + x * step * SIZE;
    for (int64_t i = 0; i < steps; i++, w += s.lanes()) {
      // The last pair of an odd run has one value of it alone.
      uint32_t mask = PAIRS && i + 1 == steps && s.run() % 2 ? 0xffff : ~0u;
      Floats filters[Q];
#pragma GCC unroll 4
      for (int q = 0; q < Q; q++) filters[q] = vector_at<Floats>(w + LANES * q);
#pragma GCC unroll 8
      for (int p = 0; p < P; p++) {
        uint32_t bits;
        memcpy(&bits, row + p * step * SIZE + 4 * i, 4);
        bits &= mask;
        float value;
        memcpy(&value, &bits, 4);
#pragma GCC unroll 4
        for (int q = 0; q < Q; q++) sums[p][q] = multiply_add(sums[p][q], filters[q], value);
      }
    }
  }
#pragma GCC unroll 4
  for (int q = 0; q < Q; q++) {
    Floats factor = vector_at<Floats>(gain + LANES * q), term = vector_at<Floats>(shift + LANES * q);
#pragma GCC unroll 8
    for (int p = 0; p < P; p++) {
      Floats v = affine(sums[p][q], factor, term);
      memcpy(out + p * s.lanes() + LANES * q, &v, sizeof v);
    }
  }
}

template <int Q>
void block(const Stem& s, const void* const* rows, const void* weights, const float* gain, const float* shift,
           float* out) {
  int64_t x = 0;
  for (; x + PIXELS <= s.map_width; x += PIXELS)
    tile<PIXELS, Q>(s, rows, weights, gain, shift, x, out + x * s.lanes());
  for (; x < s.map_width; x++) tile<1, Q>(s, rows, weights, gain, shift, x, out + x * s.lanes());
}

void conv_row(const Stem& s, const void* const* rows, const void* weights, const Affine& all, float* out) {
  auto* w = static_cast<const float*>(weights);
  auto *gain = all.gain.data(), *shift = all.shift.data();
  int64_t o = 0;
  for (; o + VECTORS * LANES <= s.lanes(); o += VECTORS * LANES)
    block<VECTORS>(s, rows, w + o, gain + o, shift + o, out + o);
  for (; o < s.lanes(); o += LANES) block<1>(s, rows, w + o, gain + o, shift + o, out + o);
}

void pool_row(const Stem& s, const float* const* map_rows, int64_t num_rows, const Affine* norm, float* most,
              const Map& y, int64_t at) {
  int64_t size = s.map_width * s.lanes();
  for (int64_t i = 0; i < size; i += LANES) {
    Floats v = vector_at<Floats>(map_rows[0] + i);
    for (int64_t row = 1; row < num_rows; row++) v = larger(v, vector_at<Floats>(map_rows[row] + i));
    memcpy(most + i, &v, sizeof v);
  }
  for (int64_t x = 0; x < s.out_width; x++) {
    int64_t first = x * s.pool_stride_w - s.pool_padding_w, last = std::min(first + s.pool_w, s.map_width);
    first = std::max<int64_t>(first, 0);
    for (int64_t o = 0; o < s.out_channels; o += LANES) {
      Floats v = vector_at<Floats>(most + first * s.lanes() + o);
      for (int64_t column = first + 1; column < last; column++)
        v = larger(v, vector_at<Floats>(most + column * s.lanes() + o));
      if (norm) v = affine(v, vector_at<Floats>(norm->gain.data() + o), vector_at<Floats>(norm->shift.data() + o));
      store_floats(y, (at + x) * s.out_channels + o, std::min<int64_t>(LANES, s.out_channels - o), v);
    }
  }
}

}  // namespace
}  // namespace cmim_mm
