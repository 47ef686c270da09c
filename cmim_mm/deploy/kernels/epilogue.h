// Packing and what follows the sums, by vectors; included by rows.h, which says what must be defined.
#include "floats.h"

namespace cmim_mm {
namespace {

// A tile of output pixels x ... x + pixels - 1 of row y with count output channels.
struct Tile {
  int64_t y, x, at, pixels;      // at: of the first pixel in the whole map
  int64_t lane, channel, count;  // the first output's place in tables and among the channels
  const Pixel* pixel;
  const int32_t* counts;         // [pixel][64]
};

void pack_row(const Conv& c, const Map& x, const float* threshold, uint64_t* bits, int64_t row) {
  int64_t all = c.groups * c.channels;
  for (int64_t pixel = row * c.width; pixel < (row + 1) * c.width; pixel++)
    for (int64_t group = 0; group < c.groups; group++)
      for (int64_t j = 0; j < c.words; j++) {
        uint64_t word = 0;
        for (int64_t k = 64 * j; k < std::min(64 * j + 64, c.channels); k += LANES) {
          int64_t channel = group * c.channels + k, count = std::min<int64_t>(LANES, c.channels - k);
          Floats least = load_floats({const_cast<float*>(threshold), false}, channel, count);
          uint64_t mask = at_least(load_floats(x, pixel * all + channel, count), least);
          word |= (mask & ((uint64_t(1) << count) - 1)) << k % 64;
        }
        bits[(pixel * c.groups + group) * c.words + j] = word;
      }
}

inline Ints sums_at(const Tile& t, int64_t p, int64_t i) {
  Ints counts = vector_at<Ints>(t.counts + 64 * p + i);
  return t.pixel[p].inputs - (counts + counts);
}

void finish_sums(const Conv& c, const Epilogue& e, const Tile& t) {
  for (int64_t p = 0; p < t.pixels; p++)
    for (int64_t i = 0; i < t.count; i += LANES) {
      Ints s = sums_at(t, p, i);
      int32_t* to = e.sums + (t.at + p) * c.out_channels + t.channel + i;
      if (t.count - i >= LANES)
        memcpy(to, &s, sizeof s);
      else
        memcpy(to, &s, 4 * (t.count - i));
    }
}

void finish_threshold(const Epilogue& e, const Tile& t) {
  uint64_t words[PIXELS] = {};
  for (int64_t i = 0; i < t.count; i += LANES) {
    Ints threshold = vector_at<Ints>(e.threshold + t.lane + i);
    uint64_t flip = at_least(Ints{} - 1, vector_at<Ints>(e.flip + t.lane + i));
    for (int64_t p = 0; p < t.pixels; p++) words[p] |= (at_least(sums_at(t, p, i), threshold) ^ flip) << i;
  }
  for (int64_t p = 0; p < t.pixels; p++) put_bits(e, t.at + p, t.channel, t.count, words[p]);
}

// One pixel's next bits. V vectors of channels, a half or a whole tile, so that each step is asked for once;
// tables and counts are padded to as many.
template <int V>
inline uint64_t finish_pixel(const Conv& c, const Epilogue& e, const Tile& t, int64_t p) {
#define CMIM_MM_EACH _Pragma("GCC unroll 16") for (int j = 0; j < V; j++)
  Floats v[V];
  int64_t at = (t.at + p) * c.out_channels + t.channel;
  auto table = [&t](const float* data, int j) { return vector_at<Floats>(data + t.lane + j * LANES); };
  auto live = [&t](int j) { return t.count == V * LANES ? LANES : t.count - j * LANES; };
  CMIM_MM_EACH v[j] = __builtin_convertvector(sums_at(t, p, j * LANES), Floats) * table(e.scale, j);
  if (e.window) {
    float total = t.pixel[p].total;
    CMIM_MM_EACH v[j] += table(e.window, j) * total;
  }
  CMIM_MM_EACH v[j] += table(e.offset, j);
  if (e.border && t.pixel[p].edge)
    for (int64_t kh = 0; kh < c.kernel_h; kh++)
      for (int64_t kw = 0; kw < c.kernel_w; kw++)
        if (!c.row_inside(t.y, kh) || !c.column_inside(t.x + p, kw))
          CMIM_MM_EACH v[j] -= table(e.border + (kh * c.kernel_w + kw) * c.groups * c.lanes(), j);
  if (e.shortcut.data) CMIM_MM_EACH v[j] += load_floats(e.shortcut, at + j * LANES, live(j));
  if (e.shift_in)
    CMIM_MM_EACH {
      v[j] += table(e.shift_in, j);
      v[j] = v[j] * (v[j] > Floats{} ? table(e.positive, j) : table(e.negative, j)) + table(e.shift_out, j);
    }
  if (e.clamp)
    CMIM_MM_EACH {
      v[j] = v[j] < e.low ? Floats{} + e.low : v[j];
      v[j] = v[j] > e.high ? Floats{} + e.high : v[j];
    }
  if (e.y.data) CMIM_MM_EACH store_floats(e.y, at + j * LANES, live(j), v[j]);
  uint64_t bits = 0;
  if (e.next_threshold) CMIM_MM_EACH bits |= at_least(v[j], table(e.next_threshold, j)) << j * LANES;
  return bits;
#undef CMIM_MM_EACH
}

void finish_fused(const Conv& c, const Epilogue& e, const Tile& t) {
  for (int64_t p = 0; p < t.pixels; p++) {
    uint64_t bits = t.count > 32 ? finish_pixel<64 / LANES>(c, e, t, p) : finish_pixel<32 / LANES>(c, e, t, p);
    if (e.next_threshold) put_bits(e, t.at + p, t.channel, t.count, bits);
  }
}

void finish(const Conv& c, const Epilogue& e, const Tile& t) {
  if (e.sums) finish_sums(c, e, t);
  if (e.threshold) finish_threshold(e, t);
  if (e.scale) finish_fused(c, e, t);
}

}  // namespace
}  // namespace cmim_mm
