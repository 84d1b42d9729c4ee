// Compiled once for each instruction set.
#include "kernels/cpu/common/byte_numbers.h"
#include "kernels/cpu/common/value_table.h"
#include "kernels/cpu/torchao/tiles.h"
#include "kernels/cpu/torchao/torchao.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// Columns [begin, end) of a row within one block.
struct Run {
  uint64_t row, begin, end;
};

// Codes of a byte: rounded to the dtype of the weight.
template <typename Bytes, typename Dtype, typename Scale, typename Out>
void scaled_bytes(const AoWeight& weight, const Run& run, typename Out::Stored* out) {
  const uint64_t index =
      run.row / weight.block_rows * (weight.columns / weight.block) + run.begin / weight.block;
  const float scale = Scale::load(static_cast<const typename Scale::Stored*>(weight.scales), index);
  const float zero =
      weight.zero_points == nullptr ? 0.0f : static_cast<float>(weight.zero_points[index]);
  const uint8_t* codes = static_cast<const uint8_t*>(weight.qdata) + run.row * weight.columns;
  decode_bytes<Bytes, Out>(
      codes + run.begin, run.end - run.begin,
      [&](auto number) {
        using Value = decltype(number);
        return round_as<Dtype>((number - all_of<Value>(zero)) * all_of<Value>(scale));
      },
      out);
}

template <typename Dtype, typename Scale, typename Out>
void pairs(const AoWeight& weight, Run run, typename Out::Stored* out) {
  using Stored = typename Scale::Stored;
  const uint64_t index = run.begin / weight.block * weight.rows + run.row;
  const float scale = Scale::load(static_cast<const Stored*>(weight.scales), index);
  const float zero = Scale::load(static_cast<const Stored*>(weight.zeros), index);
  const ValueTable<Out> table(kSignedNibbles, [&](auto code) {
    using Value = decltype(code);
    return round_as<Dtype>(code * all_of<Value>(scale) + all_of<Value>(zero));
  });
  const uint8_t* codes = static_cast<const uint8_t*>(weight.qdata) + run.row * weight.columns / 2;
  if (run.begin % 2 != 0) {
    table.look_up_plane(codes + run.begin / 2, 4, 15, 1, out);
    ++run.begin;
    ++out;
  }
  table.look_up_nibbles(codes + run.begin / 2, run.end - run.begin, out);
}

// The codes of a row's 128 columns, a byte each, from the 16 words that hold them.
void unpack_tile(const uint32_t* words, uint8_t* codes) {
#if PRECIS_LANES == 16
  alignas(64) static constexpr TileOrder kOrder;
  const __m512i halves = _mm512_loadu_si512(words);
  for (uint64_t i = 0; i < 4; ++i) {
    const __m512i chosen = _mm512_permutexvar_epi16(_mm512_load_si512(kOrder.halves[i]), halves);
    const __m512i shifted = _mm512_srlv_epi16(chosen, _mm512_load_si512(kOrder.shifts));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes + 32 * i),
                        _mm512_cvtepi16_epi8(_mm512_and_si512(shifted, _mm512_set1_epi16(15))));
  }
#else
  for_tile_columns([&](uint64_t column, uint64_t word, int bit) {
    codes[column] = static_cast<uint8_t>(words[word] >> bit & 15u);
  });
#endif
}

// bfloat16 by its nature, whatever the dtype.
template <typename Out>
void tiles(const AoWeight& weight, const Run& run, typename Out::Stored* out) {
  const auto* meta = static_cast<const uint16_t*>(weight.scales) +
                     (run.begin / weight.block * weight.padded_rows + run.row) * 2;
  const float scale = BF16::load(meta, 0), zero = BF16::load(meta, 1);
  const ValueTable<Out> table(kUnsignedNibbles, [&](auto code) {
    using Value = decltype(code);
    const Value number = code - all_of<Value>(8);
    return round_as<BF16>(number * all_of<Value>(scale) + all_of<Value>(zero));
  });
  for (uint64_t begin = run.begin; begin < run.end;) {
    const uint64_t first = begin / 128 * 128, end = std::min(run.end, first + 128);
    alignas(64) uint8_t codes[128];
    unpack_tile(static_cast<const uint32_t*>(weight.qdata) +
                    tile_words(weight.padded_columns, run.row, first),
                codes);
    table.look_up_plane(codes + (begin - first), 0, 15, end - begin, out + (begin - run.begin));
    begin = end;
  }
}

template <typename Dtype, typename Scale, typename Out>
void decode_run(const AoWeight& weight, const Run& run, typename Out::Stored* out) {
  switch (weight.codes) {
    case AoCodes::int8:
      return scaled_bytes<SignedBytes, Dtype, Scale, Out>(weight, run, out);
    case AoCodes::float8_e4m3fn:
      return scaled_bytes<Float8E4M3FN, Dtype, Scale, Out>(weight, run, out);
    case AoCodes::float8_e5m2:
      return scaled_bytes<Float8E5M2, Dtype, Scale, Out>(weight, run, out);
    case AoCodes::int4_pairs:
      return pairs<Dtype, Scale, Out>(weight, run, out);
    case AoCodes::int4_tiles:
      return tiles<Out>(weight, run, out);
  }
}

template <typename Out>
void decode_columns(const AoWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
                    typename Out::Stored* out) {
  with_types(weight.dtype, weight.scale_type, [&](auto dtype, auto scale) {
    for (uint64_t column = begin; column < end;) {
      const uint64_t block_end = (column / weight.block + 1) * weight.block;
      const Run run{row, column, std::min(end, block_end)};
      decode_run<decltype(dtype), decltype(scale), Out>(weight, run, out + (column - begin));
      column = run.end;
    }
  });
}

void dequantize(const AoWeight& weight, uint64_t row_begin, uint64_t row_end, WeightType out_type,
                void* out) {
  with_type(out_type, [&](auto tag) {
    using Out = decltype(tag);
    auto* rows = static_cast<typename Out::Stored*>(out);
    for (uint64_t row = row_begin; row < row_end; ++row)
      decode_columns<Out>(weight, row, 0, weight.columns,
                          rows + (row - row_begin) * weight.columns);
  });
}

void decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& product = *static_cast<const AoProductWeight*>(format);
  with_type(product.out, [&](auto tag) {
    using Out = decltype(tag);
    decode_columns<Out>(product.weight, row, begin, end, static_cast<typename Out::Stored*>(out));
  });
}

}  // namespace

const AoDecoders& ao_decoders() {
  static constexpr AoDecoders decoders{dequantize, decode_floats};
  return decoders;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
