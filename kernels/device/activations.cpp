// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/activations.h"

#include "kernels/device/gather_columns.h"
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

const char* gather_columns(const void* x, uint32_t m, uint32_t columns, const uint32_t* order,
                           void* out, void* stream) {
  if (columns % 8 != 0) return "activations: columns are gathered in multiples of 8";
  if (m == 0 || columns == 0) return nullptr;
  return launch_gather_columns(static_cast<const uint16_t*>(x), m, columns, order,
                               static_cast<uint16_t*>(out), stream);
}

}  // namespace precis::kernels::PRECIS_DEVICE
