#include "plugins/higgs/order.h"

#include <algorithm>
#include <iterator>

namespace precis::higgs {

namespace {

// Three bits: 32 codes of two columns in six words of 16 bits, three of each column of the tensor.
constexpr uint64_t kOrder[] = {0, 3, 6, 9, 12, 1, 4, 7, 10, 13, 2, 5, 8, 11, 14, 15};

struct Place {
  uint64_t word, column;
  uint64_t bit;
};

Place three_bit_place(uint64_t rows, uint64_t n, uint64_t k, uint64_t bit) {
  const uint64_t chunk = n / 512, inside = n % 32;
  const uint64_t rank = static_cast<uint64_t>(
      std::find(std::begin(kOrder), std::end(kOrder), n % 512 / 32) - std::begin(kOrder));
  const uint64_t stream = 3 * (2 * rank + 1 - k % 2) + bit;
  uint64_t word = 0, second = 0, at = 0;
  if (stream < 90) {
    word = stream / 30;
    second = stream % 30 < 16 ? 0 : 1;
    at = stream % 30 - 16 * second;
  } else {
    word = (stream - 90) / 2;
    second = 1;
    at = 14 + stream % 2;
  }
  const uint64_t index =
      word == 0 ? chunk * 32 + inside : rows / 16 + (chunk * 2 + word - 1) * 32 + inside;
  return {index, k / 2 * 2 + second, at};
}

}  // namespace

uint64_t tile_of(int bits, int64_t template_id) {
  const int64_t most = bits == 4 ? 144 : 36, cycle = most / 3;
  if (template_id < 0 || template_id >= most) return 0;
  return template_id % cycle < cycle / 3 ? 64 : 32;
}

uint64_t rows_together(int bits, uint64_t tile) {
  return bits == 3 ? 512 : tile * 16 / static_cast<uint64_t>(bits);
}

uint32_t code_at(const uint16_t* words, int bits, uint64_t tile, uint64_t rows, uint64_t columns,
                 uint64_t n, uint64_t k) {
  if (bits == 3) {
    uint32_t code = 0;
    for (uint64_t bit = 0; bit < 3; ++bit) {
      const Place place = three_bit_place(rows, n, k, bit);
      code |= (words[place.word * columns + place.column] >> place.bit & 1u) << bit;
    }
    return code;
  }
  const auto width = static_cast<uint64_t>(bits);
  const uint64_t together = 16 / width, half = together / 2;
  const uint64_t chunk = n / (tile * together), rank = n % (tile * together) / tile;
  const uint64_t word = chunk * tile + n % tile, column = k / 2 * 2 + rank / half;
  const uint64_t shift = (2 * (rank % half) + 1 - k % 2) * width;
  return words[word * columns + column] >> shift & ((1u << bits) - 1);
}

}  // namespace precis::higgs
