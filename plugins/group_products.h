// Products with weights that are packed as GPTQ's or AWQ's, whoever rounded them.
#pragma once

#include <cstring>
#include <precis/weight_quantizer.hpp>

#include "kernels/cpu/awq/awq.h"
#include "kernels/cpu/gptq/gptq.h"
#include "kernels/cpu/groups/group_rows.h"
#include "plugins/linear.h"
#include "plugins/reordered_product.h"

namespace precis::plugins {

// Codes of at most 4 bits, and of 8, in groups of neighbours are laid out anew, row after row.
inline bool has_group_rows(int64_t bits, uint64_t columns) {
  return (bits <= 4 && columns % 2 == 0) || bits == 8;
}
inline uint64_t group_row_bytes(int64_t bits, uint64_t columns) {
  return bits == 8 ? columns : columns / 2;
}

// The host keeps the parts, the scales and zero points of all groups row by row, and where
// has_group_rows is true the codes likewise. scattered: groups may not be neighbours.
inline void plan_group_product(const precis_linear_options& options, const precis_param& param,
                               int64_t bits, uint64_t groups, bool scattered,
                               sdk::PlanWriter& plan) {
  const sdk::Matrix matrix = product_shape(options, param);
  const std::vector<int64_t> shape{static_cast<int64_t>(matrix.rows), static_cast<int64_t>(groups)};
  plan.add_numbers("scales", sdk::kFloat32, shape);
  plan.add_numbers("zeros", sdk::kInt32, shape);
  if (has_group_rows(bits, matrix.columns))
    plan.add_numbers("codes", sdk::kUInt8,
                     {shape[0], static_cast<int64_t>(group_row_bytes(bits, matrix.columns))});
  plan.keeps_parts();
  plan.workspace(product_workspace(options, float_arithmetic(options), matrix.columns) +
                 (scattered ? reordered_workspace(options, matrix.columns) : 0));
}

// Whether a map tells no more than the group size does; null: none.
inline bool in_order(const int32_t* group_of, const kernels::GptqShape& shape) {
  for (uint64_t i = 0; i < shape.columns && group_of != nullptr; ++i) {
    if (static_cast<uint64_t>(group_of[i]) != i / shape.group_size) return false;
  }
  return true;
}

inline kernels::LinearWeight group_weight(const precis_linear_options& options,
                                          const precis_param& param) {
  const sdk::Matrix matrix = product_shape(options, param);
  kernels::LinearWeight weight{};
  weight.arithmetic = float_arithmetic(options);
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  return weight;
}

// packed: as planned above, filled.
inline std::unique_ptr<sdk::Linear> group_rows_product(const precis_linear_options& options,
                                                       kernels::LinearWeight weight,
                                                       uint64_t group_size, bool adds_zero,
                                                       kernels::WeightType scale_type, int64_t bits,
                                                       const sdk::Parts& packed) {
  const auto& kernel = kernels::group_rows_kernels(kernels::current_isa());
  weight.decode_floats = kernel.decode_floats;
  const kernels::GroupRows rows{sdk::data<const uint8_t>(*packed.at(2)),
                                weight.in_features,
                                group_size,
                                sdk::data<const float>(*packed[0]),
                                sdk::data<const float>(*packed[1]),
                                adds_zero,
                                scale_type,
                                decoded_type(weight.arithmetic),
                                bits == 8};
  weight.row_dot = kernel.row_dot(rows);
  return std::make_unique<Product<kernels::GroupRows>>(options, weight, rows);
}

// parts: codes, zero points, scales, as the plan of their method has them; packed: as planned
// above, `scattered` likewise.
inline std::unique_ptr<sdk::Linear> gptq_product(
    const precis_call& call, const precis_linear_options& options, const precis_param& param,
    const kernels::GptqFormat& format, const kernels::GptqShape& shape, const int32_t* group_of,
    bool scattered, const sdk::ConstParts& parts, const sdk::Parts& packed) {
  const auto& kernel = kernels::gptq_kernels(kernels::current_isa());
  kernels::LinearWeight weight = group_weight(options, param);
  const auto* codes = sdk::data<const uint32_t>(*parts.at(0));
  const auto scale_type = weight_type(parts.at(2)->view.dtype);
  auto* scales = sdk::data<float>(*packed.at(0));
  auto* zeros = sdk::data<int32_t>(*packed.at(1));
  kernel.read_groups(format, shape, sdk::data<const uint32_t>(*parts[1]), scale_type,
                     sdk::data<const void>(*parts[2]), scales, zeros);
  if (in_order(group_of, shape)) group_of = nullptr;
  std::vector<uint32_t> order;
  if (group_of != nullptr && scattered)
    order = columns_by_group(group_of, shape.columns, shape.group_size);
  if (has_group_rows(format.bits, shape.columns) && (group_of == nullptr || !order.empty())) {
    auto* rows_of_codes = sdk::data<uint8_t>(*packed.at(2));
    sdk::for_rows(call, sdk::matrix(param), 32, [&](sdk::RowRange rows) {
      kernel.pack_rows(format, shape, codes, rows.begin, rows.end, rows_of_codes);
      std::vector<uint8_t> scratch(order.size());
      const uint64_t row_bytes = group_row_bytes(format.bits, shape.columns);
      for (uint64_t row = rows.begin; row < rows.end && !order.empty(); ++row)
        reorder_codes(order, format.bits, rows_of_codes + row * row_bytes, scratch.data());
    });
    // In place: the kernel takes zero points as numbers.
    auto* numbers = sdk::data<std::byte>(*packed[1]);
    for (uint64_t i = 0; i < shape.rows * shape.groups(); ++i) {
      int32_t zero;
      std::memcpy(&zero, numbers + i * sizeof zero, sizeof zero);
      const auto number = static_cast<float>(zero);
      std::memcpy(numbers + i * sizeof number, &number, sizeof number);
    }
    auto product = group_rows_product(options, weight, shape.group_size, false, scale_type,
                                      format.bits, packed);
    if (order.empty()) return product;
    return std::make_unique<ReorderedProduct>(options, sdk::matrix(param), std::move(order),
                                              std::move(product));
  }
  weight.decode_floats = kernel.decode_floats;
  return std::make_unique<Product<kernels::GptqProduct>>(
      options, weight,
      kernels::GptqProduct{format, shape, codes, scales, zeros, scale_type, group_of,
                           decoded_type(weight.arithmetic)});
}

inline std::unique_ptr<sdk::Linear> awq_product(
    const precis_call& call, const precis_linear_options& options, const precis_param& param,
    kernels::AwqLayout layout, const kernels::AwqShape& shape, const sdk::ConstParts& parts,
    const sdk::Parts& packed) {
  const auto& kernel = kernels::awq_kernels(kernels::current_isa());
  const auto scale_type = weight_type(parts.at(2)->view.dtype);
  kernel.read_affine(layout, shape, sdk::data<const void>(*parts[1]), scale_type,
                     sdk::data<const void>(*parts[2]), sdk::data<float>(*packed.at(0)),
                     sdk::data<float>(*packed.at(1)));
  sdk::for_rows(call, sdk::matrix(param), 8, [&](sdk::RowRange rows) {
    kernel.pack_rows(layout, shape, sdk::data<const void>(*parts[0]), rows.begin, rows.end,
                     sdk::data<uint8_t>(*packed.at(2)));
  });
  return group_rows_product(options, group_weight(options, param), shape.group_size,
                            layout == kernels::AwqLayout::gemv_fast, scale_type, 4, packed);
}

}  // namespace precis::plugins
