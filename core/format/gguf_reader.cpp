// Reading GGUF versions 2 and 3, little-endian (ggml docs/gguf.md, gguf.cpp of 2026-08). As
// tolerant as gguf-py with files of other writers (gaps, any order of data, a missing last padding,
// bytes at the end), stricter than ggml where it trusts: products that overflow, data beyond the
// end.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_set>

#include "core/format/container.h"
#include "core/format/gguf_types.h"
#include "core/format/gguf_values.h"
#include "core/format/json_scanner.h"
#include "core/format/tensor_names.h"
#include "core/format/utf8.h"

namespace precis {
namespace {

using nlohmann::ordered_json;

static_assert(std::endian::native == std::endian::little, "GGUF values are read in place");

// Real headers stay far below these; a hostile one would take memory many times its size.
constexpr uint64_t kMaxHeader = uint64_t{1} << 30;
constexpr uint64_t kMaxArrayItems = uint64_t{1} << 24;  // in all arrays together

Error bad(std::string message) {
  return Error(ErrorCode::data_loss, std::move(message),
               "the file is damaged or incomplete: fetch or write it again");
}

// Reads values one after another; never past the end.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}
  uint64_t position() const { return position_; }
  uint64_t remaining() const { return bytes_.size() - position_; }

  template <typename T>
  Result<T> number() {
    if (remaining() < sizeof(T)) return ended();
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof value);
    position_ += sizeof value;
    return value;
  }
  Result<std::string> string() {
    PRECIS_ASSIGN(const uint64_t size, number<uint64_t>());
    if (size > remaining()) {
      return bad(fmt::format("a text of {} bytes at offset {} runs past the end of the file", size,
                             position_));
    }
    std::string text(reinterpret_cast<const char*>(bytes_.data() + position_), size);
    position_ += size;
    return text;
  }

 private:
  Error ended() const {
    return bad(fmt::format("the file ends inside its header, at {}", position_));
  }
  std::span<const std::byte> bytes_;
  uint64_t position_ = 0;
};

template <typename T>
Result<ordered_json> number_value(Cursor& cursor) {
  PRECIS_ASSIGN(const T value, cursor.number<T>());
  return ordered_json(value);
}

Result<ordered_json> read_value(Cursor& cursor, GgufValueType type) {
  switch (type) {
    case GgufValueType::u8:
      return number_value<uint8_t>(cursor);
    case GgufValueType::i8:
      return number_value<int8_t>(cursor);
    case GgufValueType::u16:
      return number_value<uint16_t>(cursor);
    case GgufValueType::i16:
      return number_value<int16_t>(cursor);
    case GgufValueType::u32:
      return number_value<uint32_t>(cursor);
    case GgufValueType::i32:
      return number_value<int32_t>(cursor);
    case GgufValueType::f32:
      return number_value<float>(cursor);
    case GgufValueType::u64:
      return number_value<uint64_t>(cursor);
    case GgufValueType::i64:
      return number_value<int64_t>(cursor);
    case GgufValueType::f64:
      return number_value<double>(cursor);
    case GgufValueType::boolean: {
      PRECIS_ASSIGN(const uint8_t value, cursor.number<uint8_t>());
      return ordered_json(value != 0);
    }
    case GgufValueType::string: {
      PRECIS_ASSIGN(std::string text, cursor.string());
      return ordered_json(std::move(text));
    }
    case GgufValueType::array:
      break;
  }
  return bad("an array inside an array");
}

Result<GgufValueType> read_type(Cursor& cursor, const std::string& key) {
  PRECIS_ASSIGN(const uint32_t type, cursor.number<uint32_t>());
  if (type >= kGgufValueNames.size()) {
    return bad(fmt::format("key '{}' has the unknown value type {}", key, type));
  }
  return static_cast<GgufValueType>(type);
}

Result<ordered_json> read_array(Cursor& cursor, const std::string& key, uint64_t& items_left) {
  PRECIS_ASSIGN(const GgufValueType items, read_type(cursor, key));
  PRECIS_ASSIGN(const uint64_t count, cursor.number<uint64_t>());
  if (items == GgufValueType::array) return bad(fmt::format("key '{}' is an array of arrays", key));
  const uint64_t smallest = items == GgufValueType::string ? 8 : gguf_value_size(items);
  if (count > cursor.remaining() / smallest) {
    return bad(
        fmt::format("key '{}' is an array of {} items, more than the file holds", key, count));
  }
  if (count > items_left) {
    return bad(fmt::format("key '{}': the arrays have more than {} items", key, kMaxArrayItems));
  }
  items_left -= count;
  ordered_json values = ordered_json::array();
  auto& list = values.get_ref<ordered_json::array_t&>();
  list.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    PRECIS_ASSIGN(ordered_json value, read_value(cursor, items));
    list.push_back(std::move(value));
  }
  ordered_json entry = ordered_json::object();
  append_new_key(entry, "type", "array");
  append_new_key(entry, "items", std::string(gguf_value_name(items)));
  append_new_key(entry, "value", std::move(values));
  return entry;
}

Result<ordered_json> read_metadata(Cursor& cursor, uint64_t count) {
  ordered_json metadata = ordered_json::object();
  std::unordered_set<std::string> keys;
  uint64_t items_left = kMaxArrayItems;
  for (uint64_t i = 0; i < count; ++i) {
    PRECIS_ASSIGN(std::string key, cursor.string());
    if (key.empty()) return bad("a key of the metadata is empty");
    if (key.size() > kGgufMaxKeyBytes) return bad(fmt::format("a key has {} bytes", key.size()));
    if (!is_utf8(key)) return bad(fmt::format("key {} of the metadata is not UTF-8", i));
    if (!keys.insert(key).second) return bad(fmt::format("key '{}' appears twice", key));
    PRECIS_ASSIGN(const GgufValueType type, read_type(cursor, key));
    if (type == GgufValueType::array) {
      PRECIS_ASSIGN(ordered_json entry, read_array(cursor, key, items_left));
      append_new_key(metadata, std::move(key), std::move(entry));
    } else {
      PRECIS_ASSIGN(ordered_json value, read_value(cursor, type));
      append_new_key(metadata, std::move(key),
                     {{"type", gguf_value_name(type)}, {"value", std::move(value)}});
    }
  }
  return metadata;
}

// Reads name, dimensions, type and offset; the offset stays relative to the data.
Result<TensorEntry> read_tensor_info(Cursor& cursor) {
  TensorEntry entry;
  PRECIS_ASSIGN(entry.name, cursor.string());
  if (!is_utf8(entry.name)) return bad("the name of a tensor is not UTF-8");
  const auto fail = [&](std::string text) {
    return bad(fmt::format("tensor '{}': {}", entry.name, text));
  };
  PRECIS_ASSIGN(const uint32_t dimensions, cursor.number<uint32_t>());
  if (dimensions > kGgufMaxDimensions) {
    return fail(fmt::format("{} dimensions, at most {} are read", dimensions, kGgufMaxDimensions));
  }
  for (uint32_t i = 0; i < dimensions; ++i) {
    PRECIS_ASSIGN(const uint64_t size, cursor.number<uint64_t>());
    if (size > static_cast<uint64_t>(INT64_MAX)) return fail("a dimension is too large");
    entry.shape.push_back(static_cast<int64_t>(size));
  }
  // GGUF names the innermost dimension first.
  std::reverse(entry.shape.begin(), entry.shape.end());
  PRECIS_ASSIGN(const uint32_t id, cursor.number<uint32_t>());
  const GgufType* type = gguf_type(id);
  if (type == nullptr) {
    return Error(
        ErrorCode::unsupported, fmt::format("tensor '{}': unknown type {}", entry.name, id),
        "it was written by a fork of ggml, by a newer version, or long ago: convert it with "
        "the tool that made it to a type of the current ggml");
  }
  const std::optional<uint64_t> nbytes = gguf_nbytes(*type, entry.shape);
  if (!nbytes) {
    return fail(
        fmt::format("shape [{}] overflows, or its rows are no multiple of the {} elements of a "
                    "{} block",
                    fmt::join(entry.shape, ", "), type->block_size, type->name));
  }
  entry.nbytes = *nbytes;
  entry.dtype = type->number.value_or(DType::u8);
  if (!type->number) entry.encoding = gguf_encoding(*type);
  PRECIS_ASSIGN(entry.offset, cursor.number<uint64_t>());
  return entry;
}

Result<uint64_t> read_alignment(const ordered_json& metadata) {
  const auto found = metadata.find("general.alignment");
  if (found == metadata.end()) return kGgufDefaultAlignment;
  if ((*found)["type"].get<std::string>() != "u32") return bad("general.alignment is not a u32");
  const uint64_t alignment = (*found)["value"];
  if (!std::has_single_bit(alignment)) {
    return bad(fmt::format("general.alignment is {}, not a power of two", alignment));
  }
  return alignment;
}

Status place_tensors(std::vector<TensorEntry>& tensors, uint64_t data_start, uint64_t alignment,
                     uint64_t file_size) {
  if (const TensorEntry* twice = find_duplicate_name(tensors)) {
    return bad(fmt::format("tensor '{}' appears twice", twice->name));
  }
  for (TensorEntry& entry : tensors) {
    if (entry.offset % alignment != 0) {
      return bad(fmt::format("tensor '{}': offset {} is not aligned to {}", entry.name,
                             entry.offset, alignment));
    }
    const uint64_t available = file_size > data_start ? file_size - data_start : 0;
    if (entry.offset > available || entry.nbytes > available - entry.offset) {
      return bad(fmt::format("tensor '{}': its data ends beyond the end of the file", entry.name));
    }
    // A file without data may end before the aligned place where data would begin.
    entry.offset = std::min(entry.offset + data_start, file_size);
  }
  std::vector<const TensorEntry*> order;
  for (const TensorEntry& entry : tensors) {
    if (entry.nbytes > 0) order.push_back(&entry);
  }
  std::sort(order.begin(), order.end(),
            [](const TensorEntry* a, const TensorEntry* b) { return a->offset < b->offset; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (order[i - 1]->offset + order[i - 1]->nbytes > order[i]->offset) {
      return bad(fmt::format("tensors '{}' and '{}' overlap", order[i - 1]->name, order[i]->name));
    }
  }
  return {};
}

}  // namespace

Result<ContainerHeader> parse_gguf(std::span<const std::byte> bytes, uint64_t file_size) {
  Cursor cursor(bytes.first(std::min<uint64_t>({bytes.size(), file_size, kMaxHeader})));
  PRECIS_ASSIGN(const uint32_t magic, cursor.number<uint32_t>());
  if (magic != kGgufMagic && magic != kGgufMagicReversed) return bad("is no GGUF file");
  PRECIS_ASSIGN(const uint32_t version, cursor.number<uint32_t>());
  if (magic == kGgufMagicReversed || ((version & 0xffffu) == 0 && version != 0)) {
    return Error(ErrorCode::unsupported, "is a big-endian GGUF file",
                 "convert it to little-endian with gguf-py's gguf_convert_endian");
  }
  if (version != 2 && version != 3) {
    return Error(ErrorCode::unsupported, fmt::format("is GGUF version {}", version),
                 "versions 2 and 3 are read: write it again with a current tool");
  }
  PRECIS_ASSIGN(const uint64_t tensor_count, cursor.number<uint64_t>());
  PRECIS_ASSIGN(const uint64_t key_count, cursor.number<uint64_t>());
  // A key takes at least 13 bytes, a tensor at least 24.
  if (key_count > cursor.remaining() / 13 || tensor_count > cursor.remaining() / 24) {
    return bad(fmt::format("announces {} keys and {} tensors, more than the file holds", key_count,
                           tensor_count));
  }
  ContainerHeader header;
  header.format = ContainerFormat::gguf;
  PRECIS_ASSIGN(header.metadata, read_metadata(cursor, key_count));
  for (uint64_t i = 0; i < tensor_count; ++i) {
    PRECIS_ASSIGN(TensorEntry entry, read_tensor_info(cursor));
    header.tensors.push_back(std::move(entry));
  }
  PRECIS_ASSIGN(const uint64_t alignment, read_alignment(header.metadata));
  const uint64_t data_start = (cursor.position() + alignment - 1) / alignment * alignment;
  PRECIS_TRY(place_tensors(header.tensors, data_start, alignment, file_size));
  return header;
}

}  // namespace precis
