// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/gguf.h"

#include "kernels/device/dequantize.h"
#include "kernels/device/formats/dense.h"
#include "kernels/device/formats/gguf_blocks.h"
#include "kernels/device/gguf_levels.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

constexpr GgufTypeShape kTypes[] = {{GgufType::f16, "f16", 1, 2, true, false},
                                    {GgufType::bf16, "bf16", 1, 2, true, false},
                                    {GgufType::q8_0, "q8_0", 32, 34, true, false},
                                    {GgufType::q4_0, "q4_0", 32, 18, true, false},
                                    {GgufType::q4_k, "q4_k", 256, 144, true, true},
                                    {GgufType::q4_1, "q4_1", 32, 20, true, true},
                                    {GgufType::q5_0, "q5_0", 32, 22, true, false},
                                    {GgufType::q5_1, "q5_1", 32, 24, true, true},
                                    {GgufType::iq4_nl, "iq4_nl", 32, 18, true, false},
                                    {GgufType::mxfp4, "mxfp4", 32, 17, true, false},
                                    {GgufType::nvfp4, "nvfp4", 64, 36, true, false},
                                    {GgufType::q1_0, "q1_0", 128, 18, true, false},
                                    {GgufType::q2_0, "q2_0", 64, 18, true, false},
                                    {GgufType::tq1_0, "tq1_0", 256, 54, true, false},
                                    {GgufType::tq2_0, "tq2_0", 256, 66, true, false},
                                    {GgufType::q2_k, "q2_k", 256, 84, true, true},
                                    {GgufType::q3_k, "q3_k", 256, 110, true, false},
                                    {GgufType::q5_k, "q5_k", 256, 176, true, true},
                                    {GgufType::q6_k, "q6_k", 256, 210, true, false},
                                    {GgufType::iq4_xs, "iq4_xs", 256, 136, true, false},
                                    {GgufType::iq1_s, "iq1_s", 256, 50, false, false},
                                    {GgufType::iq1_m, "iq1_m", 256, 56, false, false},
                                    {GgufType::iq2_xxs, "iq2_xxs", 256, 66, false, false},
                                    {GgufType::iq2_xs, "iq2_xs", 256, 74, false, false},
                                    {GgufType::iq2_s, "iq2_s", 256, 82, false, false},
                                    {GgufType::iq3_xxs, "iq3_xxs", 256, 98, false, false},
                                    {GgufType::iq3_s, "iq3_s", 256, 110, false, false}};

constexpr bool stand_by_number() {
  for (uint32_t i = 0; i < sizeof kTypes / sizeof kTypes[0]; ++i)
    if (static_cast<uint32_t>(kTypes[i].type) != i) return false;
  return true;
}
static_assert(stand_by_number());

const GgufTypeShape& shape_of(GgufType type) {
  return kTypes[static_cast<uint32_t>(type)];
}

constexpr const char* kBroken = "gguf: a row is a whole number of blocks";

// body(Format{}, its weight) for the types that have kernels of their own.
template <class Body>
const char* with_format(const GgufTensor& weight, Body body) {
  const GgufWeight blocks{weight.rows, weight.columns, weight.blocks};
  const auto dense = [&](auto element) {
    using Element = decltype(element);
    return body(Dense<Element>{},
                typename Dense<Element>::Weight{weight.rows, weight.columns,
                                                reinterpret_cast<const Element*>(weight.blocks)});
  };
  switch (weight.type) {
    case GgufType::f16:
      return dense(Half{});
    case GgufType::bf16:
      return dense(BFloat16{});
    case GgufType::q8_0:
      return body(Q8_0{}, blocks);
    case GgufType::q4_0:
      return body(Q4_0{}, blocks);
    default:
      return body(Q4_K{}, blocks);
  }
}

}  // namespace

uint32_t gguf_type_count() {
  return sizeof kTypes / sizeof kTypes[0];
}
const GgufTypeShape& gguf_type_at(uint32_t index) {
  return kTypes[index];
}
const GgufTypeShape* find_gguf_type(std::string_view name) {
  for (const GgufTypeShape& shape : kTypes)
    if (shape.name == name) return &shape;
  return nullptr;
}

const char* dequantize_gguf(const GgufTensor& weight, WeightType out_type, void* out,
                            void* stream) {
  const GgufTypeShape& shape = shape_of(weight.type);
  if (weight.columns % shape.block_elements != 0) return kBroken;
  if (weight.type > GgufType::q4_k)
    return dequantize_gguf_levels(weight, shape, out_type, out, stream);
  return with_format(weight, [&](auto format, const auto& kernel_weight) {
    using Format = decltype(format);
    return with_element(out_type, [&](auto element) {
      using Element = decltype(element);
      return launch_dequantize<Format>(kernel_weight, static_cast<Element*>(out), stream);
    });
  });
}

const char* linear_gguf(const GgufTensor& weight, WeightType activation, const void* x,
                        const void* bias, void* y, uint32_t m, void* stream) {
  const GgufTypeShape& shape = shape_of(weight.type);
  if (weight.columns % shape.block_elements != 0) return kBroken;
  if (weight.type > GgufType::q4_k)
    return linear_gguf_levels(weight, shape, activation, x, bias, y, m, stream);
  return with_format(weight, [&](auto format, const auto& kernel_weight) {
    return launch_linear<decltype(format)>(kernel_weight, activation, x, bias, y, m, stream);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
