// The codebooks of bitsandbytes and how values are ranked in them.
#pragma once

#include <cstdint>

#include "kernels/cpu/bitsandbytes/blockwise.h"

namespace precis::kernels {

// A 4-bit code as the encoder needs it: its values in rising order have `bounds` between them.
struct FourBitCode {
  float values[16];          // by code
  float bounds[15];          // float32 midpoints of neighbours in rising order
  uint8_t code_of_rank[16];  // rank in rising order to code
};
const FourBitCode& four_bit_code(FourBitType type);

}  // namespace precis::kernels
