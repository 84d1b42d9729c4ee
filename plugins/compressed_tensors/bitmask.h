// Weights of which only the numbers that are not zero are stored, after a mask of bits: the formats
// sparse-24-bitmask and sparse-bitmask of compressed-tensors up to 0.14
// (compressors/sparse_compressors/). The numbers may be quantized ones, with their scales beside.
#pragma once

#include "plugins/compressed_tensors/storage.h"

namespace precis::compressed_tensors {

// The places of the tensors in `parts`: numbers, mask, shape, then row_offsets for sparse-bitmask,
// then the scales of quantized numbers.
struct BitmaskParts {
  bool has_offsets = false;
  int scales = -1;
};
BitmaskParts bitmask_parts(const Config& config, const QuantizationScheme* scheme);

// The scheme of the numbers behind a mask: they are bytes, whatever the config's format.
QuantizationScheme unpacked(QuantizationScheme scheme);

// The tensors of a weight [shape]; scheme: of quantized numbers, or null. Throws PRECIS_UNSUPPORTED
// for schemes that were never stored this way.
std::vector<sdk::PartLayout> bitmask_layout(const Config& config, const QuantizationScheme* scheme,
                                            precis_dtype dtype, const std::vector<int64_t>& shape);

// The numbers of a row put where the mask has them, zeros elsewhere: columns * number_bytes bytes.
// Throws PRECIS_DATA_LOSS where the mask asks for more numbers than there are.
void expand_row(const Config& config, const precis_param& param, const sdk::ConstParts& parts,
                uint64_t row, std::byte* out);

}  // namespace precis::compressed_tensors
