// Headers of safetensors files, as the reference implementation (the safetensors crate 0.8) writes
// them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <numeric>
#include <unordered_set>

#include "core/format/json_scanner.h"
#include "core/format/layout.h"
#include "core/format/safetensors_rules.h"
#include "core/format/utf8.h"

namespace precis {
namespace {

using nlohmann::ordered_json;

// The reference stores tensors by falling dtype in this order, then by name: so each one is
// aligned.
constexpr std::array kStorageOrder{
    DType::u64,       DType::i64,         DType::f64,         DType::c64,        DType::f32,
    DType::u32,       DType::i32,         DType::bf16,        DType::f16,        DType::u16,
    DType::i16,       DType::f8_e5m2fnuz, DType::f8_e4m3fnuz, DType::f8_e8m0fnu, DType::f8_e4m3fn,
    DType::f8_e5m2,   DType::i8,          DType::u8,          DType::f6_e3m2fn,  DType::f6_e2m3fn,
    DType::f4_e2m1fn, DType::boolean};

auto storage_rank(DType dtype) {
  return std::find(kStorageOrder.begin(), kStorageOrder.end(), dtype) - kStorageOrder.begin();
}

Error invalid(std::string message, std::string hint = {}) {
  return Error(ErrorCode::invalid_argument, std::move(message), std::move(hint));
}

Status check_tensor(const PlannedTensor& tensor) {
  if (!tensor.encoding.empty()) {
    return invalid(
        fmt::format("tensor '{}': safetensors cannot hold {}", tensor.name, tensor.encoding),
        "write a .gguf file, or decode it first with `precis dequantize`");
  }
  if (tensor.name == kSafetensorsMetadataKey || !is_utf8(tensor.name)) {
    return invalid(fmt::format("'{}' cannot be the name of a tensor in safetensors", tensor.name));
  }
  const auto nbytes = safetensors_nbytes(tensor.dtype, tensor.shape);
  if (nbytes && *nbytes == tensor.nbytes) return {};
  return invalid(
      fmt::format("tensor '{}': {} bytes are planned, {} of shape [{}] take {}", tensor.name,
                  tensor.nbytes, dtype_name(tensor.dtype), fmt::join(tensor.shape, ", "),
                  nbytes ? std::to_string(*nbytes) : "no whole number of bytes"),
      "the method planned its outputs wrongly: report it to the plugin's author");
}

Status append_metadata(std::string& out, const ordered_json& metadata) {
  append_json_string(out, kSafetensorsMetadataKey);
  out += ":{";
  const char* separator = "";
  for (auto entry = metadata.begin(); entry != metadata.end(); ++entry) {
    if (!entry.value().is_string()) {
      return invalid(fmt::format("metadata '{}': safetensors keeps text only", entry.key()));
    }
    const auto& value = entry.value().get_ref<const std::string&>();
    if (!is_utf8(entry.key()) || !is_utf8(value)) {
      return invalid(fmt::format("metadata '{}' is not UTF-8", entry.key()));
    }
    out += separator;
    append_json_string(out, entry.key());
    out += ':';
    append_json_string(out, value);
    separator = ",";
  }
  out += '}';
  return {};
}

// Eight bytes of length, then the JSON, filled with spaces so that the data begins at a multiple
// of 8.
Result<std::string> framed(std::string text) {
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kSafetensorsMaxHeader) {
    return invalid(fmt::format("the header takes {} bytes, readers stop at {}", text.size(),
                               kSafetensorsMaxHeader),
                   "write smaller shards");
  }
  uint64_t size = text.size();
  if constexpr (std::endian::native == std::endian::big) size = __builtin_bswap64(size);
  std::string header(sizeof size, '\0');
  std::memcpy(header.data(), &size, sizeof size);
  return header + text;
}

}  // namespace

Result<FileLayout> plan_safetensors(std::span<const PlannedTensor> tensors,
                                    const ordered_json& metadata) {
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const auto rank_a = storage_rank(tensors[a].dtype), rank_b = storage_rank(tensors[b].dtype);
    return rank_a != rank_b ? rank_a < rank_b : tensors[a].name < tensors[b].name;
  });

  std::string text = "{";
  PRECIS_TRY(append_metadata(text, metadata));
  FileLayout layout;
  layout.offsets.resize(tensors.size());
  std::unordered_set<std::string_view> names;
  uint64_t position = 0;
  for (const std::size_t index : order) {
    const PlannedTensor& tensor = tensors[index];
    PRECIS_TRY(check_tensor(tensor));
    if (!names.insert(tensor.name).second) {
      return invalid(fmt::format("two tensors of one file are called '{}'", tensor.name));
    }
    uint64_t end = 0;
    if (__builtin_add_overflow(position, tensor.nbytes, &end)) {
      return invalid(fmt::format("tensor '{}': the file becomes too large", tensor.name));
    }
    text += ',';
    append_json_string(text, tensor.name);
    fmt::format_to(
        std::back_inserter(text), R"(:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
        safetensors_dtype_name(tensor.dtype), fmt::join(tensor.shape, ","), position, end);
    layout.offsets[index] = position;
    position = end;
  }
  PRECIS_ASSIGN(layout.header, framed(std::move(text) + "}"));
  for (uint64_t& offset : layout.offsets) offset += layout.header.size();
  if (__builtin_add_overflow(position, uint64_t{layout.header.size()}, &layout.file_size)) {
    return invalid("the file becomes too large");
  }
  return layout;
}

}  // namespace precis
