#include "core/engine/tensor_job.h"

#include <algorithm>
#include <cstring>

#include "core/base/sha256.h"
#include "core/engine/encode_job.h"

namespace precis {
namespace {

constexpr uint64_t kChunkBytes = 4 << 20;  // of a copy or a conversion

TensorDigest shorten(const Sha256Digest& digest) {
  TensorDigest half{};
  std::copy_n(digest.begin(), half.size(), half.begin());
  return half;
}

// Of 16-bit numbers: what does not fit them is worth a look. float32 holds what models hold.
bool has_nonfinite(DType dtype, std::span<const std::byte> numbers) {
  if (dtype != DType::f16 && dtype != DType::bf16) return false;
  const uint16_t exponent = dtype == DType::f16 ? 0x7c00 : 0x7f80;
  bool found = false;
  for (std::size_t i = 0; i + 1 < numbers.size(); i += sizeof(uint16_t)) {
    uint16_t bits;
    std::memcpy(&bits, numbers.data() + i, sizeof bits);
    found |= (bits & exponent) == exponent;
  }
  return found;
}

uint64_t conversion_chunk_bytes(const TensorPlan& tensor) {
  const DType dtype = tensor.outputs.front().planned.dtype;
  const Param& param = tensor.source.param;
  const auto rows = static_cast<uint64_t>(rows_of(param, kChunkBytes / 4));
  return dtype_bytes(dtype, std::min<uint64_t>(rows, static_cast<uint64_t>(param.rows())) *
                                param.row_elements())
      .value_or(0);
}

}  // namespace

TensorDigest tensor_digest(std::span<const std::byte> bytes) {
  return shorten(sha256(bytes));
}

uint64_t working_set_bytes(const TensorPlan& tensor) {
  switch (tensor.action) {
    case Action::keep:
      return 0;
    case Action::cast:
    case Action::dequantize:
      return conversion_chunk_bytes(tensor);
    case Action::quantize:
      return EncodeJob::memory_bytes(tensor);
  }
  return 0;
}

Status TensorJob::run(std::span<std::byte> memory, JournalEntry& entry) const {
  switch (tensor.action) {
    case Action::keep:
      return copy(entry);
    case Action::cast:
    case Action::dequantize:
      return convert(memory, entry);
    case Action::quantize:
      return quantize(memory, entry);
  }
  return {};
}

Status TensorJob::copy(JournalEntry& entry) const {
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const LogicalTensor::Part& part = tensor.source.parts[i];
    PRECIS_ASSIGN(const std::span<const std::byte> bytes, part.file->data(*part.entry));
    Sha256 hash;
    std::future<Status> written;
    Status status;
    for (uint64_t begin = 0; begin < bytes.size() && status.ok(); begin += kChunkBytes) {
      const auto chunk =
          bytes.subspan(begin, std::min<uint64_t>(kChunkBytes, bytes.size() - begin));
      if (written.valid()) status = written.get();
      if (status.ok() && cancelled(cancel)) status = cancelled_error();
      if (!status.ok()) break;
      written = writer.write(*targets[i].file, targets[i].offset + begin, chunk);
      hash.update(chunk);
    }
    if (written.valid()) {
      Status last = written.get();
      if (status.ok()) status = std::move(last);
    }
    PRECIS_TRY(std::move(status));
    entry.digests.push_back(shorten(hash.finish()));
  }
  return {};
}

Status TensorJob::convert(std::span<std::byte> memory, JournalEntry& entry) const {
  const Param& param = tensor.source.param;
  const DType dtype = tensor.outputs.front().planned.dtype;
  const int64_t step = rows_of(param, kChunkBytes / 4);
  uint64_t offset = targets.front().offset;
  Sha256 hash;
  const int64_t rows = param.elements() == 0 ? 0 : param.rows();
  for (int64_t row = 0; row < rows; row += step) {
    if (cancelled(cancel)) return cancelled_error();
    const int64_t count = std::min(step, rows - row);
    const uint64_t bytes =
        dtype_bytes(dtype, static_cast<uint64_t>(count) * param.row_elements()).value_or(0);
    PRECIS_TRY(tensor.source.read_rows_as(dtype, row, count, memory.first(bytes)));
    if (has_nonfinite(dtype, memory.first(bytes)))
      PRECIS_TRY(measure_conversion(dtype, row, count, memory.first(bytes), entry.error));
    hash.update(memory.first(bytes));
    PRECIS_TRY(targets.front().file->write_at(offset, memory.first(bytes)));
    offset += bytes;
  }
  entry.digests.push_back(shorten(hash.finish()));
  return {};
}

// In slices, for the sake of memory.
Status TensorJob::measure_conversion(DType dtype, int64_t row_begin, int64_t rows,
                                     std::span<const std::byte> converted,
                                     ErrorStats& error) const {
  thread_local std::vector<float> original, decoded;
  const Param& param = tensor.source.param;
  const int64_t step = rows_of(param, kSliceElements);
  for (int64_t row = 0; row < rows; row += step) {
    const int64_t slice_rows = std::min(step, rows - row);
    const std::size_t count = static_cast<std::size_t>(slice_rows) * param.row_elements();
    const std::size_t begin = static_cast<std::size_t>(row) * param.row_elements();
    original.resize(std::max(original.size(), count));
    decoded.resize(std::max(decoded.size(), count));
    PRECIS_TRY(
        tensor.source.read_rows(row_begin + row, slice_rows, std::span(original).first(count)));
    convert_to_float(dtype, converted.data() + begin * dtype_bits(dtype) / 8, count,
                     decoded.data());
    error.add(std::span(original).first(count), std::span(decoded).first(count));
  }
  return {};
}

Status TensorJob::quantize(std::span<std::byte> memory, JournalEntry& entry) const {
  if (!tensor.encoded.empty()) return write_encoded(entry);
  const EncodeJob job{tensor, pool, cancel};
  PRECIS_TRY(elsewhere ? elsewhere(entry.error) : job.encode(memory));
  std::vector<std::span<const std::byte>> finished;
  for (const std::span<std::byte> part : job.parts(memory)) finished.push_back(part);
  return write_parts(finished, entry);
}

Status TensorJob::write_encoded(JournalEntry& entry) const {
  std::vector<std::span<const std::byte>> parts;
  for (const LogicalTensor::Part& part : tensor.encoded) {
    PRECIS_ASSIGN(const std::span<const std::byte> bytes, part.file->data(*part.entry));
    parts.push_back(bytes);
  }
  return write_parts(parts, entry);
}

// The parts stay as they are: they are written, hashed and decoded side by side.
Status TensorJob::write_parts(std::span<const std::span<const std::byte>> parts,
                              JournalEntry& entry) const {
  std::vector<std::future<Status>> written;
  for (std::size_t i = 0; i < parts.size(); ++i)
    written.push_back(writer.write(*targets[i].file, targets[i].offset, parts[i]));
  Status status = finish_parts(parts, entry);
  for (std::future<Status>& result : written) {
    Status write_status = result.get();
    if (status.ok()) status = std::move(write_status);
  }
  return status;
}

Status TensorJob::finish_parts(std::span<const std::span<const std::byte>> parts,
                               JournalEntry& entry) const {
  for (const std::span<const std::byte> part : parts) entry.digests.push_back(tensor_digest(part));
  if (!measure_error || elsewhere) return {};
  return EncodeJob{tensor, pool, cancel}.measure(parts, entry.error);
}

}  // namespace precis
