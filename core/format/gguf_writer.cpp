// Headers of GGUF version 3 that every reader takes: data in the order of the tensor list, without
// gaps, every tensor padded to 32 bytes (ggml refuses a file without the last padding), the full
// reversed shape of each tensor, because diffusers compares shapes that ggml's own writer would
// trim.
#include <fmt/format.h>

#include <bit>
#include <limits>
#include <unordered_set>

#include "core/format/gguf_types.h"
#include "core/format/gguf_values.h"
#include "core/format/layout.h"
#include "core/format/utf8.h"

namespace precis {
namespace {

using nlohmann::ordered_json;

static_assert(std::endian::native == std::endian::little, "GGUF values are written in place");

constexpr uint64_t kAlignment = kGgufDefaultAlignment;
// stable-diffusion.cpp reads 159 bytes, ComfyUI's llama.cpp tools 127, ggml itself 63; gguf-py any
// number.
constexpr std::size_t kMaxNameBytes = 159;

Error invalid(std::string message, std::string hint = {}) {
  return Error(ErrorCode::invalid_argument, std::move(message), std::move(hint));
}

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_string(std::string& out, std::string_view text) {
  put(out, uint64_t{text.size()});
  out += text;
}

// The put_* functions return false when the JSON value is not one of the type.
template <typename T>
bool put_integer(std::string& out, const ordered_json& value) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<T>::max())) return false;
    put(out, static_cast<T>(number));
    return true;
  }
  const auto number = value.get<int64_t>();
  if (number < 0 && std::is_unsigned_v<T>) return false;
  if (std::is_signed_v<T> && (number < static_cast<int64_t>(std::numeric_limits<T>::min()) ||
                              number > static_cast<int64_t>(std::numeric_limits<T>::max()))) {
    return false;
  }
  if (std::is_unsigned_v<T> &&
      static_cast<uint64_t>(number) > static_cast<uint64_t>(std::numeric_limits<T>::max())) {
    return false;
  }
  put(out, static_cast<T>(number));
  return true;
}

template <typename T>
bool put_float(std::string& out, const ordered_json& value) {
  if (!value.is_number()) return false;
  put(out, static_cast<T>(value.get<double>()));
  return true;
}

bool put_value(std::string& out, GgufValueType type, const ordered_json& value) {
  switch (type) {
    case GgufValueType::u8:
      return put_integer<uint8_t>(out, value);
    case GgufValueType::i8:
      return put_integer<int8_t>(out, value);
    case GgufValueType::u16:
      return put_integer<uint16_t>(out, value);
    case GgufValueType::i16:
      return put_integer<int16_t>(out, value);
    case GgufValueType::u32:
      return put_integer<uint32_t>(out, value);
    case GgufValueType::i32:
      return put_integer<int32_t>(out, value);
    case GgufValueType::u64:
      return put_integer<uint64_t>(out, value);
    case GgufValueType::i64:
      return put_integer<int64_t>(out, value);
    case GgufValueType::f32:
      return put_float<float>(out, value);
    case GgufValueType::f64:
      return put_float<double>(out, value);
    case GgufValueType::boolean:
      if (!value.is_boolean()) return false;
      put(out, static_cast<uint8_t>(value.get<bool>()));
      return true;
    case GgufValueType::string:
      if (!value.is_string()) return false;
      put_string(out, value.get_ref<const std::string&>());
      return true;
    case GgufValueType::array:
      return false;
  }
  return false;
}

std::optional<GgufValueType> type_at(const ordered_json& entry, const char* field) {
  const auto name = entry.find(field);
  if (name == entry.end() || !name->is_string()) return {};
  for (std::size_t i = 0; i < kGgufValueNames.size(); ++i) {
    if (name->get_ref<const std::string&>() == kGgufValueNames[i])
      return static_cast<GgufValueType>(i);
  }
  return {};
}

// entry: {"type", "value"} or {"type": "array", "items", "value"}.
Status put_entry(std::string& out, const std::string& key, const ordered_json& entry) {
  const auto fail = [&](std::string_view what) {
    return invalid(fmt::format("GGUF metadata '{}': {}", key, what));
  };
  if (key.empty() || key.size() > kGgufMaxKeyBytes || !is_utf8(key)) {
    return fail(fmt::format("a key is UTF-8 of 1 to {} bytes", kGgufMaxKeyBytes));
  }
  if (!entry.is_object() || !entry.contains("value")) return fail("needs a type and a value");
  const std::optional<GgufValueType> type = type_at(entry, "type");
  if (!type) return fail("its type is none of GGUF's");
  const ordered_json& value = entry["value"];
  if (key == "general.alignment" && value != kAlignment) {
    return fail(fmt::format("data is aligned to {} bytes here", kAlignment));
  }
  put_string(out, key);
  put(out, static_cast<uint32_t>(*type));
  if (*type != GgufValueType::array) {
    return put_value(out, *type, value)
               ? Status()
               : fail(fmt::format("its value is no {}", gguf_value_name(*type)));
  }
  const std::optional<GgufValueType> items = type_at(entry, "items");
  if (!items || *items == GgufValueType::array)
    return fail("the type of its items is none GGUF allows");
  if (!value.is_array()) return fail("its value is no array");
  put(out, static_cast<uint32_t>(*items));
  put(out, uint64_t{value.size()});
  for (const ordered_json& item : value) {
    if (!put_value(out, *items, item))
      return fail(fmt::format("an item is no {}", gguf_value_name(*items)));
  }
  return {};
}

Status put_tensor_info(std::string& out, const PlannedTensor& tensor, uint64_t offset) {
  const auto fail = [&](std::string text) {
    return invalid(fmt::format("tensor '{}': {}", tensor.name, text),
                   "keep this component in safetensors");
  };
  const GgufType* type = gguf_type_for(tensor.dtype, tensor.encoding);
  if (type == nullptr) {
    return fail(fmt::format("GGUF cannot hold {}", tensor.encoding.empty()
                                                       ? std::string(dtype_name(tensor.dtype))
                                                       : tensor.encoding));
  }
  if (tensor.name.size() > kMaxNameBytes || !is_utf8(tensor.name)) {
    return fail(fmt::format("its name has {} bytes, GGUF readers in C++ take {}, in UTF-8",
                            tensor.name.size(), kMaxNameBytes));
  }
  if (tensor.shape.size() > kGgufMaxDimensions) {
    return fail(fmt::format("has {} dimensions, GGUF readers take {}", tensor.shape.size(),
                            kGgufMaxDimensions));
  }
  const auto nbytes = gguf_nbytes(*type, tensor.shape);
  if (!nbytes || *nbytes != tensor.nbytes) {
    return fail(fmt::format("{} bytes are planned, {} of shape [{}] take {}", tensor.nbytes,
                            type->name, fmt::join(tensor.shape, ", "),
                            nbytes ? std::to_string(*nbytes) : "no whole number of blocks a row"));
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

// Rounds up to the alignment; false when that overflows.
bool pad(uint64_t& value) {
  if (__builtin_add_overflow(value, kAlignment - 1, &value)) return false;
  value -= value % kAlignment;
  return true;
}

}  // namespace

Result<FileLayout> plan_gguf(std::span<const PlannedTensor> tensors, const ordered_json& metadata) {
  FileLayout layout;
  std::string& out = layout.header;
  put(out, kGgufMagic);
  put(out, uint32_t{3});
  put(out, uint64_t{tensors.size()});
  put(out, uint64_t{metadata.size()});
  for (auto entry = metadata.begin(); entry != metadata.end(); ++entry) {
    PRECIS_TRY(put_entry(out, entry.key(), entry.value()));
  }
  std::unordered_set<std::string_view> names;
  uint64_t position = 0;
  for (const PlannedTensor& tensor : tensors) {
    if (!names.insert(tensor.name).second) {
      return invalid(fmt::format("two tensors of one file are called '{}'", tensor.name));
    }
    PRECIS_TRY(put_tensor_info(out, tensor, position));
    layout.offsets.push_back(position);
    if (__builtin_add_overflow(position, tensor.nbytes, &position) || !pad(position)) {
      return invalid(fmt::format("tensor '{}': the file becomes too large", tensor.name));
    }
  }
  uint64_t header_size = out.size();
  if (!pad(header_size) || __builtin_add_overflow(position, header_size, &layout.file_size)) {
    return invalid("the file becomes too large");
  }
  out.resize(header_size, '\0');
  for (uint64_t& offset : layout.offsets) offset += header_size;
  return layout;
}

}  // namespace precis
