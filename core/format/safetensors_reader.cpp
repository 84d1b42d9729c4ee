// Reading the safetensors format: 8 bytes of header length (little-endian), a JSON header, data
// without holes. Accepts what the reference implementation accepts (the safetensors crate 0.8,
// tried case by case), except names, metadata keys and the array form of a tensor that it takes
// without checking.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <unordered_set>

#include "core/format/container.h"
#include "core/format/json_scanner.h"
#include "core/format/safetensors_rules.h"
#include "core/format/tensor_names.h"
#include "core/format/utf8.h"

namespace precis {
namespace {

constexpr int kUnknownFieldDepth = 16;

Error bad(std::string message) {
  return Error(ErrorCode::data_loss, std::move(message),
               "the file is damaged or incomplete: fetch or write it again");
}

// Reads the JSON of a header: names, dtypes, shapes; offsets stay relative to the data.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, uint64_t data_size) : scanner_(text), data_size_(data_size) {}

  Result<ContainerHeader> run() {
    if (object([&](std::string& key) { return member(key); })) scanner_.expect_end();
    if (rule_) return *std::move(rule_);
    if (!scanner_.problem().empty()) return bad(fmt::format("the header: {}", scanner_.problem()));
    return std::move(header_);
  }

 private:
  // Reads {"key": value, ...}; read_value takes the key and reads the value.
  template <typename ReadValue>
  bool object(ReadValue read_value) {
    if (!scanner_.expect('{')) return false;
    if (scanner_.take('}')) return true;
    std::string key;
    do {
      if (!scanner_.string(key) || !scanner_.expect(':') || !read_value(key)) return false;
    } while (scanner_.take(','));
    return scanner_.expect('}');
  }

  bool broken(Error error) {
    rule_ = std::move(error);
    return false;
  }

  bool member(std::string& key) {
    if (key == kSafetensorsMetadataKey) return metadata();
    TensorEntry entry;
    entry.name = std::move(key);
    return tensor(entry);
  }

  bool metadata() {
    if (has_metadata_) return scanner_.fail("a second __metadata__");
    has_metadata_ = true;
    if (scanner_.peek() == 'n') return scanner_.skip_value(1, false);  // null stands for none
    std::unordered_set<std::string> keys;
    std::string value;
    return object([&](std::string& key) {
      if (!keys.insert(key).second)
        return scanner_.fail(fmt::format("__metadata__ has '{}' twice", key));
      if (!scanner_.string(value)) return false;
      append_new_key(header_.metadata, key, value);
      return true;
    });
  }

  bool tensor(TensorEntry& entry) {
    bool has_dtype = false, has_shape = false, has_offsets = false;
    uint64_t begin = 0, end = 0;
    const auto once = [&](bool& seen, std::string_view field) {
      if (seen) return scanner_.fail(fmt::format("tensor '{}' has '{}' twice", entry.name, field));
      return seen = true;
    };
    const bool read = object([&](std::string& field) {
      if (field == "dtype") return once(has_dtype, field) && dtype(entry);
      if (field == "shape") return once(has_shape, field) && shape(entry);
      if (field == "data_offsets") return once(has_offsets, field) && offsets(begin, end);
      return scanner_.skip_value(kUnknownFieldDepth, false);  // as the reference does
    });
    if (!read) return false;
    if (!has_dtype || !has_shape || !has_offsets) {
      return scanner_.fail(
          fmt::format("tensor '{}' needs dtype, shape and data_offsets", entry.name));
    }
    return place(entry, begin, end);
  }

  bool dtype(TensorEntry& entry) {
    if (!scanner_.string(text_)) return false;
    const std::optional<DType> dtype = dtype_from_safetensors(text_);
    if (!dtype) {
      return broken(Error(ErrorCode::unsupported,
                          fmt::format("tensor '{}': unknown dtype '{}'", entry.name, text_),
                          "it was written by a newer or another tool: save it in a dtype of "
                          "safetensors 0.8"));
    }
    entry.dtype = *dtype;
    return true;
  }

  bool shape(TensorEntry& entry) {
    if (!scanner_.expect('[')) return false;
    if (scanner_.take(']')) return true;
    do {
      uint64_t size = 0;
      if (!scanner_.unsigned_number(size)) return false;
      if (size > static_cast<uint64_t>(INT64_MAX))
        return scanner_.fail("a dimension that is too large");
      entry.shape.push_back(static_cast<int64_t>(size));
    } while (scanner_.take(','));
    return scanner_.expect(']');
  }

  bool offsets(uint64_t& begin, uint64_t& end) {
    return scanner_.expect('[') && scanner_.unsigned_number(begin) && scanner_.expect(',') &&
           scanner_.unsigned_number(end) && scanner_.expect(']');
  }

  bool place(TensorEntry& entry, uint64_t begin, uint64_t end) {
    const auto fail = [&](std::string text) {
      return broken(bad(fmt::format("tensor '{}': {}", entry.name, text)));
    };
    const std::optional<uint64_t> nbytes = safetensors_nbytes(entry.dtype, entry.shape);
    if (!nbytes) return fail("its dimensions overflow, or do not fill whole bytes");
    if (begin > end) return fail(fmt::format("data_offsets [{}, {}] run backwards", begin, end));
    if (end > data_size_) {
      return fail(fmt::format("its data ends at {}, but the file has only {} bytes of data", end,
                              data_size_));
    }
    if (*nbytes != end - begin) {
      return fail(fmt::format("its dtype and shape need {} bytes, data_offsets give {}", *nbytes,
                              end - begin));
    }
    entry.offset = begin;
    entry.nbytes = *nbytes;
    header_.tensors.push_back(std::move(entry));
    return true;
  }

  JsonScanner scanner_;
  uint64_t data_size_;
  ContainerHeader header_;
  bool has_metadata_ = false;
  std::string text_;
  std::optional<Error> rule_;
};

// Data must follow without holes and without overlap, as the reference demands.
Status check_coverage(const std::vector<TensorEntry>& tensors, uint64_t data_size) {
  std::vector<const TensorEntry*> order;
  order.reserve(tensors.size());
  for (const TensorEntry& entry : tensors) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const TensorEntry* a, const TensorEntry* b) {
    return std::pair(a->offset, a->nbytes) < std::pair(b->offset, b->nbytes);
  });
  uint64_t position = 0;
  const TensorEntry* previous = nullptr;
  for (const TensorEntry* entry : order) {
    if (entry->offset < position) {
      return bad(fmt::format("tensors '{}' and '{}' overlap", previous->name, entry->name));
    }
    if (entry->offset > position) {
      return bad(fmt::format("{} bytes before tensor '{}' belong to no tensor",
                             entry->offset - position, entry->name));
    }
    position = entry->offset + entry->nbytes;
    previous = entry;
  }
  if (position != data_size) {
    return bad(fmt::format("has {} bytes of data, its tensors end at {}", data_size, position));
  }
  return {};
}

}  // namespace

std::optional<uint64_t> safetensors_nbytes(DType dtype, std::span<const int64_t> shape) {
  uint64_t bits = 1;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(bits, static_cast<uint64_t>(size), &bits)) return {};
  }
  if (__builtin_mul_overflow(bits, uint64_t{dtype_bits(dtype)}, &bits) || bits % 8 != 0) return {};
  return bits / 8;
}

Result<ContainerHeader> parse_safetensors(std::span<const std::byte> bytes, uint64_t file_size) {
  uint64_t header_size = 0;
  if (bytes.size() < sizeof header_size) {
    return bad("is too short for a safetensors file: the length of the header is missing");
  }
  std::memcpy(&header_size, bytes.data(), sizeof header_size);
  if constexpr (std::endian::native == std::endian::big)
    header_size = __builtin_bswap64(header_size);
  if (header_size > kSafetensorsMaxHeader) {
    return bad(fmt::format("is no safetensors file: a header of {} bytes (at most {} are allowed)",
                           header_size, kSafetensorsMaxHeader));
  }
  const uint64_t available = std::min<uint64_t>(bytes.size(), file_size) - sizeof header_size;
  if (header_size > available) {
    return bad(
        fmt::format("its header has {} bytes, but the file ends after {}", header_size, available));
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof header_size,
                              header_size);
  if (!is_utf8(text)) return bad("the header is not UTF-8");
  const uint64_t data_start = sizeof header_size + header_size;
  PRECIS_ASSIGN(ContainerHeader header, HeaderParser(text, file_size - data_start).run());
  if (const TensorEntry* twice = find_duplicate_name(header.tensors)) {
    return bad(fmt::format("tensor '{}' appears twice", twice->name));
  }
  PRECIS_TRY(check_coverage(header.tensors, file_size - data_start));
  for (TensorEntry& entry : header.tensors) entry.offset += data_start;
  return header;
}

}  // namespace precis
