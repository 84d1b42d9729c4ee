#include "bench/limits.h"

#include <immintrin.h>

#include <chrono>
#include <cstring>
#include <ctime>
#include <random>

#include "core/abi/host.h"
#include "kernels/cpu/common/hardware_tiles.h"
#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/tile_state.h"

namespace precis::bench {
namespace {

std::function<double()> now = [] {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
};

__attribute__((target("avx512f"))) void read_with_avx512(const std::byte* from, uint64_t bytes) {
  __m512i sums[4] = {};
  const uint64_t half = bytes / 2;
  for (uint64_t i = 0; i + 128 <= half; i += 128) {
    sums[0] = _mm512_add_epi64(sums[0], _mm512_loadu_si512(from + i));
    sums[1] = _mm512_add_epi64(sums[1], _mm512_loadu_si512(from + i + 64));
    sums[2] = _mm512_add_epi64(sums[2], _mm512_loadu_si512(from + half + i));
    sums[3] = _mm512_add_epi64(sums[3], _mm512_loadu_si512(from + half + i + 64));
  }
  asm volatile("" ::"v"(sums[0]), "v"(sums[1]), "v"(sums[2]), "v"(sums[3]));
}
__attribute__((target("avx2"))) void read_with_avx2(const std::byte* from, uint64_t bytes) {
  __m256i sums[4] = {};
  const uint64_t half = bytes / 2;
  for (uint64_t i = 0; i + 64 <= half; i += 64) {
    const auto* first = reinterpret_cast<const __m256i*>(from + i);
    const auto* last = reinterpret_cast<const __m256i*>(from + half + i);
    sums[0] = _mm256_add_epi64(sums[0], _mm256_loadu_si256(first));
    sums[1] = _mm256_add_epi64(sums[1], _mm256_loadu_si256(first + 1));
    sums[2] = _mm256_add_epi64(sums[2], _mm256_loadu_si256(last));
    sums[3] = _mm256_add_epi64(sums[3], _mm256_loadu_si256(last + 1));
  }
  asm volatile("" ::"x"(sums[0]), "x"(sums[1]), "x"(sums[2]), "x"(sums[3]));
}

__attribute__((target("avx512f"))) void write_with_avx512(std::byte* to, uint64_t bytes) {
  for (uint64_t i = 0; i + 64 <= bytes; i += 64)
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), _mm512_setzero_si512());
  _mm_sfence();
}
__attribute__((target("avx2"))) void write_with_avx2(std::byte* to, uint64_t bytes) {
  for (uint64_t i = 0; i + 32 <= bytes; i += 32)
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i), _mm256_setzero_si256());
  _mm_sfence();
}

constexpr uint64_t kDots = 1u << 20;  // rounds of twelve chains
constexpr double kChainedDots = 12.0 * kDots;

#define PRECIS_DOT_CHAINS(name, extension, Vector, constraint, ones, instructions) \
  __attribute__((target(extension))) void name() {                                 \
    Vector sums[12] = {};                                                          \
    const Vector a = ones(0x3f803f80), b = a;                                      \
    for (uint64_t i = 0; i < kDots; ++i) {                                         \
      for (auto& sum : sums)                                                       \
        asm(instructions : "+" constraint(sum) : constraint(a), constraint(b));    \
    }                                                                              \
    for (auto& sum : sums) asm volatile("" ::constraint(sum));                     \
  }
PRECIS_DOT_CHAINS(int8_dots, "avx512f", __m512i, "v", _mm512_set1_epi32, "vpdpbusd %2, %1, %0")
PRECIS_DOT_CHAINS(bfloat16_dots, "avx512f", __m512i, "v", _mm512_set1_epi32, "vdpbf16ps %2, %1, %0")
PRECIS_DOT_CHAINS(wide_float32_dots, "avx512f", __m512i, "v", _mm512_set1_epi32,
                  "vfmadd231ps %2, %1, %0")
PRECIS_DOT_CHAINS(float32_dots, "avx2,fma", __m256i, "x", _mm256_set1_epi32,
                  "vfmadd231ps %2, %1, %0")
// Products of pairs of 16 bits, which take a sum of their own.
__attribute__((target("avx2"))) void int16_dots() {
  __m256i sums[12] = {};
  __m256i pairs = _mm256_set1_epi32(0x00010001);
  for (uint64_t i = 0; i < kDots; ++i) {
    for (auto& sum : sums) {
      asm volatile("" : "+x"(pairs));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, pairs));
    }
  }
  for (auto& sum : sums) asm volatile("" ::"x"(sum));
}

constexpr uint64_t kTileRounds = 1u << 16;  // of four products of tiles, one to each of four sums
constexpr double kTileSums = 4.0 * kTileRounds * 16 * 16 * 16;  // words of four bytes or a pair

kernels::TileConfig whole_tiles() {
  kernels::TileConfig config;
  for (int i = 0; i < config.kTiles; ++i) config.set(i, config.kRows, config.kRowBytes);
  return config;
}
#define PRECIS_TILE_PRODUCTS(name, instruction)  \
  void name() {                                  \
    kernels::HardwareTiles tiles(whole_tiles()); \
    for (uint64_t i = 0; i < kTileRounds; ++i) { \
      tiles.instruction<0, 4, 6>();              \
      tiles.instruction<1, 4, 7>();              \
      tiles.instruction<2, 5, 6>();              \
      tiles.instruction<3, 5, 7>();              \
    }                                            \
  }
PRECIS_TILE_PRODUCTS(int8_tiles, dpbusd)
PRECIS_TILE_PRODUCTS(bfloat16_tiles, dpbf16ps)

// Runs body(thread) on all threads of the host at once; thread i of n.
double on_all_threads(unsigned threads, const std::function<void(uint64_t)>& body) {
  return seconds([&] {
    process_host().pool().parallel_for(threads, 1, [&](uint64_t begin, uint64_t end) {
      for (uint64_t i = begin; i < end; ++i) body(i);
    });
  });
}

// Calls work(first byte, bytes) on all threads, and gives GB/s.
double memory_rate(unsigned threads, uint64_t bytes,
                   const std::function<void(uint64_t, uint64_t)>& work) {
  const uint64_t share = bytes / threads / 64 * 64;
  const double time = on_all_threads(threads, [&](uint64_t i) { work(i * share, share); });
  return static_cast<double>(share * threads) / time * 1e-9;
}

// operations: of one call.
Limit multiplying(const char* name, const char* unit, unsigned threads, void (*run)(),
                  double operations) {
  return {name, unit, [=] {
            return operations * threads / on_all_threads(threads, [&](uint64_t) { run(); }) * 1e-9;
          }};
}

}  // namespace

double seconds(const std::function<void()>& work) {
  const double begin = now();
  work();
  return now() - begin;
}

void count_processor_time(unsigned threads) {
  now = [threads] { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC / threads; };
}

Limits::Limits(unsigned threads, uint64_t bytes) : memory_(bytes + 64) {
  std::mt19937_64 generator(3);
  for (std::size_t i = 0; i + 8 <= memory_.size(); i += 8) {
    const uint64_t value = generator();
    std::memcpy(memory_.data() + i, &value, 8);
  }
  // Streamed lines are aligned.
  const auto address = reinterpret_cast<uintptr_t>(memory_.data());
  std::byte* first = memory_.data() + (64 - address % 64) % 64;
  const kernels::Isa isa = kernels::current_isa();
  const bool avx512 = isa >= kernels::Isa::avx512;
  const auto read = [=](uint64_t at, uint64_t count) {
    (avx512 ? read_with_avx512 : read_with_avx2)(first + at, count);
  };
  const auto write = [=](uint64_t at, uint64_t count) {
    (avx512 ? write_with_avx512 : write_with_avx2)(first + at, count);
  };
  limits_.push_back({"read", "GB/s", [=] { return memory_rate(threads, bytes, read); }});
  limits_.push_back({"write", "GB/s", [=] { return memory_rate(threads, bytes, write); }});
  if (isa == kernels::Isa::amx && kernels::tile_state() == kernels::TileState::usable) {
    limits_.push_back(multiplying("int8 tiles", "GOP/s", threads, int8_tiles, 8 * kTileSums));
    limits_.push_back(multiplying("bf16 tiles", "GFLOP/s", threads, bfloat16_tiles, 4 * kTileSums));
  } else if (kernels::has_bfloat16_dot(isa)) {
    limits_.push_back(multiplying("int8 dot", "GOP/s", threads, int8_dots, 128 * kChainedDots));
    limits_.push_back(
        multiplying("bf16 dot", "GFLOP/s", threads, bfloat16_dots, 64 * kChainedDots));
  } else {
    limits_.push_back(multiplying("int16 dot", "GOP/s", threads, int16_dots, 32 * kChainedDots));
    limits_.push_back(
        avx512 ? multiplying("f32 fma", "GFLOP/s", threads, wide_float32_dots, 32 * kChainedDots)
               : multiplying("f32 fma", "GFLOP/s", threads, float32_dots, 16 * kChainedDots));
  }
}

}  // namespace precis::bench
