// The operator stem_conv2d of cmim_mm/deploy/ops.py on a CPU.
#include "stem.h"
#include "tensors.h"

namespace {

using namespace cmim_mm;

const StemKernel& chosen(ScalarType weight) {
#if defined(__x86_64__)
  const Kernel& kernel = chosen_kernel();
  if (!strncmp(kernel.name, "avx512", 6)) {
    if (weight == ScalarType::BFloat16 && stem_avx512bf16.supported()) return stem_avx512bf16;
    if (weight == ScalarType::Char && stem_avx512vnni.supported()) return stem_avx512vnni;
    if (stem_avx512.supported()) return stem_avx512;
  }
  if (&kernel != &serial && stem_avx2.supported()) return stem_avx2;
#endif
  return stem_serial;
}

// The size of the map that a window gives which moves over one of ``size``.
void move(const char* name, const Ints& size, const Ints& window, const Ints& stride, const Ints& padding,
          int64_t& height, int64_t& width) {
  Ints left = {size[0] + 2 * padding[0] - window[0], size[1] + 2 * padding[1] - window[1]};
  STD_TORCH_CHECK(window[0] >= 1 && window[1] >= 1 && left[0] >= 0 && left[1] >= 0, "the ", name, " (", window[0],
                  ", ", window[1], ") is larger than the map (", size[0], ", ", size[1], ") below it with its padding (",
                  padding[0], ", ", padding[1], ")");
  height = left[0] / stride[0] + 1, width = left[1] / stride[1] + 1;
}

Tensor stem_conv2d(Tensor x, Tensor weight, Optional bias, Ints stride, Ints padding, Ints pool, Ints pool_stride,
                   Ints pool_padding, Optional affine, bool pool_first) {
  check("x", x, {ANY, ANY, ANY, ANY}, ScalarType::Float, true);
  bool whole = weight.scalar_type() == ScalarType::Char;
  check("weight", weight, {ANY, x.size(1), ANY, ANY}, whole ? ScalarType::Char : ScalarType::Float, true);
  STD_TORCH_CHECK(!whole || affine, "weight is of torch.int8: expected an affine");
  if (bias) check("bias", *bias, {weight.size(0)}, weight.scalar_type());
  if (affine) check("affine", *affine, {2, weight.size(0)}, ScalarType::Float);
  STD_TORCH_CHECK(!bias || !affine, "both bias and affine are given: expected one of them");
  STD_TORCH_CHECK(affine || !pool_first, "pool_first is given, but no affine");
  check_pair("stride", stride, 1);
  check_pair("padding", padding, 0);
  check_pair("pool", pool, 1);
  check_pair("pool_stride", pool_stride, 1);
  check_pair("pool_padding", pool_padding, 0);
  for (int i : {0, 1})
    STD_TORCH_CHECK(2 * pool_padding[i] <= pool[i], "pool_padding=[", pool_padding[0], ", ", pool_padding[1],
                    "]: expected at most half of pool=[", pool[0], ", ", pool[1], "]");
  StemCall call = {};
  Stem& s = call.s;
  s.batch = x.size(0), s.channels = x.size(1), s.height = x.size(2), s.width = x.size(3);
  s.out_channels = weight.size(0), s.kernel_h = weight.size(2), s.kernel_w = weight.size(3);
  s.stride_h = stride[0], s.stride_w = stride[1], s.padding_h = padding[0], s.padding_w = padding[1];
  s.pool_h = pool[0], s.pool_w = pool[1], s.pool_stride_h = pool_stride[0], s.pool_stride_w = pool_stride[1];
  s.pool_padding_h = pool_padding[0], s.pool_padding_w = pool_padding[1];
  move("filter", {s.height, s.width}, {s.kernel_h, s.kernel_w}, stride, padding, s.map_height, s.map_width);
  move("pool", {s.map_height, s.map_width}, pool, pool_stride, pool_padding, s.out_height, s.out_width);
  ScalarType type = whole ? ScalarType::BFloat16 : weight.scalar_type();
  Tensor y = new_tensor({s.batch, s.out_channels, s.out_height, s.out_width}, type, {1, 3, 2, 0});
  bool rounds = weight.scalar_type() == ScalarType::BFloat16;
  call.x = {map_of(x), x.stride(0), x.stride(1), x.stride(2), x.stride(3), rounds, nullptr};
  call.y = map_of(y);
  const StemKernel& kernel = chosen(weight.scalar_type());
  Tensor filters = dense(weight);
  std::vector<float> values(s.out_channels * s.kernel_h * s.run());
  for (size_t i = 0; i < values.size(); i++)
    values[i] = whole ? data<int8_t>(filters)[i] : load(map_of(filters), i);
  call.prepare(kernel, values);
  if (whole) call.quantize(kernel);
  call.pool_first = pool_first;
  Tensor terms = bias ? dense(*bias) : affine ? dense(*affine) : filters;
  for (int64_t o = 0; o < s.out_channels; o++) {
    call.affine.gain[o] = affine ? load(map_of(terms), o) : 1;
    call.affine.shift[o] = bias ? load(map_of(terms), o) : affine ? load(map_of(terms), s.out_channels + o) : 0;
  }
  int64_t row_work = s.out_width * s.pool_stride_h * s.pool_stride_w * s.out_channels * s.kernel_h * s.run();
  int64_t grain = std::max<int64_t>(1, (int64_t(1) << 20) / std::max<int64_t>(row_work, 1));
  torch::stable::parallel_for(0, s.batch * s.out_height, grain,
                              [&](int64_t begin, int64_t end) { call.rows(kernel, begin, end); });
  return y;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(cmim_mm, CPU, m) {
  CMIM_MM_IMPL(stem_conv2d);
}
