// Compiled once for each instruction set. Decoding is bound by writing.
#include "kernels/cpu/common/byte_numbers.h"
#include "kernels/cpu/common/decode_rows.h"
#include "kernels/cpu/common/value_table.h"
#include "kernels/cpu/quanto/quanto.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

constexpr uint8_t kNanByte = 0xff;  // x86's default NaN, sign set, cast to float8

inline float clamp(float value, float low, float high) {
  value = value < low ? low : value;
  return value > high ? high : value;
}

struct Int8 {
  static constexpr float kMax = 127.0f;
  static uint8_t encode(float value) {
    const float clamped = clamp(round_to_even(clamp(value, -1e6f, 1e6f)), -128.0f, 127.0f);
    return static_cast<uint8_t>(
        static_cast<int8_t>(static_cast<int32_t>(value == value ? clamped : 0.0f)));
  }
  static float decode(uint8_t code) { return static_cast<float>(static_cast<int8_t>(code)); }
#if PRECIS_LANES > 1
  // A NaN passes the bounds and becomes 0.
  static Ints encode_lanes(Floats value) {
    return truncate(nearest(min(Floats::of(127.0f), max(Floats::of(-128.0f), value))));
  }
  static Floats decode_lanes(const uint8_t* codes) {
    return to_floats(Ints::load(reinterpret_cast<const int8_t*>(codes)));
  }
#endif
};
struct E4M3 {
  static constexpr float kMax = 448.0f;
  static uint8_t encode(float value) {
    return value == value ? float_to_float8_e4m3fn(clamp(value, -kMax, kMax)) : kNanByte;
  }
  static float decode(uint8_t code) { return float8_e4m3fn_to_float(code); }
#if PRECIS_LANES > 1
  static Ints encode_lanes(Floats value) {
    return Float8E4M3FN::codes(value, kNanByte);
  }
  static Floats decode_lanes(const uint8_t* codes) {
    return Float8E4M3FN::numbers(codes);
  }
#endif
};
struct E5M2 {
  static constexpr float kMax = 57344.0f;
  static uint8_t encode(float value) {
    return value == value ? float_to_float8_e5m2(clamp(value, -kMax, kMax)) : kNanByte;
  }
  static float decode(uint8_t code) { return float8_e5m2_to_float(code); }
#if PRECIS_LANES > 1
  static Ints encode_lanes(Floats value) {
    return Float8E5M2::codes(value, kNanByte);
  }
  static Floats decode_lanes(const uint8_t* codes) {
    return Float8E5M2::numbers(codes);
  }
#endif
};

template <typename Body>
void with_byte_type(QuantoByteType type, Body&& body) {
  switch (type) {
    case QuantoByteType::int8:
      return body(Int8{});
    case QuantoByteType::float8_e4m3fn:
      return body(E4M3{});
    case QuantoByteType::float8_e5m2:
      return body(E5M2{});
  }
}

template <typename Byte, typename Type>
void encode_row(const typename Type::Stored* values, uint64_t columns, float scale, uint8_t* out) {
  uint64_t i = 0;
#if PRECIS_LANES > 1
  for (; i + kLanes <= columns; i += kLanes) {
    const Floats scaled = load_numbers<Type>(values + i) / Floats::of(scale);
    store_bytes(out + i, Byte::encode_lanes(round_as<Type>(scaled)));
  }
#endif
  for (; i < columns; ++i) out[i] = Byte::encode(Type::round(Type::load(values, i) / scale));
}

void quantize_bytes(QuantoByteType type, WeightType weight_type, const void* weight,
                    uint64_t columns, uint64_t row_begin, uint64_t row_end, uint8_t* codes,
                    void* scales) {
  with_type(weight_type, [&](auto weight_tag) {
    using Type = decltype(weight_tag);
    with_byte_type(type, [&](auto byte_tag) {
      using Byte = decltype(byte_tag);
      for (uint64_t row = row_begin; row < row_end; ++row) {
        const auto* values = static_cast<const typename Type::Stored*>(weight) + row * columns;
        const float scale = Type::round(absmax_of<Type>(values, 0, columns) / Byte::kMax);
        Type::store(static_cast<typename Type::Stored*>(scales), row, scale);
        encode_row<Byte, Type>(values, columns, scale, codes + row * columns);
      }
    });
  });
}

// scale * code, rounded to the scale's dtype, which holds every code; left to whom writes the
// values down where it writes that dtype.
template <typename Byte, typename Scale, typename Out>
void decode_row(const uint8_t* codes, uint64_t count, float scale, float* out) {
  uint64_t i = 0;
#if PRECIS_LANES > 1
  for (; i + kLanes <= count; i += kLanes) {
    const Floats value = Floats::of(scale) * Byte::decode_lanes(codes + i);
    if constexpr (std::is_same_v<Scale, Out>)
      value.store(out + i);
    else
      round_as<Scale>(value).store(out + i);
  }
#endif
  for (; i < count; ++i) out[i] = Scale::round(scale * Byte::decode(codes[i]));
}

void dequantize_bytes(QuantoByteType type, WeightType scale_type, const uint8_t* codes,
                      const void* scales, bool scale_per_row, uint64_t columns, uint64_t row_begin,
                      uint64_t row_end, WeightType out_type, void* out) {
  with_types(out_type, scale_type, [&](auto out_tag, auto scale_tag) {
    using Out = decltype(out_tag);
    using Scale = decltype(scale_tag);
    with_byte_type(type, [&](auto byte_tag) {
      decode_rows<Out>(static_cast<typename Out::Stored*>(out), row_begin, row_end, columns,
                       [&](uint64_t row, uint64_t first, uint64_t count, float* values) {
                         const float scale =
                             Scale::load(static_cast<const typename Scale::Stored*>(scales),
                                         scale_per_row ? row : 0);
                         decode_row<decltype(byte_tag), Scale, Out>(codes + row * columns + first,
                                                                    count, scale, values);
                       });
    });
  });
}

// Minimum and maximum of a group, each the first of its equals, which tells the sign of a zero; a
// NaN is both.
struct GroupRange {
  float low, high;
};

template <typename Type>
GroupRange plain_range(const typename Type::Stored* values, uint64_t count) {
  float low = Type::load(values, 0), high = low;
  bool nan = false;
  for (uint64_t i = 0; i < count; ++i) {
    const float x = Type::load(values, i);
    nan = nan || x != x;
    low = x < low ? x : low;
    high = x > high ? x : high;
  }
  if (nan) low = high = std::bit_cast<float>(0x7fc00000u);
  return {low, high};
}

template <typename Type>
GroupRange range_of(const typename Type::Stored* values, uint64_t count) {
#if PRECIS_LANES > 1
  if (count % kLanes == 0) {
    Floats low = load_numbers<Type>(values), high = low;
    bool nan = any_nan(low, low);
    for (uint64_t i = kLanes; i < count; i += kLanes) {
      const Floats here = load_numbers<Type>(values + i);
      nan = nan || any_nan(here, here);
      low = min(here, low);
      high = max(here, high);
    }
    const GroupRange range{smallest_of(low), largest_of(high)};
    if (!nan && range.low != 0 && range.high != 0) return range;
  }
#endif
  return plain_range<Type>(values, count);
}

// The codes of the numbers of a group: (value + shift) / scale, each step rounded.
template <typename Type>
void group_codes(const typename Type::Stored* values, uint64_t count, float shift, float scale,
                 float levels, uint8_t* codes) {
  uint64_t i = 0;
#if PRECIS_LANES > 1
  const Floats none = Floats::of(0), top = Floats::of(levels);
  for (; i + kLanes <= count; i += kLanes) {
    const Floats sum = round_as<Type>(load_numbers<Type>(values + i) + Floats::of(shift));
    const Floats q = round_as<Type>(sum / Floats::of(scale));
    const Floats number = select(q == q, q, none);
    store_bytes(codes + i, truncate(nearest(min(max(number, none), top))));
  }
#endif
  for (; i < count; ++i) {
    const float q = Type::round(Type::round(Type::load(values, i) + shift) / scale);
    const float code = clamp(round_to_even(clamp(q, -1.0f, 256.0f)), 0.0f, levels);
    codes[i] = static_cast<uint8_t>(static_cast<int32_t>(q == q ? code : 0.0f));
  }
}

void quantize_groups(int bits, WeightType weight_type, const void* weight, uint64_t group_size,
                     uint64_t group_begin, uint64_t group_end, uint8_t* codes, void* scales,
                     void* shifts) {
  const auto levels = static_cast<float>((1 << bits) - 1);
  with_type(weight_type, [&](auto tag) {
    using Type = decltype(tag);
    using Stored = typename Type::Stored;
    for (uint64_t group = group_begin; group < group_end; ++group) {
      const auto* values = static_cast<const Stored*>(weight) + group * group_size;
      const auto [low, high] = range_of<Type>(values, group_size);
      const float scale = Type::round(Type::round(high - low) / levels);
      const float shift = -low;
      Type::store(static_cast<Stored*>(scales), group, scale);
      Type::store(static_cast<Stored*>(shifts), group, shift);
      group_codes<Type>(values, group_size, shift, scale, levels, codes + group * group_size);
    }
  });
}

// scale * code - shift, each step rounded to the scale's dtype.
template <typename Scale>
struct GroupValue {
  float scale, shift;
  template <typename Value>
  Value operator()(Value code) const {
    return round_as<Scale>(round_as<Scale>(all_of<Value>(scale) * code) - all_of<Value>(shift));
  }
};

void dequantize_groups(int bits, WeightType scale_type, const uint8_t* packed, uint64_t groups,
                       const void* scales, const void* shifts, uint64_t group_size,
                       uint64_t group_begin, uint64_t group_end, WeightType out_type, void* out) {
  const auto per_byte = static_cast<uint64_t>(8 / bits);
  const uint64_t packed_rows = (groups + per_byte - 1) / per_byte;
  const int mask = (1 << bits) - 1;
  with_types(out_type, scale_type, [&](auto out_tag, auto scale_tag) {
    using Out = decltype(out_tag);
    using Scale = decltype(scale_tag);
    const auto decode = [&](uint64_t group, uint64_t first, uint64_t count,
                            typename Out::Stored* values) {
      const float scale = Scale::load(static_cast<const typename Scale::Stored*>(scales), group);
      const float shift = Scale::load(static_cast<const typename Scale::Stored*>(shifts), group);
      ValueTable<Out>(kUnsignedNibbles, GroupValue<Scale>{scale, shift})
          .look_up_plane(packed + (group % packed_rows) * group_size + first,
                         static_cast<int>(group / packed_rows) * bits, mask, count, values);
    };
    decode_row_lines(static_cast<typename Out::Stored*>(out), group_begin, group_end, group_size,
                     decode);
  });
}

}  // namespace

const QuantoKernels& quanto_kernels() {
  static constexpr QuantoKernels kernels{quantize_bytes, dequantize_bytes, quantize_groups,
                                         dequantize_groups};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
