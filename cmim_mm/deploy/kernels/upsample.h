// Bilinear resizing joined with what follows it: the class of the largest logit, or the sum of several maps.
//
// An output pixel i of an axis lies at s = scale (i + 0.5) - 0.5, not below 0, of the input, scale = in / out;
// with aligned corners at s = scale i, scale = (in - 1) / (out - 1). Its value is (1 - t) v[floor s] +
// t v[floor s + 1], t = s - floor s, and the last pixel stands for those behind it: as in torch. Rows are weighted
// first, then columns, each product and sum rounded by itself. Maps are (N, H, W, C).
#pragma once
#include "kernel.h"

namespace cmim_mm {

// Two input pixels of an axis and their weights.
struct Tap {
  int64_t first, second;
  float w_first, w_second;
};

Tap tap(int64_t in, int64_t out, bool align_corners, int64_t i);
std::vector<Tap> taps(int64_t in, int64_t out, bool align_corners);  // of all output pixels of an axis

struct Resized {
  Map map;
  int64_t height, width;
  std::vector<Tap> columns;
};

// The lowest class among those whose resized logit is largest; NaN is larger than all.
struct Labels {
  int64_t batch, classes, out_height, out_width;
  bool align_corners;
  Resized logits;
  int64_t* labels;  // (N, H', W')

  int64_t stride() const { return std::max<int64_t>(classes, 16); }  // of pixels in scratch: a vector at least
  int64_t scratch() const { return (logits.width + 1) * stride(); }  // floats of a thread
};

// y = sum of the resized maps, in order, + bias, and where that is asked for not below 0 (NaN stays), in float32.
struct Sum {
  int64_t batch, channels, out_height, out_width;
  bool align_corners, relu;
  std::vector<Resized> maps;
  const float* bias;  // or null
  Map y;

  int64_t scratch() const {
    int64_t pixels = 1;
    for (auto& one : maps) pixels += one.width;
    return pixels * channels;
  }
};

// What one map adds to a pixel: w_first first + w_second second, or first alone, of a row of the map.
struct Share {
  const float *row, *first, *second;
  float w_first, w_second;
};

// Row ``row`` of N H' rows of the output, by a kernel's vectors.
struct Upsampler {
  void (*labels_row)(const Labels&, int64_t row, float* scratch);
  void (*sum_row)(const Sum&, int64_t row, float* scratch, Share* of_maps);
};

const Upsampler& upsampler(const Kernel&);

}  // namespace cmim_mm
