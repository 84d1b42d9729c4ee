// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/activations.h"

#include "kernels/device/encode_activations.h"
#include "kernels/device/gather_columns.h"
#include "kernels/device/round_activations.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

RoundedActivationRule rule_of(const ActivationRounding& rounding, uint32_t columns) {
  return {rounding.rule,
          rounding.group == 0 ? columns : static_cast<uint32_t>(rounding.group),
          rounding.symmetric,
          static_cast<float>(rounding.low),
          static_cast<float>(rounding.high),
          rounding.divisor};
}

}  // namespace

const char* round_activations(WeightType type, const void* x, uint32_t m, uint32_t columns,
                              const ActivationRounding& rounding, void* out, void* stream) {
  if (!in_own_dtype(rounding.rule)) return "activations: these codes are numbers in float32";
  const RoundedActivationRule rule = rule_of(rounding, columns);
  return with_activation(type, [&](auto element) {
    using Element = decltype(element);
    return launch_round_activations(static_cast<const Element*>(x), m, columns, rule,
                                    static_cast<Element*>(out), stream);
  });
}

const char* encode_activations(WeightType type, const void* x, uint32_t m, uint32_t columns,
                               const ActivationRounding& rounding, int8_t* codes, float* scales,
                               void* stream) {
  if (rounding.rule != ActivationRule::compressed_integer || !rounding.symmetric ||
      rounding.group != 0 || rounding.low < -128 || rounding.high > 127)
    return "activations: codes are compressed-tensors' symmetric integers of whole rows";
  return with_activation(type, [&](auto element) {
    using Element = decltype(element);
    return launch_encode_activations(static_cast<const Element*>(x), m, columns,
                                     rule_of(rounding, columns), codes, scales, stream);
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
