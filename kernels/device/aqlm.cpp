// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/aqlm.h"

#include "kernels/device/dequantize.h"
#include "kernels/device/formats/additive_blocks.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

AdditiveBlocks::Weight kernel_weight(const AqlmWeight& weight) {
  const AqlmShape& shape = weight.shape;
  return {static_cast<uint32_t>(shape.rows),
          static_cast<uint32_t>(shape.columns),
          weight.codes,
          shape.bits > 8,
          static_cast<uint32_t>(shape.codewords() - 1),
          weight.out_stride,
          weight.in_stride,
          static_cast<uint32_t>(shape.out_group),
          static_cast<uint32_t>(shape.in_group),
          static_cast<uint32_t>(shape.codebooks),
          weight.type == WeightType::f16    ? Rounding::half
          : weight.type == WeightType::bf16 ? Rounding::bfloat16
                                            : Rounding::none,
          weight.codebooks,
          weight.scales};
}

// As launch_linear, but four rows of x at a time: beside eight sums of codewords those of eight
// rows would spill.
template <class Element>
const char* launch_product(const AdditiveBlocks::Weight& weight, const Element* x,
                           const Element* bias, Element* y, uint32_t m, void* stream) {
  if (m == 1) return launch_gemv_batch<AdditiveBlocks, Element, 1>(weight, x, bias, y, 1, stream);
  for (uint32_t row = 0; m <= kGemvMaxBatch && row < m; row += 4) {
    const uint32_t left = m - row;
    if (const char* error = launch_gemv_batch<AdditiveBlocks, Element, 4>(
            weight, x + uint64_t{row} * weight.columns, bias, y + uint64_t{row} * weight.rows,
            static_cast<int>(left < 4 ? left : 4), stream))
      return error;
  }
  if (m <= kGemvMaxBatch) return nullptr;
#if !defined(__HIP__)
  if (m >= kWgmmaLeastRows && uint64_t{weight.columns} * 2 < kWgmmaRowBytes && wgmma_available())
    return launch_wgmma_gemm<AdditiveBlocks>(weight, x, bias, y, m, stream);
#endif
  return launch_gemm<AdditiveBlocks>(weight, x, bias, y, m, stream);
}

}  // namespace

const char* check_aqlm(const AqlmShape& shape) {
  return shape.in_group % kRun == 0 ? nullptr
                                    : "aqlm: on a device codewords have a multiple of 8 columns";
}

const char* dequantize_aqlm(const AqlmWeight& weight, WeightType out_type, void* out,
                            void* stream) {
  if (const char* error = check_aqlm(weight.shape)) return error;
  return with_element(out_type, [&](auto element) {
    return launch_dequantize<AdditiveBlocks>(kernel_weight(weight),
                                             static_cast<decltype(element)*>(out), stream);
  });
}

const char* linear_aqlm(const AqlmWeight& weight, WeightType activation, const void* x,
                        const void* bias, void* y, uint32_t m, void* stream) {
  if (const char* error = check_aqlm(weight.shape)) return error;
  if (m == 0 || weight.shape.rows == 0) return nullptr;
  const AdditiveBlocks::Weight blocks = kernel_weight(weight);
  return with_activation(activation, [&](auto element) {
    using Element = decltype(element);
    return launch_product(blocks, static_cast<const Element*>(x), static_cast<const Element*>(bias),
                          static_cast<Element*>(y), m, stream);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
