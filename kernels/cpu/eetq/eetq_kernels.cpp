// Compiled once for each instruction set.
#include "kernels/cpu/eetq/eetq.h"

#include <array>

#include "kernels/cpu/common/byte_numbers.h"
#include "kernels/cpu/linear/column_order.h"
#include "kernels/cpu/linear/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

constexpr uint64_t kTogether = 64;  // columns of a row that stand side by side

// The place of each of 64 neighbouring columns among them.
constexpr std::array<uint8_t, kTogether> kPlaces = [] {
  constexpr uint8_t permuted[16] = {0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15};
  constexpr uint8_t exchanged[4] = {0, 2, 1, 3};
  std::array<uint8_t, kTogether> places{};
  for (uint64_t i = 0; i < kTogether; ++i) {
    const uint64_t place = i / 16 * 16 + permuted[i % 16];
    places[i] = static_cast<uint8_t>(place / 4 * 4 + exchanged[place % 4]);
  }
  return places;
}();

// kPlaces interleaves the first and the last 8 of every 16 columns.
constexpr uint64_t interleaved_place(uint64_t column) {
  return column / 16 * 16 + column % 8 * 2 + column / 8 % 2;
}
static_assert([] {
  for (uint64_t i = 0; i < kTogether; ++i)
    if (kPlaces[i] != interleaved_place(i)) return false;
  return true;
}());
void interleave(const uint8_t* in_order, uint8_t* stored) {
#if PRECIS_LANES > 1
  for (uint64_t i = 0; i < kTogether; i += 16) interleave_halves(in_order + i, stored + i);
#else
  for (uint64_t i = 0; i < kTogether; ++i) stored[kPlaces[i]] = in_order[i];
#endif
}
void deinterleave(const uint8_t* stored, uint8_t* in_order) {
#if PRECIS_LANES > 1
  for (uint64_t i = 0; i < kTogether; i += 16) split_pairs(stored + i, in_order + i);
#else
  for (uint64_t i = 0; i < kTogether; ++i) in_order[i] = stored[kPlaces[i]];
#endif
}

// Where columns [column, column + 64) of a row begin; `column` is a multiple of 64.
uint64_t run(uint64_t columns, uint64_t row, uint64_t column) {
  return row / 2 * 2 * columns + 2 * column + kTogether * (row % 2);
}

// Nearest integer, halves away from zero, within int8; NaN, the quotient of a row of zeros, is 127.
[[maybe_unused]] int code_of(float quotient) {
  if (quotient != quotient || quotient > 127.0f) return 127;
  if (quotient < -128.0f) return -128;
  const int whole = static_cast<int>(quotient);
  const float rest = quotient - static_cast<float>(whole);
  const int code = rest >= 0.5f ? whole + 1 : rest <= -0.5f ? whole - 1 : whole;
  return code > 127 ? 127 : code;
}

#if PRECIS_LANES > 1
// code_of plus 128 of each lane.
Ints stored_codes(Floats quotients) {
  const Floats near = min(max(quotients, Floats::of(-129)), Floats::of(129));
  const Floats whole = to_floats(truncate(near)), rest = near - whole, zero = Floats::of(0);
  const Floats up = select(rest < Floats::of(0.5f), zero, Floats::of(1));
  const Floats down = select(Floats::of(-0.5f) < rest, zero, Floats::of(1));
  const Floats codes = min(max(whole + up - down, Floats::of(-128)), Floats::of(127));
  return truncate(select(quotients == quotients, codes, Floats::of(127)) + Floats::of(128));
}
#endif

// The codes, plus 128, of kTogether neighbours.
template <typename Type>
void encode_run(const typename Type::Stored* values, float scale, uint8_t* codes) {
  uint8_t in_order[kTogether];
#if PRECIS_LANES > 1
  for (uint64_t i = 0; i < kTogether; i += kLanes) {
    const Floats rounded = round_as<F16>(load_numbers<Type>(values + i));
    store_bytes(in_order + i, stored_codes(rounded / Floats::of(scale)));
  }
#else
  for (uint64_t i = 0; i < kTogether; ++i) {
    const int code = code_of(F16::round(Type::load(values, i)) / scale);
    in_order[i] = static_cast<uint8_t>(code + 128);
  }
#endif
  interleave(in_order, codes);
}

void quantize(WeightType type, const void* weight, uint64_t columns, uint64_t row_begin,
              uint64_t row_end, uint8_t* codes, uint16_t* scales) {
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    for (uint64_t row = row_begin; row < row_end; ++row) {
      const auto* values = static_cast<const typename Type::Stored*>(weight) + row * columns;
      const float scale = F16::round(absmax_of<Type>(values, 0, columns)) * (1.0f / 128.0f);
      scales[row] = float_to_half(scale);
      for (uint64_t i = 0; i < columns; i += kTogether)
        encode_run<Type>(values + i, scale, codes + run(columns, row, i));
    }
  });
}

template <typename Out>
void decode_row(const uint8_t* codes, float scale, uint64_t columns, uint64_t row, uint64_t begin,
                uint64_t end, typename Out::Stored* out) {
  const auto value = [scale](auto code) {
    using Value = decltype(code);
    return round_as<F16>((code - all_of<Value>(128)) * all_of<Value>(scale));
  };
  uint8_t in_order[16 * kTogether];
  for (uint64_t first = begin; first < end; first += sizeof in_order) {
    const uint64_t count = std::min<uint64_t>(end - first, sizeof in_order);
    for (uint64_t at = 0; at < count; at += kTogether) {
      const uint8_t* stored = codes + run(columns, row, first + at);
      deinterleave(stored, in_order + at);
    }
    decode_bytes<UnsignedBytes, Out>(in_order, count, value, out + (first - begin));
  }
}

void dequantize(const uint8_t* codes, const uint16_t* scales, uint64_t columns, uint64_t row_begin,
                uint64_t row_end, WeightType out_type, void* out) {
  with_type(out_type, [&](auto tag) {
    using Out = decltype(tag);
    auto* rows_out = static_cast<typename Out::Stored*>(out);
    for (uint64_t row = row_begin; row < row_end; ++row) {
      decode_row<Out>(codes, half_to_float(scales[row]), columns, row, 0, columns,
                      rows_out + (row - row_begin) * columns);
    }
  });
}

void decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& weight = *static_cast<const EetqProduct*>(format);
  const float scale = half_to_float(weight.scales[row]);
  if (weight.out_type == WeightType::bf16)
    return decode_row<BF16>(weight.codes, scale, weight.columns, row, begin, end,
                            static_cast<uint16_t*>(out));
  decode_row<F32>(weight.codes, scale, weight.columns, row, begin, end, static_cast<float*>(out));
}

#if defined(PRECIS_ROW_DOT)
// Of the places that add_bytes takes in turn, the columns that stand there.
constexpr ColumnOrder kStoredOrder = [] {
  ColumnOrder order{};
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (uint8_t column = 0; column < order.size(); ++column) {
      const auto place = column / kTogether * kTogether + kPlaces[column % kTogether];
      if (place == byte_place(i)) order[i] = column;
    }
  }
  return order;
}();

struct EetqRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = kDotColumns;
  EetqRow(const EetqProduct& weight, uint64_t row, uint64_t begin, uint64_t, StripScales& strip)
      : codes(weight.codes + run(weight.columns, row, begin)),
        scale(half_to_float(weight.scales[row])) {
    std::fill_n(strip.offsets, StripScales::kColumns / kSumColumns, -kIntegerShift * scale);
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_byte_halves(words, codes, codes + 2 * kTogether, to, scale);
    codes += 2 * kDotColumns;
  }
  static void multiply(const void* format, std::span<const uint64_t> rows, const ActivationRows& x,
                       float* sums) {
    multiply_rows<EetqRow>(*static_cast<const EetqProduct*>(format), rows, x, sums);
  }
  IntegerWords words{0x80};
  const uint8_t* codes;
  float scale;
};

RowDot row_dot(const EetqProduct& weight) {
  if (weight.columns % kDotColumns != 0) return {};
  return row_dot_of<EetqRow>(kStoredOrder.data());
}
#else
RowDot row_dot(const EetqProduct&) {
  return {};
}
#endif

}  // namespace

const EetqKernels& eetq_kernels() {
  static constexpr EetqKernels kernels{quantize, dequantize, decode_floats, row_dot};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
