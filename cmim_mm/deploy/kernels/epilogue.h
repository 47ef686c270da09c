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

// A vector of channels after the other, each over all pixels of the tile: its tables stay in registers. PLAIN:
// vectors are full, and there is neither T nor a border. AFFINE: y = scale S + offset. Each saves branches a vector.
template <bool PLAIN, bool AFFINE>
void finish_fused(const Conv& c, const Epilogue& e, const Tile& t) {
  uint64_t words[PIXELS] = {};
  // Copies: for all that the compiler knows, what is stored below could change the arguments.
  const Map shortcuts = e.shortcut, y = e.y;
  const bool has_gain = e.gain, has_shortcut_gain = e.shortcut_gain, bends = e.shift_in, clamps = e.clamp;
  const bool has_bits = e.next_threshold;
  const float low = e.low, high = e.high;
  const int64_t pixels = t.pixels, step = c.out_channels, first = t.at * step + t.channel;
  for (int64_t i = 0; i < t.count; i += LANES) {
    auto table = [&t, i](const float* data) { return vector_at<Floats>(data + t.lane + i); };
    const Floats scale = table(e.scale), offset = table(e.offset);
    Floats gain, shortcut_gain, shortcut_offset, shift_in, positive, negative, shift_out, threshold;
    if (has_gain) gain = table(e.gain);
    if (has_shortcut_gain) shortcut_gain = table(e.shortcut_gain), shortcut_offset = table(e.shortcut_offset);
    if (bends) {
      shift_in = table(e.shift_in), positive = table(e.positive);
      negative = table(e.negative), shift_out = table(e.shift_out);
    }
    if (has_bits) threshold = table(e.next_threshold);
    const int64_t live = PLAIN ? LANES : std::min<int64_t>(LANES, t.count - i);
    for (int64_t p = 0; p < pixels; p++) {
      int64_t at = first + p * step + i;
      Floats v = __builtin_convertvector(sums_at(t, p, i), Floats) * scale;
      if (!PLAIN && e.window) v += table(e.window) * float(t.pixel[p].total);
      v = !AFFINE && has_gain ? affine(v, gain, offset) : v + offset;
      if (!PLAIN && e.border && t.pixel[p].edge)
        for (int64_t kh = 0; kh < c.kernel_h; kh++)
          for (int64_t kw = 0; kw < c.kernel_w; kw++)
            if (!c.row_inside(t.y, kh) || !c.column_inside(t.x + p, kw))
              v -= table(e.border + (kh * c.kernel_w + kw) * c.groups * c.lanes());
      if (!AFFINE && shortcuts.data) {
        Floats shortcut = load_floats(shortcuts, at, live);
        v += has_shortcut_gain ? affine(shortcut, shortcut_gain, shortcut_offset) : shortcut;
      }
      if (!AFFINE && bends) {
        v += shift_in;
        v = v * (v > Floats{} ? positive : negative) + shift_out;
      }
      if (!AFFINE && clamps) {
        v = v < low ? Floats{} + low : v;
        v = v > high ? Floats{} + high : v;
      }
      if (y.data) store_floats(y, at, live, v);
      if (has_bits) words[p] |= at_least(v, threshold) << i;
    }
  }
  if (has_bits)
    for (int64_t p = 0; p < pixels; p++) put_bits(e, t.at + p, t.channel, t.count, words[p]);
}

void finish(const Conv& c, const Epilogue& e, const Tile& t) {
  if (e.sums) finish_sums(c, e, t);
  if (e.threshold) finish_threshold(e, t);
  if (!e.scale) return;
  if (e.window || e.border || t.count % LANES) finish_fused<false, false>(c, e, t);
  else if (e.shortcut.data || e.shift_in || e.clamp || e.gain) finish_fused<true, false>(c, e, t);
  else finish_fused<true, true>(c, e, t);
}

}  // namespace
}  // namespace cmim_mm
