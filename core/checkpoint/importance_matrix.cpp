#include "core/checkpoint/importance_matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/base/output_file.h"
#include "core/base/sha256.h"
#include "core/format/container.h"
#include "core/format/layout.h"

namespace precis {
namespace {

constexpr std::string_view kSums = ".in_sum2";
constexpr std::string_view kCounts = ".counts";

Result<std::vector<float>> floats_of(const Container& file, const TensorEntry& entry) {
  if (entry.dtype != DType::f32) {
    return Error(ErrorCode::data_loss, fmt::format("tensor '{}' is not f32", entry.name));
  }
  PRECIS_ASSIGN(const auto bytes, file.data(entry));
  std::vector<float> values(bytes.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

}  // namespace

Result<std::shared_ptr<const ImportanceMatrix>> ImportanceMatrix::read(
    const std::filesystem::path& path) {
  auto matrix = std::make_shared<ImportanceMatrix>();
  PRECIS_ASSIGN(const std::string bytes, read_file(path, uint64_t{1} << 32));
  matrix->sha256_ = to_hex(precis::sha256(std::as_bytes(std::span(bytes))));
  Status status = std::string_view(bytes).starts_with("GGUF") ? matrix->read_gguf(path)
                                                              : matrix->read_binary(bytes);
  if (!status.ok()) return std::move(status).error().with_context(path.string());
  return std::shared_ptr<const ImportanceMatrix>(std::move(matrix));
}

Status ImportanceMatrix::read_gguf(const std::filesystem::path& path) {
  PRECIS_ASSIGN(const auto file, Container::open(path));
  for (const TensorEntry& entry : file->tensors()) {
    if (!std::string_view(entry.name).ends_with(kSums)) continue;
    const std::string weight = entry.name.substr(0, entry.name.size() - kSums.size());
    const TensorEntry* counts_entry = file->find(weight + std::string(kCounts));
    if (counts_entry == nullptr) {
      return Error(ErrorCode::data_loss, fmt::format("'{}' has no counts beside it", entry.name));
    }
    PRECIS_ASSIGN(std::vector<float> values, floats_of(*file, entry));
    PRECIS_ASSIGN(const std::vector<float> counts, floats_of(*file, *counts_entry));
    if (counts.empty() || values.size() % counts.size() != 0) {
      return Error(ErrorCode::data_loss,
                   fmt::format("'{}' and its counts do not fit together", entry.name));
    }
    const std::size_t columns = values.size() / counts.size();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float count = counts[i / columns];
      values[i] = count > 0 ? values[i] / count : 1.0f;
    }
    const bool has_data = std::any_of(counts.begin(), counts.end(), [](float n) { return n > 0; });
    PRECIS_TRY(add(weight, std::move(values), has_data));
  }
  return {};
}

Status ImportanceMatrix::add(std::string weight, std::vector<float> values, bool has_data) {
  const auto bad = std::find_if(values.begin(), values.end(),
                                [](float value) { return !std::isfinite(value) || value < 0; });
  if (bad != values.end()) {
    return Error(ErrorCode::data_loss,
                 fmt::format("the importance of '{}' is {} for column {}", weight, *bad,
                             bad - values.begin()),
                 "it must be a finite number, at least 0: collect the matrix again");
  }
  if (!has_data) without_data_.insert(weight);
  vectors_[std::move(weight)] = std::make_shared<const std::vector<float>>(std::move(values));
  return {};
}

Status ImportanceMatrix::read_binary(const std::string& bytes) {
  std::size_t position = 0;
  const auto ended = [] {
    return Error(ErrorCode::data_loss, "the importance matrix ends too early");
  };
  const auto number = [&](int32_t& value) {
    if (bytes.size() - position < sizeof value) return false;
    std::memcpy(&value, bytes.data() + position, sizeof value);
    position += sizeof value;
    return value >= 0;
  };
  int32_t entries = 0;
  if (!number(entries)) return ended();
  for (int32_t entry = 0; entry < entries; ++entry) {
    int32_t name_size = 0, calls = 0, count = 0;
    if (!number(name_size) || bytes.size() - position < static_cast<std::size_t>(name_size))
      return ended();
    std::string name = bytes.substr(position, static_cast<std::size_t>(name_size));
    position += static_cast<std::size_t>(name_size);
    if (!number(calls) || !number(count)) return ended();
    const std::size_t size = static_cast<std::size_t>(count) * sizeof(float);
    if (bytes.size() - position < size) return ended();
    std::vector<float> values(static_cast<std::size_t>(count));
    std::memcpy(values.data(), bytes.data() + position, size);
    position += size;
    if (calls > 0) {
      for (float& value : values) value /= static_cast<float>(calls);
    }
    PRECIS_TRY(add(std::move(name), std::move(values), calls > 0));
  }
  return {};
}

ImportanceMatrix::Vector ImportanceMatrix::find(const std::string& weight_name) const {
  const auto found = vectors_.find(weight_name);
  return found == vectors_.end() ? nullptr : found->second;
}

Status write_importance_matrix(const std::filesystem::path& path,
                               const std::map<std::string, SquareSums>& weights,
                               const ImportanceSource& source) {
  using nlohmann::ordered_json;
  const ordered_json metadata{
      {"general.type", {{"type", "string"}, {"value", "imatrix"}}},
      {"imatrix.datasets",
       {{"type", "array"}, {"items", "string"}, {"value", ordered_json::array({source.dataset})}}},
      {"imatrix.chunk_count", {{"type", "u32"}, {"value", source.chunks}}},
      {"imatrix.chunk_size", {{"type", "u32"}, {"value", source.chunk_tokens}}}};
  std::vector<PlannedTensor> planned;
  std::vector<std::vector<float>> values;
  for (const auto& [name, weight] : weights) {
    const auto columns = static_cast<int64_t>(weight.sums.size());
    planned.push_back({name + std::string(kSums),
                       DType::f32,
                       "",
                       {1, columns},
                       weight.sums.size() * sizeof(float)});
    values.push_back(weight.sums);
    planned.push_back({name + std::string(kCounts), DType::f32, "", {1, 1}, sizeof(float)});
    values.push_back({static_cast<float>(weight.rows)});
  }
  PRECIS_ASSIGN(const FileLayout layout, plan_gguf(planned, metadata));
  std::string contents = layout.header;
  contents.resize(layout.file_size);
  for (std::size_t i = 0; i < planned.size(); ++i)
    std::memcpy(contents.data() + layout.offsets[i], values[i].data(), planned[i].nbytes);
  return write_file_atomically(path, contents);
}

}  // namespace precis
