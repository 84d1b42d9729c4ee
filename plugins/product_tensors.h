// What every product checks of x, y and the bias before it touches them.
#pragma once

#include <precis/plugin.hpp>
#include <string>

namespace precis::plugins {

namespace product_tensors {

inline void require_rows_apart(const precis_tensor& tensor, const char* name) {
  const precis_view& view = tensor.view;
  if ((view.shape[1] > 1 && view.strides[1] != 1) ||
      (view.shape[0] > 1 && view.strides[0] < view.shape[1])) {
    throw sdk::PluginError(PRECIS_UNSUPPORTED, std::string("the elements of a row of ") + name +
                                                   " must be neighbours, and rows may not overlap");
  }
}

}  // namespace product_tensors

// The rows of x [rows, columns of the weight] and y [rows, rows of the weight]. Throws
// PRECIS_INVALID_ARGUMENT where a tensor is not what was planned, PRECIS_UNSUPPORTED where the rows
// of x or y are no rows of neighbours.
inline uint64_t checked_rows(const precis_linear_options& options, const sdk::Matrix& matrix,
                             const precis_tensor& x, const precis_tensor* bias,
                             const precis_tensor& y) {
  using sdk::PluginError;
  const auto fits = [&](const precis_tensor& tensor, uint64_t columns) {
    return sdk::same(tensor.view.dtype, options.activation) && tensor.view.ndim == 2 &&
           static_cast<uint64_t>(tensor.view.shape[1]) == columns;
  };
  if (!fits(x, matrix.columns) || !fits(y, matrix.rows) || x.view.shape[0] != y.view.shape[0] ||
      x.view.shape[0] > options.max_rows) {
    throw PluginError(PRECIS_INVALID_ARGUMENT,
                      "x must be [rows, " + std::to_string(matrix.columns) + "] and y [rows, " +
                          std::to_string(matrix.rows) +
                          "] of the planned dtype, with at most the planned " +
                          std::to_string(options.max_rows) + " rows");
  }
  product_tensors::require_rows_apart(x, "x");
  product_tensors::require_rows_apart(y, "y");
  if (bias != nullptr && (!sdk::same(bias->view.dtype, options.activation) ||
                          sdk::elements(bias->view.ndim, bias->view.shape) != matrix.rows)) {
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the bias must be [" + std::to_string(matrix.rows) +
                                                   "] of the planned dtype");
  }
  return static_cast<uint64_t>(x.view.shape[0]);
}

// The first element of such a tensor, whose rows may be strided.
template <typename T>
T* first_row(const precis_tensor& tensor) {
  return reinterpret_cast<T*>(static_cast<std::byte*>(tensor.view.data) + tensor.view.byte_offset);
}

// Elements from one row to the next; 0 where there is one.
inline uint64_t row_stride(const precis_tensor& tensor) {
  return tensor.view.shape[0] > 1 ? static_cast<uint64_t>(tensor.view.strides[0]) : 0;
}

}  // namespace precis::plugins
