// The frame of a method whose stored weight is a kernels::ScaledWeight: decoding and products
// follow from it.
#pragma once

#include <optional>
#include <precis/weight_quantizer.hpp>

#include "kernels/cpu/scaled/scaled.h"
#include "plugins/rounded_product.h"

namespace precis::plugins {

inline const kernels::ScaledKernels& scaled_kernel() {
  return kernels::scaled_kernels(kernels::current_isa());
}

// Throws PRECIS_DATA_LOSS for what no scale is stored in.
inline kernels::ScaleType scale_type(precis_dtype dtype) {
  if (sdk::same(dtype, sdk::kFloat32)) return kernels::ScaleType::f32;
  if (sdk::same(dtype, sdk::kFloat16)) return kernels::ScaleType::f16;
  if (sdk::same(dtype, sdk::kBFloat16)) return kernels::ScaleType::bf16;
  if (sdk::same(dtype, sdk::kFloat8E4M3FN)) return kernels::ScaleType::e4m3fn;
  if (sdk::same(dtype, sdk::kFloat8E8M0FNU) || sdk::same(dtype, sdk::kUInt8))
    return kernels::ScaleType::e8m0;
  throw sdk::PluginError(PRECIS_DATA_LOSS,
                         "the scales are neither float32, float16, bfloat16, float8_e4m3fn nor "
                         "exponents (uint8)");
}

// The number of a tensor of one float32. Throws PRECIS_DATA_LOSS.
inline float single_number(const precis_tensor& part) {
  require_bytes(part, sizeof(float));
  if (!sdk::same(part.view.dtype, sdk::kFloat32))
    throw sdk::PluginError(PRECIS_DATA_LOSS, "the scale of the whole weight must be float32");
  return *sdk::data<const float>(part);
}

// Throws PRECIS_DATA_LOSS for a map from columns to tiles that leaves them.
inline const int32_t* checked_tiles(const precis_tensor& part, uint64_t columns, uint64_t tiles) {
  const auto* map = sdk::data<const int32_t>(part);
  for (uint64_t i = 0; i < columns; ++i) {
    if (map[i] >= 0 && static_cast<uint64_t>(map[i]) < tiles) continue;
    throw sdk::PluginError(PRECIS_DATA_LOSS, "column " + std::to_string(i) + " is of group " +
                                                 std::to_string(map[i]) + " of " +
                                                 std::to_string(tiles));
  }
  return map;
}

// How a weight is encoded, and where its parts stand; -1: it has none.
struct ScaledEncodingPlan {
  kernels::ScaledEncoding encoding;
  bool one_tile = false;    // the scale of a tile is that of the whole weight
  float whole_divisor = 0;  // of ScaleRule::two_levels_product: absmax over the scale of the whole
  int codes = 0, scales = 1, zeros = -1, whole_scale = -1;
  // Parts that do not depend on the weight's numbers, as bytes.
  std::vector<std::pair<int, std::string>> constants = {};
};

// Whether scales in the weight's dtype are stored as float32.
bool widens_scales(const ScaledEncodingPlan& plan, const precis_param& param,
                   const sdk::Parts& parts);

// Whether a weight is of integers of 8 bits without zero points, and one scale for a whole row or
// more.
bool is_integer_rows(const kernels::ScaledWeight& weight);
// The scales of its rows; weight.scales is read.
std::vector<float> row_scales(const kernels::ScaledWeight& weight, uint64_t rows);

struct ByteCodes {
  kernels::NarrowType type;  // int8 or float8_e4m3fn
  kernels::ScaleTiles tiles;
};

class ScaledQuantizer : public sdk::WeightQuantizer {
 public:
  using WeightQuantizer::WeightQuantizer;

  void plan_linear(const precis_linear_options& options, const precis_param& param,
                   sdk::PlanWriter& plan) const override;
  std::unique_ptr<sdk::Linear> prepare_linear(const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) const override;

  // How the library rounds what is multiplied with this weight; nothing: it does not. Throws
  // PRECIS_UNSUPPORTED for what has no product here.
  virtual std::optional<kernels::ActivationRounding> activations(const precis_param&) const {
    return std::nullopt;
  }

  // The stored weight, which refers to the parts; they have been compared with the layout.
  virtual kernels::ScaledWeight stored(const precis_param& param,
                                       const sdk::ConstParts& parts) const = 0;
  // Whether stored() reads a part, rather than refer to it.
  virtual bool reads(const precis_param& /*param*/, std::size_t /*part*/) const { return false; }
  // What encode() writes; nothing: it goes another way.
  virtual std::optional<ScaledEncodingPlan> encoding(const precis_param& param,
                                                     const sdk::Parts& parts) const = 0;
  // The rows of a weight whose tiles' columns may be scattered (ScaledWeight::tile_of); nothing:
  // they are neighbours.
  virtual std::optional<kernels::NarrowRows> scattered(const precis_param&) const {
    return std::nullopt;
  }
  // How stored() gives a byte each for the numbers of a weight without zero points, whose columns
  // are in their order and whose scales are floats; told by the config alone. Nothing: it does not.
  virtual std::optional<ByteCodes> byte_codes(const precis_param&) const { return std::nullopt; }
  // Throws PRECIS_UNSUPPORTED for a weight that is stored as something else.
  virtual void check_numbers(const precis_param&) const {}
  // The same where the parts are more than stored() tells.
  virtual void check_stored(const precis_param&, const sdk::ConstParts&) const {}

 protected:
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  static void encode_numbers(const precis_call& call, const precis_param& param,
                             const precis_tensor& weight, const sdk::Parts& parts,
                             const ScaledEncodingPlan& plan);
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;
};

}  // namespace precis::plugins
