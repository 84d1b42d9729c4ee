#include "plugins/modelopt/form.h"

namespace precis::modelopt {

using kernels::NarrowType;
using kernels::ScaleRule;

namespace {

Form groups(NarrowType type, int bits, precis_dtype codes, const Scheme& scheme, uint64_t size,
            ScaleRule rule, float whole_divisor = 0) {
  return {type, bits, codes,        1, scheme.group_size == 0 ? size : scheme.group_size,
          rule, true, whole_divisor};
}

}  // namespace

Form form_of(const Scheme& scheme) {
  const auto float8 = NarrowType::float8_e4m3fn;
  const auto float4 = NarrowType::float4_e2m1;
  const auto product = ScaleRule::two_levels_product;
  switch (scheme.algorithm) {
    case Algorithm::fp8:
      return {float8, 8, sdk::kFloat8E4M3FN, 0, 0, ScaleRule::float32};
    case Algorithm::fp8_rows:
      return {float8, 8, sdk::kFloat8E4M3FN, 1, 0, ScaleRule::float32};
    case Algorithm::fp8_blocks:
      return {float8, 8, sdk::kFloat8E4M3FN, 128, 128, ScaleRule::float32};
    case Algorithm::int8_rows:
      return {NarrowType::int8, 8, sdk::kInt8, 1, 0, ScaleRule::float32};
    case Algorithm::int4:
      return groups(NarrowType::int4_row_pairs, 4, sdk::kUInt8, scheme, 128, ScaleRule::float32);
    case Algorithm::int4_fp8: {
      Form form =
          groups(NarrowType::int4_row_pairs, 4, sdk::kUInt8, scheme, 128, ScaleRule::float32);
      form.in_float8 = true;
      return form;
    }
    case Algorithm::nvfp4:
      return groups(float4, 4, sdk::kUInt8, scheme, 16, product, 6 * 448);
    case Algorithm::nvfp4_fp8:
      return groups(float4, 4, sdk::kUInt8, scheme, 32, product, 448);
    case Algorithm::mxfp4:
      return groups(float4, 4, sdk::kUInt8, scheme, 32, ScaleRule::exponent_ceiling);
    case Algorithm::mxfp8:
      return groups(float8, 8, sdk::kFloat8E4M3FN, scheme, 32, ScaleRule::exponent_ceiling);
    case Algorithm::none:
    case Algorithm::unread:
      break;
  }
  throw sdk::PluginError(PRECIS_UNSUPPORTED,
                         "quant_algo FP8, FP8_PER_CHANNEL_PER_TOKEN, fp8_pb_wo, MXFP8, W8A16, "
                         "W4A16_AWQ, W4A8_AWQ, NVFP4, W4A16_NVFP4, W4A8_NVFP4_FP8, mxfp4 and "
                         "W4A8_MXFP4_FP8 are read, others are not");
}

sdk::Json config_group(const Scheme& scheme) {
  const auto floats = [&](int bits) {
    sdk::Json args{{"dynamic", false}, {"num_bits", bits}, {"type", "float"}};
    if (bits == 4) args["group_size"] = form_of(scheme).tile_columns;
    return args;
  };
  sdk::Json group{{"targets", {"Linear"}}};
  if (scheme.name == "FP8" || scheme.name == "NVFP4") {
    group["weights"] = group["input_activations"] = floats(scheme.name == "FP8" ? 8 : 4);
    return group;
  }
  if (scheme.name != "W4A16_NVFP4") return nullptr;
  group["weights"] = floats(4);
  return group;
}

}  // namespace precis::modelopt
