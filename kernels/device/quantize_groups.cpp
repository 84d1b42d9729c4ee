// Encoders of group-wise integers. Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/grouped.h"
#include "kernels/device/quantize_awq.h"
#include "kernels/device/quantize_gptq.h"
#include "kernels/device/quantize_torchao.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

// Blocks of threads stand along x, which goes to 2^31.
bool too_many(uint64_t count) {
  return count >= uint64_t{1} << 31;
}

}  // namespace

const char* quantize_gptq(WeightType type, const void* weight, GptqFormat format, bool symmetric,
                          const GptqShape& shape, uint32_t* qweight, uint32_t* qzeros,
                          uint16_t* scales, void* stream) {
  if (shape.rows % 32 != 0 || shape.columns % 32 != 0)
    return "gptq: rows and columns are multiples of 32";
  if (shape.group_size % 32 != 0 && shape.groups() > 1)
    return "gptq: groups of several a row are multiples of 32";
  if (too_many(shape.rows) || too_many(shape.columns)) return "gptq: sizes are below 2^31";
  if (shape.rows == 0 || shape.columns == 0) return nullptr;
  const GptqEncoding encoding{static_cast<uint32_t>(shape.rows),
                              static_cast<uint32_t>(shape.columns),
                              static_cast<uint32_t>(shape.group_size),
                              static_cast<uint32_t>(shape.groups()),
                              static_cast<uint32_t>(format.bits),
                              format.planar,
                              symmetric,
                              format.zero_less_one};
  return with_element(type, [&](auto element) {
    using Element = decltype(element);
    return launch_quantize_gptq(encoding, static_cast<const Element*>(weight), qweight, qzeros,
                                scales, stream);
  });
}

const char* quantize_awq(WeightType type, const void* weight, AwqLayout layout,
                         const AwqShape& shape, void* qweight, void* qzeros, uint16_t* scales,
                         void* stream) {
  const uint64_t together = layout == AwqLayout::gemv_fast ? 32 : 8;
  if (shape.rows % 8 != 0) return "awq: rows are a multiple of 8";
  if (shape.group_size % together != 0) return "awq: groups are multiples of 8, of 32 in gemv_fast";
  if (too_many(shape.rows) || too_many(shape.columns)) return "awq: sizes are below 2^31";
  if (shape.rows == 0 || shape.columns == 0) return nullptr;
  AwqEncoding encoding{static_cast<uint32_t>(shape.rows), static_cast<uint32_t>(shape.columns),
                       static_cast<uint32_t>(shape.group_size),
                       static_cast<uint32_t>(shape.groups()),
                       static_cast<uint32_t>(shape.groups())};
  if (layout != AwqLayout::gemm)
    encoding.padded_groups = 8 * static_cast<uint32_t>(shape.zero_width());
  return with_element(type, [&](auto element) {
    using Element = decltype(element);
    const auto* values = static_cast<const Element*>(weight);
    switch (layout) {
      case AwqLayout::gemv:
        return launch_quantize_awq<AwqLayout::gemv>(encoding, values, qweight, qzeros, scales,
                                                    stream);
      case AwqLayout::gemv_fast:
        return launch_quantize_awq<AwqLayout::gemv_fast>(encoding, values, qweight, qzeros, scales,
                                                         stream);
      case AwqLayout::gemm:
        break;
    }
    return launch_quantize_awq<AwqLayout::gemm>(encoding, values, qweight, qzeros, scales, stream);
  });
}

const char* quantize_torchao_int8(WeightType type, const void* weight, uint64_t rows,
                                  uint64_t columns, const TorchaoInt8Rule& rule, int8_t* codes,
                                  void* scales, int8_t* zero_points, void* stream) {
  if (rule.block == 0 || columns % rule.block != 0) return "torchao: blocks fill the rows";
  if (too_many(rows * (columns / rule.block)) || too_many(columns))
    return "torchao: sizes are below 2^31";
  if (rows == 0 || columns == 0) return nullptr;
  const TorchaoEncoding encoding{static_cast<uint32_t>(rows),
                                 static_cast<uint32_t>(rule.block),
                                 static_cast<uint32_t>(columns / rule.block),
                                 rule.mapping,
                                 static_cast<float>(rule.range.low),
                                 static_cast<float>(rule.range.high),
                                 rule.smallest,
                                 rule.in_own_dtype};
  return with_element(type, [&](auto element) {
    using Element = decltype(element);
    const auto* values = static_cast<const Element*>(weight);
    if (rule.in_own_dtype)
      return PRECIS_LAUNCH((quantize_torchao_int8_kernel<Element, Element>), torchao_grid(encoding),
                           dim3(kGroupThreads), 0, stream, encoding, values, codes,
                           static_cast<Element*>(scales), zero_points);
    return PRECIS_LAUNCH((quantize_torchao_int8_kernel<Element, float>), torchao_grid(encoding),
                         dim3(kGroupThreads), 0, stream, encoding, values, codes,
                         static_cast<float*>(scales), zero_points);
  });
}

const char* quantize_torchao_int4(WeightType type, const void* weight, uint64_t rows,
                                  uint64_t columns, uint64_t block, uint8_t* codes, void* scales,
                                  void* zeros, void* stream) {
  if (block == 0 || block % 2 != 0 || columns % block != 0)
    return "torchao: blocks fill the rows and hold pairs";
  if (too_many(rows * (columns / block)) || too_many(columns))
    return "torchao: sizes are below 2^31";
  if (rows == 0 || columns == 0) return nullptr;
  const TorchaoEncoding encoding{static_cast<uint32_t>(rows),
                                 static_cast<uint32_t>(block),
                                 static_cast<uint32_t>(columns / block),
                                 AoMapping::asymmetric,
                                 0,
                                 15,
                                 0,
                                 false};
  return with_element(type, [&](auto element) {
    using Element = decltype(element);
    return PRECIS_LAUNCH((quantize_torchao_int4_kernel<Element>), torchao_grid(encoding),
                         dim3(kGroupThreads), 0, stream, encoding,
                         static_cast<const Element*>(weight), codes, static_cast<Element*>(scales),
                         static_cast<Element*>(zeros));
  });
}

const char* quantize_torchao_tiles(const uint16_t* weight, uint64_t rows, uint64_t columns,
                                   uint64_t block, uint64_t padded_rows, uint64_t padded_columns,
                                   uint32_t* qdata, uint16_t* scales, void* stream) {
  if (padded_rows % 8 != 0 || padded_columns % 128 != 0 || block == 0 ||
      padded_columns % block != 0)
    return "torchao: rows are padded to tiles of 8 x 128, and blocks fill them";
  if (too_many(padded_rows * padded_columns)) return "torchao: sizes are below 2^31";
  if (padded_rows == 0 || padded_columns == 0) return nullptr;
  const TorchaoTiles tiles{
      static_cast<uint32_t>(rows),           static_cast<uint32_t>(columns),
      static_cast<uint32_t>(block),          static_cast<uint32_t>(padded_rows),
      static_cast<uint32_t>(padded_columns), reinterpret_cast<const BFloat16*>(weight)};
  auto* typed_scales = reinterpret_cast<BFloat16*>(scales);
  const auto grid = [](uint64_t count, uint64_t together) {
    return dim3(static_cast<unsigned>((count + together - 1) / together));
  };
  if (const char* error = PRECIS_LAUNCH((torchao_tile_scales_kernel<BFloat16>),
                                        grid(padded_rows * (padded_columns / block), kGroupWarps),
                                        dim3(kGroupThreads), 0, stream, tiles, typed_scales))
    return error;
  return PRECIS_LAUNCH((torchao_tile_codes_kernel<BFloat16>),
                       grid(padded_rows * padded_columns / 8, kGroupThreads), dim3(kGroupThreads),
                       0, stream, tiles, static_cast<const BFloat16*>(typed_scales), qdata);
}

}  // namespace precis::kernels::PRECIS_DEVICE
