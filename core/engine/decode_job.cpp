#include "core/engine/decode_job.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/engine/encode_job.h"

namespace precis {
namespace {

constexpr uint64_t kElementsAtOnce = 1 << 20;

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

}  // namespace

int64_t DecodeJob::step() const {
  return rows_of(tensor.source.param, kElementsAtOnce);
}

uint64_t DecodeJob::bytes_of(int64_t rows) const {
  const uint64_t count = static_cast<uint64_t>(rows) * tensor.source.param.row_elements();
  return dtype_bytes(dtype(), count).value_or(0);
}

uint64_t DecodeJob::memory_bytes(const TensorPlan& tensor) {
  const DecodeJob job{tensor};
  return job.bytes_of(std::min(job.step(), tensor.source.param.rows()));
}

Status DecodeJob::decode(int64_t row, int64_t rows, std::span<std::byte> memory,
                         ErrorStats& error) const {
  const auto numbers = memory.first(bytes_of(rows));
  PRECIS_TRY(tensor.source.read_rows_as(dtype(), row, rows, numbers));
  return has_nonfinite(dtype(), numbers) ? measure(row, rows, numbers, error) : Status();
}

// In slices, for the sake of memory.
Status DecodeJob::measure(int64_t row, int64_t rows, std::span<const std::byte> decoded,
                          ErrorStats& error) const {
  thread_local std::vector<float> original, numbers;
  const Param& param = tensor.source.param;
  const int64_t step = rows_of(param, kSliceElements);
  for (int64_t first = 0; first < rows; first += step) {
    const int64_t slice_rows = std::min(step, rows - first);
    const std::size_t count = static_cast<std::size_t>(slice_rows) * param.row_elements();
    original.resize(std::max(original.size(), count));
    numbers.resize(std::max(numbers.size(), count));
    const auto before = std::span(original).first(count);
    PRECIS_TRY(tensor.source.read_rows(row + first, slice_rows, before));
    convert_to_float(dtype(), decoded.data() + bytes_of(first), count, numbers.data());
    error.add(before, std::span(numbers).first(count));
  }
  return {};
}

}  // namespace precis
