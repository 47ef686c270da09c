// A full-precision convolution of few channels, a network's first, with the maximum over a window behind it.
//
//     y[o] = max over the pool's window of (gain[o] sum over taps and channels of w[o] x + shift[o]),
//
// or, with the norm behind the pool, gain[o] max over the window of (sum ...) + shift[o].
//
// Taps outside the image are 0, positions outside the convolution's map are left out of the maximum. One row of
// the map is computed at a time and kept for the pool; the map as a whole is never written. A row of the image
// stands in memory as (padded width, C), so that a filter's row is a run of kernel_w C values at any position.
#pragma once
#include "kernel.h"

namespace cmim_mm {

struct Stem {
  int64_t batch, channels, height, width, out_channels;
  int64_t kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w, map_height, map_width;
  int64_t pool_h, pool_w, pool_stride_h, pool_stride_w, pool_padding_h, pool_padding_w, out_height, out_width;

  int64_t run() const { return kernel_w * channels; }
  int64_t lanes() const { return (out_channels + 15) / 16 * 16; }
  int64_t padded() const { return (width + 2 * padding_w) * channels + 1; }  // values of a row; 1 for the last pair
};

// gain and shift of each output, padded to whole lanes; both are rounded once, as in torch's batch norm.
struct Affine {
  std::vector<float> gain, shift;
};

// An image (N, C, H, W) in any memory order.
struct Image {
  Map map;
  int64_t stride_n, stride_c, stride_h, stride_w;
  bool rounds;  // to bfloat16
};

struct StemKernel {
  bool (*supported)();
  bool pairs;  // reads bfloat16 in pairs, else float32
  // Row ``row`` of image n -> (padded width, C) in memory, its padding left as it is; ``line`` has room for it.
  void (*image_row)(const Stem&, const Image&, int64_t n, int64_t row, float* line, void* to);
  // Rows of the image at each tap of one row of the map -> that row, (map_width, lanes).
  // Weights are (kernel_h, run, lanes) float32, or (kernel_h, pair of the run, lanes, 2) bfloat16.
  void (*conv_row)(const Stem&, const void* const* rows, const void* weights, const Affine&, float* map_row);
  // Rows of the map inside a window -> the output's pixels at ... at + out_width - 1; ``most`` has room for a row.
  // With a norm behind the pool; null for none.
  void (*pool_row)(const Stem&, const float* const* map_rows, int64_t num_rows, const Affine*, float* most,
                   const Map& y, int64_t at);
};

extern const StemKernel stem_serial;
#if defined(__x86_64__)
extern const StemKernel stem_avx2, stem_avx512, stem_avx512bf16;
#endif

// The stem for rows begin ... end - 1 of N H' rows. y is (N, H', W', O), weight (O, C, kernel_h, kernel_w).
struct StemCall {
  Stem s;
  Image x;
  Map y;
  Affine affine;      // of the convolution or, where pool_first, of the maxima
  bool pool_first;
  std::vector<uint32_t> weights;

  void prepare(const StemKernel&, const Map& weight);
  void rows(const StemKernel&, int64_t begin, int64_t end) const;
};

}  // namespace cmim_mm
