// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/grouped.h"


#include "kernels/device/formats/grouped.h"
#include "kernels/device/formats/hqq_columns.h"
#include "kernels/device/quantize_quanto.h"
#include "kernels/device/typed.h"
#include "kernels/device/unpack_groups.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

Rounding rounding_of(WeightType type) {
  return type == WeightType::f16    ? Rounding::half
         : type == WeightType::bf16 ? Rounding::bfloat16
                                    : Rounding::none;
}

WeightType type_of(Rounding rounding) {
  return rounding == Rounding::half       ? WeightType::f16
         : rounding == Rounding::bfloat16 ? WeightType::bf16
                                          : WeightType::f32;
}

StoredScale scale_of(WeightType type) {
  return type == WeightType::f32   ? StoredScale::f32
         : type == WeightType::f16 ? StoredScale::f16
                                   : StoredScale::bf16;
}

template <Packing P>
using PackingTag = std::integral_constant<Packing, P>;

StoredGroups stored(uint64_t rows, uint64_t columns, uint64_t group_size, WeightType scale_type,
                    WeightType rounding) {
  StoredGroups out{};
  out.rows = static_cast<uint32_t>(rows);
  out.columns = static_cast<uint32_t>(columns);
  out.group_size = static_cast<uint32_t>(group_size);
  out.scale_type = scale_of(scale_type);
  out.arithmetic = {0, 0.0f, rounding_of(rounding), Rounding::none};
  return out;
}

template <class Body>
const char* with_stored(const GptqTensor& w, Body body) {
  if (w.shape.rows % 32 != 0 || w.shape.columns % 32 != 0)
    return "gptq: rows and columns are multiples of 32";
  StoredGroups out =
      stored(w.shape.rows, w.shape.columns, w.shape.group_size, w.scale_type, w.scale_type);
  out.bits = static_cast<uint32_t>(w.format.bits);
  out.codes = w.qweight;
  out.scales = w.scales;
  out.zeros = w.qzeros;
  out.group_of = w.group_of;
  out.zero_less_one = w.format.zero_less_one;
  if (w.format.planar) return body(out, PackingTag<Packing::gptq_planar>{});
  return body(out, PackingTag<Packing::gptq>{});
}

template <class Body>
const char* with_stored(const AwqTensor& w, Body body) {
  if (w.shape.rows % 8 != 0 || w.shape.columns % 8 != 0)
    return "awq: rows and columns are multiples of 8";
  StoredGroups out =
      stored(w.shape.rows, w.shape.columns, w.shape.group_size, w.scale_type, w.scale_type);
  out.bits = 4;
  out.codes = w.qweight;
  out.scales = w.scales;
  out.zeros = w.qzeros;
  out.zero_width = static_cast<uint32_t>(w.shape.zero_width());
  switch (w.layout) {
    case AwqLayout::gemm:
      return body(out, PackingTag<Packing::awq_gemm>{});
    case AwqLayout::gemv:
      return body(out, PackingTag<Packing::awq_gemv>{});
    case AwqLayout::gemv_fast:
      return w.shape.columns % 64 == 0 ? body(out, PackingTag<Packing::awq_gemv_fast>{})
                                       : "awq gemv_fast: columns are a multiple of 64";
  }
  return "awq: unknown layout";
}

template <class Body>
const char* with_stored(const HqqTensor& w, Body body) {
  const HqqGrid& grid = w.weight.grid;
  StoredGroups out = stored(w.rows, w.columns, grid.columns, w.weight.meta_type, w.weight.compute);
  out.arithmetic.inner = out.arithmetic.rounding;
  out.bits = static_cast<uint32_t>(grid.bits);
  out.codes = w.weight.packed;
  out.scales = w.weight.scales;
  out.zeros = w.weight.zeros;
  out.grid_columns = static_cast<uint32_t>(grid.columns);
  out.packed_rows = static_cast<uint32_t>(grid.packed_rows());
  out.groups_are_columns = grid.axis == 0;
  return body(out, PackingTag<Packing::hqq>{});
}

template <class Body>
const char* with_stored(const QuantoGroupsTensor& w, Body body) {
  if (w.bits != 4 && w.bits != 2) return "quanto: groups have 4 or 2 bits";
  StoredGroups out = stored(w.rows, w.columns, w.group_size, w.scale_type, w.scale_type);
  out.arithmetic.inner = out.arithmetic.rounding;
  out.bits = static_cast<uint32_t>(w.bits);
  out.codes = w.packed;
  out.scales = w.scales;
  out.zeros = w.shifts;
  const uint64_t groups = uint64_t{w.rows} * w.columns / w.group_size;
  const auto per_byte = static_cast<uint64_t>(8 / w.bits);
  out.packed_rows = static_cast<uint32_t>((groups + per_byte - 1) / per_byte);
  return body(out, PackingTag<Packing::quanto>{});
}

template <class Body>
const char* with_stored(const TorchaoTensor& w, Body body) {
  StoredGroups out = stored(w.rows, w.columns, w.block, w.scale_type, w.dtype);
  out.codes = w.qdata;
  out.scales = w.scales;
  out.arithmetic.base = 8;
  out.bits = 4;
  switch (w.codes) {
    case AoCodes::int8:
      out.bits = 8;
      out.flip = 0x80;
      out.arithmetic.base = 128;
      out.zeros = w.zero_points;
      out.block_rows = static_cast<uint32_t>(w.block_rows);
      return body(out, PackingTag<Packing::bytes>{});
    case AoCodes::int4_pairs:
      out.flip = 8;
      out.zeros = w.zeros;
      return body(out, PackingTag<Packing::torchao_pairs>{});
    case AoCodes::int4_tiles:
      out.scale_type = StoredScale::bf16;
      out.arithmetic.rounding = Rounding::bfloat16;
      out.padded_rows = static_cast<uint32_t>(w.padded_rows);
      out.padded_columns = static_cast<uint32_t>(w.padded_columns);
      return body(out, PackingTag<Packing::torchao_tiles>{});
    case AoCodes::float8_e4m3fn:
    case AoCodes::float8_e5m2:
      break;
  }
  return "torchao: float8 has kernels of its own";
}

template <class Body>
const char* with_packing(const GroupedTensor& weight, Body body) {
  return std::visit([&](const auto& tensor) { return with_stored(tensor, body); }, weight);
}

// Whether the elements of every run of 8 have one group.
bool runs_share(const StoredGroups& weight) {
  return weight.group_size % kRun == 0 && weight.columns % kRun == 0 &&
         weight.group_of == nullptr && !weight.groups_are_columns;
}

// What products read: in the order of the groups there is no group of a column.
GroupedTensor multiplied(GroupedTensor weight) {
  auto* gptq = std::get_if<GptqTensor>(&weight);
  if (gptq != nullptr && gptq->in_group_order) gptq->group_of = nullptr;
  return weight;
}
const uint32_t* order_of(const GroupedTensor& weight) {
  const auto* gptq = std::get_if<GptqTensor>(&weight);
  return gptq == nullptr || !gptq->in_group_order ? nullptr : gptq->order;
}
bool in_group_order(const GroupedTensor& weight) {
  const auto* gptq = std::get_if<GptqTensor>(&weight);
  return gptq != nullptr && gptq->in_group_order;
}

int bits_in_rows(const StoredGroups& weight) {
  return weight.bits <= 4 ? 4 : 8;
}

// HQQ with axis 0: group i is of the elements i, i + grid_columns, ... of the flat weight.
const char* plan_columns(const StoredGroups& from, GroupedRows* out) {
  const uint32_t scale_rows = from.grid_columns / from.columns;
  if (from.columns % kRun != 0 || from.grid_columns % from.columns != 0 ||
      from.rows % scale_rows != 0)
    return "products on a device: with axis 0, out_features is a multiple of group_size and "
           "in_features of 8";
  if (from.arithmetic.rounding == Rounding::none)
    return "products on a device: with axis 0, weights are computed in float16 or bfloat16";
  *out = {};
  out->rows = from.rows;
  out->columns = from.columns;
  out->group_size = from.columns;
  out->bits = bits_in_rows(from);
  out->stand = CodesStand::rows;
  out->rounding = out->inner = type_of(from.arithmetic.rounding);
  out->scale_rows = scale_rows;
  return nullptr;
}

}  // namespace

const char* dequantize_groups(const GroupedTensor& weight, WeightType out_type, void* out,
                              void* stream) {
  return with_packing(weight, [&](const StoredGroups& from, auto tag) {
    if (from.rows == 0 || from.columns == 0) return static_cast<const char*>(nullptr);
    return with_element(out_type, [&](auto element) {
      using Element = decltype(element);
      return launch_dequantize_groups<decltype(tag)::value>(from, runs_share(from),
                                                            static_cast<Element*>(out), stream);
    });
  });
}

const char* plan_rows(const GroupedTensor& weight, GroupedRows* out) {
  return with_packing(multiplied(weight), [&](const StoredGroups& from, auto tag) -> const char* {
    if (from.groups_are_columns) return plan_columns(from, out);
    // Groups of the flat weight must not cross rows.
    const bool flat =
        decltype(tag)::value == Packing::hqq || decltype(tag)::value == Packing::quanto;
    if (!runs_share(from) || (flat && from.columns % from.group_size != 0))
      return "products on a device: 8 neighbours of a row have one scale";
    const bool in_place = codes_in_place<decltype(tag)::value>(from) && !in_group_order(weight);
    *out = {from.rows,
            from.columns,
            from.group_size < from.columns ? from.group_size : from.columns,
            bits_in_rows(from),
            kOffsetAdded<decltype(tag)::value>,
            in_place,
            in_place ? kCodesStand<decltype(tag)::value> : CodesStand::rows,
            in_place ? from.flip * (from.bits == 4 ? 0x11111111u : 0x01010101u) : 0u,
            from.arithmetic.base,
            type_of(from.arithmetic.rounding),
            type_of(from.arithmetic.inner),
            in_place ? static_cast<const uint32_t*>(from.codes) : nullptr,
            nullptr};
    return nullptr;
  });
}

const char* repack(const GroupedTensor& weight, uint32_t* codes, float* scales, void* stream) {
  GroupedRows rows;
  if (const char* error = plan_rows(weight, &rows)) return error;
  if (rows.rows == 0 || rows.columns == 0) return nullptr;
  if (rows.in_place != (codes == nullptr))
    return "codes in rows: null where they are used in place";
  const uint32_t* order = order_of(weight);
  if (in_group_order(weight) && order == nullptr) return "gptq: the order of columns is missing";
  auto* pairs = reinterpret_cast<GroupScale*>(scales);
  return with_packing(multiplied(weight), [&](const StoredGroups& from, auto tag) {
    constexpr Packing kPacking = decltype(tag)::value;
    if (from.groups_are_columns) {
      if (const char* error = launch_pair_scales(from, reinterpret_cast<uint32_t*>(scales), stream))
        return error;
      pairs = nullptr;
    }
    if constexpr (kPacking != Packing::bytes) {
      if (rows.bits == 4)
        return launch_repack<kPacking, 4>(from, order, rows.group_size, codes, pairs, stream);
    }
    if constexpr (kPacking == Packing::bytes || kPacking == Packing::gptq ||
                  kPacking == Packing::gptq_planar || kPacking == Packing::hqq) {
      return launch_repack<kPacking, 8>(from, order, rows.group_size, codes, pairs, stream);
    }
    return "products on a device: this packing has at most 4 bits";
  });
}

const char* linear_groups(const GroupedRows& weight, WeightType activation, const void* x,
                          const void* bias, void* y, uint32_t m, void* stream) {
  if (weight.scale_rows != 0) {
    const auto* pairs = reinterpret_cast<const uint32_t*>(weight.scales);
    const Rounding rounding = rounding_of(weight.rounding);
    if (weight.bits == 4)
      return launch_linear<HqqColumns<4>>(
          {weight.rows, weight.columns, weight.codes, pairs, weight.scale_rows, rounding},
          activation, x, bias, y, m, stream);
    return launch_linear<HqqColumns<8>>(
        {weight.rows, weight.columns, weight.codes, pairs, weight.scale_rows, rounding}, activation,
        x, bias, y, m, stream);
  }
  uint32_t reciprocal = 0;
  if (weight.groups() > 1) {
    const uint64_t size = weight.group_size, rounded_up = ((uint64_t{1} << 32) + size - 1) / size;
    reciprocal = static_cast<uint32_t>(rounded_up);
    // Else a column's quotient by the rounded reciprocal may be its group's neighbour.
    const uint64_t excess = rounded_up * size - (uint64_t{1} << 32);
    if (excess * weight.columns >> 32 != 0)
      return "products on a device: so many columns take groups of a power of two";
  }
  const auto launch = [&](auto format) {
    using Format = decltype(format);
    const typename Format::Weight kernel_weight{
        weight.rows,
        weight.columns,
        weight.codes,
        reinterpret_cast<const GroupScale*>(weight.scales),
        weight.groups(),
        reciprocal,
        {weight.flip, weight.base, rounding_of(weight.rounding), rounding_of(weight.inner)}};
    return launch_linear<Format>(kernel_weight, activation, x, bias, y, m, stream);
  };
  const bool in_columns = weight.stand == CodesStand::columns;
  if (weight.bits == 4 && weight.offset_added) return launch(Grouped<4, true>{});
  if (weight.bits == 4 && in_columns) return launch(Grouped<4, false, CodesStand::columns>{});
  if (weight.stand == CodesStand::columns_of_words)
    return launch(Grouped<4, false, CodesStand::columns_of_words>{});
  if (weight.bits == 4) return launch(Grouped<4, false>{});
  if (in_columns) return launch(Grouped<8, false, CodesStand::columns>{});
  if (!weight.offset_added) return launch(Grouped<8, false>{});
  return "products on a device: offsets are added to 4-bit products only";
}

const char* quantize_quanto_groups(int bits, WeightType type, const void* matrix, uint64_t groups,
                                   uint32_t group_size, bool through_tinygemm, uint8_t* packed,
                                   void* scales, void* shifts, void* stream) {
  if (bits != 4 && bits != 2) return "quanto: groups have 4 or 2 bits";
  if (groups == 0 || group_size == 0) return nullptr;
  return with_element(type, [&](auto element) {
    using Element = decltype(element);
    return launch_quantize_quanto_groups(
        bits, static_cast<const Element*>(matrix), groups, group_size, through_tinygemm, packed,
        static_cast<Element*>(scales), static_cast<Element*>(shifts), stream);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
