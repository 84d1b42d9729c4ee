#include "plugins/compressed_tensors/bitmask.h"

#include <bit>
#include <cstring>

namespace precis::compressed_tensors {

using sdk::PluginError;

namespace {

constexpr std::size_t kNumbers = 0, kMask = 1, kOffsets = 3;

uint64_t mask_bytes(uint64_t columns) {
  return (columns + 7) / 8;
}

uint64_t ones(const uint8_t* mask, uint64_t columns) {
  uint64_t count = 0;
  for (uint64_t i = 0; i < columns / 8; ++i) count += static_cast<uint64_t>(std::popcount(mask[i]));
  if (columns % 8 != 0) {
    const uint8_t last = mask[columns / 8] & static_cast<uint8_t>((1u << columns % 8) - 1);
    count += static_cast<uint64_t>(std::popcount(last));
  }
  return count;
}

}  // namespace

QuantizationScheme unpacked(QuantizationScheme scheme) {
  scheme.format = "naive-quantized";
  return scheme;
}

BitmaskParts bitmask_parts(const Config& config, const QuantizationScheme* scheme) {
  BitmaskParts parts;
  parts.has_offsets = config.sparsity_format == "sparse-bitmask";
  if (scheme != nullptr) parts.scales = parts.has_offsets ? 4 : 3;
  return parts;
}

std::vector<sdk::PartLayout> bitmask_layout(const Config& config, const QuantizationScheme* scheme,
                                            precis_dtype dtype, const std::vector<int64_t>& shape) {
  const BitmaskParts places = bitmask_parts(config, scheme);
  std::vector<sdk::PartLayout> parts;
  sdk::PartLayout numbers{"compressed", dtype, {}, true};
  std::vector<sdk::PartLayout> dense;
  if (scheme != nullptr) {
    dense = stored_parts(config, unpacked(*scheme), dtype, shape);
    if (!scheme->weights->symmetric || scheme->weights->strategy == Strategy::block)
      throw PluginError(
          PRECIS_UNSUPPORTED,
          "bitmasks stand before symmetric numbers with scales for groups, rows or the "
          "whole weight");
    numbers = {"compressed", dense[0].dtype, {}};
  }
  numbers.counted = false;
  parts.push_back(numbers);
  const auto row_bytes = static_cast<int64_t>(mask_bytes(static_cast<uint64_t>(shape[1])));
  parts.push_back({"bitmask", sdk::kUInt8, {shape[0], row_bytes}});
  parts.push_back({"shape", sdk::kInt64, {2}, false, sdk::kInt32});
  if (places.has_offsets) parts.push_back({"row_offsets", sdk::kInt64, {shape[0]}});
  if (scheme != nullptr) {
    parts.push_back(dense[1]);
    for (const sdk::PartLayout& part : dense)
      if (part.companion) parts.push_back(part);
  }
  return parts;
}

void expand_row(const Config& config, const precis_param& param, const sdk::ConstParts& parts,
                uint64_t row, std::byte* out) {
  const sdk::Matrix matrix = sdk::matrix(param);
  const precis_tensor& numbers = *parts.at(kNumbers);
  const uint64_t size = numbers.view.dtype.bits / 8u, stored = numbers.nbytes / size;
  const uint8_t* mask =
      sdk::data<const uint8_t>(*parts.at(kMask)) + row * mask_bytes(matrix.columns);
  const uint64_t count = ones(mask, matrix.columns);
  uint64_t first = row * (matrix.columns / 2);
  if (config.sparsity_format == "sparse-bitmask")
    first = static_cast<uint64_t>(sdk::data<const int64_t>(*parts.at(kOffsets))[row]);
  else if (count * 2 != matrix.columns)
    throw PluginError(PRECIS_DATA_LOSS,
                      "row " + std::to_string(row) + " of the mask has not two ones in every four");
  if (first > stored || count > stored - first)
    throw PluginError(PRECIS_DATA_LOSS, "row " + std::to_string(row) +
                                            " of the mask needs more numbers than 'compressed' "
                                            "has");
  const std::byte* next = sdk::data<const std::byte>(numbers) + first * size;
  std::memset(out, 0, matrix.columns * size);
  for (uint64_t i = 0; i < matrix.columns; ++i) {
    if ((mask[i / 8] >> i % 8 & 1) == 0) continue;
    std::memcpy(out + i * size, next, size);
    next += size;
  }
}

}  // namespace precis::compressed_tensors
