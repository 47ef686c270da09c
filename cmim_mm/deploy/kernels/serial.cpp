// The reference: the formulas of kernel.h, one output after the other.
#include <cmath>

#include "kernel.h"

namespace cmim_mm {
namespace {

bool supported() { return true; }

void pack_row(const Conv& c, const Map& x, const float* threshold, uint64_t* bits, int64_t row) {
  for (int64_t column = 0; column < c.width; column++)
    for (int64_t group = 0; group < c.groups; group++) {
      int64_t pixel = row * c.width + column;
      uint64_t* word = bits + (pixel * c.groups + group) * c.words;
      memset(word, 0, c.words * 8);
      for (int64_t k = 0; k < c.channels; k++) {
        int64_t channel = group * c.channels + k;
        if (load(x, pixel * c.groups * c.channels + channel) >= threshold[channel])
          word[k / 64] |= uint64_t(1) << k % 64;
      }
    }
}

float fused(const Conv& c, const Epilogue& e, int64_t y, int64_t x, int64_t lane, int64_t at, float s, float t) {
  float v = s * e.scale[lane];
  if (e.window) v += e.window[lane] * t;
  v = e.gain ? std::fma(v, e.gain[lane], e.offset[lane]) : v + e.offset[lane];
  if (e.border)
    for (int64_t tap = 0; tap < c.taps(); tap++)
      if (!c.row_inside(y, tap / c.kernel_w) || !c.column_inside(x, tap % c.kernel_w))
        v -= e.border[tap * c.groups * c.lanes() + lane];
  if (e.shortcut_gain) v += std::fma(load(e.shortcut, at), e.shortcut_gain[lane], e.shortcut_offset[lane]);
  else if (e.shortcut.data) v += load(e.shortcut, at);
  if (e.shift_in) {
    v += e.shift_in[lane];
    v = v * (v > 0 ? e.positive[lane] : e.negative[lane]) + e.shift_out[lane];
  }
  if (e.clamp) {
    v = v < e.low ? e.low : v;
    v = v > e.high ? e.high : v;
  }
  return v;
}

void conv_row(const Conv& c, const Epilogue& e, const uint64_t* bits, const Filters& filters, int64_t row,
              Scratch&) {
  int64_t image = row / c.out_height, y = row % c.out_height;
  for (int64_t x = 0; x < c.out_width; x++)
    for (int64_t o = 0; o < c.out_channels; o++) {
      int64_t group = o / c.outputs(), lane = group * c.lanes() + o % c.outputs();
      int64_t inputs = 0, differing = 0, ones = 0;
      for (int64_t tap = 0; tap < c.taps(); tap++) {
        int64_t kh = tap / c.kernel_w, kw = tap % c.kernel_w;
        if (!c.row_inside(y, kh) || !c.column_inside(x, kw)) continue;
        int64_t at = (image * c.height + y * c.stride_h + kh * c.dilation_h - c.padding_h) * c.width
            + x * c.stride_w + kw * c.dilation_w - c.padding_w;
        inputs += c.channels;
        for (int64_t j = 0; j < c.words; j++) {
          uint64_t word = bits[(at * c.groups + group) * c.words + j];
          differing += __builtin_popcountll(word ^ filters.plain[(o * c.taps() + tap) * c.words + j]);
          ones += __builtin_popcountll(word);
        }
      }
      int64_t s = inputs - 2 * differing, at = row * c.out_width + x;
      if (e.sums) e.sums[at * c.out_channels + o] = static_cast<int32_t>(s);
      if (e.threshold) put_bits(e, at, o, 1, (s >= e.threshold[lane]) != (e.flip[lane] != 0));
      if (!e.scale) continue;
      float v = fused(c, e, y, x, lane, at * c.out_channels + o, s, 2 * ones - inputs);
      if (e.y.data) store(e.y, at * c.out_channels + o, v);
      if (e.next_threshold) put_bits(e, at, o, 1, v >= e.next_threshold[lane]);
    }
}

int64_t limit(int64_t rounds) {
  uint64_t x = 1, w = 2, sum = 0;
  for (int64_t i = 0; i < rounds; i++) {
    asm volatile("" : "+r"(x), "+r"(w));  // unknown to the compiler
    sum += __builtin_popcountll(x ^ w);
  }
  asm volatile("" : : "r"(sum));
  return 64 * rounds;
}

}  // namespace

const Kernel serial = {"serial", supported, Layout::PLAIN, pack_row, conv_row, limit};

}  // namespace cmim_mm
