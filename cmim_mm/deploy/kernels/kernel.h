// What a kernel is, and what all of them share: the sizes of a convolution and what follows it.
//
// Packed activations are (N, H, W, G, words) of 64 bits: bit k of word j of a group is its channel 64 j + k,
// 1 for +1. Packed filters are (O, kernel_h, kernel_w, words). For an output pixel and filter o of group g
//
//     S = inputs - 2 popcount(x xor w),  T = 2 popcount(x) - inputs,
//
// over the taps that lie inside the image; inputs is the number of their bits. Unused bits are 0 in both.
// What is made of S stands at Epilogue. A kernel works on one output row at a time.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

namespace cmim_mm {

struct Conv {
  int64_t batch, height, width;                   // N, H, W of the input
  int64_t groups, channels, words, out_channels;  // G; C / G and its 64-bit words; O
  int64_t kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w;
  int64_t out_height, out_width;

  int64_t taps() const { return kernel_h * kernel_w; }
  int64_t outputs() const { return out_channels / groups; }              // filters of a group
  int64_t lanes() const { return (outputs() + 31) / 32 * 32; }           // the same, padded
  int64_t dwords() const { return (channels + 31) / 32; }                // 32-bit words with a channel in them
  int64_t padded_width() const { return (out_width - 1) * stride_w + (kernel_w - 1) * dilation_w + 1; }
  bool column_inside(int64_t x, int64_t kw) const {
    int64_t column = x * stride_w + kw * dilation_w - padding_w;
    return column >= 0 && column < width;
  }
  bool column_used(int64_t kw) const {  // by any output pixel
    int64_t first = kw * dilation_w - padding_w;
    return first < width && first + (out_width - 1) * stride_w >= 0;
  }
  bool row_inside(int64_t y, int64_t kh) const {
    int64_t row = y * stride_h + kh * dilation_h - padding_h;
    return row >= 0 && row < height;
  }
};

// A float map (N, H', W', O) in float32 or bfloat16; data is null where there is none.
struct Map {
  void* data = nullptr;
  bool bfloat16 = false;
};

// One of three: the sums themselves; (S >= threshold) xor flip; or in float32, each step rounded by itself,
//     v = (scale S + window T) gain + offset - border[taps outside] + shortcut
//     t = v + shift_in, v = t (t > 0 ? positive : negative) + shift_out
//     v = min(max(v, low), high), NaN stays;  y = v, bit = v >= next_threshold.
// Where it has a gain of its own, shortcut is shortcut_gain shortcut + shortcut_offset. A product with a gain is
// rounded once with the sum that it goes into, as torch's batch norm does. A null pointer leaves its term out.
// Channel o of group g stands at [g * lanes + o] of each table.
struct Epilogue {
  int32_t* sums = nullptr;
  const int32_t *threshold = nullptr, *flip = nullptr;  // flip: 0 or -1
  const float *scale = nullptr, *offset = nullptr, *window = nullptr, *border = nullptr;
  const float *gain = nullptr, *shortcut_gain = nullptr, *shortcut_offset = nullptr;
  const float *shift_in = nullptr, *positive = nullptr, *negative = nullptr, *shift_out = nullptr;
  const float* next_threshold = nullptr;
  bool clamp = false;
  float low = 0, high = 0;
  Map shortcut, y;
  uint64_t* bits = nullptr;  // (N, H', W', next_groups, next_words), all 0 before
  int64_t next_groups = 1, next_channels = 0, next_words = 0;
};

// Where a step of the inner product reads: x in cells of the padded rows, w in 32-bit words of a filter.
struct Step {
  int32_t x, w;
};

// An output pixel of a row: inputs inside the image, T, and whether a tap lies outside.
struct Pixel {
  int32_t inputs, total;
  bool edge;
};

// Memory of one thread, for one row and one group.
struct Scratch {
  std::vector<uint64_t> cells;
  std::vector<Step> steps;
  std::vector<Pixel> pixels;
  std::vector<int32_t> columns;
  std::vector<const uint64_t*> rows;
  int64_t described = -1;  // rows inside the image that pixels are described for

  explicit Scratch(const Conv& c)
      : cells(c.kernel_h * c.padded_width() * c.dwords()), steps(c.taps() * c.dwords()),
        pixels(c.out_width), columns(c.padded_width()), rows(c.kernel_h) {}
};

// Filters as a kernel reads them. Over blocks of up to 64 outputs of a group:
//     LANES    [block][tap, 32-bit word][output, padded to 16] 32 bits
//     NIBBLES  [block][tap, 32-bit word, byte][output, padded to 32] 8 bits
// then ones, [tap][group, lane], how many bits of a tap are 1.
enum class Layout { PLAIN, LANES, NIBBLES };

struct Filters {
  const uint64_t* plain;
  const uint32_t* prepared;
  const int32_t* ones;
};

struct Kernel {
  const char* name;
  bool (*supported)();
  Layout layout;
  // Row ``row`` of N H rows of x (N, H, W, C): bits of x >= threshold, which has C entries.
  void (*pack_row)(const Conv&, const Map& x, const float* threshold, uint64_t* bits, int64_t row);
  // Row ``row`` of N H' rows of the output.
  void (*conv_row)(const Conv&, const Epilogue&, const uint64_t* bits, const Filters&, int64_t row, Scratch&);
  // The kernel's inner loop on registers alone; gives the number of bits that were multiplied and added.
  int64_t (*limit)(int64_t rounds);
  const Kernel* with_bf16 = nullptr;  // the same by instructions that not all of its processors have, or null
};

extern const Kernel serial, avx2, avx512bw, avx512vpopcntdq, avx512vpopcntdq_bf16, neon;

const std::vector<const Kernel*>& kernels();   // those that this machine runs, the best last
extern "C" const char* cmim_mm_kernels();    // names of those that this machine runs, the best last, by commas
extern "C" double cmim_mm_limit(const char* kernel, double seconds);  // bits a second of its limit, on one core
int64_t prepared_words(const Conv&);           // 64-bit words, as Geometry.prepared_words in geometry.py
void prepare(const Conv&, const Kernel&, const uint64_t* weight, uint64_t* prepared);
bool is_prepared(const Kernel&, const uint64_t* prepared);
Filters filters(const Conv&, const uint64_t* weight, const uint64_t* prepared);

inline float from_bfloat16(uint16_t half) {
  uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

inline uint16_t to_bfloat16(float value) {  // to nearest, ties to even
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return value != value ? 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

inline float load(const Map& map, int64_t at) {
  return map.bfloat16 ? from_bfloat16(static_cast<const uint16_t*>(map.data)[at])
                      : static_cast<const float*>(map.data)[at];
}

inline void store(const Map& map, int64_t at, float value) {
  if (map.bfloat16) static_cast<uint16_t*>(map.data)[at] = to_bfloat16(value);
  else static_cast<float*>(map.data)[at] = value;
}

// Sets bits of channels first ... first + count - 1 (at most 64) of output pixel ``at``.
inline void put_bits(const Epilogue& e, int64_t at, int64_t first, int64_t count, uint64_t bits) {
  uint64_t* pixel = e.bits + at * e.next_groups * e.next_words;
  if (count < 64) bits &= (uint64_t(1) << count) - 1;
  if (e.next_groups == 1 && first % 64 == 0) {
    pixel[first / 64] = bits;
    return;
  }
  while (count > 0) {
    int64_t group = e.next_groups == 1 ? 0 : first / e.next_channels, channel = first - group * e.next_channels;
    int64_t shift = channel % 64, room = std::min({count, e.next_channels - channel, 64 - shift});
    uint64_t here = room == 64 ? bits : bits & ((uint64_t(1) << room) - 1);
    pixel[group * e.next_words + channel / 64] |= here << shift;
    bits = room == 64 ? 0 : bits >> room;
    first += room;
    count -= room;
  }
}

}  // namespace cmim_mm
