// Products with weights whose groups are scattered over the columns, as GPTQ's act-order leaves
// them: the codes are laid out group after group, and x is brought into the same order.
#pragma once

#include <cstring>
#include <vector>

#include "plugins/linear.h"

namespace precis::plugins {

// The columns group after group, each in rising order; empty where a group has not as many as
// `group_size`, the last one the rest.
inline std::vector<uint32_t> columns_by_group(const int32_t* group_of, uint64_t columns,
                                              uint64_t group_size) {
  const uint64_t groups = (columns + group_size - 1) / group_size;
  std::vector<uint64_t> next(groups);
  for (uint64_t group = 0; group < groups; ++group) next[group] = group * group_size;
  std::vector<uint32_t> order(columns);
  for (uint64_t column = 0; column < columns; ++column) {
    const auto group = static_cast<uint64_t>(group_of[column]);
    if (next[group] == std::min(columns, (group + 1) * group_size)) return {};
    order[next[group]++] = static_cast<uint32_t>(column);
  }
  return order;
}

// Brings a row of codes into `order`: a byte each, or of 4 bits, two a byte, the first in the low
// half. scratch: a byte a column.
inline void reorder_codes(const std::vector<uint32_t>& order, int64_t bits, uint8_t* packed,
                          uint8_t* scratch) {
  if (bits == 8) {
    std::copy_n(packed, order.size(), scratch);
    for (std::size_t i = 0; i < order.size(); ++i) packed[i] = scratch[order[i]];
    return;
  }
  for (std::size_t i = 0; i < order.size(); i += 2) {
    scratch[i] = packed[i / 2] & 15;
    scratch[i + 1] = packed[i / 2] >> 4;
  }
  for (std::size_t i = 0; i < order.size(); i += 2)
    packed[i / 2] = static_cast<uint8_t>(scratch[order[i]] | scratch[order[i + 1]] << 4);
}

// Workspace of a ReorderedProduct, over what the inner product needs.
inline uint64_t reordered_workspace(const precis_linear_options& options, uint64_t columns) {
  const uint64_t bytes =
      static_cast<uint64_t>(options.max_rows) * columns * (options.activation.bits / 8u);
  return (bytes + 63) / 64 * 64;
}

class ReorderedProduct final : public sdk::Linear {
 public:
  // product: of the weight with its columns in `order`.
  ReorderedProduct(const precis_linear_options& options, const sdk::Matrix& matrix,
                   std::vector<uint32_t> order, std::unique_ptr<sdk::Linear> product)
      : options_(options),
        matrix_(matrix),
        order_(std::move(order)),
        product_(std::move(product)) {}

  void forward(const precis_call& call, const precis_tensor& x, const precis_tensor* bias,
               precis_tensor& y) const override {
    const uint64_t rows = checked_rows(options_, matrix_, x, bias, y);
    const uint64_t taken = reordered_workspace(options_, matrix_.columns);
    if (call.workspace_size < taken)
      throw sdk::PluginError(PRECIS_INVALID_ARGUMENT, "the workspace is smaller than planned");
    precis_call rest = call;
    rest.workspace = static_cast<std::byte*>(call.workspace) + taken;
    rest.workspace_size = call.workspace_size - taken;
    if (options_.activation.bits == 32)
      gather<uint32_t>(x, rows, call.workspace);
    else
      gather<uint16_t>(x, rows, call.workspace);
    int64_t shape[] = {x.view.shape[0], static_cast<int64_t>(matrix_.columns)};
    int64_t strides[] = {shape[1], 1};
    precis_tensor ordered{};
    ordered.struct_size = sizeof ordered;
    ordered.view = {
        call.workspace, {PRECIS_DEVICE_CPU, 0}, 2, options_.activation, shape, strides, 0};
    ordered.nbytes = rows * matrix_.columns * (options_.activation.bits / 8u);
    product_->forward(rest, ordered, bias, y);
  }

 private:
  template <typename Number>
  void gather(const precis_tensor& x, uint64_t rows, void* out) const {
    const auto* from = first_row<const Number>(x);
    const uint64_t stride = row_stride(x);
    sdk::Host::get().parallel_for(rows, 1, [&](uint64_t begin, uint64_t end) {
      for (uint64_t row = begin; row < end; ++row) {
        Number* to = static_cast<Number*>(out) + row * matrix_.columns;
        for (const uint32_t column : order_) *to++ = from[row * stride + column];
      }
    });
  }

  precis_linear_options options_;
  sdk::Matrix matrix_;
  std::vector<uint32_t> order_;
  std::unique_ptr<sdk::Linear> product_;
};

}  // namespace precis::plugins
