#include "plugins/sdnq/quantizer.h"

#include <bit>
#include <cmath>

#include "plugins/weight_type.h"

namespace precis::sdnq {

using sdk::PluginError;

namespace {

constexpr std::size_t kCodes = 0, kScale = 1;

// A part of floats, all of it.
std::vector<float> floats_of(const precis_tensor& part) {
  std::vector<float> numbers;
  kernels::with_type(plugins::weight_type(part.view.dtype), [&](auto tag) {
    using Type = decltype(tag);
    const auto* from = sdk::data<const typename Type::Stored>(part);
    numbers.resize(part.nbytes / sizeof(typename Type::Stored));
    for (uint64_t i = 0; i < numbers.size(); ++i) numbers[i] = Type::load(from, i);
  });
  return numbers;
}

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

// The bytes of codes; 1-bit ones have an int64 each.
const uint8_t* packed_bytes(const precis_tensor& part, std::vector<uint8_t>& narrowed) {
  const auto* bytes = sdk::data<const uint8_t>(part);
  if (part.view.dtype.bits != 64) return bytes;
  narrowed.resize(part.nbytes / 8);
  for (std::size_t i = 0; i < narrowed.size(); ++i) narrowed[i] = bytes[8 * i];
  return narrowed.data();
}

// The columns that are rotated together: the largest power of two up to `asked` that divides them.
uint64_t rotated_columns(int64_t asked, uint64_t columns) {
  if (asked <= 0 || columns == 0) return 0;
  uint64_t size = std::bit_ceil(std::min<uint64_t>(static_cast<uint64_t>(asked), columns));
  while (columns % size != 0) size /= 2;
  return size < 4 ? 0 : size;
}

// An entry of the rotation without its factor: a power of [[1,1,1,-1],[1,1,-1,1],[1,-1,1,1],
// [-1,1,1,1]] where the size is a power of 4, else of [[1,1],[1,-1]].
float rotation_sign(uint64_t size, uint64_t i, uint64_t j) {
  const bool of_four = std::countr_zero(size) % 2 == 0;
  if (!of_four) return std::popcount(i & j) % 2 == 0 ? 1.0f : -1.0f;
  bool negative = false;
  for (uint64_t left = size; left > 1; left /= 4) {
    negative ^= i % 4 + j % 4 == 3;
    i /= 4;
    j /= 4;
  }
  return negative ? -1.0f : 1.0f;
}

// In place, rounded to Type before and after.
template <typename Type>
void rotate_back(std::vector<float>& row, uint64_t size) {
  const double factor = 1.0 / std::sqrt(static_cast<double>(size));
  std::vector<float> block(size);
  for (uint64_t begin = 0; begin < row.size(); begin += size) {
    for (uint64_t i = 0; i < size; ++i) block[i] = Type::round(row[begin + i]);
    for (uint64_t j = 0; j < size; ++j) {
      double sum = 0;
      for (uint64_t i = 0; i < size; ++i) sum += block[i] * rotation_sign(size, i, j);
      row[begin + j] = Type::round(static_cast<float>(sum * factor));
    }
  }
}

struct Tables {
  std::vector<float> scales, zeros, up, down;
  uint64_t groups, group_size, levels;  // levels: entries of a codebook, else 1
  bool whole;                           // one scale for the weight
};

Tables read_tables(const Scheme& scheme, const sdk::Matrix& matrix, const sdk::ConstParts& parts) {
  Tables tables{};
  tables.scales = floats_of(*parts[kScale]);
  tables.levels = scheme.codebook ? uint64_t{1} << scheme.number.bits : 1;
  tables.whole = tables.scales.size() == tables.levels;
  const uint64_t rows = tables.whole ? 1 : matrix.rows;
  tables.groups = tables.scales.size() / (rows * tables.levels);
  if (tables.groups == 0 || matrix.columns % tables.groups != 0 ||
      tables.scales.size() != rows * tables.groups * tables.levels)
    throw PluginError(PRECIS_DATA_LOSS, "'scale' has " + std::to_string(tables.scales.size()) +
                                            " elements, no whole groups of each row");
  tables.group_size = matrix.columns / tables.groups;
  std::size_t next = kScale + 1;
  if (has_zero_points(scheme)) {
    tables.zeros = floats_of(*parts[next++]);
    if (tables.zeros.size() != tables.scales.size())
      throw PluginError(PRECIS_DATA_LOSS, "'zero_point' has not the elements of 'scale'");
  }
  if (parts.size() >= next + 2) {
    tables.up = floats_of(*parts[next]);
    tables.down = floats_of(*parts[next + 1]);
    const uint64_t rank = tables.up.size() / matrix.rows;
    if (tables.up.size() != rank * matrix.rows || tables.down.size() != rank * matrix.columns)
      throw PluginError(PRECIS_DATA_LOSS, "'svd_up' and 'svd_down' are of different ranks");
  }
  return tables;
}

// A row before the low-rank part and the rotation are undone.
void decode_row(const Scheme& scheme, const Tables& tables, const uint8_t* codes, uint64_t row,
                std::vector<float>& out) {
  for (uint64_t column = 0; column < out.size(); ++column) {
    const uint64_t group = (tables.whole ? 0 : row * tables.groups) + column / tables.group_size;
    const uint32_t code = code_at(codes, scheme.number.bits, row * out.size() + column);
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
void add_low_rank(const Tables& tables, uint64_t row, std::vector<float>& out) {
  const uint64_t rank = tables.down.size() / out.size();
  for (uint64_t column = 0; column < out.size(); ++column) {
    double sum = 0;
    for (uint64_t r = 0; r < rank; ++r)
      sum += static_cast<double>(tables.up[row * rank + r]) * tables.down[r * out.size() + column];
    out[column] = Type::round(Type::round(out[column]) + static_cast<float>(sum));
  }
}

}  // namespace

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
  if (bits == 1) codes.alternative = sdk::kInt64;
  std::vector<sdk::PartLayout> parts{codes, {"scale", sdk::kFloat32, {param.shape[0]}, true}};
  if (has_zero_points(scheme))
    parts.push_back({"zero_point", sdk::kFloat32, {param.shape[0]}, true});
  for (const char* name : {"svd_up", "svd_down"}) {
    parts.push_back({name, param.dtype, {param.shape[0]}, true});
    parts.back().optional = true;
  }
  // Groups and rank are told by these tensors alone.
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
  const Tables tables = read_tables(scheme, matrix, parts);
  std::vector<uint8_t> narrowed;
  const uint8_t* codes = packed_bytes(*parts[kCodes], narrowed);
  const uint64_t rotated = scheme.hadamard ? rotated_columns(scheme.rotated, matrix.columns) : 0;
  std::vector<float> row(matrix.columns);
  kernels::with_type(plugins::weight_type(out.view.dtype), [&](auto tag) {
    using Type = decltype(tag);
    auto* to = sdk::data<typename Type::Stored>(out);
    for (uint64_t i = rows.begin; i < rows.end; ++i) {
      decode_row(scheme, tables, codes, i, row);
      if (!tables.up.empty()) add_low_rank<Type>(tables, i, row);
      if (rotated != 0) rotate_back<Type>(row, rotated);
      for (uint64_t column = 0; column < matrix.columns; ++column)
        Type::store(to, (i - rows.begin) * matrix.columns + column, row[column]);
    }
  });
}

}  // namespace precis::sdnq
