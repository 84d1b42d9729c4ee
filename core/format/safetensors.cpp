// The safetensors format: 8 bytes of header length (little-endian), a JSON header, data without holes.
// Rules as the reference implementation (the safetensors crate 0.6) enforces them.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <optional>
#include <set>

#include "core/format/container.h"
#include "core/format/layout.h"

namespace precis {
namespace {

using nlohmann::ordered_json;

constexpr uint64_t kMaxHeader = 100'000'000;  // the reference's limit
constexpr std::string_view kMetadataKey = "__metadata__";

Error bad(std::string message) {
  return Error(ErrorCode::data_loss, std::move(message),
               "the file is damaged or incomplete: fetch or write it again");
}

// Collects header entries while the text is parsed once; notices duplicate keys, which a document tree
// would hide. Nesting: 1 = the header object, 2 = a tensor or the metadata, 3 = shape or data_offsets.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  struct Tensor {
    std::string name, dtype;
    std::vector<int64_t> shape;
    std::vector<uint64_t> offsets;
    bool has_dtype = false, has_shape = false, has_offsets = false;
  };
  std::vector<Tensor> tensors;
  ordered_json metadata = ordered_json::object();
  std::string problem;

  bool key(string_t& text) override {
    if (depth_ == 1) {
      if (!names_.insert(text).second) return fail(fmt::format("tensor '{}' appears twice", text));
      in_metadata_ = text == kMetadataKey;
      if (!in_metadata_) tensors.emplace_back().name = text;
    }
    field_ = text;
    return true;
  }
  bool start_object(std::size_t) override {
    ++depth_;
    return depth_ <= 2 || fail("the header is nested too deeply");
  }
  bool end_object() override {
    --depth_;
    return true;
  }
  bool start_array(std::size_t) override {
    const bool allowed = depth_ == 2 && !in_metadata_ && (field_ == "shape" || field_ == "data_offsets");
    if (!allowed || in_array_) return fail(fmt::format("'{}' may not be an array", field_));
    in_array_ = true;
    (field_ == "shape" ? tensors.back().has_shape : tensors.back().has_offsets) = true;
    return true;
  }
  bool end_array() override {
    in_array_ = false;
    return true;
  }
  bool string(string_t& text) override {
    if (depth_ == 2 && in_metadata_) {
      metadata[field_] = text;
      return true;
    }
    if (depth_ == 2 && !in_array_ && field_ == "dtype") {
      tensors.back().dtype = text;
      tensors.back().has_dtype = true;
      return true;
    }
    return unexpected("a string");
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (!in_array_) return unexpected("a number");
    if (field_ == "data_offsets") {
      tensors.back().offsets.push_back(value);
    } else if (value > static_cast<uint64_t>(INT64_MAX)) {
      return fail(fmt::format("tensor '{}': a dimension of {} is too large", tensors.back().name, value));
    } else {
      tensors.back().shape.push_back(static_cast<int64_t>(value));
    }
    return true;
  }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return unexpected("a fraction"); }
  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a truth value"); }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& exception) override {
    return fail(fmt::format("the header is not JSON (at byte {}): {}", position, exception.what()));
  }

 private:
  bool fail(std::string text) {
    if (problem.empty()) problem = std::move(text);
    return false;
  }
  bool unexpected(std::string_view what) {
    const std::string where = depth_ < 2 || in_metadata_ ? std::string(field_)
                                                         : tensors.back().name + "." + field_;
    return fail(fmt::format("the header has {} at '{}'", what, where));
  }

  int depth_ = 0;
  bool in_metadata_ = false, in_array_ = false;
  std::string field_;
  std::set<std::string> names_;
};

Result<TensorEntry> entry_of(const HeaderReader::Tensor& tensor, uint64_t data_start,
                             uint64_t data_size) {
  const auto fail = [&](std::string text) {
    return bad(fmt::format("tensor '{}': {}", tensor.name, text));
  };
  if (!tensor.has_dtype || !tensor.has_shape || !tensor.has_offsets || tensor.offsets.size() != 2) {
    return fail("needs dtype, shape and two data_offsets");
  }
  TensorEntry entry;
  entry.name = tensor.name;
  const std::optional<DType> dtype = dtype_from_safetensors(tensor.dtype);
  if (!dtype) {
    return Error(ErrorCode::unsupported,
                 fmt::format("tensor '{}': unknown dtype '{}'", tensor.name, tensor.dtype),
                 "a newer precis may know it");
  }
  entry.dtype = *dtype;
  entry.shape = tensor.shape;
  uint64_t elements = 1;
  for (const int64_t dimension : entry.shape) {
    if (__builtin_mul_overflow(elements, static_cast<uint64_t>(dimension), &elements)) {
      return fail("the product of its dimensions overflows");
    }
  }
  const auto [begin, end] = std::pair(tensor.offsets[0], tensor.offsets[1]);
  if (begin > end) return fail(fmt::format("data_offsets [{}, {}] run backwards", begin, end));
  if (end > data_size) {
    return fail(fmt::format("its data ends at {}, but the file has only {} bytes of data", end, data_size));
  }
  const std::optional<uint64_t> nbytes = dtype_bytes(entry.dtype, elements);
  if (!nbytes || *nbytes != end - begin) {
    return fail(fmt::format("its dtype and shape need {} bytes, data_offsets give {}",
                            nbytes ? std::to_string(*nbytes) : "too many", end - begin));
  }
  entry.offset = data_start + begin;
  entry.nbytes = end - begin;
  return entry;
}

// Data must follow without holes and without overlap, as the reference demands.
Status check_coverage(const std::vector<TensorEntry>& tensors, uint64_t data_start, uint64_t file_size) {
  std::vector<const TensorEntry*> order;
  for (const TensorEntry& entry : tensors) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const TensorEntry* a, const TensorEntry* b) {
    return std::pair(a->offset, a->nbytes) < std::pair(b->offset, b->nbytes);
  });
  uint64_t position = data_start;
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
  if (position != file_size) {
    return bad(fmt::format("the file has {} bytes, its tensors end at {}", file_size, position));
  }
  return {};
}

}  // namespace

Result<ContainerHeader> parse_safetensors(std::span<const std::byte> bytes, uint64_t file_size) {
  uint64_t header_size = 0;
  if (bytes.size() < sizeof header_size) {
    return bad("is too short for a safetensors file: the length of the header is missing");
  }
  std::memcpy(&header_size, bytes.data(), sizeof header_size);
  if constexpr (std::endian::native == std::endian::big) header_size = __builtin_bswap64(header_size);
  if (header_size > kMaxHeader) {
    return bad(fmt::format("is no safetensors file: a header of {} bytes (at most {} are allowed)",
                           header_size, kMaxHeader));
  }
  if (header_size > bytes.size() - sizeof header_size) {
    return bad(fmt::format("its header has {} bytes, but the file ends after {}", header_size,
                           bytes.size() - sizeof header_size));
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof header_size,
                              header_size);
  if (!text.starts_with('{')) return bad("is no safetensors file: the header does not begin with '{'");
  HeaderReader reader;
  if (!nlohmann::json::sax_parse(text, &reader)) return bad(reader.problem);

  ContainerHeader header;
  header.metadata = std::move(reader.metadata);
  const uint64_t data_start = sizeof header_size + header_size;
  header.tensors.reserve(reader.tensors.size());
  for (const HeaderReader::Tensor& tensor : reader.tensors) {
    PRECIS_ASSIGN(TensorEntry entry, entry_of(tensor, data_start, file_size - data_start));
    header.tensors.push_back(std::move(entry));
  }
  PRECIS_TRY(check_coverage(header.tensors, data_start, file_size));
  return header;
}

Result<FileLayout> plan_safetensors(std::span<const PlannedTensor> tensors,
                                    const ordered_json& metadata) {
  // Stored in descending alignment, then by name, as the reference writes: then every tensor is aligned.
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const uint32_t bits_a = dtype_bits(tensors[a].dtype), bits_b = dtype_bits(tensors[b].dtype);
    return bits_a != bits_b ? bits_a > bits_b : tensors[a].name < tensors[b].name;
  });

  ordered_json header = ordered_json::object();
  header[std::string(kMetadataKey)] = metadata;
  FileLayout layout;
  layout.offsets.resize(tensors.size());
  std::set<std::string_view> names;
  uint64_t position = 0;
  for (const std::size_t index : order) {
    const PlannedTensor& tensor = tensors[index];
    if (!tensor.encoding.empty()) {
      return Error(ErrorCode::invalid_argument,
                   fmt::format("tensor '{}': safetensors cannot hold {}", tensor.name, tensor.encoding),
                   "write a .gguf file, or decode it first with `precis dequantize`");
    }
    if (!names.insert(tensor.name).second) {
      return Error(ErrorCode::invalid_argument,
                   fmt::format("two tensors of one file are called '{}'", tensor.name));
    }
    header[tensor.name] = {{"dtype", safetensors_dtype_name(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {position, position + tensor.nbytes}}};
    layout.offsets[index] = position;
    position += tensor.nbytes;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  text.append((8 - text.size() % 8) % 8, ' ');
  uint64_t header_size = text.size();
  layout.header.resize(sizeof header_size);
  if constexpr (std::endian::native == std::endian::big) header_size = __builtin_bswap64(header_size);
  std::memcpy(layout.header.data(), &header_size, sizeof header_size);
  layout.header += text;
  for (uint64_t& offset : layout.offsets) offset += layout.header.size();
  layout.file_size = layout.header.size() + position;
  return layout;
}

Result<FileLayout> plan_container(ContainerFormat format, std::span<const PlannedTensor> tensors,
                                  const ordered_json& metadata) {
  return format == ContainerFormat::gguf ? plan_gguf(tensors, metadata)
                                         : plan_safetensors(tensors, metadata);
}

}  // namespace precis
