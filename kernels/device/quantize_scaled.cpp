// Encoders of narrow numbers with scales for tiles. Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/quantize_scaled.h"

#include <algorithm>

#include "kernels/device/host_runtime.h"
#include "kernels/device/scaled.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

constexpr uint64_t kTooMany = uint64_t{1} << 31;

float largest_number(const ScaledEncoding& encoding) {
  switch (encoding.rows.type) {
    case NarrowType::float8_e4m3fn:
      return 448;
    case NarrowType::float6_e2m3:
      return 7.5f;
    case NarrowType::float4_e2m1:
      return 6;
    default:
      break;
  }
  const int levels = 1 << encoding.bits;
  return encoding.scale_rule == ScaleRule::float32 ? static_cast<float>(levels / 2 - 1)
                                                   : static_cast<float>(levels - 1) / 2;
}

uint32_t code_bits(const NarrowRows& rows) {
  switch (rows.type) {
    case NarrowType::packed_int:
      return static_cast<uint32_t>(rows.bits);
    case NarrowType::float6_e2m3:
      return 6;
    case NarrowType::float4_e2m1:
    case NarrowType::int4_row_pairs:
      return 4;
    default:
      return 8;
  }
}

Quotient quotient_of(const ScaledEncoding& encoding, bool whole_tile) {
  switch (encoding.scale_rule) {
    case ScaleRule::own_reciprocal:
      return encoding.rows.type == NarrowType::int8 ? Quotient::reciprocal : Quotient::rounded;
    case ScaleRule::own:
    case ScaleRule::exponent:
    case ScaleRule::exponent_positive_zero:
      return Quotient::rounded;
    case ScaleRule::float32:
      return whole_tile ? Quotient::rounded : Quotient::exact;
    default:
      return Quotient::exact;
  }
}

const char* fault_of(uint32_t rows, const ScaledEncoding& encoding) {
  const ScaleTiles& tiles = encoding.tiles;
  if (encoding.given_scales != nullptr) return "scaled: a device finds the scales itself";
  if (encoding.rows.type == NarrowType::packed_int && encoding.rows.padded)
    return "scaled: integers are written without padding";
  if (tiles.columns > 1 && tiles.rows > 1 && tiles.columns < encoding.rows.columns &&
      tiles.rows * tiles.columns >= kTooMany)
    return "scaled: tiles are below 2^31";
  if (uint64_t{rows} * tiles.per_row >= kTooMany ||
      uint64_t{rows} * (encoding.rows.row_bytes() / 4 + 8) >= kTooMany)
    return "scaled: sizes are below 2^31";
  return nullptr;
}

// One weight on its way through the kernels.
struct Encoder {
  ScaledKernelEncoding encoding;
  uint32_t tiles, tile_rows;
  uint64_t tile_elements;
  bool whole_tile;
  const ScaledParts& parts;
  Extremes* partials;  // kScaledPartials; null: no scale is of the whole weight
  float* whole_scale;  // or null
  int8_t* zeros;       // one a tile, or null
  void* stream;

  static dim3 grid(uint64_t threads) {
    return dim3(static_cast<unsigned>((threads + kScaledThreads - 1) / kScaledThreads));
  }

  template <class Element>
  const char* find_whole(const Element* weight) const {
    const uint64_t count = uint64_t{encoding.rows} * encoding.columns;
    const uint64_t pieces = (count + kScaledThreads * 8 - 1) / (kScaledThreads * 8);
    const auto blocks = static_cast<uint32_t>(pieces < kScaledPartials ? pieces : kScaledPartials);
    if (const char* error = PRECIS_LAUNCH((scaled_extremes_kernel<Element>), dim3(blocks),
                                          dim3(kScaledThreads), 0, stream, weight, count, partials))
      return error;
    return PRECIS_LAUNCH((scaled_whole_kernel<Element>), dim3(1), dim3(kScaledThreads), 0, stream,
                         encoding, blocks, partials, whole_scale);
  }

  template <class Element>
  const char* find_scales(const Element* weight) const {
    const Extremes* extremes = whole_tile ? partials : nullptr;
    if (tile_elements > 512 && !whole_tile)
      return PRECIS_LAUNCH((scale_tiles_kernel<Element, true>), dim3(tiles), dim3(kScaledThreads),
                           0, stream, encoding, weight, tiles, kScaledThreads, extremes,
                           whole_scale, parts.scales, zeros);
    uint32_t lanes = 1;
    while (lanes < kWarp && lanes < tile_elements) lanes *= 2;
    return PRECIS_LAUNCH((scale_tiles_kernel<Element, false>), grid(uint64_t{tiles} * lanes),
                         dim3(kScaledThreads), 0, stream, encoding, weight, tiles, lanes, extremes,
                         whole_scale, parts.scales, zeros);
  }

  template <class Element>
  const char* encode(const Element* weight) const {
    const bool pairs = encoding.type == NarrowType::int4_row_pairs;
    const uint32_t stride = pairs ? 8 : encoding.code_bits;
    const auto runs_of_row = static_cast<uint32_t>((encoding.row_bytes + stride - 1) / stride);
    const uint32_t runs = (pairs ? (encoding.rows + 1) / 2 : encoding.rows) * runs_of_row;
    return PRECIS_LAUNCH(
        (encode_scaled_kernel<Element>), grid(runs), dim3(kScaledThreads), 0, stream, encoding,
        weight, runs, runs_of_row, static_cast<const void*>(parts.scales),
        static_cast<const int8_t*>(encoding.symmetric ? nullptr : zeros),
        static_cast<const float*>(whole_scale), static_cast<uint8_t*>(parts.codes));
  }

  template <class Element>
  const char* run(const Element* weight, ZeroType zero_type) const {
    if (partials != nullptr)
      if (const char* error = find_whole(weight)) return error;
    if (const char* error = find_scales(weight)) return error;
    if (zero_type == ZeroType::packed) {
      const uint64_t words = (uint64_t{tile_rows} * encoding.bits + 31) / 32;
      if (const char* error = PRECIS_LAUNCH(
              (pack_zeros_kernel<uint32_t>), grid(words * encoding.tiles_per_row),
              dim3(kScaledThreads), 0, stream, static_cast<const int8_t*>(zeros), tile_rows,
              encoding.tiles_per_row, encoding.bits, static_cast<uint32_t*>(parts.zeros)))
        return error;
    }
    return encode(weight);
  }
};

}  // namespace

const char* quantize_scaled(WeightType type, const void* weight, uint32_t rows,
                            const ScaledEncoding& encoding, const ScaledWhole& whole,
                            const ScaledParts& parts, void* stream) {
  const auto columns = static_cast<uint32_t>(encoding.rows.columns);
  if (rows == 0 || columns == 0) return nullptr;
  if (const char* fault = fault_of(rows, encoding)) return fault;
  const ScaleTiles& tiles = encoding.tiles;
  const auto tile_rows = static_cast<uint32_t>((rows + tiles.rows - 1) / tiles.rows);
  const uint64_t count = uint64_t{tile_rows} * tiles.per_row;
  const bool two_levels = encoding.scale_rule == ScaleRule::two_levels ||
                          encoding.scale_rule == ScaleRule::two_levels_product;
  const bool wants_whole = whole.one_tile || two_levels;
  const bool wants_zeros = encoding.zero_type == ZeroType::packed;
  const uint64_t of_whole = wants_whole ? kScaledPartials * sizeof(Extremes) + 16 : 0;
  const StreamMemory memory(of_whole + (wants_zeros ? count : 0), stream);
  if (memory.error() != nullptr) return memory.error();
  auto* bytes = static_cast<uint8_t*>(memory.data());
  auto* partials = reinterpret_cast<Extremes*>(bytes + 16);
  const Encoder encoder{
      {rows, columns, encoding.rows.type, code_bits(encoding.rows),
       static_cast<uint32_t>(encoding.bits), encoding.rows.row_bytes(), tile_side(tiles.rows, rows),
       tile_side(tiles.columns, columns), static_cast<uint32_t>(tiles.per_row), encoding.scale_rule,
       quotient_of(encoding, whole.one_tile), encoding.symmetric, parts.float_scales,
       largest_number(encoding), whole.divisor},
      static_cast<uint32_t>(count),
      tile_rows,
      std::min<uint64_t>(tiles.rows, rows) * std::min<uint64_t>(tiles.columns, columns),
      whole.one_tile,
      parts,
      wants_whole ? partials : nullptr,
      whole.scale != nullptr ? whole.scale
      : wants_whole          ? reinterpret_cast<float*>(bytes)
                             : nullptr,
      wants_zeros                            ? reinterpret_cast<int8_t*>(bytes + of_whole)
      : encoding.zero_type == ZeroType::int8 ? static_cast<int8_t*>(parts.zeros)
                                             : nullptr,
      stream};
  return with_element(type, [&](auto element) {
    return encoder.run(static_cast<const decltype(element)*>(weight), encoding.zero_type);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
