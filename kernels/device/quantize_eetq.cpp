// EETQ's encoder, bit for bit as kernels/cpu/eetq. Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/eetq.h"
#include "kernels/device/row_threads.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {

// The nearest integer, halves away from zero, within int8; NaN, the quotient of a row of zeros, is
// 127. From 0 on.
PRECIS_FUNCTION uint32_t eetq_code(float quotient) {
  if (quotient != quotient || quotient > 127.0f) return 255;
  if (quotient < -128.0f) return 0;
  const int whole = static_cast<int>(quotient);
  const float rest = quotient - static_cast<float>(whole);
  const int code = rest >= 0.5f ? whole + 1 : rest <= -0.5f ? whole - 1 : whole;
  return static_cast<uint32_t>(code > 127 ? 127 : code) + 128;
}

// A block of threads for each row, which is read once from memory and once from cache. Bound by
// memory. A thread writes four codes: two of the first eight of 16 columns, and the two that stand
// between them, of the others.
template <class Element>
__global__ void __launch_bounds__(kQuantizeRowThreads)
    quantize_eetq_kernel(const Element* weight, uint32_t columns, uint8_t* codes,
                         uint16_t* scales) {
  const uint32_t row = blockIdx.x;
  const Element* values = weight + uint64_t{row} * columns;
  uint32_t best = 0;
  for (uint32_t i = threadIdx.x; i < columns; i += kQuantizeRowThreads) {
    const uint32_t bits = bits_as<uint32_t>(to_float(values[i])) & 0x7fffffffu;
    best = bits > best ? bits : best;
  }
  const float largest = round_to(Rounding::half, bits_as<float>(row_max(best)));
  const float scale = largest * (1.0f / 128.0f);
  if (threadIdx.x == 0) scales[row] = half_bits(scale);
  for (uint32_t i = threadIdx.x; i < columns / 4; i += kQuantizeRowThreads) {
    const uint32_t column = i / 4 * 16 + i % 4 * 2;
    float first[2], second[2];
    load_2(values + column, first);
    load_2(values + column + 8, second);
    const auto code = [&](float value) {
      return eetq_code(round_to(Rounding::half, value) / scale);
    };
    const uint64_t at = uint64_t{row / 2} * 2 * columns + 128 * (column / 64) + 64 * (row % 2) +
                        column % 64 / 16 * 16 + i % 4 * 4;
    *reinterpret_cast<uint32_t*>(codes + at) =
        code(first[0]) | code(second[0]) << 8 | code(first[1]) << 16 | code(second[1]) << 24;
  }
}

const char* quantize_eetq(WeightType type, const void* matrix, uint32_t rows, uint32_t columns,
                          uint8_t* codes, uint16_t* scales, void* stream) {
  if (rows % 64 != 0 || columns % 64 != 0) return "eetq: rows and columns are multiples of 64";
  if (rows == 0 || columns == 0) return nullptr;
  return with_element(type, [&](auto element) {
    using Element = decltype(element);
    return PRECIS_LAUNCH((quantize_eetq_kernel<Element>), dim3(rows), dim3(kQuantizeRowThreads), 0,
                         stream, static_cast<const Element*>(matrix), columns, codes, scales);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
