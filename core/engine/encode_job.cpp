#include "core/engine/encode_job.h"

#include <algorithm>
#include <mutex>

#include "core/engine/conversion.h"

namespace precis {
namespace {

uint64_t part_bytes(const TensorPlan& tensor) {
  uint64_t bytes = 0;
  for (const PartSpec& part : tensor.parts) bytes += align_64(part.nbytes);
  return bytes;
}

// Of the weight as numbers.
uint64_t weight_bytes(const Param& param) {
  return dtype_bytes(param.dtype, param.elements()).value_or(0);
}

}  // namespace

uint64_t align_64(uint64_t size) {
  return (size + 63) / 64 * 64;
}

int64_t rows_of(const Param& param, uint64_t elements) {
  const uint64_t row = std::max<uint64_t>(1, param.row_elements());
  return static_cast<int64_t>(std::max<uint64_t>(1, elements / row));
}

bool cancelled(const std::atomic<bool>* cancel) {
  return cancel != nullptr && cancel->load(std::memory_order_relaxed);
}

Error cancelled_error() {
  return Error(ErrorCode::cancelled, "interrupted");
}

uint64_t EncodeJob::memory_bytes(const TensorPlan& tensor) {
  const uint64_t weight = tensor.source.plain() ? 0 : align_64(weight_bytes(tensor.source.param));
  return part_bytes(tensor) + align_64(tensor.workspace_bytes) + weight +
         conversion_grid_bytes(tensor);
}

std::vector<std::span<std::byte>> EncodeJob::parts(std::span<std::byte> memory) const {
  std::vector<std::span<std::byte>> parts;
  uint64_t position = 0;
  for (const PartSpec& part : tensor.parts) {
    parts.push_back(memory.subspan(position, part.nbytes));
    position += align_64(part.nbytes);
  }
  return parts;
}

Status EncodeJob::encode(std::span<std::byte> memory, const std::function<void()>& on_read) const {
  const Param& param = tensor.source.param;
  uint64_t position = part_bytes(tensor);
  const auto workspace = memory.subspan(position, tensor.workspace_bytes);
  position += align_64(tensor.workspace_bytes);

  std::span<const std::byte> weight;
  if (tensor.source.plain()) {
    PRECIS_ASSIGN(weight, tensor.source.part_bytes(0));
  } else {
    const auto numbers = memory.subspan(position, weight_bytes(param));
    PRECIS_TRY(tensor.source.read_rows_as(param.dtype, 0, param.rows(), numbers));
    weight = numbers;
    position += align_64(numbers.size());
  }
  if (on_read) on_read();
  if (tensor.conversion != Conversion::none) {
    const auto grid = memory.subspan(position, conversion_grid_bytes(tensor));
    return convert_weight(tensor, {weight, parts(memory), workspace, grid}, pool, cancel);
  }
  return tensor.quantizer->quantize(param, weight, tensor.parts, parts(memory), workspace, cancel);
}

Status EncodeJob::measure(std::span<const std::span<const std::byte>> parts,
                          ErrorStats& error) const {
  const Param& param = tensor.source.param;
  if (param.elements() == 0) return {};
  const int64_t step = rows_of(param, kSliceElements);
  const auto slices = static_cast<uint64_t>((param.rows() - 1) / step + 1);
  std::mutex mutex;
  Status status;
  pool.parallel_for(slices, 1, [&](uint64_t begin, uint64_t end) {
    ErrorStats sums;
    for (uint64_t slice = begin; slice < end && !cancelled(cancel); ++slice) {
      const int64_t row = static_cast<int64_t>(slice) * step;
      Status step_status = measure_rows(parts, row, std::min(step, param.rows() - row), sums);
      if (!step_status.ok()) {
        std::lock_guard lock(mutex);
        status = std::move(step_status);
        return;
      }
    }
    std::lock_guard lock(mutex);
    error.add(sums);
  });
  if (status.ok() && cancelled(cancel)) return cancelled_error();
  return status;
}

Status EncodeJob::measure_rows(std::span<const std::span<const std::byte>> parts, int64_t row,
                               int64_t rows, ErrorStats& sums) const {
  const Param& param = tensor.source.param;
  // Kept by the thread: fresh memory costs more than decoding into it.
  thread_local std::vector<float> original, decoded;
  const std::size_t count = static_cast<std::size_t>(rows) * param.row_elements();
  decoded.resize(std::max(decoded.size(), count));
  const auto values = std::span(decoded).first(count);
  PRECIS_TRY(tensor.quantizer->dequantize(param, tensor.parts, parts, row, rows, DType::f32,
                                          std::as_writable_bytes(values)));
  const bool in_place =
      tensor.source.plain() &&
      (param.dtype == DType::f32 || param.dtype == DType::f16 || param.dtype == DType::bf16);
  if (in_place) {
    PRECIS_ASSIGN(const auto stored, tensor.source.stored_rows(row, rows));
    sums.add(param.dtype, stored, values);
    return {};
  }
  original.resize(std::max(original.size(), count));
  PRECIS_TRY(tensor.source.read_rows(row, rows, std::span(original).first(count)));
  sums.add(std::span(original).first(count), values);
  return {};
}

}  // namespace precis
