#include "plugins/sdnq/quantizer.h"

#include <algorithm>
#include <cmath>

#include "plugins/parts.h"
#include "plugins/sdnq/rotation.h"

namespace precis::sdnq {

using sdk::PluginError;

namespace {

// Throws PRECIS_UNSUPPORTED for numbers that are not read.
void check_readable(const Scheme& scheme) {
  const Number& number = scheme.number;
  if (number.bits < 1 || number.bits > 8)
    throw PluginError(PRECIS_UNSUPPORTED,
                      "weights of '" + scheme.dtype + "' are not read; those of 1 to 8 bits are");
}

bool has_zero_points(const Scheme& scheme) {
  return scheme.number.is_unsigned && !scheme.codebook;
}

// The packed bytes from the first that a slice needs; 1-bit codes have an int64 for each byte.
struct Codes {
  const uint8_t* bytes;
  uint64_t first;  // number
  std::vector<uint8_t> narrowed;
};

Codes codes_of(const precis_tensor& part, uint64_t begin, uint64_t end) {
  const auto* bytes = sdk::data<const uint8_t>(part);
  if (part.view.dtype.bits != 64) return {bytes, 0, {}};
  Codes codes{nullptr, begin / 8 * 8, {}};
  for (uint64_t i = begin / 8; i < (end + 7) / 8; ++i) codes.narrowed.push_back(bytes[8 * i]);
  codes.bytes = codes.narrowed.data();
  return codes;
}

// What the numbers of some rows are multiplied with.
struct Tables {
  std::vector<float> scales, zeros, up;  // of these rows, scales perhaps of the whole weight
  std::vector<float> down;
  uint64_t groups, group_size, levels;  // levels: entries of a codebook, else 1
  uint64_t first_row;                   // of the scales, all ones where there is one for all
  bool whole;                           // one scale for the weight

  uint64_t group_of(uint64_t row, uint64_t column) const {
    return (whole ? 0 : (row - first_row) * groups) + column / group_size;
  }
};

Tables read_tables(const Scheme& scheme, const sdk::Matrix& matrix, const sdk::ConstParts& parts,
                   sdk::RowRange rows) {
  const StoredShape shape = stored_shape(scheme, matrix, parts);
  Tables tables{};
  tables.levels = shape.levels;
  tables.whole = shape.whole;
  tables.first_row = rows.begin;
  tables.groups = shape.groups;
  tables.group_size = matrix.columns / shape.groups;
  const uint64_t of_row = tables.groups * tables.levels;
  const uint64_t begin = tables.whole ? 0 : rows.begin * of_row;
  const uint64_t count = tables.whole ? of_row : rows.count() * of_row;
  tables.scales = plugins::floats_of(*parts[kScale], begin, count);
  if (shape.zeros != 0) tables.zeros = plugins::floats_of(*parts[shape.zeros], begin, count);
  if (shape.up != 0) {
    tables.up =
        plugins::floats_of(*parts[shape.up], rows.begin * shape.rank, rows.count() * shape.rank);
    tables.down = plugins::floats_of(*parts[shape.up + 1], 0, shape.rank * matrix.columns);
  }
  return tables;
}

// A row before the low-rank part and the rotation are undone.
void decode_row(const Scheme& scheme, const Tables& tables, const Codes& codes, uint64_t row,
                std::vector<float>& out) {
  for (uint64_t column = 0; column < out.size(); ++column) {
    const uint64_t group = tables.group_of(row, column);
    const uint32_t code =
        code_at(codes.bytes, scheme.number.bits, row * out.size() + column - codes.first);
    if (scheme.codebook) {
      out[column] = tables.scales[group * tables.levels + code];
      continue;
    }
    const float value = value_of(scheme.number, code);
    out[column] = tables.zeros.empty() ? value * tables.scales[group]
                                       : std::fma(value, tables.scales[group], tables.zeros[group]);
  }
}

template <typename Type>
void add_low_rank(const Tables& tables, uint64_t row, std::vector<float>& out,
                  std::vector<double>& sums) {
  const uint64_t rank = tables.down.size() / out.size();
  const float* up = tables.up.data() + (row - tables.first_row) * rank;
  std::fill(sums.begin(), sums.end(), 0.0);
  for (uint64_t r = 0; r < rank; ++r) {
    const float* down = tables.down.data() + r * out.size();
    for (uint64_t column = 0; column < out.size(); ++column)
      sums[column] += static_cast<double>(up[r]) * down[column];
  }
  for (uint64_t column = 0; column < out.size(); ++column)
    out[column] = Type::round(Type::round(out[column]) + static_cast<float>(sums[column]));
}

// Rounded to Type before and after.
template <typename Type>
void rotate_back(std::vector<float>& row, uint64_t size, std::vector<double>& turned) {
  std::transform(row.begin(), row.end(), turned.begin(), Type::round);
  rotate_blocks(turned, size);
  std::transform(turned.begin(), turned.end(), row.begin(),
                 [](double value) { return Type::round(static_cast<float>(value)); });
}

}  // namespace

StoredShape stored_shape(const Scheme& scheme, const sdk::Matrix& matrix,
                         const sdk::ConstParts& parts) {
  StoredShape shape{};
  const uint64_t scales = plugins::count_of(*parts[kScale]);
  shape.levels = scheme.codebook ? uint64_t{1} << scheme.number.bits : 1;
  shape.whole = scales == shape.levels;
  const uint64_t scaled_rows = shape.whole ? 1 : matrix.rows;
  shape.groups = scales / (scaled_rows * shape.levels);
  if (shape.groups == 0 || matrix.columns % shape.groups != 0 ||
      scales != scaled_rows * shape.groups * shape.levels)
    throw PluginError(PRECIS_DATA_LOSS, "'scale' has " + std::to_string(scales) +
                                            " elements, no whole groups of each row");
  std::size_t next = kScale + 1;
  if (has_zero_points(scheme)) {
    if (plugins::count_of(*parts[next]) != scales)
      throw PluginError(PRECIS_DATA_LOSS, "'zero_point' has not the elements of 'scale'");
    shape.zeros = next++;
  }
  if (parts.size() < next + 2) return shape;
  shape.up = next;
  shape.rank = plugins::count_of(*parts[next]) / matrix.rows;
  if (plugins::count_of(*parts[next]) != shape.rank * matrix.rows ||
      plugins::count_of(*parts[next + 1]) != shape.rank * matrix.columns)
    throw PluginError(PRECIS_DATA_LOSS, "'svd_up' and 'svd_down' are of different ranks");
  return shape;
}

Scheme SdnqQuantizer::scheme_of(const precis_param& param) const {
  return config_.scheme(std::string(sdk::module_of(sdk::view(param.name))));
}

std::vector<sdk::PartLayout> SdnqQuantizer::layout(const precis_param& param) const {
  const Scheme scheme = scheme_of(param);
  check_readable(scheme);
  const int bits = scheme.number.bits;
  const Chunk chunk = chunk_of(bits);
  const sdk::Matrix matrix = sdk::matrix(param);
  if (param.ndim != 2 || matrix.elements() == 0 || matrix.elements() % chunk.numbers != 0)
    throw PluginError(PRECIS_UNSUPPORTED, "its elements are no multiple of " +
                                              std::to_string(chunk.numbers) + ", which " +
                                              scheme.dtype + " packs together");
  const auto bytes = static_cast<int64_t>(matrix.elements() / chunk.numbers * chunk.bytes);
  sdk::PartLayout codes{"weight", sdk::kUInt8, {bytes}};
  if (scheme.number.integer && bits == 8 && !scheme.number.is_unsigned) codes.dtype = sdk::kInt8;
  if (scheme.number.of_torch)
    codes.dtype = scheme.number.exponent == 5 ? sdk::kFloat8E5M2 : sdk::kFloat8E4M3FN;
  if (bits == 1) {
    codes.dtype = sdk::kInt64;
    codes.alternative = sdk::kUInt8;
  }
  const std::vector<int64_t> scales{param.shape[0], scheme.groups(param.shape[1])};
  std::vector<sdk::PartLayout> parts{codes, {"scale", sdk::kFloat32, scales, true}};
  if (has_zero_points(scheme)) parts.push_back({"zero_point", sdk::kFloat32, scales, true});
  const int64_t rank = std::min(scheme.rank, param.shape[1]);
  parts.push_back({"svd_up", param.dtype, {param.shape[0], rank}, true});
  parts.push_back({"svd_down", param.dtype, {rank, param.shape[1]}, true});
  parts[parts.size() - 2].optional = parts.back().optional = true;
  // What the config asks for; these tensors alone tell the groups and the rank that became of it.
  for (std::size_t i = 1; i < parts.size(); ++i) parts[i].counted = false;
  return parts;
}

void SdnqQuantizer::check_writable(const precis_param&) const {
  throw PluginError(PRECIS_UNSUPPORTED,
                    "SDNQ's checkpoints are only read; hqq and gguf have integers of few bits with "
                    "groups that other libraries read, too");
}

// Norms have scales as well.
bool SdnqQuantizer::is_quantized(const sdk::StoredModule& module) const {
  const precis_tensor_info* weight = module.find("weight");
  return weight != nullptr && !sdk::is_weight_dtype(weight->dtype);
}

sdk::StoredWeight SdnqQuantizer::describe(const sdk::StoredModule& module) const {
  const Scheme scheme = config_.scheme(module.name());
  check_readable(scheme);
  const precis_tensor_info& codes = module.at("weight", 1);
  const precis_tensor_info& scale = module.at("scale", 2);
  const bool transposed = scheme.matmul && codes.ndim == 2 && scale.shape[0] == 1 &&
                          scale.shape[1] == codes.shape[1] && scale.shape[1] > 1;
  if (transposed)
    throw PluginError(PRECIS_UNSUPPORTED, "'" + module.key("weight") +
                                              "' is stored transposed (use_quantized_matmul); "
                                              "save the model without");
  if (codes.ndim > 3) throw PluginError(PRECIS_UNSUPPORTED, "weights of Linear modules are read");
  if ((module.find("svd_up") == nullptr) != (module.find("svd_down") == nullptr))
    throw PluginError(PRECIS_DATA_LOSS, "'" + module.key("svd_up") + "' and '" +
                                            module.key("svd_down") +
                                            "' go together; one is missing");
  const Chunk chunk = chunk_of(scheme.number.bits);
  const uint64_t stored = sdk::elements(codes.ndim, codes.shape);
  const uint64_t numbers = stored / chunk.bytes * chunk.numbers;
  const bool plain = scheme.number.bits == 8 && codes.ndim > 1;
  const auto rows = static_cast<uint64_t>(plain ? codes.shape[0] : scale.shape[0]);
  if (rows == 0 || numbers % rows != 0 || (!plain && scale.shape[0] == 1))
    throw PluginError(PRECIS_DATA_LOSS,
                      "'" + module.key("scale") + "' does not tell the rows of its weight");
  precis_dtype dtype = scale.dtype;
  for (const char* name : {"bias", "svd_up"}) {
    if (const precis_tensor_info* other = module.find(name)) dtype = other->dtype;
  }
  const bool told = sdk::is_weight_dtype(dtype) &&
                    !(sdk::same(dtype, sdk::kFloat32) && module.find("svd_up") == nullptr &&
                      module.find("bias") == nullptr);
  return {told ? dtype : sdk::kBFloat16,
          {static_cast<int64_t>(rows), static_cast<int64_t>(numbers / rows)}};
}

void SdnqQuantizer::encode(const precis_call&, const precis_param& param, const precis_tensor&,
                           const sdk::Parts&) const {
  check_writable(param);
}

void SdnqQuantizer::decode(const precis_call&, const precis_param& param,
                           const sdk::ConstParts& parts, sdk::RowRange rows,
                           const precis_tensor& out) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const Scheme scheme = scheme_of(param);
  const Tables tables = read_tables(scheme, matrix, parts, rows);
  const Codes codes =
      codes_of(*parts[kCodes], rows.begin * matrix.columns, rows.end * matrix.columns);
  const uint64_t rotated = scheme.hadamard ? rotated_columns(scheme.rotated, matrix.columns) : 0;
  std::vector<float> row(matrix.columns);
  std::vector<double> sums(matrix.columns);
  kernels::with_type(plugins::weight_type(out.view.dtype), [&](auto tag) {
    using Type = decltype(tag);
    auto* to = sdk::data<typename Type::Stored>(out);
    for (uint64_t i = rows.begin; i < rows.end; ++i) {
      decode_row(scheme, tables, codes, i, row);
      if (!tables.up.empty()) add_low_rank<Type>(tables, i, row, sums);
      if (rotated != 0) rotate_back<Type>(row, rotated, sums);
      for (uint64_t column = 0; column < matrix.columns; ++column)
        Type::store(to, (i - rows.begin) * matrix.columns + column, row[column]);
    }
  });
}

}  // namespace precis::sdnq
