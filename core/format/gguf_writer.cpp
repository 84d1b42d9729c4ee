// Headers of GGUF version 3 that every reader takes: data in the order of the tensor list, without gaps,
// every tensor padded to 32 bytes, the full reversed shape of each tensor.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/format/gguf_types.h"
#include "core/format/gguf_values.h"
#include "core/format/layout.h"

namespace precis {
namespace {

using nlohmann::ordered_json;

constexpr uint64_t kAlignment = 32;

uint64_t align(uint64_t value) { return (value + kAlignment - 1) / kAlignment * kAlignment; }

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_string(std::string& out, std::string_view text) {
  put(out, uint64_t{text.size()});
  out += text;
}

Result<GgufValueType> type_named(const std::string& key, const ordered_json& name) {
  const std::string text = name.is_string() ? name.get<std::string>() : std::string();
  for (std::size_t i = 0; i < kGgufValueNames.size(); ++i) {
    if (text == kGgufValueNames[i]) return static_cast<GgufValueType>(i);
  }
  return Error(ErrorCode::invalid_argument,
               fmt::format("GGUF metadata '{}': unknown type {}", key, name.dump()));
}

void put_value(std::string& out, GgufValueType type, const ordered_json& value) {
  switch (type) {
    case GgufValueType::u8: return put(out, value.get<uint8_t>());
    case GgufValueType::i8: return put(out, value.get<int8_t>());
    case GgufValueType::u16: return put(out, value.get<uint16_t>());
    case GgufValueType::i16: return put(out, value.get<int16_t>());
    case GgufValueType::u32: return put(out, value.get<uint32_t>());
    case GgufValueType::i32: return put(out, value.get<int32_t>());
    case GgufValueType::f32: return put(out, value.get<float>());
    case GgufValueType::u64: return put(out, value.get<uint64_t>());
    case GgufValueType::i64: return put(out, value.get<int64_t>());
    case GgufValueType::f64: return put(out, value.get<double>());
    case GgufValueType::boolean: return put(out, static_cast<uint8_t>(value.get<bool>()));
    case GgufValueType::string: return put_string(out, value.get_ref<const std::string&>());
    case GgufValueType::array: return;
  }
}

Status put_entry(std::string& out, const std::string& key, const ordered_json& entry) {
  PRECIS_ASSIGN(const GgufValueType type, type_named(key, entry.at("type")));
  put_string(out, key);
  put(out, static_cast<uint32_t>(type));
  const ordered_json& value = entry.at("value");
  if (type != GgufValueType::array) {
    put_value(out, type, value);
    return {};
  }
  PRECIS_ASSIGN(const GgufValueType items, type_named(key, entry.at("items")));
  put(out, static_cast<uint32_t>(items));
  put(out, uint64_t{value.size()});
  for (const ordered_json& item : value) put_value(out, items, item);
  return {};
}

Status put_tensor_info(std::string& out, const PlannedTensor& tensor, uint64_t offset) {
  const auto fail = [&](std::string text) {
    return Error(ErrorCode::invalid_argument, fmt::format("tensor '{}': {}", tensor.name, text),
                 "keep this component in safetensors");
  };
  const GgufType* type = gguf_type_for(tensor.dtype, tensor.encoding);
  if (type == nullptr) {
    return fail(fmt::format("GGUF cannot hold {}", tensor.encoding.empty()
                                                       ? std::string(dtype_name(tensor.dtype))
                                                       : tensor.encoding));
  }
  if (tensor.shape.size() > 4) {
    return fail(fmt::format("has {} dimensions, GGUF readers take 4", tensor.shape.size()));
  }
  put_string(out, tensor.name);
  put(out, static_cast<uint32_t>(tensor.shape.size()));
  for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {
    put(out, static_cast<uint64_t>(*size));
  }
  put(out, type->id);
  put(out, offset);
  return {};
}

}  // namespace

Result<FileLayout> plan_gguf(std::span<const PlannedTensor> tensors, const ordered_json& metadata) {
  FileLayout layout;
  std::string& out = layout.header;
  put(out, uint32_t{0x46554747});  // "GGUF"
  put(out, uint32_t{3});
  put(out, uint64_t{tensors.size()});
  put(out, uint64_t{metadata.size()});
  for (auto entry = metadata.begin(); entry != metadata.end(); ++entry) {
    PRECIS_TRY(put_entry(out, entry.key(), entry.value()));
  }
  std::set<std::string_view> names;
  uint64_t position = 0;
  for (const PlannedTensor& tensor : tensors) {
    if (!names.insert(tensor.name).second) {
      return Error(ErrorCode::invalid_argument,
                   fmt::format("two tensors of one file are called '{}'", tensor.name));
    }
    PRECIS_TRY(put_tensor_info(out, tensor, position));
    layout.offsets.push_back(position);
    position += align(tensor.nbytes);
  }
  out.resize(align(out.size()), '\0');
  for (uint64_t& offset : layout.offsets) offset += out.size();
  layout.file_size = out.size() + position;
  return layout;
}

}  // namespace precis
