// The operators of cmim_mm/deploy/ops.py on a CPU: arguments checked, tables padded, rows shared out to threads.
#include <cmath>
#include <cstdlib>
#include <limits>
#include <tuple>

#include "tensors.h"

namespace {

using namespace cmim_mm;

// Checks filters and groups; what is not known of them yet stays 0.
Conv conv_of(const Tensor& weight, int64_t in_channels, int64_t groups) {
  check_groups("groups", groups, in_channels);
  int64_t words = num_words(in_channels / groups);
  check("weight", weight, {ANY, ANY, ANY, words}, ScalarType::Long);
  check_groups("groups", groups, weight.size(0));
  Conv c = {};
  c.groups = groups, c.channels = in_channels / groups, c.words = words, c.out_channels = weight.size(0);
  c.kernel_h = weight.size(1), c.kernel_w = weight.size(2);
  return c;
}

Tensor prepare_weight(Tensor weight, int64_t in_channels, int64_t groups) {
  Conv c = conv_of(weight, in_channels, groups);
  Tensor plain = dense(weight), prepared = new_vector(prepared_words(c));
  prepare(c, chosen_kernel(), data<uint64_t>(plain), static_cast<uint64_t*>(prepared.mutable_data_ptr()));
  return prepared;
}

// Geometry and operands of one convolution; keeps what it reads alive.
struct Call {
  Conv c;
  Tensor bits, weight;
  Optional prepared;
  std::vector<std::vector<float>> floats;
  std::vector<std::vector<int32_t>> ints;

  Call(const Tensor& bits_, const Tensor& weight_, int64_t in_channels, const Ints& stride, const Ints& padding,
       const Ints& dilation, int64_t groups, const Optional& prepared_)
      : c(conv_of(weight_, in_channels, groups)) {
    check("bits", bits_, {ANY, ANY, ANY, groups * c.words}, ScalarType::Long);
    check_pair("stride", stride, 1);
    check_pair("padding", padding, 0);
    check_pair("dilation", dilation, 1);
    c.batch = bits_.size(0), c.height = bits_.size(1), c.width = bits_.size(2);
    c.stride_h = stride[0], c.stride_w = stride[1], c.padding_h = padding[0], c.padding_w = padding[1];
    c.dilation_h = dilation[0], c.dilation_w = dilation[1];
    int64_t height = c.height + 2 * c.padding_h - c.dilation_h * (c.kernel_h - 1) - 1;
    int64_t width = c.width + 2 * c.padding_w - c.dilation_w * (c.kernel_w - 1) - 1;
    STD_TORCH_CHECK(height >= 0 && width >= 0 && c.taps() > 0, "the filter (", c.kernel_h, ", ", c.kernel_w,
                    "), dilated by (", c.dilation_h, ", ", c.dilation_w, "), is larger than the image (", c.height,
                    ", ", c.width, ") with its padding (", c.padding_h, ", ", c.padding_w, ")");
    c.out_height = height / c.stride_h + 1, c.out_width = width / c.stride_w + 1;
    int64_t most = std::numeric_limits<int32_t>::max();
    STD_TORCH_CHECK(c.kernel_h * c.padded_width() * c.dwords() <= most && c.taps() * c.channels <= most,
                    "a row of this convolution is larger than 2^31 - 1");
    if (prepared_) check("prepared", *prepared_, {prepared_words(c)}, ScalarType::Long);
    bits = dense(bits_);
    weight = dense(weight_);
    if (prepared_) prepared = dense(*prepared_);
  }

  // Rows of a table (rows, O), each group's outputs padded with 0.
  template <class To, class From>
  const To* padded(std::vector<std::vector<To>>& kept, const From* from, int64_t rows, To factor) {
    std::vector<To> table(rows * c.groups * c.lanes());
    for (int64_t i = 0; i < rows * c.out_channels; i++) {
      int64_t row = i / c.out_channels, o = i % c.out_channels;
      table[(row * c.groups + o / c.outputs()) * c.lanes() + o % c.outputs()] = factor * from[i];
    }
    kept.push_back(std::move(table));
    return kept.back().data();
  }

  const float* table(const char* name, const Optional& t, Ints shape) {
    if (!t) return nullptr;
    check(name, *t, shape, ScalarType::Float);
    Tensor plain = dense(*t);
    return padded(floats, data<float>(plain), shape.size() == 2 ? shape[0] : 1, 1.f);
  }

  Tensor next_bits(Epilogue& e, int64_t groups) {
    e.next_groups = groups, e.next_channels = c.out_channels / groups, e.next_words = num_words(e.next_channels);
    Tensor next = new_bits({c.batch, c.out_height, c.out_width, groups * e.next_words});
    e.bits = static_cast<uint64_t*>(next.mutable_data_ptr());
    return next;
  }

  void run(const Epilogue& e) const {
    const Kernel& kernel = chosen_kernel();
    Tensor ready = weight;
    if (kernel.layout != Layout::PLAIN) {
      if (prepared && is_prepared(kernel, data<uint64_t>(*prepared))) {
        ready = *prepared;
      } else {
        ready = new_vector(prepared_words(c));
        prepare(c, kernel, data<uint64_t>(weight), static_cast<uint64_t*>(ready.mutable_data_ptr()));
      }
    }
    Filters all = filters(c, data<uint64_t>(weight), data<uint64_t>(ready));
    int64_t row_work = c.out_width * c.out_channels * c.taps() * c.channels, row_bits =
        c.out_width * e.next_groups * e.next_words;
    int64_t grain = std::max<int64_t>(1, (int64_t(1) << 24) / std::max<int64_t>(row_work, 1));
    torch::stable::parallel_for(0, c.batch * c.out_height, grain, [&](int64_t begin, int64_t end) {
      Scratch scratch(c);
      for (int64_t row = begin; row < end; row++) {
        if (e.bits) memset(e.bits + row * row_bits, 0, row_bits * 8);
        kernel.conv_row(c, e, data<uint64_t>(bits), all, row, scratch);
      }
    });
  }
};

Tensor pack_sign(Tensor x, Tensor threshold, int64_t groups) {
  check("x", x, {ANY, ANY, ANY, ANY}, ScalarType::Float, true);
  int64_t channels = x.size(1);
  check_groups("groups", groups, channels);
  check("threshold", threshold, {ANY, ANY}, ScalarType::Float);
  int64_t images = threshold.size(0), columns = threshold.size(1);
  STD_TORCH_CHECK((images == 1 || images == x.size(0)) && (columns == 1 || columns == channels),
                  "threshold: expected the shape (1 or ", x.size(0), ", 1 or ", channels, "), got (", images, ", ",
                  columns, ")");
  Conv c = {};
  c.batch = x.size(0), c.height = x.size(2), c.width = x.size(3);
  c.groups = groups, c.channels = channels / groups, c.words = num_words(c.channels);
  Tensor in = channels_last(x), least = dense(threshold);
  std::vector<float> table(images * channels);
  for (int64_t i = 0; i < images * channels; i++)
    table[i] = data<float>(least)[columns == 1 ? i / channels : i];
  Tensor bits = new_bits({c.batch, c.height, c.width, groups * c.words});
  auto* out = static_cast<uint64_t*>(bits.mutable_data_ptr());
  const Kernel& kernel = chosen_kernel();
  int64_t grain = std::max<int64_t>(1, 32768 / std::max<int64_t>(c.width * channels, 1));
  torch::stable::parallel_for(0, c.batch * c.height, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++)
      kernel.pack_row(c, map_of(in), table.data() + (images == 1 ? 0 : row / c.height * channels), out, row);
  });
  return bits;
}

Tensor binary_conv2d(Tensor bits, Tensor weight, int64_t in_channels, Ints stride, Ints padding, Ints dilation,
                     int64_t groups, Optional prepared) {
  Call call(bits, weight, in_channels, stride, padding, dilation, groups, prepared);
  Tensor sums = new_map(call.c, ScalarType::Int);
  Epilogue e;
  e.sums = static_cast<int32_t*>(sums.mutable_data_ptr());
  call.run(e);
  return sums;
}

Tensor binary_conv2d_threshold(Tensor bits, Tensor weight, Tensor threshold, Tensor flip, int64_t in_channels,
                               Ints stride, Ints padding, Ints dilation, int64_t groups, int64_t next_groups,
                               Optional prepared) {
  Call call(bits, weight, in_channels, stride, padding, dilation, groups, prepared);
  check("threshold", threshold, {call.c.out_channels}, ScalarType::Int);
  check("flip", flip, {call.c.out_channels}, ScalarType::Bool);
  check_groups("next_groups", next_groups, call.c.out_channels);
  Epilogue e;
  e.threshold = call.padded(call.ints, data<int32_t>(dense(threshold)), 1, 1);
  e.flip = call.padded(call.ints, data<bool>(dense(flip)), 1, -1);
  Tensor next = call.next_bits(e, next_groups);
  call.run(e);
  return next;
}

std::tuple<Tensor, Tensor> binary_conv2d_fused(
    Tensor bits, Tensor weight, Tensor scale, Tensor offset, int64_t in_channels, Ints stride, Ints padding,
    Ints dilation, int64_t groups, Optional window, Optional border, Optional shortcut, Optional nonlinearity,
    std::optional<double> low, std::optional<double> high, std::optional<ScalarType> y_dtype,
    Optional next_threshold, int64_t next_groups, Optional prepared, Optional gain, Optional shortcut_affine) {
  Call call(bits, weight, in_channels, stride, padding, dilation, groups, prepared);
  const Conv& c = call.c;
  Ints channels = {c.out_channels};
  Epilogue e;
  e.scale = call.table("scale", scale, channels);
  e.offset = call.table("offset", offset, channels);
  e.gain = call.table("gain", gain, channels);
  e.window = call.table("window", window, channels);
  e.border = call.table("border", border, {c.taps(), c.out_channels});
  e.next_threshold = call.table("next_threshold", next_threshold, channels);
  e.shift_in = call.table("nonlinearity", nonlinearity, {4, c.out_channels});
  if (e.shift_in) {
    int64_t row = c.groups * c.lanes();
    e.positive = e.shift_in + row, e.negative = e.positive + row, e.shift_out = e.negative + row;
  }
  if (shortcut) {
    check("shortcut", *shortcut, {c.batch, c.out_channels, c.out_height, c.out_width}, ScalarType::Float, true);
    shortcut = channels_last(*shortcut);
    e.shortcut = map_of(*shortcut);
  }
  e.shortcut_gain = call.table("shortcut_affine", shortcut_affine, {2, c.out_channels});
  STD_TORCH_CHECK(shortcut || !shortcut_affine, "shortcut_affine is given, but no shortcut");
  if (e.shortcut_gain) e.shortcut_offset = e.shortcut_gain + c.groups * c.lanes();
  e.clamp = low || high;
  e.low = low.value_or(-INFINITY), e.high = high.value_or(INFINITY);
  check_groups("next_groups", next_groups, c.out_channels);
  STD_TORCH_CHECK(!y_dtype || *y_dtype == ScalarType::Float || *y_dtype == ScalarType::BFloat16, "y_dtype=",
                  name_of(*y_dtype), ": expected torch.float32, torch.bfloat16 or None");
  STD_TORCH_CHECK(y_dtype || next_threshold,
                  "neither y_dtype nor next_threshold is given: there is nothing to compute");
  Tensor y = y_dtype ? new_map(c, *y_dtype) : new_tensor({0}, ScalarType::Float, {0});
  if (y_dtype) e.y = map_of(y);
  Tensor next = next_threshold ? call.next_bits(e, next_groups) : new_vector(0);
  call.run(e);
  return {y, next};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(cmim_mm, CPU, m) {
  CMIM_MM_IMPL(pack_sign);
  CMIM_MM_IMPL(prepare_weight);
  CMIM_MM_IMPL(binary_conv2d);
  CMIM_MM_IMPL(binary_conv2d_threshold);
  CMIM_MM_IMPL(binary_conv2d_fused);
}
