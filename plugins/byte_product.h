// Products with weights of one byte a number and one scale a row.
#pragma once

#include "kernels/cpu/groups/byte_rows.h"
#include "plugins/linear.h"

namespace precis::plugins {

// codes: [rows][columns]; scales: of the rows. The codes outlive the product.
inline std::unique_ptr<sdk::Linear> byte_product(const precis_linear_options& options,
                                                 const sdk::Matrix& matrix,
                                                 kernels::ByteNumber type, const void* codes,
                                                 std::vector<float> scales) {
  kernels::LinearWeight weight{};
  weight.arithmetic = float_arithmetic(options);
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  weight.decode_floats = kernels::byte_rows_kernels(kernels::current_isa()).decode_floats;
  const kernels::ByteRows rows{type, decoded_type(weight.arithmetic),
                               static_cast<const uint8_t*>(codes), matrix.columns};
  weight.row_dot = kernels::byte_rows_kernels(kernels::current_isa()).row_dot(rows);
  auto product = std::make_unique<Product<kernels::ByteRows>>(options, weight, rows);
  product->keep_row_scales(std::move(scales));
  return product;
}

}  // namespace precis::plugins
