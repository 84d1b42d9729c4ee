// BitNet's encoder. Its scale is the reciprocal of the mean magnitude, which is summed in double in
// the order of the weight, row by row: other orders have other bits. Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/ternary.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kTernaryThreads = 128;

// One thread for each row: few threads, and each sum waits for the one before. Of infinities and
// NaNs none counts.
template <class Element>
__global__ void __launch_bounds__(kTernaryThreads)
    sum_magnitudes_kernel(const Element* weight, uint32_t rows, uint32_t columns, double* sums) {
  const uint32_t row = blockIdx.x * kTernaryThreads + threadIdx.x;
  if (row >= rows) return;
  const Element* values = weight + uint64_t{row} * columns;
  double sum = 0;
  for (uint32_t i = 0; i < columns; ++i) {
    const uint32_t bits = bits_as<uint32_t>(to_float(values[i])) & 0x7fffffffu;
    if (bits < 0x7f800000u) sum += static_cast<double>(bits_as<float>(bits));
  }
  sums[row] = sum;
}

// One thread: the scale, as it is stored and, in the place of the first sum, as it multiplies.
template <class Element>
__global__ void __launch_bounds__(kTernaryThreads)
    ternary_scale_kernel(double* sums, uint32_t rows, uint32_t columns, bool stores_step,
                         Element* stored) {
  if (threadIdx.x != 0) return;
  double sum = 0;
  for (uint32_t row = 0; row < rows; ++row) sum += sums[row];
  const auto mean =
      static_cast<float>(sum / (static_cast<double>(rows) * static_cast<double>(columns)));
  const float scale = 1.0f / (mean < 1e-5f ? 1e-5f : mean);
  *stored = from_float<Element>(stores_step ? 1.0f / scale : scale);
  *reinterpret_cast<float*>(sums) = scale;
}

// -1, 0 and 1 as 0, 1 and 2, ties to 0; NaN as 0.
PRECIS_FUNCTION uint32_t ternary_code(float scaled) {
  return scaled > 0.5f ? 2u : scaled < -0.5f ? 0u : 1u;
}

// One thread for each byte: four numbers that lie a quarter of the weight apart. Bound by memory.
template <class Element>
__global__ void __launch_bounds__(kTernaryThreads)
    encode_ternary_kernel(const Element* weight, uint64_t quarter, const double* scales,
                          uint8_t* codes) {
  const uint64_t i = uint64_t{blockIdx.x} * kTernaryThreads + threadIdx.x;
  if (i >= quarter) return;
  const float scale = *reinterpret_cast<const float*>(scales);
  uint32_t byte = 0;
  PRECIS_UNROLL
  for (uint32_t k = 0; k < 4; ++k)
    byte |= ternary_code(to_float(weight[i + k * quarter]) * scale) << (2 * k);
  codes[i] = static_cast<uint8_t>(byte);
}

const char* quantize_ternary(WeightType type, const void* matrix, uint32_t rows, uint32_t columns,
                             bool stores_step, double* sums, uint8_t* codes, void* scale,
                             void* stream) {
  if (rows % 4 != 0) return "ternary numbers: rows are a multiple of 4";
  if (rows == 0 || columns == 0) return nullptr;
  const auto grid = [](uint64_t threads) {
    return dim3(static_cast<unsigned>((threads + kTernaryThreads - 1) / kTernaryThreads));
  };
  const dim3 block(kTernaryThreads);
  return with_element(type, [&](auto element) {
    using Element = decltype(element);
    const auto* values = static_cast<const Element*>(matrix);
    if (const char* error = PRECIS_LAUNCH((sum_magnitudes_kernel<Element>), grid(rows), block, 0,
                                          stream, values, rows, columns, sums))
      return error;
    if (const char* error =
            PRECIS_LAUNCH((ternary_scale_kernel<Element>), dim3(1), block, 0, stream, sums, rows,
                          columns, stores_step, static_cast<Element*>(scale)))
      return error;
    const uint64_t quarter = uint64_t{rows} * columns / 4;
    return PRECIS_LAUNCH((encode_ternary_kernel<Element>), grid(quarter), block, 0, stream, values,
                         quarter, static_cast<const double*>(sums), codes);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
