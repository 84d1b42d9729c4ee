#include "kernels/cpu/common/isa.h"

#include "kernels/cpu/common/tile_state.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace precis::kernels {

namespace {

#if defined(__x86_64__)
// clang 14 has no name for it in __builtin_cpu_supports.
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

// Up to avx512_dot, which asks nobody for permission.
Isa machine_isa_without_tiles() {
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

bool has_tiles() {
#if defined(PRECIS_SOFTWARE_TILES)
  return true;
#else
  return tile_state() == TileState::usable;
#endif
}

}  // namespace

Isa machine_isa() {
  const Isa best = machine_isa_without_tiles();
  return best == Isa::avx512_dot && has_tiles() ? Isa::amx : best;
}

Isa current_isa() {
  static const Isa chosen = [] {
    const char* forced = std::getenv("PRECIS_CPU");
    if (forced == nullptr) return machine_isa();
    const Isa best = machine_isa_without_tiles();
    for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512, Isa::avx512_dot}) {
      if (std::strcmp(forced, isa_name(isa)) == 0 && isa <= best) return isa;
    }
    return machine_isa();
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
    case Isa::amx:
      return "amx";
  }
  return "baseline";
}

}  // namespace precis::kernels
