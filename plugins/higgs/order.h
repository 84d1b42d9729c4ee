// Where FLUTE's kernels want the codes of a weight (flute-kernel 0.4.2: utils.py). N: rows of the
// weight, K: columns; the tensor is int16 [N * bits / 16, K].
#pragma once

#include <cstdint>

namespace precis::higgs {

// tileP of a template, which codes are packed for. 0: none of 0.4.2's.
uint64_t tile_of(int bits, int64_t template_id);

// Rows that are packed together; N is a multiple of it.
uint64_t rows_together(int bits, uint64_t tile);

// The code of row n, column k.
uint32_t code_at(const uint16_t* words, int bits, uint64_t tile, uint64_t rows, uint64_t columns,
                 uint64_t n, uint64_t k);

}  // namespace precis::higgs
