// From dtypes known at run time to kernels.
#pragma once

#include "kernels/cpu/common/numbers.h"
#include "kernels/device/gemm.h"
#include "kernels/device/gemv.h"
#if !defined(__HIP__)
#include "kernels/device/host_runtime.h"
#include "kernels/device/wgmma_gemm.h"
#endif

namespace precis::kernels::PRECIS_DEVICE {

// body(float{}), body(Half{}) or body(BFloat16{}).
template <class Body>
const char* with_element(WeightType type, Body body) {
  switch (type) {
    case WeightType::f32:
      return body(float{});
    case WeightType::f16:
      return body(Half{});
    case WeightType::bf16:
      return body(BFloat16{});
  }
  return "unknown dtype";
}

// The dtypes that the matrix units take.
template <class Body>
const char* with_activation(WeightType type, Body body) {
  switch (type) {
    case WeightType::f16:
      return body(Half{});
    case WeightType::bf16:
      return body(BFloat16{});
    case WeightType::f32:
      break;
  }
  return "products on a device take activations in f16 or bf16";
}

// Rows of x from which on wgmma's tiles of 256 are worth their padding.
inline constexpr uint32_t kWgmmaLeastRows = 128;

// y[m][rows] = x[m][columns] W^T + bias.
template <class Format, class Element>
const char* launch_linear_of(const typename Format::Weight& weight, const Element* x,
                             const Element* bias, Element* y, uint32_t m, void* stream) {
  if (weight.columns % kRun != 0) return "products on a device: in_features is a multiple of 8";
  if (m == 0 || weight.rows == 0) return nullptr;
  if (m <= kGemvMaxBatch) return launch_gemv<Format>(weight, x, bias, y, m, stream);
#if !defined(__HIP__)
  if (m >= kWgmmaLeastRows && uint64_t{weight.columns} * 2 < kWgmmaRowBytes && wgmma_available())
    return launch_wgmma_gemm<Format>(weight, x, bias, y, m, stream);
#endif
  return launch_gemm<Format>(weight, x, bias, y, m, stream);
}

template <class Format>
const char* launch_linear(const typename Format::Weight& weight, WeightType activation,
                          const void* x, const void* bias, void* y, uint32_t m, void* stream) {
  return with_activation(activation, [&](auto element) {
    using Element = decltype(element);
    return launch_linear_of<Format>(weight, static_cast<const Element*>(x),
                                    static_cast<const Element*>(bias), static_cast<Element*>(y), m,
                                    stream);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
