// A row of a stem by vectors. Included by the file of an instruction set, inside its target, which defines
//
//     Floats, LANES                  as for rows.h
//     LANE                           what 32 bits of weights and of x are
//     Sums                           a vector of sums; for QUAD int32, else Floats
//     multiply_add(sum, weights, x)  sum + weights x, of all that a lane holds
//     affine(v, gain, shift)         v gain + shift, rounded once
//     larger(a, b)                   the larger one, NaN if one of them is
//     PIXELS, VECTORS                the most output pixels of a tile, and vectors of outputs
#include "floats.h"

namespace cmim_mm {
namespace {

using Value = std::conditional_t<LANE == Lane::QUAD, uint8_t, std::conditional_t<LANE == Lane::PAIR, uint16_t, float>>;

// What the sums read for values of image n.
struct Convert {
  bool rounds;
  const float* quantizer;

  Convert(const Image& x, int64_t n)
      : rounds(x.rounds && LANE == Lane::FLOAT), quantizer(x.quantizers ? x.quantizers + n : nullptr) {}

  void run(float* values, int64_t count) const {  // in place, as floats
    if (rounds)
      for (int64_t i = 0; i < count; i++) values[i] = from_bfloat16(to_bfloat16(values[i]));
    if (!quantizer) return;
    constexpr float whole = 12582912;  // 1.5 * 2^23: numbers beside it are whole
    for (int64_t i = 0; i < count; i++) {
      float v = values[i] * *quantizer + whole - whole;
      v = v > -127 ? v : -127;  // NaN as well
      values[i] = v < 127 ? v : 127;
    }
  }

  static Value value(float v) {
    if constexpr (LANE == Lane::FLOAT) return v;
    else if constexpr (LANE == Lane::PAIR) return to_bfloat16(v);
    else return static_cast<Value>(static_cast<int>(v) + 128);
  }
};

// C, where it is known to the compiler, makes a vector loop of interleaving.
template <int64_t C>
void interleave(const Stem& s, const float* line, Value* values) {
  int64_t channels = C ? C : s.channels;
  for (int64_t column = 0; column < s.width; column++)
    for (int64_t c = 0; c < channels; c++)
      values[column * channels + c] = Convert::value(line[c * s.width + column]);
}

// Whether a row of all channels is a run of floats.
bool is_run(const Stem& s, const Image& x) {
  return !x.map.bfloat16 && x.stride_c == 1 && x.stride_w == s.channels;
}

// A row of one channel, or a run.
void load_line(const Stem& s, const Image& x, int64_t n, int64_t row, int64_t c, float* values) {
  int64_t from = n * x.stride_n + c * x.stride_c + row * x.stride_h;
  if (x.map.bfloat16) {
    for (int64_t i = 0; i < s.width; i++) values[i] = load(x.map, from + i * x.stride_w);
    return;
  }
  auto* source = static_cast<const float*>(x.map.data) + from;
  if (is_run(s, x)) {
    memcpy(values, source, 4 * s.width * s.channels);
  } else {
    for (int64_t i = 0; i < s.width; i++) values[i] = source[i * x.stride_w];
  }
}

float largest(const Stem& s, const Image& x, int64_t n, float* line) {
  int32_t most = 0;  // magnitudes have the order of their bits, NaN above all
  int64_t lines = is_run(s, x) ? 1 : s.channels, count = s.width * s.channels / lines;
  for (int64_t row = 0; row < s.height; row++)
    for (int64_t c = 0; c < lines; c++) {
      load_line(s, x, n, row, c, line);
      for (int64_t i = 0; i < count; i++) {
        int32_t bits;
        memcpy(&bits, line + i, 4);
        most = std::max(most, bits & 0x7fffffff);
      }
    }
  float value;
  memcpy(&value, &most, 4);
  return value;
}

void image_row(const Stem& s, const Image& x, int64_t n, int64_t row, float* line, void* to) {
  auto* values = static_cast<Value*>(to) + s.padding_w * s.channels;
  int64_t count = s.width * s.channels;
  bool run = is_run(s, x);
  for (int64_t c = 0; c < (run ? 1 : s.channels); c++) load_line(s, x, n, row, c, line + c * s.width);
  Convert(x, n).run(line, count);
  if (run)
    for (int64_t i = 0; i < count; i++) values[i] = Convert::value(line[i]);
  else if (s.channels == 3) interleave<3>(s, line, values);
  else interleave<0>(s, line, values);
}

// P pixels x Q vectors of outputs.
template <int P, int Q>
void tile(const Stem& s, const void* const* rows, const uint32_t* w, const int32_t* starts, const float* gain,
          const float* shift, int64_t x, float* out) {
  Sums sums[P][Q] = {};
  if constexpr (LANE == Lane::QUAD)
    for (int q = 0; q < Q; q++)
#pragma GCC unroll 8
      for (int p = 0; p < P; p++) sums[p][q] = vector_at<Sums>(starts + LANES * q);
  constexpr int64_t COUNT = static_cast<int64_t>(LANE), SIZE = 4 / COUNT;
  int64_t steps = (s.run() + COUNT - 1) / COUNT, step = s.stride_w * s.channels;
  for (int64_t kh = 0; kh < s.kernel_h; kh++) {
    auto* row = static_cast<const char*>(rows[kh]) + x * step * SIZE;
    for (int64_t i = 0; i < steps; i++, w += s.lanes()) {
      // The last pair of an odd run has one value of it alone; what is left of a quad meets weights of 0.
      uint32_t mask = LANE == Lane::PAIR && i + 1 == steps && s.run() % 2 ? 0xffff : ~0u;
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
      Floats v = affine(__builtin_convertvector(sums[p][q], Floats), factor, term);
      memcpy(out + p * s.lanes() + LANES * q, &v, sizeof v);
    }
  }
}

template <int Q>
void block(const Stem& s, const void* const* rows, const uint32_t* w, const int32_t* starts, const float* gain,
           const float* shift, float* out) {
  int64_t x = 0;
  for (; x + PIXELS <= s.map_width; x += PIXELS)
    tile<PIXELS, Q>(s, rows, w, starts, gain, shift, x, out + x * s.lanes());
  for (; x < s.map_width; x++) tile<1, Q>(s, rows, w, starts, gain, shift, x, out + x * s.lanes());
}

void conv_row(const Stem& s, const void* const* rows, const uint32_t* w, const int32_t* starts, const Affine& all,
              float* out) {
  auto *gain = all.gain.data(), *shift = all.shift.data();
  int64_t o = 0;
  for (; o + VECTORS * LANES <= s.lanes(); o += VECTORS * LANES)
    block<VECTORS>(s, rows, w + o, starts + o, gain + o, shift + o, out + o);
  for (; o < s.lanes(); o += LANES) block<1>(s, rows, w + o, starts + o, gain + o, shift + o, out + o);
}

void pool_row(const Stem& s, const float* const* map_rows, int64_t num_rows, const Affine* norm, const Map& y,
              int64_t at) {
  int64_t lanes = s.lanes(), outputs = s.out_channels;
  for (int64_t x = 0; x < s.out_width; x++) {
    int64_t first = x * s.pool_stride_w - s.pool_padding_w, last = std::min(first + s.pool_w, s.map_width);
    first = std::max<int64_t>(first, 0);
    for (int64_t o = 0; o < outputs; o += LANES) {
      Floats v = vector_at<Floats>(map_rows[0] + first * lanes + o);
      for (int64_t row = 0; row < num_rows; row++)
        for (int64_t column = first; column < last; column++)
          v = larger(v, vector_at<Floats>(map_rows[row] + column * lanes + o));
      if (norm) v = affine(v, vector_at<Floats>(norm->gain.data() + o), vector_at<Floats>(norm->shift.data() + o));
      store_floats(y, (at + x) * outputs + o, std::min<int64_t>(LANES, outputs - o), v);
    }
  }
}

}  // namespace
}  // namespace cmim_mm
