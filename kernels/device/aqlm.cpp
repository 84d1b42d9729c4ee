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
  return launch_linear<AdditiveBlocks>(kernel_weight(weight), activation, x, bias, y, m, stream);
}

}  // namespace precis::kernels::PRECIS_DEVICE
