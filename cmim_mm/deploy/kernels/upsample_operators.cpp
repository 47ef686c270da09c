// The operators of cmim_mm/deploy/ops.py that resize, on a CPU: arguments checked, rows shared out to threads.
#include "tensors.h"
#include "upsample.h"

namespace {

using namespace cmim_mm;

void check_pixels(const char* name, const Tensor& t) {
  STD_TORCH_CHECK(t.size(1) > 0 && t.size(2) > 0 && t.size(3) > 0, name, ": expected at least one channel and one "
                  "pixel, got the shape (", t.size(0), ", ", t.size(1), ", ", t.size(2), ", ", t.size(3), ")");
}

Resized resized(const Tensor& t, int64_t out_width, bool align_corners) {
  return {map_of(t), t.size(2), t.size(3), taps(t.size(3), out_width, align_corners)};
}

int64_t grain(int64_t row_work) { return std::max<int64_t>(1, 32768 / std::max<int64_t>(row_work, 1)); }

Tensor bilinear_labels(Tensor logits, Ints size, bool align_corners) {
  check("logits", logits, {ANY, ANY, ANY, ANY}, ScalarType::Float, true);
  check_pixels("logits", logits);
  check_pair("size", size, 1);
  Tensor in = channels_last(logits);
  Tensor labels = new_tensor({in.size(0), size[0], size[1]}, ScalarType::Long, {2, 1, 0});
  Labels l = {in.size(0), in.size(1), size[0], size[1], align_corners, resized(in, size[1], align_corners),
              static_cast<int64_t*>(labels.mutable_data_ptr())};
  const Upsampler& kernel = upsampler(chosen_kernel());
  auto rows = [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(l.scratch());
    for (int64_t row = begin; row < end; row++) kernel.labels_row(l, row, scratch.data());
  };
  torch::stable::parallel_for(0, l.batch * l.out_height, grain(l.out_width * l.classes), rows);
  return labels;
}

Tensor bilinear_sum(std::vector<Tensor> maps, std::optional<Ints> size, Optional bias, bool relu,
                    bool align_corners) {
  STD_TORCH_CHECK(!maps.empty(), "maps: expected at least one map, got none");
  check("maps[0]", maps[0], {ANY, ANY, ANY, ANY}, ScalarType::Float, true);
  int64_t batch = maps[0].size(0), channels = maps[0].size(1);
  Ints out = size.value_or(Ints{maps[0].size(2), maps[0].size(3)});
  if (size) check_pair("size", out, 1);
  Sum s = {batch, channels, out[0], out[1], align_corners, relu, {}, nullptr, {}};
  for (size_t i = 0; i < maps.size(); i++) {
    std::string name = "maps[" + std::to_string(i) + "]";
    check(name.c_str(), maps[i], {batch, channels, ANY, ANY}, maps[0].scalar_type());
    check_pixels(name.c_str(), maps[i]);
    maps[i] = channels_last(maps[i]);
    s.maps.push_back(resized(maps[i], out[1], align_corners));
  }
  std::vector<float> offsets;
  if (bias) {
    check("bias", *bias, {channels}, ScalarType::Float, true);
    Tensor plain = dense(*bias);
    for (int64_t c = 0; c < channels; c++) offsets.push_back(load(map_of(plain), c));
    s.bias = offsets.data();
  }
  Tensor y = new_tensor({batch, channels, out[0], out[1]}, maps[0].scalar_type(), {1, 3, 2, 0});
  s.y = map_of(y);
  const Upsampler& kernel = upsampler(chosen_kernel());
  auto rows = [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(s.scratch());
    std::vector<Share> shares(s.maps.size());
    for (int64_t row = begin; row < end; row++) kernel.sum_row(s, row, scratch.data(), shares.data());
  };
  torch::stable::parallel_for(0, batch * out[0], grain(out[1] * channels * maps.size()), rows);
  return y;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(cmim_mm, CPU, m) {
  CMIM_MM_IMPL(bilinear_labels);
  CMIM_MM_IMPL(bilinear_sum);
}
