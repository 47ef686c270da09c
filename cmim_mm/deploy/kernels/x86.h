// What the operating system saves of an x86 processor's registers: without it their instructions fault.
#pragma once
#if defined(__x86_64__)
#include <cpuid.h>
#include <cstdint>

namespace cmim_mm {

inline uint32_t saved_registers() {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
  asm("xgetbv" : "=a"(a), "=d"(d) : "c"(0));  // XCR0
  return a;
}
inline bool saves_avx() { return (saved_registers() & 0x06) == 0x06; }     // xmm, ymm
inline bool saves_avx512() { return (saved_registers() & 0xe6) == 0xe6; }  // and masks, zmm

}  // namespace cmim_mm
#endif
