#include "core/engine/logical_tensor.h"

#include <fmt/format.h>

#include <cstring>
#include <set>

#include "core/engine/method_resolver.h"
#include "kernels/cpu/common/float8.h"
#include "kernels/cpu/common/float_formats.h"

namespace precis {
namespace {

template <typename Stored, typename Convert>
void convert_each(const std::byte* source, std::size_t count, float* out, Convert convert) {
  for (std::size_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, source + i * sizeof(Stored), sizeof stored);
    out[i] = static_cast<float>(convert(stored));
  }
}

}  // namespace

bool convert_to_float(DType dtype, const std::byte* source, std::size_t count, float* out) {
  switch (dtype) {
    case DType::f32:
      std::memcpy(out, source, count * sizeof(float));
      return true;
    case DType::f64:
      convert_each<double>(source, count, out, [](double value) { return value; });
      return true;
    case DType::f16:
      convert_each<uint16_t>(source, count, out, kernels::half_to_float);
      return true;
    case DType::bf16:
      convert_each<uint16_t>(source, count, out, kernels::bfloat16_to_float);
      return true;
    case DType::f8_e4m3fn:
      convert_each<uint8_t>(source, count, out, kernels::float8_e4m3fn_to_float);
      return true;
    case DType::f8_e5m2:
      convert_each<uint8_t>(source, count, out, kernels::float8_e5m2_to_float);
      return true;
    default:
      return false;
  }
}

bool convert_from_float(const float* source, std::size_t count, DType dtype, std::byte* out) {
  if (dtype == DType::f32) {
    if (count > 0) std::memcpy(out, source, count * sizeof(float));
    return true;
  }
  if (dtype != DType::f16 && dtype != DType::bf16) return false;
  for (std::size_t i = 0; i < count; ++i) {
    const uint16_t narrow = dtype == DType::f16 ? kernels::float_to_half(source[i])
                                                : kernels::float_to_bfloat16(source[i]);
    std::memcpy(out + i * sizeof narrow, &narrow, sizeof narrow);
  }
  return true;
}

uint64_t LogicalTensor::stored_bytes() const {
  uint64_t bytes = 0;
  for (const Part& part : parts) bytes += part.entry->nbytes;
  return bytes;
}

Result<std::span<const std::byte>> LogicalTensor::stored_rows(int64_t row_begin,
                                                              int64_t rows) const {
  PRECIS_ASSIGN(const std::span<const std::byte> data, part_bytes(0));
  const uint64_t row_size = dtype_bytes(param.dtype, param.row_elements()).value_or(0);
  const uint64_t begin = static_cast<uint64_t>(row_begin) * row_size;
  const uint64_t size = static_cast<uint64_t>(rows) * row_size;
  if (begin + size > data.size()) {
    return Error(ErrorCode::internal,
                 fmt::format("rows {}+{} are outside of '{}'", row_begin, rows, param.name));
  }
  return data.subspan(begin, size);
}

Status LogicalTensor::read_rows(int64_t row_begin, int64_t rows, std::span<float> out) const {
  if (!plain()) return read_rows_as(DType::f32, row_begin, rows, std::as_writable_bytes(out));
  PRECIS_ASSIGN(const auto bytes, stored_rows(row_begin, rows));
  if (!convert_to_float(param.dtype, bytes.data(), out.size(), out.data())) {
    return Error(ErrorCode::unsupported,
                 fmt::format("'{}' is {}, which is not a weight's number format", param.name,
                             dtype_name(param.dtype)));
  }
  return {};
}

Status LogicalTensor::read_rows_as(DType dtype, int64_t row_begin, int64_t rows,
                                   std::span<std::byte> out) const {
  if (plain()) {
    PRECIS_ASSIGN(const auto bytes, stored_rows(row_begin, rows));
    const auto elements = static_cast<std::size_t>(rows) * param.row_elements();
    if (param.dtype == dtype) {
      std::memcpy(out.data(), bytes.data(), bytes.size());
      return {};
    }
    constexpr std::size_t kBlock = 4096;
    float block[kBlock];
    const std::size_t from = dtype_bits(param.dtype) / 8;
    const std::size_t to = dtype_bits(dtype) / 8;
    for (std::size_t i = 0; i < elements; i += kBlock) {
      const std::size_t count = std::min(kBlock, elements - i);
      if (!convert_to_float(param.dtype, bytes.data() + i * from, count, block) ||
          !convert_from_float(block, count, dtype, out.data() + i * to)) {
        return Error(ErrorCode::unsupported,
                     fmt::format("'{}' cannot be converted from {} to {}", param.name,
                                 dtype_name(param.dtype), dtype_name(dtype)));
      }
    }
    return {};
  }
  PRECIS_ASSIGN(const StoredParts stored, stored_parts());
  Status status =
      quantizer->dequantize(param, stored.specs, stored.buffers, row_begin, rows, dtype, out);
  if (!status.ok()) status.error().with_context(fmt::format("tensor '{}'", param.name));
  return status;
}

namespace {

// Files are mapped from their first byte on. safetensors sorts tensors so that this does not
// happen; other writers of its format do not.
bool lies_at_an_odd_place(const TensorEntry& entry) {
  const uint64_t size = dtype_bits(entry.dtype) / 8;
  return size > 1 && entry.offset % size != 0;
}

}  // namespace

Result<std::span<const std::byte>> LogicalTensor::part_bytes(std::size_t index) const {
  const Part& part = parts[index];
  PRECIS_ASSIGN(const std::span<const std::byte> data, part.file->data(*part.entry));
  if (!lies_at_an_odd_place(*part.entry)) return data;
  const std::lock_guard lock(copies->mutex);
  std::vector<std::byte>& copy = copies->of_parts[index];
  if (copy.empty()) copy.assign(data.begin(), data.end());
  return std::span<const std::byte>(copy);
}

uint64_t LogicalTensor::copied_bytes() const {
  uint64_t bytes = 0;
  for (const Part& part : parts)
    bytes += lies_at_an_odd_place(*part.entry) ? part.entry->nbytes : 0;
  return bytes;
}

Result<StoredParts> LogicalTensor::stored_parts() const {
  StoredParts stored;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const TensorEntry& entry = *parts[i].entry;
    PRECIS_ASSIGN(const auto data, part_bytes(i));
    stored.specs.push_back({entry.name, entry.dtype, entry.shape, entry.nbytes, entry.encoding});
    stored.buffers.push_back(data);
  }
  return stored;
}

void LogicalTensor::release_source() const {
  {
    const std::lock_guard lock(copies->mutex);
    copies->of_parts.clear();
  }
  for (const Part& part : parts) part.file->release(*part.entry);
}

Result<std::vector<LogicalTensor>> logical_tensors(const Component& component,
                                                   MethodResolver& methods) {
  PRECIS_ASSIGN(const auto quantizer, methods.from_component(component));
  const auto part_of = [&](std::size_t index) {
    const TensorRef& ref = component.tensors[index];
    return LogicalTensor::Part{component.files[ref.file], ref.entry};
  };

  // Where each quantized weight stands: at its first part, so that stored order is kept.
  std::vector<std::optional<LogicalTensor>> quantized(component.tensors.size());
  std::vector<bool> is_part(component.tensors.size(), false);
  if (quantizer != nullptr) {
    StateDict state_dict;
    for (const TensorRef& ref : component.tensors) state_dict.tensors.push_back(ref.entry);
    state_dict.read = [&](std::size_t index) {
      return part_of(index).file->data(*part_of(index).entry);
    };
    if (!component.files.empty())
      state_dict.metadata_json = metadata_text(component.files.front()->metadata());
    PRECIS_ASSIGN(auto found, quantizer->stored_params(state_dict));
    for (StoredParam& stored : found) {
      LogicalTensor tensor{std::move(stored.param), quantizer, {}};
      std::size_t first = component.tensors.size();
      for (const std::size_t part : stored.parts) {
        tensor.parts.push_back(part_of(part));
        is_part[part] = true;
        first = std::min(first, part);
      }
      if (first < quantized.size()) quantized[first] = std::move(tensor);
    }
  }

  std::vector<LogicalTensor> tensors;
  for (std::size_t i = 0; i < component.tensors.size(); ++i) {
    if (quantized[i]) {
      tensors.push_back(*std::move(quantized[i]));
    } else if (!is_part[i]) {
      const LogicalTensor::Part part = part_of(i);
      Param param;
      param.name = part.entry->name;
      param.dtype = part.entry->dtype;
      param.shape = part.entry->shape;
      tensors.push_back({std::move(param), nullptr, {part}});
    }
  }
  return tensors;
}

}  // namespace precis
