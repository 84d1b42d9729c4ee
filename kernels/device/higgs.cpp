// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/higgs.h"

#include "kernels/device/formats/higgs_pairs.h"
#include "kernels/device/rotate.h"
#include "kernels/device/rotated.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

const char* check(const HiggsTensor& w) {
  const bool bits = w.bits >= 2 && w.bits <= 4, whole = w.columns % kRun == 0;
  return bits && whole && w.group != 0 && w.group % kRun == 0
             ? nullptr
             : "higgs: 2 to 4 bits, columns and groups are multiples of 8";
}

}  // namespace

const char* dequantize_higgs(const HiggsTensor& weight, WeightType out_type, void* out,
                             void* stream) {
  if (const char* error = check(weight)) return error;
  return with_element(out_type, [&](auto element) {
    return launch_rotate<HiggsElements>(weight, weight.rotation,
                                        static_cast<decltype(element)*>(out), stream);
  });
}

const char* linear_higgs(const HiggsTensor& weight, WeightType activation, const void* x,
                         const void* bias, void* y, uint32_t m, void* workspace, void* stream) {
  if (const char* error = check(weight)) return error;
  if (const char* error =
          rotate_activations(activation, x, m, weight.columns, weight.rotation, workspace, stream))
    return error;
  return launch_linear<HiggsPairs>(weight, activation, workspace, bias, y, m, stream);
}

}  // namespace precis::kernels::PRECIS_DEVICE
