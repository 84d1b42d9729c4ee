// Compiled once for each instruction set.
#include <cmath>
#include <limits>
#include <type_traits>

#include "kernels/cpu/scaled/decode.h"
#include "kernels/cpu/scaled/narrow_rows.h"
#include "kernels/cpu/scaled/store_rows.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

constexpr uint64_t kPiece = 1024;  // columns at once
constexpr float kLargestE4M3 = 448.0f, kLargestE2M1 = 6.0f, kLargestE2M3 = 7.5f;

// torch.finfo's eps and tiny.
template <typename Type>
struct Limits;
template <>
struct Limits<F32> {
  static constexpr float eps = 0x1p-23f, tiny = 0x1p-126f;
  static constexpr int mantissa = 23;
  static uint32_t bits(float value) { return std::bit_cast<uint32_t>(value); }
  static float value(uint32_t bits) { return std::bit_cast<float>(bits); }
};
template <>
struct Limits<F16> {
  static constexpr float eps = 0x1p-10f, tiny = 0x1p-14f;
  static constexpr int mantissa = 10;
  static uint32_t bits(float value) { return float_to_half(value); }
  static float value(uint32_t bits) { return half_to_float(static_cast<uint16_t>(bits)); }
};
template <>
struct Limits<BF16> {
  static constexpr float eps = 0x1p-7f, tiny = 0x1p-126f;
  static constexpr int mantissa = 7;
  static uint32_t bits(float value) { return float_to_bfloat16(value); }
  static float value(uint32_t bits) { return bfloat16_to_float(static_cast<uint16_t>(bits)); }
};

template <typename Type>
ValueRange range_of(const typename Type::Stored* weight, uint64_t begin, uint64_t end) {
  const float absmax = absmax_of<Type>(weight, begin, end);
  if (std::isnan(absmax)) return {absmax, absmax};
  int32_t low = 0, high = 0;  // 0 counts
  for (uint64_t i = begin; i < end; ++i) {
    const int32_t order = order_of(Type::load(weight, i));
    low = order < low ? order : low;
    high = order > high ? order : high;
  }
  return {number_at(low), number_at(high)};
}

// The least symmetric range around the values; a NaN wins.
template <typename Type>
ValueRange magnitudes_of(const typename Type::Stored* weight, uint64_t begin, uint64_t end) {
  float absmax;
#if PRECIS_LANES > 1
  uint64_t i = begin;
  Ints largest = Ints::of(0);
  for (; i + kLanes <= end; i += kLanes)
    largest = max(largest, as_ints(abs(load_numbers<Type>(weight + i))));
  absmax = std::bit_cast<float>(
      std::max(largest_of(largest), std::bit_cast<int32_t>(absmax_of<Type>(weight, i, end))));
#else
  absmax = absmax_of<Type>(weight, begin, end);
#endif
  return {std::isnan(absmax) ? absmax : -absmax, absmax};
}

// A NaN of either side wins.
ValueRange join(ValueRange a, ValueRange b) {
  if (std::isnan(a.low)) return a;
  if (std::isnan(b.low)) return b;
  return {std::min(a.low, b.low), std::max(a.high, b.high)};
}

ValueRange range(WeightType type, const void* weight, uint64_t begin, uint64_t end) {
  ValueRange found;
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    found = range_of<Type>(static_cast<const typename Type::Stored*>(weight), begin, end);
  });
  return found;
}

float absmax_of_range(ValueRange range) {
  return std::isnan(range.low) ? range.low : std::max(range.high, -range.low);
}

float global_scale(WeightType type, ValueRange whole) {
  float scale = 1;
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const float absmax = absmax_of_range(whole);
    const float floor = absmax < Limits<Type>::tiny ? Limits<Type>::tiny : absmax;
    // In two roundings: torch divides a number by a tensor by way of the reciprocal.
    scale = Type::round(Type::round(1.0f / floor) * (kLargestE4M3 * kLargestE2M1));
  });
  return std::isfinite(scale) ? scale : 1.0f;
}

float largest(const ScaledEncoding& encoding) {
  switch (encoding.rows.type) {
    case NarrowType::float8_e4m3fn:
      return kLargestE4M3;
    case NarrowType::float6_e2m3:
      return kLargestE2M3;
    case NarrowType::float4_e2m1:
      return kLargestE2M1;
    case NarrowType::packed_int:
    case NarrowType::int8:
    case NarrowType::int4_row_pairs:
      break;
  }
  if (encoding.scale_rule == ScaleRule::float32)
    return static_cast<float>((1 << (encoding.bits - 1)) - 1);
  return static_cast<float>((1 << encoding.bits) - 1) / 2;
}

// The biased exponent of MX: of the power of two that absmax is nearest to from below, with a
// mantissa that would round beyond the largest number taken as the next power.
template <typename Type>
uint8_t exponent_of(NarrowType narrow, float absmax) {
  const int mantissa = Limits<Type>::mantissa, kept = narrow == NarrowType::float6_e2m3 ? 3 : 1;
  const uint32_t bits = Limits<Type>::bits(absmax) + (1u << (mantissa - kept - 1));
  const float power = Limits<Type>::value(bits >> mantissa << mantissa);
  if (!(power > 0)) return 0;
  const int largest_exponent = narrow == NarrowType::float8_e4m3fn ? 8 : 2;
  const int exponent = std::isfinite(power) ? std::ilogb(power) : 128;
  return static_cast<uint8_t>(std::clamp(127 + exponent - largest_exponent, 0, 255));
}

// The power of two that a weight in `Type` is divided by: one that the dtype does not reach is 1.
template <typename Type>
float divisor_of(uint8_t exponent) {
  const float power = Type::round(float8_e8m0_to_float(exponent));
  return power == 0 ? 1.0f : power;
}

// The biased exponent of the power of two at or above absmax / 6; 0 for a tile of zeros.
uint8_t exponent_above(float absmax) {
  return static_cast<uint8_t>((std::bit_cast<uint32_t>(absmax / kLargestE2M1) + 0x7fffffu) >> 23);
}

// The biased exponent of ScaleRule::exponent_ceiling.
uint8_t exponent_ceiling(float absmax, float largest) {
  const float exponent = std::ceil(std::max(std::log2(absmax / largest), -127.0f));
  return std::isfinite(exponent) ? static_cast<uint8_t>(std::min(exponent + 127, 255.0f)) : 255;
}

// ScaleRule::two_levels_product's: in float32, of a scale that no tile exceeds 448 times.
uint8_t scale_of_whole(float absmax, float whole) {
  const float wanted = absmax / (kLargestE2M1 * whole);
  if (std::isnan(wanted)) return 0x7f;
  return float_to_float8_e4m3fn(wanted == 0 ? 1.0f : std::clamp(wanted, 0x1p-9f, kLargestE4M3));
}

struct TileScale {
  float scale = 1, zero = 0;
};

template <typename Type>
TileScale own_scale(const ScaledEncoding& encoding, ValueRange range) {
  TileScale tile;
  if (encoding.symmetric) {
    tile.scale = Type::round(absmax_of_range(range) / largest(encoding));
  } else {
    const auto levels = static_cast<float>((1 << encoding.bits) - 1);
    const float lowest = -static_cast<float>(1 << (encoding.bits - 1));
    tile.scale = Type::round(Type::round(range.high - range.low) / levels);
    const float zero = Type::round(lowest - Type::round(range.low / tile.scale));
    tile.zero = std::isnan(zero) ? 0.0f : round_to_even(std::clamp(zero, lowest, lowest + levels));
  }
  const bool reciprocal = encoding.scale_rule == ScaleRule::own_reciprocal;
  if (tile.scale == 0) tile.scale = reciprocal ? Limits<F32>::eps : Limits<Type>::eps;
  return tile;
}

void store_zero(const ScaledEncoding& encoding, uint64_t row, uint64_t tile, int zero,
                void* zeros) {
  const ScaleTiles& tiles = encoding.tiles;
  const uint64_t tile_row = row / tiles.rows;
  if (encoding.zero_type == ZeroType::int8)
    static_cast<int8_t*>(zeros)[tile_row * tiles.per_row + tile] = static_cast<int8_t>(zero);
  if (encoding.zero_type != ZeroType::packed) return;
  const auto bits = static_cast<uint64_t>(encoding.bits);
  const uint64_t word = tile_row * bits / 32, bit = tile_row * bits % 32;
  const auto code = static_cast<uint64_t>(zero + (1 << (bits - 1))) << bit;
  auto* words = static_cast<uint32_t*>(zeros) + word * tiles.per_row + tile;
  if (bit == 0) *words = 0;
  *words |= static_cast<uint32_t>(code);
  if (bit + bits > 32) words[tiles.per_row] = static_cast<uint32_t>(code >> 32);
}

template <typename Type>
void store_tile(const ScaledEncoding& encoding, ValueRange range, float global, uint64_t row,
                uint64_t tile, void* scales, void* zeros) {
  const uint64_t i = row / encoding.tiles.rows * encoding.tiles.per_row + tile;
  if (encoding.given_scales != nullptr) {
    Type::store(static_cast<typename Type::Stored*>(scales), i, encoding.given_scales[i]);
    if (encoding.given_zeros != nullptr)
      store_zero(encoding, row, tile, encoding.given_zeros[i], zeros);
    return;
  }
  switch (encoding.scale_rule) {
    case ScaleRule::own:
    case ScaleRule::own_reciprocal: {
      const TileScale made = own_scale<Type>(encoding, range);
      Type::store(static_cast<typename Type::Stored*>(scales), i, made.scale);
      store_zero(encoding, row, tile, truncate(made.zero), zeros);
      return;
    }
    case ScaleRule::two_levels: {
      const float wanted = global * Type::round(absmax_of_range(range) / kLargestE2M1);
      const uint8_t code = float_to_float8_e4m3fn(wanted > kLargestE4M3 ? kLargestE4M3 : wanted);
      constexpr uint8_t kEighth = 0x20;
      static_cast<uint8_t*>(scales)[i] = code == 0 ? kEighth : code;
      return;
    }
    case ScaleRule::exponent:
    case ScaleRule::exponent_positive_zero: {
      const uint8_t exponent = exponent_of<Type>(encoding.rows.type, absmax_of_range(range));
      // What the scale is once it went through the weight's dtype.
      const float power = divisor_of<Type>(exponent);
      static_cast<uint8_t*>(scales)[i] =
          std::isfinite(power) ? static_cast<uint8_t>(127 + std::ilogb(power)) : uint8_t{255};
      return;
    }
    case ScaleRule::exponent_above:
      static_cast<uint8_t*>(scales)[i] = exponent_above(absmax_of_range(range));
      return;
    case ScaleRule::float32: {
      const float scale = absmax_of_range(range) / largest(encoding);
      static_cast<float*>(scales)[i] = scale == 0 ? 1.0f : scale;
      return;
    }
    case ScaleRule::two_levels_product:
      static_cast<uint8_t*>(scales)[i] = scale_of_whole(absmax_of_range(range), global);
      return;
    case ScaleRule::exponent_ceiling:
      static_cast<uint8_t*>(scales)[i] =
          exponent_ceiling(absmax_of_range(range), largest(encoding));
      return;
  }
}

template <typename Type>
void store_tiles(const ScaledEncoding& encoding, const typename Type::Stored* weight,
                 const ValueRange* whole, float global, uint64_t row_begin, uint64_t row_end,
                 void* scales, void* zeros) {
  const uint64_t columns = encoding.rows.columns;
  for (uint64_t tile = 0; tile < encoding.tiles.per_row; ++tile) {
    const uint64_t begin = tile * encoding.tiles.columns;
    const uint64_t end = std::min(begin + encoding.tiles.columns, columns);
    ValueRange found;
    const bool measured = whole == nullptr && encoding.given_scales == nullptr;
    const auto range_in = encoding.symmetric ? magnitudes_of<Type> : range_of<Type>;
    for (uint64_t row = row_begin; row < row_end && measured; ++row)
      found = join(found, range_in(weight, row * columns + begin, row * columns + end));
    store_tile<Type>(encoding, whole == nullptr ? found : *whole, global, row_begin, tile, scales,
                     zeros);
  }
}

template <typename Type>
float stored_divisor(const ScaledEncoding& encoding, const void* scales, uint64_t i, float global) {
  switch (encoding.scale_rule) {
    case ScaleRule::own:
    case ScaleRule::own_reciprocal:
      return Type::load(static_cast<const typename Type::Stored*>(scales), i);
    case ScaleRule::float32:
      return static_cast<const float*>(scales)[i];
    case ScaleRule::two_levels:
      return float8_e4m3fn_to_float(static_cast<const uint8_t*>(scales)[i]) / global;
    case ScaleRule::two_levels_product:
      return float8_e4m3fn_to_float(static_cast<const uint8_t*>(scales)[i]) * global;
    case ScaleRule::exponent_ceiling:
      return float8_e8m0_to_float(static_cast<const uint8_t*>(scales)[i]);
    case ScaleRule::exponent_above: {
      const uint8_t exponent = static_cast<const uint8_t*>(scales)[i];
      return exponent == 0 ? std::numeric_limits<float>::infinity()
                           : float8_e8m0_to_float(exponent);
    }
    case ScaleRule::exponent:
    case ScaleRule::exponent_positive_zero:
      break;
  }
  return divisor_of<Type>(static_cast<const uint8_t*>(scales)[i]);
}

float clamp(float value, float low, float high) {
  value = value < low ? low : value;
  return value > high ? high : value;
}

// compressed-tensors adds a zero point of 0, which turns -0.0 into 0; a given grid keeps it.
bool clears_zeros(const ScaledEncoding& encoding) {
  const ScaleRule rule = encoding.scale_rule;
  return encoding.given_scales == nullptr &&
         (rule == ScaleRule::own || rule == ScaleRule::exponent);
}

uint8_t float4_code(ScaleRule rule, float value) {
  if (rule == ScaleRule::exponent_above) return float_to_float4_e2m1_away(value);
  if (rule == ScaleRule::exponent_ceiling) return float_to_float4_e2m1_toward_zero(value);
  const uint8_t code = float_to_float4_e2m1(value);
  return rule == ScaleRule::exponent_positive_zero && code == 8 ? 0 : code;
}

// One number, divided and moved, as its stored integer or code.
int narrow(const ScaledEncoding& encoding, float value) {
  switch (encoding.rows.type) {
    case NarrowType::float8_e4m3fn:
      if (std::isnan(value)) return 0x7f;
      if (clears_zeros(encoding)) value += 0.0f;
      return float_to_float8_e4m3fn(clamp(value, -kLargestE4M3, kLargestE4M3));
    case NarrowType::float6_e2m3:
      return float_to_float6_e2m3(value);
    case NarrowType::float4_e2m1:
      return float4_code(encoding.scale_rule, value);
    case NarrowType::packed_int:
    case NarrowType::int8:
    case NarrowType::int4_row_pairs:
      break;
  }
  const auto half = static_cast<float>(1 << (encoding.bits - 1));
  return std::isnan(value) ? 0 : static_cast<int>(round_to_even(clamp(value, -half, half - 1)));
}

#if PRECIS_LANES > 1
// float4_code of each lane: by the midpoints of neighbours, of which a rule takes some, all or none
// for the larger.
Ints float4_codes(ScaleRule rule, Floats value) {
  const Floats magnitude = abs(value);
  Ints code = Ints::of(0);
  const auto count = [&](float bound, bool takes_ties) {
    const Floats middle = Floats::of(bound);
    code = add_where(takes_ties ? middle <= magnitude : middle < magnitude, code, Ints::of(1));
  };
  const bool away = rule == ScaleRule::exponent_above;
  const bool toward_zero = rule == ScaleRule::exponent_ceiling;
  for (const float bound : {0.25f, 1.25f, 2.5f, 5.0f}) count(bound, away);
  for (const float bound : {0.75f, 1.75f, 3.5f}) count(bound, !toward_zero);
  if (away) return code | ((as_ints(value) >> 28) & Ints::of(8));
  if (toward_zero) return add_where(!(Floats::of(0) < value), code, Ints::of(8));
  const float negative = rule == ScaleRule::exponent_positive_zero ? -0.25f : 0.0f;
  return add_where(value < Floats::of(negative), code, Ints::of(8));
}

// float_to_float6_e2m3 of each lane.
Ints float6_codes(Floats value) {
  const Ints bits = as_ints(value), largest = as_ints(Floats::of(kLargestE2M3));
  const Ints magnitude = min(bits & Ints::of(0x7fffffff), largest);
  const Ints step = max((magnitude >> 23) - Ints::of(127), Ints::of(0));
  const Floats scaled = as_floats(magnitude) * as_floats((Ints::of(127 + 3) - step) << 23);
  return ((bits >> 26) & Ints::of(0x20)) | ((step << 3) + truncate(round_to_even(scaled)));
}

// The same of lanes.
Ints narrow(const ScaledEncoding& encoding, Floats value) {
  if (encoding.rows.type == NarrowType::float8_e4m3fn) {
    const Floats sum = value + Floats::of(0);
    return Float8E4M3FN::codes(clears_zeros(encoding) ? sum : value, 0x7f);
  }
  if (encoding.rows.type == NarrowType::float4_e2m1)
    return float4_codes(encoding.scale_rule, value);
  if (encoding.rows.type == NarrowType::float6_e2m3) return float6_codes(value);
  const auto half = static_cast<float>(1 << (encoding.bits - 1));
  const Floats number = select(value == value, value, Floats::of(0));
  return truncate(round_to_even(min(max(number, Floats::of(-half)), Floats::of(half - 1))));
}
#endif

// Of float32, by the divisor's reciprocal.
struct Reciprocal : F32 {};

template <typename Quotient, typename Value>
Value divide(Value number, float divisor) {
  if constexpr (std::is_same_v<Quotient, Reciprocal>)
    return number * all_of<Value>(1.0f / divisor);
  else
    return round_as<Quotient>(number / all_of<Value>(divisor));
}

// The codes of `count` numbers of a tile.
template <typename Type, typename Quotient>
void encode_run(const ScaledEncoding& encoding, const typename Type::Stored* weight, float divisor,
                float zero, uint64_t count, int* codes) {
  const auto moved = [&](auto number) {
    using Value = decltype(number);
    const Value quotient = divide<Quotient>(number, divisor);
    return encoding.symmetric ? quotient : round_as<Quotient>(quotient + all_of<Value>(zero));
  };
  uint64_t i = 0;
#if PRECIS_LANES > 1
  for (; i + kLanes <= count; i += kLanes)
    narrow(encoding, moved(load_numbers<Type>(weight + i))).store(codes + i);
#endif
  for (; i < count; ++i) codes[i] = narrow(encoding, moved(Type::load(weight, i)));
}

template <typename Type, typename Quotient>
void encode_row(const ScaledEncoding& encoding, const typename Type::Stored* weight, float global,
                uint64_t row, void* codes, const void* scales, const void* zeros) {
  const ScaleTiles& tiles = encoding.tiles;
  const uint64_t columns = encoding.rows.columns;
  int numbers[kPiece];
  for (uint64_t begin = 0; begin < columns; begin += kPiece) {
    const uint64_t end = std::min(begin + kPiece, columns);
    for (uint64_t i = begin; i < end;) {
      const uint64_t tile = i / tiles.columns, stop = std::min((tile + 1) * tiles.columns, end);
      const float divisor =
          stored_divisor<Type>(encoding, scales, row / tiles.rows * tiles.per_row + tile, global);
      const float zero = load_zero(encoding.zero_type, encoding.rows, tiles, zeros, row, tile);
      encode_run<Type, Quotient>(encoding, weight + row * columns + i, divisor, zero, stop - i,
                                 numbers + (i - begin));
      i = stop;
    }
    store_row(encoding.rows, numbers, begin, end - begin, codes, row);
  }
}

// Whether quotients stay float32; otherwise they are rounded to the weight's dtype.
bool divides_floats(const ScaledEncoding& encoding, bool whole) {
  if (encoding.given_scales != nullptr) return true;
  switch (encoding.scale_rule) {
    case ScaleRule::two_levels:
    case ScaleRule::exponent_above:
    case ScaleRule::two_levels_product:
    case ScaleRule::exponent_ceiling:
      return true;
    case ScaleRule::float32:
      return !whole;
    case ScaleRule::own:
    case ScaleRule::exponent:
    case ScaleRule::exponent_positive_zero:
    case ScaleRule::own_reciprocal:
      break;
  }
  return false;
}

void quantize(WeightType type, const void* weight, const ScaledEncoding& encoding,
              const ValueRange* whole, float global, uint64_t row_begin, uint64_t row_end,
              void* codes, void* scales, void* zeros) {
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = static_cast<const typename Type::Stored*>(weight);
    const uint64_t together = encoding.tiles.rows;
    for (uint64_t row = row_begin; row < row_end; row += together)
      store_tiles<Type>(encoding, values, whole, global, row, std::min(row + together, row_end),
                        scales, zeros);
    const bool floats = divides_floats(encoding, whole != nullptr);
    const bool reciprocal =
        encoding.scale_rule == ScaleRule::own_reciprocal && encoding.rows.type == NarrowType::int8;
    for (uint64_t row = row_begin; row < row_end; ++row) {
      if (reciprocal)
        encode_row<Type, Reciprocal>(encoding, values, global, row, codes, scales, zeros);
      else if (floats)
        encode_row<Type, F32>(encoding, values, global, row, codes, scales, zeros);
      else
        encode_row<Type, Type>(encoding, values, global, row, codes, scales, zeros);
    }
  });
}

}  // namespace

const ScaledKernels& scaled_kernels() {
  static constexpr ScaledKernels kernels{
      range, global_scale, quantize, scaled_read_tiles, scaled_dequantize, scaled_decode_floats};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
