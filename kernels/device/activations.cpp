// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/activations.h"

#include "kernels/device/round_activations.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {

const char* round_activations(WeightType type, const void* x, uint32_t m, uint32_t columns,
                              const ActivationRounding& rounding, void* out, void* stream) {
  if (!in_own_dtype(rounding.rule)) return "activations: these codes are numbers in float32";
  const RoundedActivationRule rule{
      rounding.rule,
      rounding.group == 0 ? columns : static_cast<uint32_t>(rounding.group),
      rounding.symmetric,
      static_cast<float>(rounding.low),
      static_cast<float>(rounding.high),
      rounding.divisor};
  return with_activation(type, [&](auto element) {
    using Element = decltype(element);
    return launch_round_activations(static_cast<const Element*>(x), m, columns, rule,
                                    static_cast<Element*>(out), stream);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
