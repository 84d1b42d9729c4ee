#include "kernels/cpu/common/tile_state.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <cstring>
#include <type_traits>

#include "kernels/cpu/common/hardware_tiles.h"
#include "kernels/cpu/common/software_tiles.h"
#endif

namespace precis::kernels {

#if defined(__x86_64__) && defined(__linux__)
namespace {

bool processor_has_tiles() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kBFloat16 = 1u << 22, kTile = 1u << 24, kInt8 = 1u << 25;
  constexpr unsigned kAll = kBFloat16 | kTile | kInt8;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & kAll) == kAll;
}

// Whether the operating system saves their configuration and contents.
bool system_has_tiles() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & bit_OSXSAVE) == 0) return false;
  unsigned low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr unsigned kBoth = 3u << 17;
  return (low & kBoth) == kBoth;
}

// Documentation/arch/x86/xstate.rst of Linux.
bool kernel_permits_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

struct Operands {
  alignas(64) uint8_t bytes[TileConfig::kRows][TileConfig::kRowBytes];
};

// Any bytes.
Operands byte_operands(uint32_t state) {
  Operands operands;
  for (auto& row : operands.bytes) {
    for (uint8_t& byte : row) {
      state = state * 1664525u + 1013904223u;
      byte = static_cast<uint8_t>(state >> 24);
    }
  }
  return operands;
}

// Integers of 8 bits as bfloat16: their sums are exact, in whatever order they are added up.
Operands bfloat16_operands(uint32_t state) {
  Operands operands = byte_operands(state);
  for (auto& row : operands.bytes) {
    for (uint64_t i = 0; i < TileConfig::kRowBytes; i += 2) {
      const auto bits = std::bit_cast<uint32_t>(static_cast<float>(static_cast<int8_t>(row[i])));
      row[i] = static_cast<uint8_t>(bits >> 16);
      row[i + 1] = static_cast<uint8_t>(bits >> 24);
    }
  }
  return operands;
}

struct TileProducts {
  Operands int8, bfloat16;
};

// A product of whole tiles and one of smaller ones onto sums that are there already.
template <typename Tiles>
TileProducts tile_products() {
  TileProducts products{};
  TileConfig config;
  for (const int tile : {0, 1, 2}) config.set(tile, TileConfig::kRows, TileConfig::kRowBytes);
  config.set(3, 13, 20);
  config.set(4, 13, 36);
  config.set(5, 9, 20);
  Tiles tiles(config);
  const auto multiply = [&](const Operands& a, const Operands& b, Operands& to, auto add) {
    tiles.template zero<0>();
    tiles.template load<1>(a.bytes, TileConfig::kRowBytes);
    tiles.template load<2>(b.bytes, TileConfig::kRowBytes);
    add(std::integral_constant<int, 0>());
    tiles.template store<0>(to.bytes, TileConfig::kRowBytes);
    tiles.template load<3>(to.bytes[2], TileConfig::kRowBytes);
    tiles.template load<4>(a.bytes, TileConfig::kRowBytes);
    tiles.template load<5>(b.bytes[1], TileConfig::kRowBytes);
    add(std::integral_constant<int, 3>());
    tiles.template store<3>(to.bytes, TileConfig::kRowBytes);
  };
  multiply(byte_operands(1), byte_operands(2), products.int8, [&](auto first) {
    constexpr int kTo = decltype(first)::value;
    tiles.template dpbusd<kTo, kTo + 1, kTo + 2>();
  });
  multiply(bfloat16_operands(3), bfloat16_operands(4), products.bfloat16, [&](auto first) {
    constexpr int kTo = decltype(first)::value;
    tiles.template dpbf16ps<kTo, kTo + 1, kTo + 2>();
  });
  return products;
}

TileState find_tile_state() {
  if (!processor_has_tiles() || !system_has_tiles()) return TileState::none;
  if (!kernel_permits_tiles()) return TileState::refused;
  const TileProducts here = tile_products<HardwareTiles>();
  const TileProducts defined = tile_products<SoftwareTiles>();
  return std::memcmp(&here, &defined, sizeof here) == 0 ? TileState::usable : TileState::wrong;
}

}  // namespace

TileState tile_state() {
  static const TileState state = find_tile_state();
  return state;
}

#else

TileState tile_state() {
  return TileState::none;
}

#endif

const char* tile_state_name(TileState state) {
  switch (state) {
    case TileState::none:
      return "none";
    case TileState::refused:
      return "refused";
    case TileState::wrong:
      return "wrong";
    case TileState::usable:
      return "usable";
  }
  return "none";
}

}  // namespace precis::kernels
