// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/nunchaku.h"

#include "kernels/device/dequantize.h"
#include "kernels/device/dequantize_elements.h"
#include "kernels/device/formats/dense.h"
#include "kernels/device/formats/nunchaku_awq.h"
#include "kernels/device/svdq_layout.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {

#if defined(__HIP__)
// Tiles of 64 rows spill on gfx1100.
template <class Element>
inline constexpr int kMostTileM<SvdqBlocks<Element>> = 32;
#endif

namespace {

const char* check(const NunchakuAwqTensor& weight) {
  return weight.rows % 4 == 0 && weight.columns % 64 == 0 && weight.group % kRun == 0 &&
                 weight.group != 0
             ? nullptr
             : "nunchaku: awq's rows are multiples of 4, columns of 64, groups of 8";
}

const char* check(const SvdqTensor& weight) {
  if (uint64_t{weight.rows} * weight.columns >> 34 != 0)
    return "nunchaku: svdq's weights are below 2^34 elements";
  return weight.rows % 128 == 0 && weight.columns % 128 == 0 && weight.rank % 16 == 0
             ? nullptr
             : "nunchaku: svdq's sides are multiples of 128, the rank of 16";
}

NunchakuAwq::Weight kernel_weight(const NunchakuAwqTensor& w) {
  const bool wide = w.scales.type == WeightType::f32 || w.zeros.type == WeightType::f32;
  return {w.rows, w.columns, w.group, wide, w.codes, w.scales, w.zeros};
}

}  // namespace

const char* dequantize_nunchaku_awq(const NunchakuAwqTensor& weight, WeightType out_type, void* out,
                                    void* stream) {
  if (const char* error = check(weight)) return error;
  return with_element(out_type, [&](auto element) {
    return launch_dequantize<NunchakuAwq>(kernel_weight(weight),
                                          static_cast<decltype(element)*>(out), stream);
  });
}

const char* linear_nunchaku_awq(const NunchakuAwqTensor& weight, WeightType activation,
                                const void* x, const void* bias, void* y, uint32_t m,
                                void* stream) {
  if (const char* error = check(weight)) return error;
  return launch_linear<NunchakuAwq>(kernel_weight(weight), activation, x, bias, y, m, stream);
}

const char* dequantize_svdq(const SvdqTensor& weight, WeightType out_type, void* out,
                            void* stream) {
  if (const char* error = check(weight)) return error;
  return with_element(out_type, [&](auto element) {
    return launch_dequantize_elements<SvdqElements>(weight, static_cast<decltype(element)*>(out),
                                                    stream);
  });
}

const char* lay_out_svdq(const SvdqTensor& weight, WeightType activation, const SvdqRows& rows,
                         void* stream) {
  if (const char* error = check(weight)) return error;
  return with_activation(activation, [&](auto element) {
    return launch_lay_out_svdq<decltype(element)>(weight, rows, stream);
  });
}

const char* linear_svdq(const SvdqTensor& weight, const SvdqRows& rows, WeightType activation,
                        const void* x, const void* bias, void* y, uint32_t m, void* workspace,
                        void* stream) {
  if (const char* error = check(weight)) return error;
  return with_activation(activation, [&](auto element) -> const char* {
    using Element = decltype(element);
    const auto* typed_x = static_cast<const Element*>(x);
    const uint32_t columns = weight.columns, rank = weight.rank;
    auto* extended = static_cast<Element*>(workspace);
    auto* low = extended + uint64_t{m} * (columns + rank);
    if (rank != 0)
      if (const char* error = launch_linear_of<Dense<Element>, Element>(
              {rank, columns, static_cast<const Element*>(rows.down)}, typed_x, nullptr, low, m,
              stream))
        return error;
    if (const char* error = launch_extend_activations<Element>(typed_x, rows.smooth, low, columns,
                                                               rank, m, extended, stream))
      return error;
    const typename SvdqBlocks<Element>::Weight blocks{
        weight.rows,         columns + rank,  columns,
        weight.nvfp4,        weight.codes,    weight.scales,
        weight.micro_scales, rows.row_scales, static_cast<const Element*>(rows.up)};
    return launch_linear_of<SvdqBlocks<Element>, Element>(
        blocks, extended, static_cast<const Element*>(bias), static_cast<Element*>(y), m, stream);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
