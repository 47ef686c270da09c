// Operators by torch's stable ABI: the checks of arguments, in the words of geometry.py, and new tensors.
#pragma once
#include <torch/csrc/stable/device.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "kernel.h"

namespace cmim_mm {

using torch::headeronly::MemoryFormat;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Ints = std::vector<int64_t>;
using Optional = std::optional<Tensor>;

inline const char* name_of(ScalarType type) {
  switch (type) {
    case ScalarType::Float: return "torch.float32";
    case ScalarType::BFloat16: return "torch.bfloat16";
    case ScalarType::Long: return "torch.int64";
    case ScalarType::Int: return "torch.int32";
    case ScalarType::Bool: return "torch.bool";
    case ScalarType::Double: return "torch.float64";
    case ScalarType::Half: return "torch.float16";
    case ScalarType::Char: return "torch.int8";
    default: return "another dtype";
  }
}

constexpr int64_t ANY = -1;

inline void check(const char* name, const Tensor& t, Ints shape, ScalarType type, bool or_bfloat16 = false) {
  ScalarType is = t.scalar_type();
  STD_TORCH_CHECK(is == type || (or_bfloat16 && is == ScalarType::BFloat16), name, ": expected ", name_of(type),
                  or_bfloat16 ? " or torch.bfloat16" : "", ", got ", name_of(is));
  bool fits = t.is_cpu() && t.dim() == static_cast<int64_t>(shape.size());
  std::string expected, got;
  for (size_t i = 0; i < shape.size(); i++) {
    if (fits && shape[i] != ANY) fits = t.size(i) == shape[i];
    expected += (i ? ", " : "") + (shape[i] == ANY ? "'any'" : std::to_string(shape[i]));
  }
  if (shape.size() == 1) expected += ",";
  for (int64_t i = 0; i < t.dim(); i++) got += (i ? ", " : "") + std::to_string(t.size(i));
  if (t.dim() == 1) got += ",";
  STD_TORCH_CHECK(fits, name, ": expected the shape (", expected, "), got (", got, ")",
                  t.is_cpu() ? "" : " on another device");
}

inline void check_groups(const char* name, int64_t groups, int64_t channels) {
  STD_TORCH_CHECK(groups >= 1 && channels >= 1 && channels % groups == 0, name, "=", groups,
                  ": expected a divisor of the ", channels, " channels");
}

inline void check_pair(const char* name, const Ints& pair, int64_t least) {
  std::string got;
  for (int64_t value : pair) got += (got.empty() ? "" : ", ") + std::to_string(value);
  STD_TORCH_CHECK(pair.size() == 2 && pair[0] >= least && pair[1] >= least, name, "=[", got,
                  "]: expected two numbers, at least ", least);
}

inline int64_t num_words(int64_t channels) { return (channels + 63) / 64; }

template <class T>
const T* data(const Tensor& t) {
  return static_cast<const T*>(t.const_data_ptr());
}

inline Map map_of(const Tensor& t) { return {t.mutable_data_ptr(), t.scalar_type() == ScalarType::BFloat16}; }

// torch::stable's own ways to the next three go through the dispatcher and take microseconds each.
inline Tensor dense(const Tensor& t) { return t.is_contiguous() ? t : torch::stable::contiguous(t); }

inline Tensor channels_last(const Tensor& t) {
  int64_t expected = 1;
  for (int64_t dim : {1, 3, 2, 0}) {
    if (t.size(dim) != 1 && t.stride(dim) != expected)
      return torch::stable::contiguous(t, MemoryFormat::ChannelsLast);
    expected *= t.size(dim);
  }
  return t;
}

inline Tensor new_tensor(const Ints& shape, ScalarType type, std::vector<int> order) {
  Ints strides(shape.size());
  int64_t stride = 1;
  for (int dim : order) {
    strides[dim] = stride;
    stride *= std::max<int64_t>(shape[dim], 1);
  }
  int32_t dtype = torch::stable::detail::to<int32_t>(torch::stable::detail::from(type));
  AtenTensorHandle handle;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(
      shape.size(), shape.data(), strides.data(), dtype, aoti_torch_device_type_cpu(), 0, &handle));
  return Tensor(handle);
}

inline Tensor new_vector(int64_t length) { return new_tensor({length}, ScalarType::Long, {0}); }

inline Tensor new_bits(const Ints& shape) { return new_tensor(shape, ScalarType::Long, {3, 2, 1, 0}); }

inline Tensor new_map(const Conv& c, ScalarType type) {  // in channels_last memory
  return new_tensor({c.batch, c.out_channels, c.out_height, c.out_width}, type, {1, 3, 2, 0});
}

// CMIM_MM_KERNEL's, or the best.
inline const Kernel& chosen_kernel() {
  const char* forced = getenv("CMIM_MM_KERNEL");
  const Kernel* best = nullptr;
  for (auto kernel : kernels())
    if (!forced || !*forced || !strcmp(forced, kernel->name)) best = kernel;
  STD_TORCH_CHECK(best, "CMIM_MM_KERNEL=", forced, ": no such kernel on this machine; available are torch,",
                  cmim_mm_kernels());
  return *best;
}

}  // namespace cmim_mm

// CMIM_MM_KERNEL=torch goes on to the operator of ops.py that computes by torch alone.
#define CMIM_MM_IMPL(name)                                                                                     \
  m.impl(#name, [](StableIValue* stack, uint64_t inputs, uint64_t outputs) {                                   \
    const char* forced = getenv("CMIM_MM_KERNEL");                                                             \
    if (!forced || strcmp(forced, "torch")) return TORCH_BOX(&name)(stack, inputs, outputs);                   \
    auto failed = torch_call_dispatcher("cmim_mm::torch_" #name, "", stack, TORCH_ABI_VERSION);                \
    STD_TORCH_CHECK(!failed, "cmim_mm::torch_" #name " failed; its error was printed above");                  \
  })
