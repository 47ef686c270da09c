// The kernels without torch, for sanitizers and for an emulated processor: each of them against the serial one,
// over shapes at every tail. Every array is allocated at its exact size, so that a read beside it is seen.
#include <cstdio>
#include <random>

#include "kernel.h"
#include "upsample.h"

using namespace cmim_mm;

namespace {

struct Operands {
  Conv c = {};
  std::vector<uint64_t> bits, weight;
  std::vector<float> tables, border, x, shortcut;
  std::vector<int32_t> thresholds, flips;
  std::mt19937 random;

  explicit Operands(int seed) : random(seed) {}
  int64_t below(int64_t n) { return random() % n; }
  float normal() { return std::normal_distribution<float>()(random); }

  void draw() {
    c.batch = 1 + below(2), c.groups = below(3) ? 1 : 1 + below(3);
    c.channels = 1 + below(below(2) ? 70 : below(2) ? 200 : 1200), c.out_channels = c.groups * (1 + below(below(2) ? 20 : 140));
    c.words = (c.channels + 63) / 64;
    c.kernel_h = 1 + below(3), c.kernel_w = 1 + below(3);
    c.stride_h = 1 + below(2), c.stride_w = 1 + below(3);
    do {
      c.dilation_h = 1 + below(4), c.dilation_w = 1 + below(4);
      c.padding_h = below(5), c.padding_w = below(5);
      c.height = 1 + below(6), c.width = 1 + below(16);
      c.out_height = c.height + 2 * c.padding_h - c.dilation_h * (c.kernel_h - 1) - 1;
      c.out_width = c.width + 2 * c.padding_w - c.dilation_w * (c.kernel_w - 1) - 1;
    } while (c.out_height < 0 || c.out_width < 0);
    c.out_height = c.out_height / c.stride_h + 1, c.out_width = c.out_width / c.stride_w + 1;
    weight.resize(c.out_channels * c.taps() * c.words);
    for (size_t i = 0; i < weight.size(); i++) weight[i] = word(i % c.words);
    x.resize(c.batch * c.height * c.width * c.groups * c.channels);
    for (float& value : x) value = normal();
    if (!below(4)) {  // nothing agrees: counters inside the kernels are as full as they can be
      std::fill(x.begin(), x.end(), 1.f);
      std::fill(weight.begin(), weight.end(), 0);
    }
    shortcut.resize(outputs());
    for (float& value : shortcut) value = normal();
    tables.resize(11 * c.groups * c.lanes());
    for (float& value : tables) value = normal();
    border.resize(c.taps() * c.groups * c.lanes());
    for (float& value : border) value = normal();
    for (size_t i = 0; i < border.size() / c.taps(); i++) {
      thresholds.push_back(below(9) - 4);
      flips.push_back(-below(2));
    }
  }

  int64_t outputs() const { return c.batch * c.out_height * c.out_width * c.out_channels; }

  uint64_t word(int64_t j) {
    uint64_t drawn = (uint64_t(random()) << 32) | random(), left = c.channels - 64 * j;
    return left < 64 ? drawn & ((uint64_t(1) << left) - 1) : drawn;
  }
};

template <class T>
Map map_of(std::vector<T>& values) { return {values.data(), sizeof(T) == 2}; }

struct Results {
  std::vector<uint64_t> packed, by_threshold, next;
  std::vector<int32_t> sums;
  std::vector<float> y;
  std::vector<uint16_t> y_half;
  bool operator==(const Results& other) const {
    return packed == other.packed && by_threshold == other.by_threshold && next == other.next && sums == other.sums
        && y_half == other.y_half && !memcmp(y.data(), other.y.data(), 4 * y.size());
  }
};

void run(const Kernel& kernel, Operands& o, const Epilogue& e, const std::vector<uint64_t>& bits) {
  std::vector<uint64_t> prepared(prepared_words(o.c));
  prepare(o.c, kernel, o.weight.data(), prepared.data());
  Scratch scratch(o.c);
  for (int64_t row = 0; row < o.c.batch * o.c.out_height; row++)
    kernel.conv_row(o.c, e, bits.data(), filters(o.c, o.weight.data(), prepared.data()), row, scratch);
}

Results results(const Kernel& kernel, Operands& o) {
  const Conv& c = o.c;
  Results r;
  std::vector<float> threshold(c.groups * c.channels);
  r.packed.resize(c.batch * c.height * c.width * c.groups * c.words);
  for (int64_t row = 0; row < c.batch * c.height; row++)
    kernel.pack_row(c, map_of(o.x), threshold.data(), r.packed.data(), row);

  Epilogue sums;
  r.sums.resize(o.outputs());
  sums.sums = r.sums.data();
  run(kernel, o, sums, r.packed);

  Epilogue by_threshold;
  by_threshold.threshold = o.thresholds.data(), by_threshold.flip = o.flips.data();
  by_threshold.next_groups = c.groups, by_threshold.next_channels = c.outputs();
  by_threshold.next_words = (c.outputs() + 63) / 64;
  r.by_threshold.resize(c.batch * c.out_height * c.out_width * c.groups * by_threshold.next_words);
  by_threshold.bits = r.by_threshold.data();
  run(kernel, o, by_threshold, r.packed);

  Epilogue fused;
  const float* table = o.tables.data();
  int64_t length = c.groups * c.lanes();
  fused.scale = table, fused.offset = table + length, fused.window = table + 2 * length;
  fused.shift_in = table + 3 * length, fused.positive = table + 4 * length, fused.negative = table + 5 * length;
  fused.shift_out = table + 6 * length, fused.next_threshold = table + 7 * length;
  fused.gain = table + 8 * length;
  fused.shortcut_gain = table + 9 * length, fused.shortcut_offset = table + 10 * length;
  fused.border = o.border.data(), fused.shortcut = map_of(o.shortcut);
  fused.clamp = true, fused.low = -9, fused.high = 9;
  fused.next_channels = c.out_channels, fused.next_words = (c.out_channels + 63) / 64;
  r.next.resize(c.batch * c.out_height * c.out_width * fused.next_words);
  fused.bits = r.next.data();
  r.y.resize(o.outputs());
  fused.y = map_of(r.y);
  run(kernel, o, fused, r.packed);

  Epilogue half;
  half.scale = table, half.offset = table + length;
  half.shortcut = map_of(o.shortcut);
  r.y_half.resize(o.outputs());
  half.y = map_of(r.y_half);
  run(kernel, o, half, r.packed);
  return r;
}

// The class of the largest of resized logits, and a sum of resized maps; bits of all results.
std::vector<int64_t> resized(const Kernel& kernel, int seed) {
  Operands o(seed);
  int64_t batch = 1 + o.below(2), channels = 1 + o.below(o.below(2) ? 20 : 140), count = 1 + o.below(3);
  int64_t height = 1 + o.below(7), width = 1 + o.below(7);
  bool align_corners = o.below(2);
  std::vector<std::vector<float>> floats(count);
  std::vector<std::vector<uint16_t>> halves(count);
  Sum sum = {batch, channels, height, width, align_corners, o.below(2) == 0, {}, nullptr, {}};
  for (int64_t i = 0; i < count; i++) {
    int64_t h = o.below(2) ? height : 1 + o.below(9), w = o.below(2) ? width : 1 + o.below(9);
    floats[i].resize(batch * h * w * channels);
    halves[i].resize(floats[i].size());
    for (size_t k = 0; k < floats[i].size(); k++)
      floats[i][k] = o.normal(), store(map_of(halves[i]), k, floats[i][k]);
    sum.maps.push_back({{}, h, w, taps(w, width, align_corners)});
  }
  std::vector<float> bias(channels), y(batch * height * width * channels);
  for (float& value : bias) value = o.normal();
  std::vector<uint16_t> y_half(y.size());
  if (seed % 3) sum.bias = bias.data();
  std::vector<int64_t> results, found(batch * height * width);
  for (bool half : {false, true}) {
    sum.y = half ? map_of(y_half) : map_of(y);
    for (int64_t i = 0; i < count; i++) sum.maps[i].map = half ? map_of(halves[i]) : map_of(floats[i]);
    Labels labels = {batch, channels, height, width, align_corners, sum.maps[0], found.data()};
    std::vector<float> labels_scratch(labels.scratch()), sum_scratch(sum.scratch());
    std::vector<Share> shares(count);
    for (int64_t row = 0; row < batch * height; row++) {
      upsampler(kernel).labels_row(labels, row, labels_scratch.data());
      upsampler(kernel).sum_row(sum, row, sum_scratch.data(), shares.data());
    }
    results.insert(results.end(), found.begin(), found.end());
  }
  for (float value : y) {
    int32_t bits;
    memcpy(&bits, &value, 4);
    results.push_back(bits);
  }
  results.insert(results.end(), y_half.begin(), y_half.end());
  return results;
}

}  // namespace

int main(int argc, char** argv) {
  int cases = argc > 1 ? atoi(argv[1]) : 40;
  std::vector<const Kernel*> all = kernels();
#if defined(__x86_64__)
  if (avx512vpopcntdq.supported()) all.push_back(&avx512vpopcntdq);  // its form with BF16 is listed
#endif
  for (int seed = 0; seed < cases; seed++) {
    Operands o(seed);
    o.draw();
    Results expected = results(serial, o);
    for (auto kernel : all)
      if (!(results(*kernel, o) == expected) || resized(*kernel, seed) != resized(serial, seed)) {
        printf("%s differs from serial at seed %d\n", kernel->name, seed);
        return 1;
      }
  }
  printf("%s agree on %d cases\n", cmim_mm_kernels(), cases);
}
