// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/sdnq.h"

#include "kernels/device/dequantize.h"
#include "kernels/device/dequantize_elements.h"
#include "kernels/device/formats/sdnq_runs.h"
#include "kernels/device/rotate.h"
#include "kernels/device/rotated.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {

// Kinds of numbers beside the codes leave no registers for a second block.
template <bool Codebook>
inline constexpr int kGemmBlocks<SdnqRuns<Codebook>> = 1;

namespace {

const char* check(const SdnqTensor& w) {
  if (w.groups == 0 || w.columns % w.groups != 0) return "sdnq: groups divide the columns";
  return w.number.bits >= 1 && w.number.bits <= 8 ? nullptr : "sdnq: codes have 1 to 8 bits";
}

bool runs_share(const SdnqTensor& w) {
  return w.columns % kRun == 0 && w.columns / w.groups % kRun == 0;
}

// body(Format{}).
template <class Body>
const char* with_runs(const SdnqTensor& weight, Body body) {
  return weight.levels > 1 ? body(SdnqRuns<true>{}) : body(SdnqRuns<false>{});
}

}  // namespace

const char* dequantize_sdnq(const SdnqTensor& weight, WeightType out_type, void* out,
                            void* stream) {
  if (const char* error = check(weight)) return error;
  return with_element(out_type, [&](auto element) {
    auto* to = static_cast<decltype(element)*>(out);
    if (weight.rotation.size != 0)
      return launch_rotate<SdnqElements>(weight, weight.rotation, to, stream);
    if (weight.rank != 0 || !runs_share(weight))
      return launch_dequantize_elements<SdnqElements>(weight, to, stream);
    return with_runs(weight, [&](auto format) {
      return launch_dequantize<decltype(format)>(weight, to, stream);
    });
  });
}

const char* check_sdnq_product(const SdnqTensor& weight) {
  if (const char* error = check(weight)) return error;
  if (weight.rank != 0) return "on a device weights with a low-rank part are decoded";
  return runs_share(weight) ? nullptr
                            : "products on a device: 8 neighbours of a row have one scale";
}

const char* linear_sdnq(const SdnqTensor& weight, WeightType activation, const void* x,
                        const void* bias, void* y, uint32_t m, void* workspace, void* stream) {
  if (const char* error = check_sdnq_product(weight)) return error;
  if (weight.rotation.size != 0) {
    if (const char* error = rotate_activations(activation, x, m, weight.columns, weight.rotation,
                                               workspace, stream))
      return error;
    x = workspace;
  }
  return with_runs(weight, [&](auto format) {
    return launch_linear<decltype(format)>(weight, activation, x, bias, y, m, stream);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
