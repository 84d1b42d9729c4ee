// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/rotated.h"

#include "kernels/device/rotate.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {

struct FloatElements {
  struct Weight {
    uint32_t rows, columns;
    StoredFloats numbers;  // [rows][columns]
  };
  template <class Out>
  static PRECIS_FUNCTION float value(const Weight& weight, uint32_t row, uint32_t column) {
    return load_float(weight.numbers, uint64_t{row} * weight.columns + column);
  }
};

const char* rotate_activations(WeightType type, const void* x, uint32_t m, uint32_t columns,
                               const Rotation& rotation, void* out, void* stream) {
  return with_activation(type, [&](auto element) {
    return launch_rotate<FloatElements>({m, columns, {type, x}}, rotation,
                                        static_cast<decltype(element)*>(out), stream);
  });
}

const char* dequantize_rotated(const StoredFloats& numbers, uint32_t rows, uint32_t columns,
                               const Rotation& rotation, WeightType out_type, void* out,
                               void* stream) {
  return with_element(out_type, [&](auto element) {
    return launch_rotate<FloatElements>({rows, columns, numbers}, rotation,
                                        static_cast<decltype(element)*>(out), stream);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
