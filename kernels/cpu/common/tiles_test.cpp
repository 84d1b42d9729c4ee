// Tiles in software against what Intel's manual defines, and the processor's against those in
// software.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "kernels/cpu/common/hardware_tiles.h"
#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/software_tiles.h"
#include "kernels/cpu/common/tile_state.h"

namespace precis::kernels {
namespace {

template <typename Element>
using Tile =
    std::array<std::array<Element, TileConfig::kRowBytes / sizeof(Element)>, TileConfig::kRows>;

// Tiles 0, 1 and 2 for sums[m][n] += a[m][k] b[k][n], all counted in elements of 4 bytes.
TileConfig shapes(uint64_t m, uint64_t n, uint64_t k) {
  TileConfig config;
  config.set(0, m, 4 * n);
  config.set(1, m, 4 * k);
  config.set(2, k, 4 * n);
  return config;
}

template <typename Element>
void load(SoftwareTiles& tiles, int tile, const Tile<Element>& from) {
  tiles.load(tile, &from, TileConfig::kRowBytes);
}
template <typename Element>
Tile<Element> stored(const SoftwareTiles& tiles, int tile) {
  Tile<Element> to{};
  tiles.store(tile, &to, TileConfig::kRowBytes);
  return to;
}

uint16_t bfloat16(float value) {
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
}

class SoftwareTilesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_bfloat16_dot(machine_isas().back())) GTEST_SKIP() << "tiles go with AVX-512";
  }
};

TEST_F(SoftwareTilesTest, ALoadTakesTheConfiguredPartAndClearsTheRest) {
  TileConfig config;
  config.set(3, 2, 8);
  config.set(4, 16, 64);
  SoftwareTiles tiles(config);
  Tile<uint8_t> bytes;
  for (uint64_t i = 0; i < sizeof bytes; ++i)
    bytes[i / 64][i % 64] = static_cast<uint8_t>(i * 7 + 1);
  uint8_t rows[2][100] = {};
  rows[0][7] = 1;
  rows[1][0] = 2;
  tiles.load(3, rows, 100);
  load(tiles, 4, bytes);
  const auto part = stored<uint8_t>(tiles, 3);
  EXPECT_EQ(part[0][7], 1);
  EXPECT_EQ(part[1][0], 2);
  EXPECT_EQ(stored<uint8_t>(tiles, 4), bytes);
  Tile<uint8_t> around;
  for (auto& row : around) row.fill(0xee);
  tiles.store(3, &around, 64);
  EXPECT_EQ(around[0][7], 1);
  EXPECT_EQ(around[0][8], 0xee) << "a store writes the configured part alone";
  EXPECT_EQ(around[2][0], 0xee);
  tiles.zero(4);
  EXPECT_EQ(stored<uint8_t>(tiles, 4), Tile<uint8_t>{});
}

TEST_F(SoftwareTilesTest, BytesOfAAreUnsignedAndThoseOfBSigned) {
  SoftwareTiles tiles(shapes(2, 1, 1));
  Tile<uint8_t> a{}, b{};
  a[0] = {255, 1, 0, 2};
  a[1] = {128};
  b[0] = {0xff, 0x80, 5, 3};  // -1, -128, 5, 3
  Tile<int32_t> sums{};
  sums[0][0] = 1000;
  load(tiles, 0, sums);
  load(tiles, 1, a);
  load(tiles, 2, b);
  tiles.dpbusd(0, 1, 2);
  const auto result = stored<int32_t>(tiles, 0);
  EXPECT_EQ(result[0][0], 1000 - 255 - 128 + 6);
  EXPECT_EQ(result[1][0], -128);
}

TEST_F(SoftwareTilesTest, SumsOfBytesWrapAround) {
  SoftwareTiles tiles(shapes(1, 1, 1));
  Tile<int32_t> sums{};
  sums[0][0] = std::numeric_limits<int32_t>::max();
  Tile<uint8_t> ones{};
  ones[0][0] = 1;
  load(tiles, 0, sums);
  load(tiles, 1, ones);
  load(tiles, 2, ones);
  tiles.dpbusd(0, 1, 2);
  EXPECT_EQ(stored<int32_t>(tiles, 0)[0][0], std::numeric_limits<int32_t>::min());
}

TEST_F(SoftwareTilesTest, ProductsOfBytesAreThoseOfMatrices) {
  std::mt19937 random(1);
  for (const auto& [m, n, k] : {std::array{16, 16, 16}, {16, 16, 4}, {5, 3, 7}, {1, 16, 2}}) {
    SoftwareTiles tiles(shapes(m, n, k));
    Tile<uint8_t> a, b;
    for (auto* tile : {&a, &b})
      for (auto& row : *tile)
        for (auto& byte : row) byte = static_cast<uint8_t>(random());
    load(tiles, 1, a);
    load(tiles, 2, b);
    tiles.zero(0);
    tiles.dpbusd(0, 1, 2);
    const auto result = stored<int32_t>(tiles, 0);
    for (int row = 0; row < m; ++row) {
      for (int column = 0; column < n; ++column) {
        int sum = 0;
        for (int i = 0; i < 4 * k; ++i)
          sum += a[row][i] * static_cast<int8_t>(b[i / 4][4 * column + i % 4]);
        ASSERT_EQ(result[row][column], sum) << row << ", " << column;
      }
    }
  }
}

// The sum of the products of a row and a column, pair by pair.
float dot_of_pairs(const std::vector<std::array<float, 4>>& pairs, float sum = 0) {
  SoftwareTiles tiles(shapes(1, 1, pairs.size()));
  Tile<uint16_t> a{}, b{};
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    for (const std::size_t half : {0, 1}) {
      a[0][2 * i + half] = bfloat16(pairs[i][half]);
      b[i][half] = bfloat16(pairs[i][2 + half]);
    }
  }
  Tile<float> sums{};
  sums[0][0] = sum;
  load(tiles, 0, sums);
  load(tiles, 1, a);
  load(tiles, 2, b);
  tiles.dpbf16ps(0, 1, 2);
  return stored<float>(tiles, 0)[0][0];
}

TEST_F(SoftwareTilesTest, EvenAndOddPairsHaveSumsOfTheirOwn) {
  EXPECT_EQ(dot_of_pairs({{2, 3, 5, 7}}, 0.5f), 31.5f);
  // 2^24 and ones: in one sum each one would be lost; apart they are 2 before they meet it.
  const float large = 0x1p24f;
  EXPECT_EQ(dot_of_pairs({{large, 1, 1, 1}, {0, 1, 0, 1}}), large + 2);
  EXPECT_EQ(dot_of_pairs({{large, 0, 1, 0}, {1, 0, 1, 0}, {1, 0, 1, 0}}), large);
  // The sum that is there comes last.
  EXPECT_EQ(dot_of_pairs({{1, 0, 1, 0}, {1, 0, 1, 0}}, large), large + 2);
}

TEST_F(SoftwareTilesTest, ProductsAreAddedWithoutRoundingThem) {
  // Of bfloat16 they fit into float32, except beyond its largest number.
  const float large = 0x1p127f;
  EXPECT_EQ(dot_of_pairs({{large, 0, -1, 0}, {large, 0, 2, 0}}), large);
}

TEST_F(SoftwareTilesTest, SubnormalNumbersAreZeros) {
  const float subnormal = 0x1p-130f, smallest = 0x1p-126f;
  EXPECT_EQ(dot_of_pairs({{subnormal, 0, 0x1p10f, 0}}), 0.0f) << "taken";
  EXPECT_EQ(dot_of_pairs({{smallest, 0, 0.5f, 0}}), 0.0f) << "given";
  EXPECT_EQ(dot_of_pairs({{0, 0, 0, 0}}, subnormal), 0.0f) << "as the sum that is there";
  EXPECT_EQ(dot_of_pairs({{smallest, 0, 1, 0}}), smallest);
}

TEST_F(SoftwareTilesTest, InfinitiesAndNaNsArePassedOn) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(dot_of_pairs({{infinity, 1, 1, 1}}), infinity);
  EXPECT_TRUE(std::isnan(dot_of_pairs({{infinity, 1, 0, 1}})));
  EXPECT_TRUE(std::isnan(dot_of_pairs({{infinity, infinity, 1, -1}})));
}

TEST_F(SoftwareTilesTest, TheRoundingOfTheThreadDoesNotMatterAndStays) {
  const unsigned before = _mm_getcsr();
  for (const unsigned mode : {_MM_ROUND_NEAREST, _MM_ROUND_UP, _MM_ROUND_DOWN}) {
    _mm_setcsr((before & ~_MM_ROUND_MASK) | mode);
    const float sum = dot_of_pairs({{1, 0, 1, 0}, {0x1p-30f, 0, 1, 0}});
    EXPECT_EQ(_mm_getcsr() & _MM_ROUND_MASK, mode);
    _mm_setcsr(before);
    EXPECT_EQ(sum, 1.0f);
  }
}

TEST_F(SoftwareTilesTest, WhatFaultsOnTheProcessorIsRefused) {
  const auto configure = [](auto change) {
    TileConfig config = shapes(16, 16, 16);
    change(config);
    SoftwareTiles tiles(config);
  };
  configure([](TileConfig&) {});
  EXPECT_THROW(configure([](TileConfig& c) { c.palette = 2; }), std::logic_error);
  EXPECT_THROW(configure([](TileConfig& c) { c.palette = 0; }), std::logic_error);
  EXPECT_THROW(configure([](TileConfig& c) { c.reserved[5] = 1; }), std::logic_error);
  EXPECT_THROW(configure([](TileConfig& c) { c.rows[8] = 1; }), std::logic_error);
  EXPECT_THROW(configure([](TileConfig& c) { c.row_bytes[15] = 1; }), std::logic_error);
  EXPECT_THROW(configure([](TileConfig& c) { c.rows[7] = 17; }), std::logic_error);
  EXPECT_THROW(configure([](TileConfig& c) { c.set(7, 16, 65); }), std::logic_error);
  EXPECT_THROW(configure([](TileConfig& c) { c.set(7, 0, 64); }), std::logic_error);
  EXPECT_THROW(configure([](TileConfig& c) { c.set(7, 1, 0); }), std::logic_error);

  Tile<uint8_t> bytes{};
  TileConfig config = shapes(16, 8, 4);
  config.set(3, 4, 10);
  config.set(4, 5, 32);
  SoftwareTiles tiles(config);
  EXPECT_THROW(tiles.zero(7), std::logic_error) << "not configured";
  EXPECT_THROW(tiles.load(7, &bytes, 64), std::logic_error);
  EXPECT_THROW(tiles.store(7, &bytes, 64), std::logic_error);
  EXPECT_THROW(tiles.load(3, &bytes, 64), std::logic_error) << "rows of 10 bytes";
  EXPECT_THROW(tiles.store(3, &bytes, 64), std::logic_error);
  tiles.dpbusd(0, 1, 2);
  EXPECT_THROW(tiles.dpbusd(0, 1, 4), std::logic_error) << "A has 4 elements, B 5 rows";
  EXPECT_THROW(tiles.dpbusd(1, 0, 2), std::logic_error) << "the sums are as wide as A";
  EXPECT_THROW(tiles.dpbf16ps(2, 1, 0), std::logic_error) << "the sums have too few rows";
  EXPECT_THROW(tiles.dpbf16ps(0, 1, 1), std::logic_error) << "one tile twice";
  EXPECT_THROW(tiles.dpbusd(0, 1, 7), std::logic_error);
}

// Products of both kinds from operands of any bits.
template <typename Tiles>
std::vector<uint8_t> all_products(unsigned seed, uint64_t m, uint64_t n, uint64_t k, bool bytes) {
  std::mt19937 random(seed);
  Tile<uint16_t> operands[3];
  for (auto& operand : operands) {
    for (auto& row : operand) {
      for (auto& word : row) {
        word = static_cast<uint16_t>(random());
        // Neither NaNs, whose bits nobody defines, nor sums beyond float32.
        if (!bytes)
          word = static_cast<uint16_t>((word & 0x8fff) | (seed % 4 == 0 ? 0x2000 : 0x3000));
        if (!bytes && random() % 16 == 0) word &= 0x807f;  // zeros and subnormal numbers
      }
    }
  }
  Tiles tiles(shapes(m, n, k));
  tiles.template load<0>(&operands[0], TileConfig::kRowBytes);
  tiles.template load<1>(&operands[1], TileConfig::kRowBytes);
  tiles.template load<2>(&operands[2], TileConfig::kRowBytes);
  Tile<uint8_t> result{};
  for (int i = 0; i < 3; ++i) {
    if (bytes)
      tiles.template dpbusd<0, 1, 2>();
    else
      tiles.template dpbf16ps<0, 1, 2>();
  }
  tiles.template store<0>(&result, TileConfig::kRowBytes);
  tiles.template zero<2>();
  tiles.template store<2>(&operands[0], TileConfig::kRowBytes);
  std::vector<uint8_t> all(sizeof result + sizeof operands);
  std::memcpy(all.data(), &result, sizeof result);
  std::memcpy(all.data() + sizeof result, operands, sizeof operands);
  return all;
}

TEST(HardwareTilesTest, GiveTheBitsOfThoseInSoftware) {
  if (tile_state() != TileState::usable) GTEST_SKIP() << "this machine has no tiles to use";
  unsigned seed = 0;
  for (const uint64_t m : {16, 1, 7}) {
    for (const uint64_t n : {16, 1, 9}) {
      for (const uint64_t k : {16, 8, 4, 1, 11}) {
        for (const bool bytes : {true, false}) {
          ++seed;
          ASSERT_EQ(all_products<HardwareTiles>(seed, m, n, k, bytes),
                    all_products<SoftwareTiles>(seed, m, n, k, bytes))
              << m << " x " << n << " x " << k << (bytes ? ", bytes" : ", bfloat16");
        }
      }
    }
  }
}

bool are_as_in_software(unsigned seed) {
  return all_products<HardwareTiles>(seed, 16, 16, 16, true) ==
         all_products<SoftwareTiles>(seed, 16, 16, 16, true);
}

TEST(HardwareTilesTest, WorkInOtherThreadsAndInAForkedProcess) {
  if (tile_state() != TileState::usable) GTEST_SKIP() << "this machine has no tiles to use";
  bool in_thread = false;
  std::thread([&] { in_thread = are_as_in_software(1); }).join();
  EXPECT_TRUE(in_thread);
  const pid_t child = fork();
  if (child == 0) _exit(are_as_in_software(2) ? 0 : 1);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(HardwareTilesTest, LeaveNoneConfigured) {
  if (tile_state() != TileState::usable) GTEST_SKIP() << "this machine has no tiles to use";
  TileConfig config, none;
  none.palette = 0;
  const auto configured = [&] {
    asm volatile("sttilecfg %0" : "=m"(config));
    return std::memcmp(&config, &none, sizeof config) != 0;
  };
  {
    HardwareTiles tiles(shapes(16, 16, 16));
    EXPECT_TRUE(configured());
  }
  EXPECT_FALSE(configured());
}

TEST(HardwareTilesTest, AreFoundWhereTheSystemNamesThem) {
  std::ifstream cpuinfo("/proc/cpuinfo");
  const std::string text((std::istreambuf_iterator<char>(cpuinfo)), {});
  const bool named = text.find(" amx_tile") != std::string::npos &&
                     text.find(" amx_int8") != std::string::npos &&
                     text.find(" amx_bf16") != std::string::npos;
  EXPECT_EQ(tile_state() != TileState::none, named);
  EXPECT_NE(tile_state(), TileState::wrong);
}

}  // namespace
}  // namespace precis::kernels
