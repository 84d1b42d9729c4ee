// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/int8.h"

#include "kernels/device/int8_gemm.h"
#include "kernels/device/quantize_int8_activations.h"
#include "kernels/device/typed.h"
#if !defined(__HIP__)
#include "kernels/device/int8_wgmma.h"
#endif

namespace precis::kernels::PRECIS_DEVICE {

const char* launch_int8_product(const Int8Product& product, WeightType activation, const void* bias,
                                void* y, void* stream) {
  if (product.columns % 16 != 0) return "int8 products: in_features is a multiple of 16";
  if (product.m == 0 || product.rows == 0) return nullptr;
  return with_activation(activation, [&](auto element) {
    using Element = decltype(element);
    const auto* typed_bias = static_cast<const Element*>(bias);
    auto* typed_y = static_cast<Element*>(y);
#if !defined(__HIP__)
    // For fewer rows mma.sync has a smaller tile.
    if (product.m > 32 && product.columns < kWgmmaRowBytes && wgmma_available())
      return launch_int8_wgmma(product, typed_bias, typed_y, stream);
#endif
    return launch_int8_gemm(product, typed_bias, typed_y, stream);
  });
}

const char* quantize_int8_activations(WeightType type, const void* x, uint32_t m, uint32_t columns,
                                      const ActivationRounding& rounding, int8_t* codes,
                                      float* scales, void* stream) {
  if (rounding.rule != ActivationRule::torchao_integer || !rounding.symmetric ||
      rounding.group != 0)
    return "int8 activations: torchao's symmetric integers of whole rows";
  return with_activation(type, [&](auto element) {
    using Element = decltype(element);
    return launch_quantize_int8_activations(
        static_cast<const Element*>(x), m, columns,
        {rounding.divisor, static_cast<float>(rounding.low), static_cast<float>(rounding.high)},
        codes, scales, stream);
  });
}

const char* linear_int8_rows(const Int8Rows& weight, const int8_t* x, const float* x_scales,
                             WeightType activation, const void* bias, void* y, uint32_t m,
                             void* stream) {
  return launch_int8_product({m, weight.rows, weight.columns, x, x_scales, weight.codes,
                              weight.scales, 1.0f, nullptr, nullptr},
                             activation, bias, y, stream);
}

}  // namespace precis::kernels::PRECIS_DEVICE
