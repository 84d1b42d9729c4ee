// SDNQ's rotation of a row's columns, block by block (sdnq 0.2.8).
#pragma once

#include <cstdint>
#include <span>

namespace precis::sdnq {

// The columns that are rotated together: `asked`, or all where there are fewer, up to the next
// power of two, halved until it divides them. 0: none, blocks of 2 are left alone.
uint64_t rotated_columns(int64_t asked, uint64_t columns);

// Multiplies each block of `size` numbers by its symmetric Hadamard matrix: a power of
// [[1,1,1,-1],[1,1,-1,1],[1,-1,1,1],[-1,1,1,1]] where the size is a power of 4, else of
// [[1,1],[1,-1]], over the root of the size.
void rotate_blocks(std::span<double> row, uint64_t size);

}  // namespace precis::sdnq
