// Stems without torch, for sanitizers and for an emulated processor: each kernel against a plain sum in double,
// over shapes at every tail. Every array is allocated at its exact size, so that a read beside it is seen.
#include <cmath>
#include <cstdio>
#include <random>

#include "stem.h"

using namespace cmim_mm;

namespace {

struct Named {
  const char* name;
  const StemKernel& kernel;
};

enum Mode { FLOAT, BFLOAT16, INT8 };

// The output in double, and the largest sum of magnitudes: rounding is relative to it.
std::vector<double> plain(const Stem& s, const std::vector<float>& x, const std::vector<float>& w,
                          const Affine& affine, bool pool_first, double* largest) {
  std::vector<double> y;
  *largest = 0;
  for (int64_t n = 0; n < s.batch; n++)
    for (int64_t oy = 0; oy < s.out_height; oy++)
      for (int64_t ox = 0; ox < s.out_width; ox++)
        for (int64_t o = 0; o < s.out_channels; o++) {
          double most = -INFINITY;
          for (int64_t i = 0; i < s.pool_h * s.pool_w; i++) {
            int64_t my = oy * s.pool_stride_h - s.pool_padding_h + i / s.pool_w;
            int64_t mx = ox * s.pool_stride_w - s.pool_padding_w + i % s.pool_w;
            if (my < 0 || my >= s.map_height || mx < 0 || mx >= s.map_width) continue;
            double sum = 0, size = 0;
            for (int64_t c = 0; c < s.channels; c++)
              for (int64_t kh = 0; kh < s.kernel_h; kh++)
                for (int64_t kw = 0; kw < s.kernel_w; kw++) {
                  int64_t iy = my * s.stride_h + kh - s.padding_h, ix = mx * s.stride_w + kw - s.padding_w;
                  if (iy < 0 || iy >= s.height || ix < 0 || ix >= s.width) continue;
                  double product = double(x[((n * s.channels + c) * s.height + iy) * s.width + ix])
                      * w[((o * s.channels + c) * s.kernel_h + kh) * s.kernel_w + kw];
                  sum += product, size += std::fabs(product);
                }
            if (!pool_first) sum = affine.gain[o] * sum + affine.shift[o];
            size = std::fabs(affine.gain[o]) * size + std::fabs(affine.shift[o]);
            most = std::max(most, sum), *largest = std::max(*largest, size);
          }
          y.push_back(pool_first ? affine.gain[o] * most + affine.shift[o] : most);
        }
  return y;
}

Stem draw(std::mt19937& random) {
  auto below = [&random](int64_t n) -> int64_t { return random() % n; };
  Stem s = {};
  do {
    s.batch = 1 + below(2), s.channels = 1 + below(4), s.out_channels = 1 + below(70);
    s.height = 1 + below(12), s.width = 1 + below(24);
    s.kernel_h = 1 + below(5), s.kernel_w = 1 + below(7), s.stride_h = 1 + below(3), s.stride_w = 1 + below(3);
    s.padding_h = below(4), s.padding_w = below(4);
    s.pool_h = 1 + below(3), s.pool_w = 1 + below(3), s.pool_stride_h = 1 + below(3), s.pool_stride_w = 1 + below(3);
    s.pool_padding_h = below(s.pool_h / 2 + 1), s.pool_padding_w = below(s.pool_w / 2 + 1);
    s.map_height = s.height + 2 * s.padding_h - s.kernel_h, s.map_width = s.width + 2 * s.padding_w - s.kernel_w;
    if (s.map_height < 0 || s.map_width < 0) continue;
    s.map_height = s.map_height / s.stride_h + 1, s.map_width = s.map_width / s.stride_w + 1;
    s.out_height = s.map_height + 2 * s.pool_padding_h - s.pool_h;
    s.out_width = s.map_width + 2 * s.pool_padding_w - s.pool_w;
  } while (s.map_height < 1 || s.map_width < 1 || s.out_height < 0 || s.out_width < 0);
  s.out_height = s.out_height / s.pool_stride_h + 1, s.out_width = s.out_width / s.pool_stride_w + 1;
  return s;
}

}  // namespace

int main(int argc, char** argv) {
  int cases = argc > 1 ? atoi(argv[1]) : 40;
  const Named all[] = {
      {"serial", stem_serial},
#if defined(__x86_64__)
      {"avx2", stem_avx2}, {"avx512", stem_avx512}, {"avx512bf16", stem_avx512bf16},
      {"avx512vnni", stem_avx512vnni},
#endif
  };
  for (int seed = 0; seed < cases; seed++) {
    std::mt19937 random(seed);
    Stem s = draw(random);
    std::normal_distribution<float> normal;
    std::vector<float> x(s.batch * s.channels * s.height * s.width);
    Affine affine = {std::vector<float>(s.lanes()), std::vector<float>(s.lanes())};
    std::vector<float> w(s.out_channels * s.channels * s.kernel_h * s.kernel_w);
    for (auto* values : {&x, &affine.gain, &affine.shift, &w})
      for (float& value : *values) value = normal(random);
    bool pool_first = random() % 2;
    for (Mode mode : {FLOAT, BFLOAT16, INT8})
      for (auto& [name, kernel] : all) {
        Lane most = mode == INT8 ? Lane::QUAD : mode == BFLOAT16 ? Lane::PAIR : Lane::FLOAT;
        if (!kernel.supported() || (kernel.lane != Lane::FLOAT && kernel.lane != most)) continue;
        StemCall call = {};
        std::vector<float> weights = w, seen = x;  // what the kernel multiplies
        for (float& value : weights)
          value = mode == INT8 ? std::round(40 * std::min(std::max(value, -3.f), 3.f)) : mode == BFLOAT16
              ? from_bfloat16(to_bfloat16(value)) : value;
        call.s = s, call.pool_first = pool_first;
        call.x = {{x.data(), false}, s.channels * s.height * s.width, s.height * s.width, s.width, 1,
                  mode == BFLOAT16, nullptr};
        call.prepare(kernel, weights);
        call.affine = affine;
        if (mode == INT8) call.quantize(kernel);
        for (size_t i = 0; i < seen.size(); i++) {
          float size = mode == INT8 ? call.quantizers[i / (s.channels * s.height * s.width)] : 1;
          seen[i] = mode == INT8 ? std::nearbyint(x[i] * size) / size : mode == BFLOAT16
              ? from_bfloat16(to_bfloat16(x[i])) : x[i];
        }
        double largest;
        std::vector<double> expected = plain(s, seen, weights, affine, pool_first, &largest);
        std::vector<float> y(expected.size());
        call.y = {y.data(), false};
        call.rows(kernel, 0, s.batch * s.out_height / 2);  // as two threads do
        call.rows(kernel, s.batch * s.out_height / 2, s.batch * s.out_height);
        for (size_t i = 0; i < y.size(); i++)
          if (!(std::fabs(y[i] - expected[i]) <= 1e-5 * largest)) {
            printf("seed %d: %s differs at %zu: %g, expected %g\n", seed, name, i, y[i], expected[i]);
            return 1;
          }
      }
  }
  printf("stems agree on %d cases\n", cases);
}
