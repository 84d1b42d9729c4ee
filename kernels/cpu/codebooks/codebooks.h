// Searching codebooks: what methods of vector quantization share. Re-entrant; callers split the
// work.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"

namespace precis::kernels {

struct CodebookKernels {
  // The codeword nearest to each of points [begin, end), the first of equals. points:
  // [..][size]. codewords: [size][count], transposed; half_norms: half of each one's square.
  // scores: room for `count` numbers.
  void (*nearest)(const float* points, uint64_t size, uint64_t begin, uint64_t end,
                  const float* codewords, const float* half_norms, uint64_t count, float* scores,
                  uint16_t* codes);
};

const CodebookKernels& codebook_kernels(Isa isa);

}  // namespace precis::kernels
