// How quanto's weights lie in their tensors, for the codec and the products.
#pragma once

#include <precis/plugin.hpp>

#include "kernels/cpu/quanto/quanto.h"
#include "plugins/quanto/config.h"

namespace precis::quanto {

// Parts of 8-bit weights: _data, _scale, then the module's input_scale and output_scale; of grouped
// ones _shift stands behind _scale. A checkpoint may lack the module's scales.
inline constexpr std::size_t kData = 0, kScale = 1, kShift = 2;

inline kernels::QuantoByteType byte_type(const std::string& weights) {
  if (weights == "float8") return kernels::QuantoByteType::float8_e4m3fn;
  if (weights == "float8_e5m2") return kernels::QuantoByteType::float8_e5m2;
  return kernels::QuantoByteType::int8;
}

// How a weight is grouped. A weight of a single group is a special case of the library's: it
// reduces over the wrong axis, and every column gets a scale (0) and a shift of its own.
struct Groups {
  uint64_t size, count, packed_rows;
  bool per_column;
  Groups(const sdk::Matrix& matrix, int bits)
      : size(kernels::quanto_group_size(matrix.columns)),
        count(size == 0 ? 0 : matrix.elements() / size),
        packed_rows((count * static_cast<uint64_t>(bits) + 7) / 8),
        per_column(count == 1) {}
  uint64_t scale_count() const { return per_column ? size : count; }
  std::vector<int64_t> scale_shape() const {
    if (per_column) return {1, static_cast<int64_t>(size)};
    return {static_cast<int64_t>(count), 1};
  }
};

// Whether the library packs bfloat16 groups by way of tinygemm, which changes their shifts.
inline bool through_tinygemm(const Config& config, const precis_param& param,
                             const Groups& groups) {
  return config.bits() == 4 && sdk::same(param.dtype, sdk::kBFloat16) && groups.size == 128 &&
         param.ndim == 2 && param.shape[0] % 16 == 0 && param.shape[1] % 128 == 0;
}

}  // namespace precis::quanto
