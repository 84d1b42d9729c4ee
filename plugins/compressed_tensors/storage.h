// The stored forms of compressed-tensors 0.20 (compressors/): which one a scheme has, and the
// tensors of a weight in it.
#pragma once

#include "kernels/cpu/scaled/scaled.h"
#include "plugins/compressed_tensors/config.h"

namespace precis::compressed_tensors {

enum class Storage {
  dense,   // not compressed
  bytes,   // naive-quantized, int-quantized, float-quantized: a byte a number
  packed,  // pack-quantized: integers of 1 to 8 bits in words
  nvfp4,   // nvfp4-pack-quantized
  mxfp4,   // mxfp4-pack-quantized
  mxfp6,   // mxfp6-pack-quantized
  mxfp8,   // mxfp8-quantized
  unread,  // marlin-24: a kernel's own layout
};

// The format of a scheme: its own, the config's, or what the library infers from the arguments.
std::string format_of(const Config& config, const QuantizationScheme& scheme);
Storage storage_of(const std::string& format);

// A weight of a scheme: its numbers, tiles and the shapes of its tensors.
struct StoredShape {
  kernels::NarrowRows rows;
  kernels::ScaleTiles tiles;
  uint64_t tile_rows = 1;  // tiles one below the other
};

// Throws PRECIS_UNSUPPORTED where the shape does not fit the scheme, naming the rule.
StoredShape stored_shape(const Config& config, const QuantizationScheme& scheme,
                         const sdk::Matrix& matrix);

// The tensors of a weight [shape] in `dtype`, as WeightQuantizer::layout gives them.
std::vector<sdk::PartLayout> stored_parts(const Config& config, const QuantizationScheme& scheme,
                                          precis_dtype dtype, const std::vector<int64_t>& shape);

// Throws PRECIS_UNSUPPORTED for a scheme whose weights are read only, or whose format does not fit
// its arguments.
void check_scheme_writable(const Config& config, const QuantizationScheme& scheme);

// Where a part stands in stored_parts; -1: it has none.
struct PartPlaces {
  int codes = 0, scales = 1, shape = -1, global_scale = -1, zeros = -1, group_of = -1;
};
PartPlaces part_places(const Config& config, const QuantizationScheme& scheme);

}  // namespace precis::compressed_tensors
