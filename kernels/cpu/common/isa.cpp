#include "kernels/cpu/common/isa.h"

#include "kernels/cpu/common/tile_state.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace precis::kernels {
namespace {

#if defined(__x86_64__)

constexpr Isa kIsas[] = {Isa::baseline, Isa::avx2, Isa::avx512, Isa::avx512_dot, Isa::amx};

// clang 14 has no name for it in __builtin_cpu_supports.
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

// How many of kIsas this machine has; of amx, which asks the system for permission, has_tiles() can
// tell.
std::size_t isa_count() {
  // AVX-512 as of Skylake-SP and Zen 4; AVX2 with FMA and F16C as of Haswell and Zen.
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq");
  const bool dot = avx512 && __builtin_cpu_supports("avx512vbmi") &&
                   __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
  return dot ? 4 : avx512 ? 3 : avx2 ? 2 : 1;
}

#elif defined(__aarch64__)

constexpr Isa kIsas[] = {Isa::baseline, Isa::neon, Isa::neon_dot, Isa::neon_bf16};

std::size_t isa_count() {
#if defined(__linux__)
  const bool dot = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
  const bool bf16 = dot && (getauxval(AT_HWCAP2) & HWCAP2_BF16) != 0;
  if (dot) return bf16 ? 4 : 3;
#endif
  return 2;
}

#else

constexpr Isa kIsas[] = {Isa::baseline};

std::size_t isa_count() {
  return 1;
}

#endif

std::span<const Isa> isas_without_tiles() {
  static const std::size_t count = isa_count();
  return {kIsas, count};
}

bool has_tiles() {
#if defined(PRECIS_SOFTWARE_TILES)
  return true;
#else
  return tile_state() == TileState::usable;
#endif
}

}  // namespace

std::span<const Isa> machine_isas() {
  static const std::size_t count = [] {
    const auto basic = isas_without_tiles();
    return basic.size() + (basic.back() == Isa::avx512_dot && has_tiles() ? 1 : 0);
  }();
  return {kIsas, count};
}

Isa current_isa() {
  static const Isa chosen = [] {
    const char* forced = std::getenv("PRECIS_CPU");
    if (forced == nullptr) return machine_isas().back();
    for (const Isa isa : isas_without_tiles())
      if (std::strcmp(forced, isa_name(isa)) == 0) return isa;
    return machine_isas().back();
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
    case Isa::neon:
      return "neon";
    case Isa::neon_dot:
      return "neon_dot";
    case Isa::neon_bf16:
      return "neon_bf16";
  }
  return "baseline";
}

}  // namespace precis::kernels
