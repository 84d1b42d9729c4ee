// A stored weight: found in a checkpoint, and as the kernels read it.
#pragma once

#include <precis/weight_quantizer.hpp>

#include "kernels/cpu/torchao/torchao.h"

namespace precis::torchao {

// What tinygemm's tiles fill a matrix up to.
struct TileShape {
  int64_t rows, columns;
  TileShape(int64_t out_features, int64_t in_features, int64_t tile_rows)
      : rows((out_features + tile_rows - 1) / tile_rows * tile_rows),
        columns((in_features + 1023) / 1024 * 1024) {}
};

struct StoredObject {
  sdk::StoredWeight weight;
  std::vector<uint64_t> parts;
};

// The weight of a module that has a `_weight_qdata`. metadata: of the file; without an entry of the
// weight's, dtypes and shapes tell. Throws PRECIS_DATA_LOSS, or PRECIS_UNSUPPORTED for classes and
// parts that precis does not decode.
StoredObject stored_object(const sdk::StoredModule& module, const sdk::Json& metadata);

// Throws PRECIS_DATA_LOSS where the parts contradict each other or the parameter's shape.
kernels::AoWeight stored_weight(const precis_param& param, const sdk::ConstParts& parts);

// Bytes without zero points, whose values are read, and one scale for a whole row or more.
bool is_integer_rows(const kernels::AoWeight& weight);
bool is_float8_rows(const kernels::AoWeight& weight);
std::vector<float> row_scales(const kernels::AoWeight& weight);

}  // namespace precis::torchao
