// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/vptq.h"

#include "kernels/device/dequantize_elements.h"
#include "kernels/device/formats/vptq_vectors.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

VptqVectors::Weight kernel_weight(const VptqWeight& w) {
  const auto narrow = [](uint64_t value) { return static_cast<uint32_t>(value); };
  return {narrow(w.rows),
          narrow(w.columns),
          w.type,
          narrow(w.vector),
          narrow(w.vectors()),
          narrow(w.groups),
          narrow(w.group_size),
          narrow(w.words()),
          static_cast<uint32_t>(w.bits),
          static_cast<uint32_t>(w.residual_bits),
          w.indices,
          w.centroids,
          w.residual,
          narrow(w.outliers),
          narrow(w.outlier_vector),
          w.outlier_indices,
          w.outlier_centroids,
          w.places,
          w.scales,
          w.biases};
}

}  // namespace

const char* dequantize_vptq(const VptqWeight& weight, WeightType out_type, void* out,
                            void* stream) {
  return with_element(out_type, [&](auto element) {
    return launch_dequantize_elements<VptqElements>(kernel_weight(weight),
                                                    static_cast<decltype(element)*>(out), stream);
  });
}

const char* linear_vptq(const VptqWeight& weight, WeightType activation, const void* x,
                        const void* bias, void* y, uint32_t m, void* stream) {
  return launch_linear<VptqVectors>(kernel_weight(weight), activation, x, bias, y, m, stream);
}

}  // namespace precis::kernels::PRECIS_DEVICE
