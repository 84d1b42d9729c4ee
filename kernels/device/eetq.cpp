// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/eetq.h"

#include "kernels/device/dequantize.h"
#include "kernels/device/formats/eetq_rows.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

const char* check(const EetqTensor& weight) {
  return weight.rows % 64 != 0 || weight.columns % 64 != 0
             ? "eetq: rows and columns are multiples of 64"
             : nullptr;
}

EetqRows::Weight kernel_weight(const EetqTensor& weight) {
  return {weight.rows, weight.columns, weight.codes, weight.scales};
}

}  // namespace

const char* dequantize_eetq(const EetqTensor& weight, WeightType out_type, void* out,
                            void* stream) {
  if (const char* error = check(weight)) return error;
  return with_element(out_type, [&](auto element) {
    return launch_dequantize<EetqRows>(kernel_weight(weight), static_cast<decltype(element)*>(out),
                                       stream);
  });
}

const char* linear_eetq(const EetqTensor& weight, WeightType activation, const void* x,
                        const void* bias, void* y, uint32_t m, void* stream) {
  if (const char* error = check(weight)) return error;
  return launch_linear<EetqRows>(kernel_weight(weight), activation, x, bias, y, m, stream);
}

}  // namespace precis::kernels::PRECIS_DEVICE
