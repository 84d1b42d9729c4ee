#include "kernels/cpu/common/isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace precis::kernels {

#if defined(__x86_64__)
namespace {

// clang 14 has no name for it in __builtin_cpu_supports.
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

}  // namespace
#endif

Isa machine_isa() {
#if defined(__x86_64__)
  // AVX-512 as of Skylake-SP and Zen 4; AVX2 with FMA and F16C as of Haswell and Zen.
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq");
  const bool dot = avx512 && __builtin_cpu_supports("avx512vbmi") &&
                   __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
  return dot ? Isa::avx512_dot : avx512 ? Isa::avx512 : avx2 ? Isa::avx2 : Isa::baseline;
#else
  return Isa::baseline;
#endif
}

Isa current_isa() {
  static const Isa chosen = [] {
    const Isa best = machine_isa();
    const char* forced = std::getenv("PRECIS_CPU");
    if (forced == nullptr) return best;
    for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512, Isa::avx512_dot}) {
      if (std::strcmp(forced, isa_name(isa)) == 0 && isa <= best) return isa;
    }
    return best;
  }();
  return chosen;
}

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::baseline:
      return "baseline";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::avx512_dot:
      return "avx512_dot";
  }
  return "baseline";
}

}  // namespace precis::kernels
