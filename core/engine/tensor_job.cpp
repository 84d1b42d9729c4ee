#include "core/engine/tensor_job.h"

#include <algorithm>

#include "core/base/sha256.h"
#include "core/engine/decode_job.h"
#include "core/engine/encode_job.h"

namespace precis {
namespace {

constexpr uint64_t kChunkBytes = 4 << 20;  // of a copy

TensorDigest shorten(const Sha256Digest& digest) {
  TensorDigest half{};
  std::copy_n(digest.begin(), half.size(), half.begin());
  return half;
}

}  // namespace

TensorDigest tensor_digest(std::span<const std::byte> bytes) {
  return shorten(sha256(bytes));
}

uint64_t working_set_bytes(const TensorPlan& tensor) {
  // Beside the arena, and counted with it.
  const uint64_t copied = tensor.source.copied_bytes();
  switch (tensor.action) {
    case Action::keep:
      return 0;
    case Action::cast:
    case Action::dequantize:
      return DecodeJob::memory_bytes(tensor) + copied;
    case Action::quantize:
      return EncodeJob::memory_bytes(tensor) + copied;
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
  const DecodeJob job{tensor};
  uint64_t offset = targets.front().offset;
  Sha256 hash;
  const int64_t rows = param.elements() == 0 ? 0 : param.rows();
  for (int64_t row = 0; row < rows; row += job.step()) {
    if (cancelled(cancel)) return cancelled_error();
    const int64_t count = std::min(job.step(), rows - row);
    const auto numbers = memory.first(job.bytes_of(count));
    PRECIS_TRY(elsewhere && !tensor.source.plain() ? elsewhere(row, count, entry.error)
                                                   : job.decode(row, count, numbers, entry.error));
    hash.update(numbers);
    PRECIS_TRY(targets.front().file->write_at(offset, numbers));
    offset += numbers.size();
  }
  entry.digests.push_back(shorten(hash.finish()));
  return {};
}

Status TensorJob::quantize(std::span<std::byte> memory, JournalEntry& entry) const {
  if (!tensor.encoded.empty()) return write_encoded(entry);
  const EncodeJob job{tensor, pool, cancel};
  PRECIS_TRY(elsewhere ? elsewhere(0, tensor.source.param.rows(), entry.error)
                       : job.encode(memory));
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
