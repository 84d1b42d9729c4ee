#include "plugins/sdnq/rotation.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace precis::sdnq {

namespace {

// One factor of the matrix, of the digit of the index that has this weight.
void multiply_by_four(double* block, uint64_t size, uint64_t weight) {
  for (uint64_t high = 0; high < size; high += 4 * weight) {
    for (uint64_t i = high; i < high + weight; ++i) {
      double* at[] = {block + i, block + i + weight, block + i + 2 * weight,
                      block + i + 3 * weight};
      const double values[] = {*at[0], *at[1], *at[2], *at[3]};
      for (int j = 0; j < 4; ++j) {
        double sum = 0;
        for (int k = 0; k < 4; ++k) sum += j + k == 3 ? -values[k] : values[k];
        *at[j] = sum;
      }
    }
  }
}

void multiply_by_two(double* block, uint64_t size, uint64_t weight) {
  for (uint64_t high = 0; high < size; high += 2 * weight) {
    for (uint64_t i = high; i < high + weight; ++i) {
      const double first = block[i], second = block[i + weight];
      block[i] = first + second;
      block[i + weight] = first - second;
    }
  }
}

}  // namespace

uint64_t rotated_columns(int64_t asked, uint64_t columns) {
  if (asked <= 0 || columns == 0) return 0;
  uint64_t size = std::bit_ceil(std::min<uint64_t>(static_cast<uint64_t>(asked), columns));
  while (columns % size != 0) size /= 2;
  return size < 4 ? 0 : size;
}

void rotate_blocks(std::span<double> row, uint64_t size) {
  const bool of_four = std::countr_zero(size) % 2 == 0;
  const double factor = 1.0 / std::sqrt(static_cast<double>(size));
  for (uint64_t begin = 0; begin < row.size(); begin += size) {
    double* block = row.data() + begin;
    for (uint64_t weight = 1; weight < size; weight *= of_four ? 4 : 2)
      of_four ? multiply_by_four(block, size, weight) : multiply_by_two(block, size, weight);
    for (uint64_t i = 0; i < size; ++i) block[i] *= factor;
  }
}

}  // namespace precis::sdnq
