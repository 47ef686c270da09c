// A stem in plain C++, and what is the same for all of its kernels: rows of the image, weights in order.
#include <cmath>

#include "stem.h"

namespace cmim_mm {
namespace {

bool supported() { return true; }

constexpr int LANES = 4, PIXELS = 2, VECTORS = 2;
constexpr Lane LANE = Lane::FLOAT;
using Floats = float __attribute__((vector_size(16)));
using Sums = Floats;

inline Floats multiply_add(Floats sum, Floats weights, float x) { return sum + weights * x; }
inline Floats affine(Floats v, Floats gain, Floats shift) {
  for (int i = 0; i < LANES; i++) v[i] = std::fma(v[i], gain[i], shift[i]);
  return v;
}
inline Floats larger(Floats a, Floats b) { return (a >= b) | (a != a) ? a : b; }

}  // namespace
}  // namespace cmim_mm

#include "stem_rows.h"

namespace cmim_mm {

const StemKernel stem_serial = {supported, LANE, largest, image_row, conv_row, pool_row};

void StemCall::prepare(const StemKernel& kernel, const std::vector<float>& weight) {
  int64_t size = static_cast<int64_t>(kernel.lane), steps = (s.run() + size - 1) / size;
  affine.gain.resize(s.lanes());
  affine.shift.resize(s.lanes());
  weights.assign(s.kernel_h * steps * s.lanes(), 0);
  starts.assign(s.lanes(), 0);
  for (int64_t o = 0; o < s.out_channels; o++)
    for (int64_t kh = 0; kh < s.kernel_h; kh++)
      for (int64_t i = 0; i < s.run(); i++) {
        float value = weight[((o * s.channels + i % s.channels) * s.kernel_h + kh) * s.kernel_w + i / s.channels];
        uint32_t* at = &weights[(kh * steps + i / size) * s.lanes() + o];
        if (kernel.lane == Lane::FLOAT) memcpy(at, &value, 4);
        if (kernel.lane == Lane::PAIR) store({at, true}, i % 2, value);
        if (kernel.lane != Lane::QUAD) continue;
        reinterpret_cast<int8_t*>(at)[i % 4] = static_cast<int8_t>(value);
        starts[o] -= 128 * static_cast<int32_t>(value);
      }
}

void StemCall::quantize(const StemKernel& kernel) {
  std::vector<float> line(s.width * s.channels);
  for (int64_t n = 0; n < s.batch; n++) {
    float most = kernel.largest(s, x, n, line.data());
    quantizers.push_back(most == 0 ? 1 : 127 / most);
  }
  x.quantizers = quantizers.data();
}

void StemCall::rows(const StemKernel& kernel, int64_t begin, int64_t end) const {
  Affine neutral = {std::vector<float>(s.lanes(), 1.f), std::vector<float>(s.lanes())}, of_image = affine;
  const Affine& of_map = pool_first ? neutral : of_image;
  size_t width = 4 / static_cast<size_t>(kernel.lane);
  char zero = kernel.lane == Lane::QUAD ? -128 : 0;  // as uint8: 128
  std::vector<char> zeros(s.padded() * width, zero), image(s.kernel_h * s.padded() * width, zero);
  std::vector<float> map(s.pool_h * s.map_width * s.lanes()), line(s.width * s.channels);
  std::vector<const void*> taps(s.kernel_h);
  std::vector<const float*> window(s.pool_h);
  int64_t images = 0, next_row = 0, next_map_row = 0;  // of the image n, the first rows not made yet
  auto image_row = [&](int64_t n, int64_t row) -> const void* {  // a ring of kernel_h rows
    if (row < 0 || row >= s.height) return zeros.data();
    char* to = image.data() + row % s.kernel_h * s.padded() * width;
    if (row < next_row) return to;
    next_row = row + 1;
    kernel.image_row(s, x, n, row, line.data(), to);
    return to;
  };
  for (int64_t row = begin; row < end; row++) {
    int64_t n = row / s.out_height, first = row % s.out_height * s.pool_stride_h - s.pool_padding_h;
    int64_t last = std::min(first + s.pool_h, s.map_height), num_rows = 0;
    if (row == begin || n != images) {
      images = n, next_row = 0, next_map_row = 0;
      for (int64_t o = 0; x.quantizers && o < s.lanes(); o++) of_image.gain[o] = affine.gain[o] / x.quantizers[n];
    }
    for (int64_t map_row = std::max<int64_t>(first, 0); map_row < last; map_row++) {  // a ring of pool_h rows
      float* to = map.data() + map_row % s.pool_h * s.map_width * s.lanes();
      window[num_rows++] = to;
      if (map_row < next_map_row) continue;
      next_map_row = map_row + 1;
      for (int64_t kh = 0; kh < s.kernel_h; kh++)
        taps[kh] = image_row(n, map_row * s.stride_h + kh - s.padding_h);
      kernel.conv_row(s, taps.data(), weights.data(), starts.data(), of_map, to);
    }
    kernel.pool_row(s, window.data(), num_rows, pool_first ? &of_image : nullptr, y, row * s.out_width);
  }
}

}  // namespace cmim_mm
