// The list of kernels, and filters in the order in which each of them reads.
#include <chrono>
#include <string>

#include "kernel.h"

namespace cmim_mm {
namespace {

constexpr int64_t HEADER = 8;  // 64-bit words; the first holds the layout

int64_t num_prepared_bits(const Conv& c) { return c.groups * c.lanes() * c.taps() * c.dwords(); }  // in 32 bits

}  // namespace

const std::vector<const Kernel*>& kernels() {
  static const std::vector<const Kernel*> here = [] {  // once: cpuid takes microseconds in a virtual machine
    std::vector<const Kernel*> all = {
        &serial,
#if defined(__x86_64__)
        &avx2, &avx512bw, &avx512vpopcntdq,
#elif defined(__aarch64__)
        &neon,
#endif
    };
    all.erase(std::remove_if(all.begin(), all.end(), [](auto kernel) { return !kernel->supported(); }), all.end());
    for (auto& kernel : all)
      if (kernel->with_bf16 && kernel->with_bf16->supported()) kernel = kernel->with_bf16;
    return all;
  }();
  return here;
}

const char* cmim_mm_kernels() {
  static const std::string names = [] {
    std::string all;
    for (auto kernel : kernels()) all += (all.empty() ? "" : ",") + std::string(kernel->name);
    return all;
  }();
  return names.c_str();
}

double cmim_mm_limit(const char* name, double seconds) {
  using Clock = std::chrono::steady_clock;
  for (auto kernel : kernels()) {
    if (strcmp(name, kernel->name)) continue;
    double best = 0;
    for (auto end = Clock::now() + std::chrono::duration<double>(seconds); Clock::now() < end;) {
      auto start = Clock::now();
      double bits = kernel->limit(100000);
      best = std::max(best, bits / std::chrono::duration<double>(Clock::now() - start).count());
    }
    return best;
  }
  return 0;
}

int64_t prepared_words(const Conv& c) {
  return HEADER + (num_prepared_bits(c) + c.groups * c.lanes() * c.taps()) / 2;
}

bool is_prepared(const Kernel& kernel, const uint64_t* prepared) {
  return prepared[0] == static_cast<uint64_t>(kernel.layout);
}

Filters filters(const Conv& c, const uint64_t* weight, const uint64_t* prepared) {
  const uint32_t* bits = reinterpret_cast<const uint32_t*>(prepared + HEADER);
  return {weight, bits, reinterpret_cast<const int32_t*>(bits + num_prepared_bits(c))};
}

void prepare(const Conv& c, const Kernel& kernel, const uint64_t* weight, uint64_t* prepared) {
  std::fill(prepared, prepared + prepared_words(c), 0);
  prepared[0] = static_cast<uint64_t>(kernel.layout);
  if (kernel.layout == Layout::PLAIN) return;
  Filters to = filters(c, weight, prepared);
  auto* dwords = const_cast<uint32_t*>(to.prepared);
  auto* bytes = reinterpret_cast<uint8_t*>(dwords);
  auto* ones = const_cast<int32_t*>(to.ones);
  for (int64_t o = 0; o < c.out_channels; o++) {
    int64_t group = o / c.outputs(), output = o % c.outputs(), lane = group * c.lanes() + output;
    int64_t first = output / 64 * 64, within = output % 64, left = std::min<int64_t>(64, c.outputs() - first);
    int64_t block = (group * c.lanes() + first) * c.taps() * c.dwords();
    for (int64_t step = 0; step < c.taps() * c.dwords(); step++) {
      int64_t tap = step / c.dwords(), d = step % c.dwords();
      uint64_t word = weight[(o * c.taps() + tap) * c.words + d / 2];
      uint32_t bits = static_cast<uint32_t>(word >> d % 2 * 32);
      ones[tap * c.groups * c.lanes() + lane] += __builtin_popcount(bits);
      if (kernel.layout == Layout::LANES) {
        dwords[block + step * ((left + 15) / 16 * 16) + within] = bits;
      } else {
        for (int64_t byte = 0; byte < 4; byte++)
          bytes[4 * block + (4 * step + byte) * ((left + 31) / 32 * 32) + within] = bits >> 8 * byte;
      }
    }
  }
}

}  // namespace cmim_mm
