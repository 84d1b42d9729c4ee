#include "plugins/quark/integers.h"

#include <algorithm>

#include "kernels/cpu/scaled/scaled.h"
#include "plugins/weight_type.h"

namespace precis::quark {

using sdk::PluginError;

namespace {

constexpr std::size_t kCodes = 0, kScales = 1, kZeros = 2;
constexpr uint64_t kTogether = 8;                              // rows that share words
constexpr uint64_t kShift[8] = {0, 16, 4, 20, 8, 24, 12, 28};  // of a row's bits within a word
constexpr float kEps = 0x1p-23f;                               // the least scale

struct Groups {
  std::vector<float> scales;  // [rows][groups]
  std::vector<int32_t> zeros;
};

template <typename Type>
void find_group(kernels::ValueRange range, bool symmetric, float& scale, int32_t& zero) {
  scale = Type::round(symmetric ? std::max(-range.low, range.high) / 7.5f
                                : Type::round(range.high - range.low) / 15.0f);
  scale = std::max(scale, Type::round(kEps));
  const float lowest = symmetric ? 0 : kernels::round_to_even(Type::round(range.low / scale));
  zero = symmetric ? 0 : static_cast<int32_t>(std::clamp(-lowest, 0.0f, 15.0f));
}

Groups find_groups(const precis_call& call, const precis_param& param, const void* weight,
                   bool symmetric, const kernels::AwqShape& shape) {
  Groups groups{std::vector<float>(shape.rows * shape.groups()),
                std::vector<int32_t>(shape.rows * shape.groups())};
  const auto type = plugins::weight_type(param.dtype);
  const auto& kernel = kernels::scaled_kernels(kernels::current_isa());
  sdk::for_rows(call, sdk::matrix(param), 1, [&](sdk::RowRange rows) {
    kernels::with_type(type, [&](auto tag) {
      for (uint64_t i = rows.begin * shape.groups(); i < rows.end * shape.groups(); ++i) {
        const auto range =
            kernel.range(type, weight, i * shape.group_size, (i + 1) * shape.group_size);
        find_group<decltype(tag)>(range, symmetric, groups.scales[i], groups.zeros[i]);
      }
    });
  });
  return groups;
}

// Zero points of rows [row, row + 8).
void pack_zeros(const Groups& groups, const kernels::AwqShape& shape, uint64_t row,
                uint32_t* zero_words) {
  for (uint64_t group = 0; group < shape.groups(); ++group) {
    uint32_t word = 0;
    for (uint64_t i = 0; i < kTogether; ++i)
      word |= static_cast<uint32_t>(groups.zeros[(row + i) * shape.groups() + group] & 15)
              << kShift[i];
    zero_words[group * (shape.rows / kTogether) + row / kTogether] = word;
  }
}

// Rounded multiples of the scales as codes: the zero point comes after the rounding.
void move(const Groups& groups, const kernels::AwqShape& shape, uint64_t row, int8_t* codes) {
  const int lowest = shape.sign == 0 ? 0 : -8;
  for (uint64_t group = 0; group < shape.groups(); ++group) {
    const int zero = groups.zeros[row * shape.groups() + group];
    for (uint64_t i = 0; i < shape.group_size; ++i, ++codes)
      *codes = static_cast<int8_t>(std::clamp(*codes + zero, lowest, lowest + 15));
  }
}

void store_scales(const Groups& groups, const kernels::AwqShape& shape, const precis_tensor& part) {
  kernels::with_type(plugins::weight_type(part.view.dtype), [&](auto tag) {
    using Type = decltype(tag);
    auto* scales = sdk::data<typename Type::Stored>(part);
    for (uint64_t row = 0; row < shape.rows; ++row) {
      for (uint64_t group = 0; group < shape.groups(); ++group)
        Type::store(scales, group * shape.rows + row, groups.scales[row * shape.groups() + group]);
    }
  });
}

}  // namespace

bool is_packed_integers(const TensorConfig& weights) {
  if (weights.dtype != "int4" && weights.dtype != "uint4") return false;
  const bool columns = weights.axis == 1 || weights.axis == -1;
  if (weights.scheme != "per_group" || !columns || weights.group_size < 1 || weights.in_order)
    throw PluginError(PRECIS_UNSUPPORTED,
                      "weights of dtype '" + weights.dtype +
                          "' are read per_group along in_features (ch_axis 1 or -1), with "
                          "pack_method reorder; others are not read");
  return true;
}

kernels::AwqShape packed_shape(const TensorConfig& weights, const precis_param& param) {
  const sdk::Matrix matrix = sdk::matrix(param);
  const auto group_size = static_cast<uint64_t>(weights.group_size);
  if (param.ndim != 2 || matrix.rows % kTogether != 0 || matrix.columns % group_size != 0)
    throw PluginError(PRECIS_UNSUPPORTED, "its shape [" + std::to_string(matrix.rows) + ", " +
                                              std::to_string(matrix.columns) +
                                              "] is not in multiples of [8, group_size " +
                                              std::to_string(group_size) + "]");
  return {matrix.rows, matrix.columns, group_size, weights.dtype == "int4" ? 8 : 0};
}

std::vector<sdk::PartLayout> packed_layout(const TensorConfig& weights, const precis_param& param) {
  const kernels::AwqShape shape = packed_shape(weights, param);
  const auto rows = static_cast<int64_t>(shape.rows), columns = static_cast<int64_t>(shape.columns);
  const auto groups = static_cast<int64_t>(shape.groups());
  return {{"weight", sdk::kInt32, {columns, rows / 8}},
          {"weight_scale", param.dtype, {groups, rows}, true},
          {"weight_zero_point", sdk::kInt32, {groups, rows / 8}}};
}

sdk::ConstParts awq_parts(const sdk::ConstParts& parts) {
  return {parts.at(kCodes), parts.at(kZeros), parts.at(kScales)};
}

void encode_packed(const precis_call& call, const TensorConfig& weights, const precis_param& param,
                   const precis_tensor& weight, const sdk::Parts& parts) {
  const kernels::AwqShape shape = packed_shape(weights, param);
  const auto type = plugins::weight_type(param.dtype);
  const void* values = sdk::data<const void>(weight);
  const Groups groups = find_groups(call, param, values, weights.symmetric, shape);
  store_scales(groups, shape, *parts[kScales]);
  kernels::ScaledEncoding encoding{{kernels::NarrowType::int8, 8, false, shape.columns},
                                   {1, shape.group_size, shape.groups()}};
  encoding.scale_rule = kernels::ScaleRule::own_reciprocal;
  encoding.given_scales = groups.scales.data();
  std::vector<int8_t> codes(shape.rows * shape.columns);
  std::vector<std::byte> scales(groups.scales.size() * sizeof(float));
  auto* code_words = sdk::data<uint32_t>(*parts[kCodes]);
  auto* zero_words = sdk::data<uint32_t>(*parts[kZeros]);
  sdk::for_rows(call, sdk::matrix(param), kTogether, [&](sdk::RowRange rows) {
    kernels::scaled_kernels(kernels::current_isa())
        .quantize(type, values, encoding, nullptr, 1, rows.begin, rows.end, codes.data(),
                  scales.data(), nullptr);
    int8_t* first = codes.data() + rows.begin * shape.columns;
    for (uint64_t row = rows.begin; row < rows.end; ++row)
      move(groups, shape, row, codes.data() + row * shape.columns);
    kernels::awq_kernels(kernels::current_isa())
        .store_codes(shape, reinterpret_cast<const uint8_t*>(first), rows.begin, rows.end,
                     code_words);
    for (uint64_t row = rows.begin; row < rows.end; row += kTogether)
      pack_zeros(groups, shape, row, zero_words);
  });
}

}  // namespace precis::quark
