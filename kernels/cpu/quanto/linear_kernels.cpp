// Compiled once for each instruction set.
#include "kernels/cpu/common/float8.h"
#include "kernels/cpu/quanto/linear.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// Values of 8-bit floats by their bits: the float32 with the same exponent field, times a power of
// two that makes up for the difference of the biases. Exact, subnormal numbers included.
inline float e4m3fn_value(uint32_t code) {
  const uint32_t magnitude = code & 0x7f;
  const float value = std::bit_cast<float>(magnitude << 20) * 0x1p120f;
  const uint32_t bits = magnitude == 0x7f ? 0x7fc00000u : std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>(bits | (code & 0x80) << 24);
}
inline float e5m2_value(uint32_t code) {
  const uint32_t magnitude = code & 0x7f;
  const float value = std::bit_cast<float>(magnitude << 21) * 0x1p112f;
  const uint32_t bits =
      magnitude < 0x7c ? std::bit_cast<uint32_t>(value) : 0x7f800000u | (magnitude & 3) << 21;
  return std::bit_cast<float>(bits | (code & 0x80) << 24);
}

// Values of codes are exact in bfloat16, so that cutting float32 off is enough.
template <typename Value>
void convert(const uint8_t* codes, uint64_t count, WeightType type, void* out, Value&& value_of) {
  if (type == WeightType::f32) {
    auto* values = static_cast<float*>(out);
    for (uint64_t i = 0; i < count; ++i) values[i] = value_of(codes[i]);
  } else {
    auto* values = static_cast<uint16_t*>(out);
    for (uint64_t i = 0; i < count; ++i) {
      const float value = value_of(codes[i]);
      values[i] = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
    }
  }
}

void decode_bytes(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& weight = *static_cast<const QuantoByteWeight*>(format);
  const uint8_t* codes = weight.codes + row * weight.columns + begin;
  switch (weight.type) {
    case QuantoByteType::int8:
      return convert(codes, end - begin, weight.out_type, out,
                     [](uint8_t code) { return static_cast<float>(static_cast<int8_t>(code)); });
    case QuantoByteType::float8_e4m3fn:
      return convert(codes, end - begin, weight.out_type, out, e4m3fn_value);
    case QuantoByteType::float8_e5m2:
      return convert(codes, end - begin, weight.out_type, out, e5m2_value);
  }
}

// The values of a group's codes, rounded at each step as the library rounds them.
template <typename Scale>
void value_table(const QuantoGroupWeight& weight, uint64_t index, float* table) {
  using Stored = typename Scale::Stored;
  const float scale = Scale::load(static_cast<const Stored*>(weight.scales), index);
  const float shift = Scale::load(static_cast<const Stored*>(weight.shifts), index);
  for (int code = 0; code < 1 << weight.bits; ++code)
    table[code] = Scale::round(Scale::round(scale * static_cast<float>(code)) - shift);
}

#if defined(__AVX512BF16__)
// 32 columns at once: codes as 16-bit indices into the table of 16 bfloat16.
void look_up(const uint8_t* bytes, int bit, int mask, uint64_t count, const uint16_t* table,
             uint16_t* out) {
  const __m512i values =
      _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(table)));
  const __m512i low = _mm512_set1_epi16(static_cast<short>(mask));
  const __m128i shift = _mm_cvtsi32_si128(bit);
  for (uint64_t i = 0; i < count; i += 32) {
    const __m512i wide =
        _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + i)));
    const __m512i codes = _mm512_and_si512(_mm512_srl_epi16(wide, shift), low);
    _mm512_storeu_si512(out + i, _mm512_permutexvar_epi16(codes, values));
  }
}
#endif

template <typename Scale, typename Out>
void decode_group_range(const QuantoGroupWeight& weight, uint64_t from, uint64_t to,
                        typename Out::Stored* out) {
  const uint64_t planes = static_cast<uint64_t>(8 / weight.bits);
  const uint64_t packed_rows = (weight.groups + planes - 1) / planes;
  const int mask = (1 << weight.bits) - 1;
  for (uint64_t i = from; i < to;) {
    const uint64_t group = i / weight.group_size, first = i % weight.group_size;
    const uint64_t count = std::min(to - i, weight.group_size - first);
    float values[16];
    value_table<Scale>(weight, group, values);
    typename Out::Stored table[16];
    for (uint64_t code = 0; code < 16; ++code)
      Out::store(table, code, values[code & static_cast<uint64_t>(mask)]);
    const uint8_t* bytes = weight.packed + group % packed_rows * weight.group_size + first;
    const int bit = static_cast<int>(group / packed_rows) * weight.bits;
    auto* to_here = out + (i - from);
    i += count;
#if defined(__AVX512BF16__)
    if constexpr (std::is_same_v<Out, BF16>) {
      if (count % 32 == 0) {
        look_up(bytes, bit, mask, count, table, to_here);
        continue;
      }
    }
#endif
    for (uint64_t j = 0; j < count; ++j) to_here[j] = table[(bytes[j] >> bit) & mask];
  }
}

template <typename Scale, typename Out>
void decode_single_group(const QuantoGroupWeight& weight, uint64_t from, uint64_t to,
                         typename Out::Stored* out) {
  const int mask = (1 << weight.bits) - 1;
  for (uint64_t i = from; i < to; ++i) {
    float values[16];
    value_table<Scale>(weight, i, values);
    Out::store(out, i - from, values[weight.packed[i] & mask]);
  }
}

void decode_groups(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& weight = *static_cast<const QuantoGroupWeight*>(format);
  const uint64_t from = row * weight.columns + begin, to = row * weight.columns + end;
  with_type(weight.scale_type, [&](auto scale_tag) {
    using Scale = decltype(scale_tag);
    with_type(weight.out_type, [&](auto out_tag) {
      using Out = decltype(out_tag);
      auto* values = static_cast<typename Out::Stored*>(out);
      if (weight.per_column) return decode_single_group<Scale, Out>(weight, from, to, values);
      decode_group_range<Scale, Out>(weight, from, to, values);
    });
  });
}

}  // namespace

const QuantoLinearKernels& quanto_linear_kernels() {
  static constexpr QuantoLinearKernels kernels{decode_bytes, decode_groups};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
