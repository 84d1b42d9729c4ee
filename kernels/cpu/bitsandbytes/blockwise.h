// bitsandbytes' blockwise formats: NF4 and FP4 (bitsandbytes 0.50, functional.py and
// backends/default/ops.py), and the 8-bit dynamic code of nested absmax.
//
// "QLoRA: Efficient Finetuning of Quantized LLMs" (arXiv 2305.14314). Blocks run over the flattened
// weight and may straddle rows. All functions are re-entrant; callers split the work by blocks.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

enum class FourBitType { nf4, fp4 };

// The 16 values of a code; value i belongs to code i.
const float* four_bit_codebook(FourBitType type);
// The 256 values of the signed dynamic map, 7 exponent bits.
const float* dynamic_8bit_codebook();

// Entry points for one instruction set.
struct BlockwiseKernels {
  // Encodes blocks [block_begin, block_end) of a weight of n elements. blocksize: even.
  // packed: (n + 1) / 2 bytes in all, first element in the high nibble; absmax: one float32 a
  // block. block_begin * blocksize is even, so ranges of blocks touch separate bytes.
  void (*quantize_4bit)(FourBitType type, WeightType weight_type, const void* weight, uint64_t n,
                        uint64_t blocksize, uint64_t block_begin, uint64_t block_end,
                        uint8_t* packed, float* absmax);

  // Decodes elements [begin, end) to out[0 ... end - begin). absmax[0] belongs to the block of
  // `begin`. Values are rounded to `weight_type`, the dtype of the original weight, before they
  // become out_type.
  void (*dequantize_4bit)(FourBitType type, const uint8_t* packed, const float* absmax,
                          uint64_t blocksize, uint64_t begin, uint64_t end, WeightType weight_type,
                          WeightType out_type, void* out);
};

// For `isa`, which the machine must have.
const BlockwiseKernels& blockwise_kernels(Isa isa);

inline constexpr uint64_t kNestedBlocksize = 256;

// Nested absmax: absmax[count] becomes 8-bit codes, one float32 for each 256 and their mean.
void quantize_absmax(const float* absmax, uint64_t count, uint8_t* codes, float* nested_absmax,
                     float* offset);
// The reverse for blocks [begin, end), with the code that the checkpoint brings.
void dequantize_absmax(const uint8_t* codes, const float* nested_absmax, const float* codebook,
                       float offset, uint64_t nested_blocksize, uint64_t begin, uint64_t end,
                       float* absmax);

}  // namespace precis::kernels
