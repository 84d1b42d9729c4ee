// Products on a device with activations that the library rounds as they come: codes and scales of x
// stand in the call's workspace.
#pragma once

#include "kernels/device/activations.h"
#include "kernels/device/float8.h"
#include "kernels/device/int8.h"
#include "plugins/back_end.h"

namespace precis::plugins::PRECIS_DEVICE {

using Rounding = std::optional<kernels::ActivationRounding>;

struct RoundedActivations {
  uint64_t scales_at, bytes;
  RoundedActivations(uint64_t m, uint64_t columns, const kernels::ActivationRounding& rounding) {
    const uint64_t tile = rounding.group == 0 ? columns : rounding.group;
    scales_at = (m * columns + 15) / 16 * 16;
    bytes = scales_at + m * ((columns + tile - 1) / tile) * sizeof(float);
  }
};

inline void plan_rounded(const precis_linear_options& options, uint64_t columns,
                         const kernels::ActivationRounding& rounding, sdk::PlanWriter& plan) {
  if (rounding.group != 0 && rounding.group < 64 && rounding.group < columns)
    throw sdk::PluginError(PRECIS_UNSUPPORTED, "on a device a tile has at least 64 columns");
  plan.workspace(
      RoundedActivations(static_cast<uint64_t>(options.max_rows), columns, rounding).bytes);
}

// body(codes, scales) of x in the workspace.
template <typename Code, typename Body>
const char* with_rounded(const ProductArguments& a, uint64_t columns,
                         const kernels::ActivationRounding& rounding, Body body) {
  const RoundedActivations room(a.m, columns, rounding);
  a.require_workspace(room.bytes);
  auto* codes = static_cast<unsigned char*>(a.call.workspace);
  return body(reinterpret_cast<Code*>(codes), reinterpret_cast<float*>(codes + room.scales_at));
}

// Activations rounded in their own dtype stay numbers, which are multiplied as x is.
inline void plan_numbers(const precis_linear_options& options, uint64_t columns,
                         const kernels::ActivationRounding& rounding, sdk::PlanWriter& plan) {
  if (!kernels::in_own_dtype(rounding.rule))
    throw sdk::PluginError(PRECIS_UNSUPPORTED,
                           "on a device there is no product with activations that are rounded as "
                           "this config asks");
  plan.workspace(numbers_bytes(static_cast<uint64_t>(options.max_rows), columns));
}
// launch(a, x) with the rounded x in the workspace.
template <typename Launch>
const char* with_numbers(const ProductArguments& a, uint64_t columns,
                         const kernels::ActivationRounding& rounding, Launch launch) {
  a.require_workspace(numbers_bytes(a.m, columns));
  if (const char* error =
          device::round_activations(a.activation, a.x, a.m, static_cast<uint32_t>(columns),
                                    rounding, a.call.workspace, a.call.stream))
    return error;
  return launch(a, a.call.workspace);
}

// rounding: by the rule float8 or compressed_float8.
inline const char* launch_rounded(const device::Float8Tensor& weight,
                                  const kernels::ActivationRounding& rounding,
                                  const ProductArguments& a) {
  return with_rounded<uint8_t>(
      a, weight.columns, rounding, [&](uint8_t* codes, float* scales) -> const char* {
        if (const char* error = device::quantize_float8_activations(
                a.activation, a.x, a.m, weight.columns, rounding, codes, scales, a.call.stream))
          return error;
        return device::linear_float8_float8(weight,
                                            {codes, scales, static_cast<uint32_t>(rounding.group)},
                                            a.activation, a.bias, a.y, a.m, a.call.stream);
      });
}

// rounding: by the rule torchao_integer or compressed_integer, symmetric and of whole rows.
inline const char* launch_rounded(const device::Int8Rows& weight,
                                  const kernels::ActivationRounding& rounding,
                                  const ProductArguments& a) {
  return with_rounded<int8_t>(
      a, weight.columns, rounding, [&](int8_t* codes, float* scales) -> const char* {
        const auto encode = rounding.rule == kernels::ActivationRule::compressed_integer
                                ? device::encode_activations
                                : device::quantize_int8_activations;
        if (const char* error = encode(a.activation, a.x, a.m, weight.columns, rounding, codes,
                                       scales, a.call.stream))
          return error;
        return device::linear_int8_rows(weight, codes, scales, a.activation, a.bias, a.y, a.m,
                                        a.call.stream);
      });
}

}  // namespace precis::plugins::PRECIS_DEVICE
