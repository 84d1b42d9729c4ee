// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/scaled.h"

#include "kernels/device/dequantize.h"
#include "kernels/device/dequantize_elements.h"
#include "kernels/device/formats/scaled_elements.h"
#include "kernels/device/formats/scaled_numbers.h"
#include "kernels/device/order_scaled.h"
#include "kernels/device/rotate.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {

// Kinds of scales and zero points beside the codes leave no registers for a second block.
template <NarrowCodes Codes>
inline constexpr int kGemmBlocks<ScaledNumbers<Codes>> = 1;

namespace {

ScaledKernelWeight kernel_weight(const ScaledTensor& tensor) {
  const ScaledWeight& w = tensor.weight;
  ScaledKernelWeight out{};
  out.rows = tensor.rows;
  out.columns = static_cast<uint32_t>(w.rows.columns);
  out.type = w.rows.type;
  out.bits = w.rows.type == NarrowType::float6_e2m3 ? 6u : static_cast<uint32_t>(w.rows.bits);
  out.padded = w.rows.padded;
  out.row_bytes = w.rows.row_bytes();
  out.codes = static_cast<const uint8_t*>(w.codes);
  out.scale_type = w.scale_type;
  out.scales = w.scales;
  out.tile_rows = tile_side(w.tiles.rows, tensor.rows);
  out.tile_columns = tile_side(w.tiles.columns, w.rows.columns);
  out.tiles_per_row = static_cast<uint32_t>(w.tiles.per_row);
  out.divisor = w.divisor;
  out.factor = w.factor;
  out.zero_type = w.zero_type;
  out.zeros = w.zeros;
  out.tile_of = w.tile_of;
  out.rounding = w.rounding == WeightType::f16    ? Rounding::half
                 : w.rounding == WeightType::bf16 ? Rounding::bfloat16
                                                  : Rounding::none;
  return out;
}

// Whether the elements of every run of 8 have one tile, and begin with a byte.
bool runs_share(const ScaledTensor& weight) {
  const ScaledWeight& w = weight.weight;
  const bool filled =
      w.rows.type == NarrowType::packed_int && w.rows.padded && 32 % w.rows.bits != 0;
  return !filled && w.rows.columns % kRun == 0 && w.tile_of == nullptr &&
         (w.tiles.columns % kRun == 0 || w.tiles.columns >= w.rows.columns);
}

// body(Format{}).
template <class Body>
const char* with_codes(const NarrowRows& rows, Body body) {
  if (rows.type == NarrowType::float4_e2m1 ||
      (rows.type == NarrowType::packed_int && rows.bits == 4))
    return body(ScaledNumbers<NarrowCodes::nibbles>{});
  if (rows.type == NarrowType::int8 || rows.type == NarrowType::float8_e4m3fn ||
      (rows.type == NarrowType::packed_int && rows.bits == 8))
    return body(ScaledNumbers<NarrowCodes::bytes>{});
  return body(ScaledNumbers<NarrowCodes::stream>{});
}

}  // namespace

const char* dequantize_scaled(const ScaledTensor& weight, WeightType out_type, void* out,
                              void* stream) {
  const ScaledKernelWeight kernel = kernel_weight(weight);
  return with_element(out_type, [&](auto element) {
    auto* to = static_cast<decltype(element)*>(out);
    if (!runs_share(weight)) return launch_dequantize_elements<ScaledElements>(kernel, to, stream);
    return with_codes(weight.weight.rows, [&](auto format) {
      return launch_dequantize<decltype(format)>(kernel, to, stream);
    });
  });
}

const char* dequantize_rotated_scaled(const ScaledTensor& weight, const Rotation& rotation,
                                      WeightType out_type, void* out, void* stream) {
  return with_element(out_type, [&](auto element) {
    return launch_rotate<ScaledElements>(kernel_weight(weight), rotation,
                                         static_cast<decltype(element)*>(out), stream);
  });
}

const char* order_scaled(const ScaledTensor& weight, const uint32_t* order, void* codes,
                         void* stream) {
  const ScaledKernelWeight kernel = kernel_weight(weight);
  if (kernel.columns % kRun != 0) return "products on a device: in_features is a multiple of 8";
  if (kernel.rows == 0 || kernel.columns == 0) return nullptr;
  return with_codes(weight.weight.rows, [&](auto format) -> const char* {
    constexpr NarrowCodes kCodes = decltype(format)::kCodes;
    if constexpr (kCodes == NarrowCodes::stream)
      return "products on a device: only codes of 4 or 8 bits are brought into order";
    else
      return launch_order_scaled<kCodes>(kernel, order, static_cast<unsigned char*>(codes), stream);
  });
}

const char* check_scaled_product(const ScaledTensor& weight) {
  return runs_share(weight)
             ? nullptr
             : "products on a device: 8 neighbours of a row have one scale and no bits between "
               "them";
}

const char* linear_scaled(const ScaledTensor& weight, WeightType activation, const void* x,
                          const void* bias, void* y, uint32_t m, void* stream) {
  if (const char* error = check_scaled_product(weight)) return error;
  return with_codes(weight.weight.rows, [&](auto format) {
    return launch_linear<decltype(format)>(kernel_weight(weight), activation, x, bias, y, m,
                                           stream);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
