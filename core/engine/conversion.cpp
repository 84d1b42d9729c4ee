#include "core/engine/conversion.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "core/abi/grid.h"
#include "core/engine/encode_job.h"

namespace precis {
namespace {

Status write_on_grid(const TensorPlan& tensor, const ConversionBuffers& buffers,
                     const std::atomic<bool>* cancel) {
  const Param& param = tensor.source.param;
  std::vector<std::span<std::byte>> grid;
  std::vector<std::span<const std::byte>> filled;
  uint64_t position = 0;
  for (const PartSpec& part : tensor.grid) {
    grid.push_back(buffers.grid.subspan(position, part.nbytes));
    filled.push_back(grid.back());
    position += align_64(part.nbytes);
  }
  PRECIS_ASSIGN(const StoredParts stored, tensor.source.stored_parts());
  PRECIS_TRY(Grid::read(*tensor.source.quantizer, param, stored.specs, stored.buffers, tensor.grid,
                        grid, buffers.workspace));
  return Grid::write(*tensor.quantizer, param, buffers.weight, tensor.grid, filled, tensor.parts,
                     buffers.parts, buffers.workspace, cancel);
}

// Compares rows of the source with what `parts` decode to.
Status compare_rows(const TensorPlan& tensor, std::span<const std::span<const std::byte>> parts,
                    int64_t row, int64_t rows) {
  thread_local std::vector<float> original, decoded;
  const Param& param = tensor.source.param;
  const std::size_t count = static_cast<std::size_t>(rows) * param.row_elements();
  original.resize(std::max(original.size(), count));
  decoded.resize(std::max(decoded.size(), count));
  const auto before = std::span(original).first(count), after = std::span(decoded).first(count);
  PRECIS_TRY(tensor.source.read_rows(row, rows, before));
  PRECIS_TRY(tensor.quantizer->dequantize(param, tensor.parts, parts, row, rows, DType::f32,
                                          std::as_writable_bytes(after)));
  if (std::memcmp(before.data(), after.data(), count * sizeof(float)) == 0) return {};
  for (std::size_t i = 0; i < count; ++i) {
    // Bits, for the sake of NaNs; equal numbers of other bits are zeros, whose sign not every
    // format holds.
    if (std::memcmp(&before[i], &after[i], sizeof(float)) == 0 || before[i] == after[i]) continue;
    const std::size_t columns = param.row_elements();
    return not_exact(
        tensor, tensor.quantizer->spec(),
        fmt::format("in row {}, column {}, {:.9g} would become {:.9g}",
                    row + static_cast<int64_t>(i / columns), i % columns, before[i], after[i]));
  }
  return {};
}

Status check_exact(const TensorPlan& tensor, std::span<const std::span<std::byte>> made,
                   ThreadPool& pool, const std::atomic<bool>* cancel) {
  const Param& param = tensor.source.param;
  if (param.elements() == 0) return {};
  const std::vector<std::span<const std::byte>> parts(made.begin(), made.end());
  const int64_t step = rows_of(param, kSliceElements);
  const auto slices = static_cast<uint64_t>((param.rows() - 1) / step + 1);
  std::mutex mutex;
  uint64_t first_slice = slices;
  Status status;
  pool.parallel_for(slices, 1, [&](uint64_t begin, uint64_t end) {
    for (uint64_t slice = begin; slice < end && !cancelled(cancel); ++slice) {
      const int64_t row = static_cast<int64_t>(slice) * step;
      Status found = compare_rows(tensor, parts, row, std::min(step, param.rows() - row));
      if (found.ok()) continue;
      // The first difference is told, whatever the number of threads.
      const std::lock_guard lock(mutex);
      if (slice < first_slice) status = std::move(found);
      first_slice = std::min(first_slice, slice);
      return;
    }
  });
  if (status.ok() && cancelled(cancel)) return cancelled_error();
  return status;
}

}  // namespace

uint64_t conversion_grid_bytes(const TensorPlan& tensor) {
  uint64_t bytes = 0;
  for (const PartSpec& part : tensor.grid) bytes += align_64(part.nbytes);
  return bytes;
}

Status convert_weight(const TensorPlan& tensor, const ConversionBuffers& buffers, ThreadPool& pool,
                      const std::atomic<bool>* cancel) {
  const auto encode = [&]() -> Status {
    Param param = tensor.source.param;
    if (param.on_grid) {
      // The plan stood on the grid: without it the method may have other conditions.
      param.on_grid = false;
      const auto plan = tensor.quantizer->plan(param);
      if (!plan.ok()) return plan.error();
    }
    return tensor.quantizer->quantize(param, buffers.weight, tensor.parts, buffers.parts,
                                      buffers.workspace, cancel);
  };
  const auto refused = [](const Status& status, ErrorCode code) {
    return !status.ok() && status.error().code() == code;
  };
  Status status, on_grid;
  if (!tensor.grid.empty()) on_grid = write_on_grid(tensor, buffers, cancel);
  if (tensor.grid.empty() || refused(on_grid, ErrorCode::unsupported)) status = encode();
  if (refused(on_grid, ErrorCode::failed_precondition))
    status = not_exact(tensor, tensor.quantizer->spec(), on_grid.error().message());
  else if (!on_grid.ok() && !refused(on_grid, ErrorCode::unsupported))
    return on_grid;
  if (status.ok()) status = check_exact(tensor, buffers.parts, pool, cancel);
  if (!refused(status, ErrorCode::quality)) return status;
  if (tensor.conversion == Conversion::if_exact) return encode();
  // Why the grid did not fit says more than the first value that differs.
  return on_grid.ok() ? status
                      : not_exact(tensor, tensor.quantizer->spec(), on_grid.error().message());
}

Error not_exact(const TensorPlan& tensor, const std::string& spec, const std::string& reason) {
  return Error(ErrorCode::quality,
               fmt::format("{} cannot hold every value of {}: {}", spec,
                           tensor.source.quantizer->spec(), reason),
               "choose a format that can, keep it with --skip, or have such weights quantized "
               "again, at a loss, with --allow-requantize");
}

}  // namespace precis
