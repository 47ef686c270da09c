// Packing and what follows the sums, by vectors; included by rows.h, which says what must be defined.
namespace cmim_mm {
namespace {

using Halves = uint16_t __attribute__((vector_size(LANES * 2)));
using Words = uint32_t __attribute__((vector_size(LANES * 4)));

// A tile of output pixels x ... x + pixels - 1 of row y with count output channels.
struct Tile {
  int64_t y, x, at, pixels;      // at: of the first pixel in the whole map
  int64_t lane, channel, count;  // the first output's place in tables and among the channels
  const Pixel* pixel;
  const int32_t* counts;         // [pixel][64]
};

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
    Words bits = (Words)v;
    bits = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;  // to nearest, ties to even
    bits = v != v ? Words{} + 0x7fc0 : bits;
    Halves halves = __builtin_convertvector(bits, Halves);
    memcpy(static_cast<uint16_t*>(map.data) + at, &halves, sizeof halves);
  }
}

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

inline Floats without_border(const Conv& c, const Epilogue& e, const Tile& t, int64_t p, int64_t i, Floats v) {
  for (int64_t tap = 0; tap < c.taps(); tap++)
    if (!c.row_inside(t.y, tap / c.kernel_w) || !c.column_inside(t.x + p, tap % c.kernel_w))
      v -= vector_at<Floats>(e.border + tap * c.groups * c.lanes() + t.lane + i);
  return v;
}

void finish_fused(const Conv& c, const Epilogue& e, const Tile& t) {
  for (int64_t p = 0; p < t.pixels; p++) {
    uint64_t word = 0;
    for (int64_t i = 0; i < t.count; i += LANES) {
      int64_t lane = t.lane + i, count = std::min<int64_t>(LANES, t.count - i);
      int64_t at = (t.at + p) * c.out_channels + t.channel + i;
      auto table = [lane](const float* data) { return vector_at<Floats>(data + lane); };
      Floats v = __builtin_convertvector(sums_at(t, p, i), Floats) * table(e.scale);
      if (e.window) v += table(e.window) * static_cast<float>(t.pixel[p].total);
      v += table(e.offset);
      if (e.border && t.pixel[p].edge) v = without_border(c, e, t, p, i, v);
      if (e.shortcut.data) v += load_floats(e.shortcut, at, count);
      if (e.shift_in) {
        v += table(e.shift_in);
        v = v * (v > Floats{} ? table(e.positive) : table(e.negative)) + table(e.shift_out);
      }
      if (e.clamp) {
        v = v < e.low ? Floats{} + e.low : v;
        v = v > e.high ? Floats{} + e.high : v;
      }
      if (e.y.data) store_floats(e.y, at, count, v);
      if (e.next_threshold) word |= at_least(v, table(e.next_threshold)) << i;
    }
    if (e.next_threshold) put_bits(e, t.at + p, t.channel, t.count, word);
  }
}

void finish(const Conv& c, const Epilogue& e, const Tile& t) {
  if (e.sums) finish_sums(c, e, t);
  if (e.threshold) finish_threshold(e, t);
  if (e.scale) finish_fused(c, e, t);
}

}  // namespace
}  // namespace cmim_mm
