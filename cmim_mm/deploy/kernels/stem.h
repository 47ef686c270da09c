// A full-precision convolution of few channels, a network's first, with the maximum over a window behind it.
//
//     y[o] = max over the pool's window of (gain[o] sum over taps and channels of w[o] x + shift[o]),
//
// or, with the norm behind the pool, gain[o] max over the window of (sum ...) + shift[o].
//
// Taps outside the image are 0, positions outside the convolution's map are left out of the maximum. One row of
// the map is computed at a time and kept for the pool; the map as a whole is never written. A row of the image
// stands in memory as (padded width, C), so that a filter's row is a run of kernel_w C values at any position.
//
// With weights of int8 an image x is quantized to whole numbers from -127 to 127, q = round(x 127 / largest |x|);
// sums of products of whole numbers are exact, and gain is multiplied by largest / 127.
#pragma once
#include "kernel.h"

namespace cmim_mm {

struct Stem {
  int64_t batch, channels, height, width, out_channels;
  int64_t kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w, map_height, map_width;
  int64_t pool_h, pool_w, pool_stride_h, pool_stride_w, pool_padding_h, pool_padding_w, out_height, out_width;

  int64_t run() const { return kernel_w * channels; }
  int64_t lanes() const { return (out_channels + 15) / 16 * 16; }
  int64_t padded() const { return (width + 2 * padding_w) * channels + 3; }  // values of a row; 3 for the last lane
};

// What 32 bits of weights and of x are: a float32, 2 bfloat16, or 4 int8 and 4 uint8 with 128 for 0.
enum class Lane { FLOAT = 1, PAIR = 2, QUAD = 4 };

// gain and shift of each output, padded to whole lanes; both are rounded once, as in torch's batch norm.
struct Affine {
  std::vector<float> gain, shift;
};

// An image (N, C, H, W) in any memory order.
struct Image {
  Map map;
  int64_t stride_n, stride_c, stride_h, stride_w;
  bool rounds;              // to bfloat16
  const float* quantizers;  // of each image, 127 / largest |x|; null for none
};

struct StemKernel {
  bool (*supported)();
  Lane lane;
  // The largest magnitude of image n, NaN if there is one.
  float (*largest)(const Stem&, const Image&, int64_t n, float* line);
  // Row ``row`` of image n -> (padded width, C) in memory, its padding left as it is; ``line`` has room for it.
  void (*image_row)(const Stem&, const Image&, int64_t n, int64_t row, float* line, void* to);
  // Rows of the image at each tap of one row of the map -> that row, (map_width, lanes).
  // Weights are (kernel_h, lane of the run, lanes) 32 bits; sums of quads start at ``starts``.
  void (*conv_row)(const Stem&, const void* const* rows, const uint32_t* weights, const int32_t* starts,
                   const Affine&, float* map_row);
  // Rows of the map inside a window -> the output's pixels at ... at + out_width - 1. Behind the pool stands a
  // norm; null for none.
  void (*pool_row)(const Stem&, const float* const* map_rows, int64_t num_rows, const Affine*, const Map& y,
                   int64_t at);
};

extern const StemKernel stem_serial;
#if defined(__x86_64__)
extern const StemKernel stem_avx2, stem_avx512, stem_avx512bf16, stem_avx512vnni;
#endif

// The stem for rows begin ... end - 1 of N H' rows. y is (N, H', W', O), weight (O, C, kernel_h, kernel_w).
struct StemCall {
  Stem s;
  Image x;
  Map y;
  Affine affine;      // of the convolution or, where pool_first, of the maxima
  bool pool_first;
  std::vector<float> quantizers;
  std::vector<int32_t> starts;
  std::vector<uint32_t> weights;

  void prepare(const StemKernel&, const std::vector<float>& weight);
  void quantize(const StemKernel&);  // images, where weights are whole numbers
  void rows(const StemKernel&, int64_t begin, int64_t end) const;
};

}  // namespace cmim_mm
