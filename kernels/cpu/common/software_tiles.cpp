#include "kernels/cpu/common/software_tiles.h"

#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

namespace precis::kernels {
namespace {

[[noreturn]] void fault(const char* instruction, const std::string& why) {
  throw std::logic_error(std::string(instruction) + ": " + why);
}

template <typename Value>
Value read(const uint8_t* from) {
  Value value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Rounding to nearest even, subnormal numbers taken and given as zeros, no exceptions, whatever
// the thread has set.
class TileRounding {
 public:
  TileRounding() : before_(_mm_getcsr()) { _mm_setcsr(0x9fc0); }
  ~TileRounding() { _mm_setcsr(before_); }

 private:
  unsigned before_;
};

float float_of(uint16_t bfloat16) {
  return std::bit_cast<float>(static_cast<uint32_t>(bfloat16) << 16);
}

// One row of dpbf16ps: even and odd columns of A have sums of their own, which start at zero and
// meet at the end. Not inlined: its arithmetic must not leave TileRounding.
[[gnu::noinline, gnu::target("fma")]] void add_bfloat16_row(const uint8_t* a, const uint8_t* b,
                                                            uint64_t words, uint64_t columns,
                                                            uint8_t* sums_at) {
  float sums[2 * TileConfig::kRowBytes / sizeof(float)] = {};
  for (uint64_t k = 0; k < words; ++k) {
    for (uint64_t i = 0; i < 2 * columns; ++i) {
      const float left = float_of(read<uint16_t>(a + 4 * k + 2 * (i % 2)));
      const float right = float_of(read<uint16_t>(b + k * TileConfig::kRowBytes + 2 * i));
      sums[i] = std::fma(left, right, sums[i]);
    }
  }
  for (uint64_t n = 0; n < columns; ++n) {
    const float sum = read<float>(sums_at + 4 * n) + (sums[2 * n] + sums[2 * n + 1]);
    std::memcpy(sums_at + 4 * n, &sum, sizeof sum);
  }
}

uint32_t dot_of_bytes(const uint8_t* unsigned_bytes, const uint8_t* signed_bytes) {
  int32_t sum = 0;
  for (int i = 0; i < 4; ++i) sum += unsigned_bytes[i] * static_cast<int8_t>(signed_bytes[i]);
  return static_cast<uint32_t>(sum);
}

}  // namespace

SoftwareTiles::SoftwareTiles(const TileConfig& config) {
  constexpr const char* kName = "ldtilecfg";
  if (config.palette != 1) fault(kName, "no such palette");
  // The processor takes others, to go on with an interrupted load or store.
  if (config.start_row != 0) fault(kName, "it starts at row 0 here");
  const auto is_set = [](auto value) { return value != 0; };
  if (std::any_of(config.reserved, std::end(config.reserved), is_set) ||
      std::any_of(config.row_bytes + TileConfig::kTiles, std::end(config.row_bytes), is_set) ||
      std::any_of(config.rows + TileConfig::kTiles, std::end(config.rows), is_set))
    fault(kName, "reserved bytes are set");
  for (int i = 0; i < TileConfig::kTiles; ++i) {
    const uint64_t rows = config.rows[i], row_bytes = config.row_bytes[i];
    if (rows > TileConfig::kRows || row_bytes > TileConfig::kRowBytes)
      fault(kName, "a tile is too large");
    if ((rows == 0) != (row_bytes == 0)) fault(kName, "a tile has rows or columns alone");
    tiles_[i].rows = rows;
    tiles_[i].row_bytes = row_bytes;
  }
}

const SoftwareTiles::Tile& SoftwareTiles::configured(const char* instruction, int tile) const {
  if (tile < 0 || tile >= TileConfig::kTiles) fault(instruction, "no such tile");
  if (tiles_[tile].rows == 0) fault(instruction, "the tile is not configured");
  return tiles_[tile];
}
SoftwareTiles::Tile& SoftwareTiles::configured(const char* instruction, int tile) {
  return const_cast<Tile&>(std::as_const(*this).configured(instruction, tile));
}

void SoftwareTiles::zero(int tile) {
  configured("tilezero", tile).bytes = {};
}

void SoftwareTiles::load(int tile, const void* from, uint64_t stride) {
  Tile& to = configured("tileloadd", tile);
  if (to.row_bytes % 4 != 0) fault("tileloadd", "a row is not of whole elements");
  to.bytes = {};
  for (uint64_t row = 0; row < to.rows; ++row)
    std::memcpy(to.bytes[row].data(), static_cast<const uint8_t*>(from) + row * stride,
                to.row_bytes);
}

void SoftwareTiles::store(int tile, void* to, uint64_t stride) const {
  const Tile& from = configured("tilestored", tile);
  if (from.row_bytes % 4 != 0) fault("tilestored", "a row is not of whole elements");
  for (uint64_t row = 0; row < from.rows; ++row)
    std::memcpy(static_cast<uint8_t*>(to) + row * stride, from.bytes[row].data(), from.row_bytes);
}

void SoftwareTiles::check_product(const char* instruction, int to, int a, int b) const {
  const Tile& sums = configured(instruction, to);
  const Tile& left = configured(instruction, a);
  const Tile& right = configured(instruction, b);
  if (to == a || to == b || a == b) fault(instruction, "the tiles are not three");
  if (sums.row_bytes % 4 != 0 || left.row_bytes % 4 != 0 || right.row_bytes % 4 != 0)
    fault(instruction, "a row is not of whole elements");
  if (sums.rows != left.rows || sums.row_bytes != right.row_bytes ||
      left.row_bytes != 4 * right.rows)
    fault(instruction, "the shapes do not go together");
}

void SoftwareTiles::dpbusd(int to, int a, int b) {
  check_product("tdpbusd", to, a, b);
  Tile& sums = tiles_[to];
  for (uint64_t m = 0; m < sums.rows; ++m) {
    for (uint64_t k = 0; k < tiles_[b].rows; ++k) {
      for (uint64_t n = 0; n < sums.row_bytes; n += 4) {
        uint8_t* at = sums.bytes[m].data() + n;
        const uint32_t sum = read<uint32_t>(at) + dot_of_bytes(tiles_[a].bytes[m].data() + 4 * k,
                                                               tiles_[b].bytes[k].data() + n);
        std::memcpy(at, &sum, sizeof sum);
      }
    }
  }
}

void SoftwareTiles::dpbf16ps(int to, int a, int b) {
  check_product("tdpbf16ps", to, a, b);
  Tile& sums = tiles_[to];
  const TileRounding rounding;
  for (uint64_t m = 0; m < sums.rows; ++m)
    add_bfloat16_row(tiles_[a].bytes[m].data(), tiles_[b].bytes[0].data(), tiles_[b].rows,
                     sums.row_bytes / 4, sums.bytes[m].data());
}

}  // namespace precis::kernels
