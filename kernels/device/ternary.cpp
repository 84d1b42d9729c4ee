// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/ternary.h"

#include "kernels/device/dequantize.h"
#include "kernels/device/formats/ternary_rows.h"
#include "kernels/device/quantize_ternary_activations.h"
#include "kernels/device/ternary_product.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

const char* check(const TernaryTensor& weight) {
  return weight.rows % 4 != 0 ? "ternary numbers: rows are a multiple of 4" : nullptr;
}

// How the workspace of linear_ternary is divided: rows of codes and their scales begin at multiples
// of 16 bytes.
struct TernaryWorkspace {
  uint64_t stride, scales_at, bytes;
  TernaryWorkspace(uint64_t m, uint64_t columns)
      : stride((columns + 15) / 16 * 16),
        scales_at(m * stride),
        bytes(scales_at + m * sizeof(float)) {}
};

template <class Activation, int Batch>
const char* launch_ternary_gemv(const TernaryProduct& product, const Activation* bias,
                                Activation* y, void* stream) {
  return PRECIS_LAUNCH((ternary_gemv_kernel<Activation, Batch>),
                       dim3((product.quarter + kGemvWarps - 1) / kGemvWarps),
                       dim3(kGemvWarps * kWarp), 0, stream, product, bias, y);
}

template <class Activation, int TileM>
const char* launch_ternary_gemm(const TernaryProduct& product, const Activation* bias,
                                Activation* y, void* stream) {
  const dim3 grid((product.quarter + kTernaryRows - 1) / kTernaryRows,
                  (product.m + TileM - 1) / TileM);
  return PRECIS_LAUNCH((ternary_gemm_kernel<Activation, DeviceMatrixUnit, TileM, kTernaryTileN>),
                       grid, dim3(kGemmThreads),
                       (TileShape<DeviceMatrixUnit, TileM, kTernaryTileN>::kSharedBytes), stream,
                       product, bias, y);
}

template <class Activation>
const char* launch_ternary(const TernaryProduct& product, const Activation* bias, Activation* y,
                           void* stream) {
  if (product.m == 1) return launch_ternary_gemv<Activation, 1>(product, bias, y, stream);
  if (product.m <= 4) return launch_ternary_gemv<Activation, 4>(product, bias, y, stream);
  if (product.m <= kGemvMaxBatch)
    return launch_ternary_gemv<Activation, kGemvMaxBatch>(product, bias, y, stream);
  if (product.m <= 32) return launch_ternary_gemm<Activation, 32>(product, bias, y, stream);
  return launch_ternary_gemm<Activation, kLargeTileM>(product, bias, y, stream);
}

}  // namespace

const char* dequantize_ternary(const TernaryTensor& weight, WeightType out_type, void* out,
                               void* stream) {
  if (const char* error = check(weight)) return error;
  return with_element(out_type, [&](auto element) {
    return launch_dequantize<TernaryRows>({weight.rows, weight.columns, weight.codes, weight.step},
                                          static_cast<decltype(element)*>(out), stream);
  });
}

uint64_t ternary_workspace(uint64_t m, uint64_t columns) {
  return TernaryWorkspace(m, columns).bytes;
}

const char* linear_ternary(const TernaryTensor& weight, WeightType activation, const void* x,
                           const void* bias, void* y, uint32_t m, void* workspace, void* stream) {
  if (const char* error = check(weight)) return error;
  if (weight.columns % kRun != 0) return "products on a device: in_features is a multiple of 8";
  if (m == 0 || weight.rows == 0) return nullptr;
  const TernaryWorkspace room(m, weight.columns);
  auto* codes = static_cast<int8_t*>(workspace);
  auto* scales = reinterpret_cast<float*>(codes + room.scales_at);
  const auto stride = static_cast<uint32_t>(room.stride);
  return with_activation(activation, [&](auto element) -> const char* {
    using Element = decltype(element);
    if (const char* error = launch_quantize_ternary_activations(
            static_cast<const Element*>(x), m, weight.columns, stride, codes, scales, stream))
      return error;
    return launch_ternary(TernaryProduct{m, weight.rows / 4, weight.columns, stride, codes, scales,
                                         weight.codes, weight.step},
                          static_cast<const Element*>(bias), static_cast<Element*>(y), stream);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
