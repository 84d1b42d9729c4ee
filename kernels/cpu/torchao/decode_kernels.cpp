// Compiled once for each instruction set.
#include "kernels/cpu/common/float8.h"
#include "kernels/cpu/torchao/tiles.h"
#include "kernels/cpu/torchao/torchao.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// Columns [begin, end) of a row within one block.
struct Run {
  uint64_t row, begin, end;
};

// Byte codes, each turned to a number by `value_of`: rounded to the dtype after each step.
template <typename Dtype, typename Scale, typename Value>
void scaled_bytes(const AoWeight& weight, const Run& run, Value value_of, float* out) {
  const uint64_t index =
      run.row / weight.block_rows * (weight.columns / weight.block) + run.begin / weight.block;
  const float scale = Scale::load(static_cast<const typename Scale::Stored*>(weight.scales), index);
  const float zero =
      weight.zero_points == nullptr ? 0.0f : static_cast<float>(weight.zero_points[index]);
  const uint8_t* codes = static_cast<const uint8_t*>(weight.qdata) + run.row * weight.columns;
  for (uint64_t i = run.begin; i < run.end; ++i)
    out[i - run.begin] = Dtype::round((value_of(codes[i]) - zero) * scale);
}

template <typename Dtype, typename Scale>
void pairs(const AoWeight& weight, const Run& run, float* out) {
  using Stored = typename Scale::Stored;
  const uint64_t index = run.begin / weight.block * weight.rows + run.row;
  const float scale = Scale::load(static_cast<const Stored*>(weight.scales), index);
  const float zero = Scale::load(static_cast<const Stored*>(weight.zeros), index);
  const uint8_t* codes = static_cast<const uint8_t*>(weight.qdata) + run.row * weight.columns / 2;
  for (uint64_t i = run.begin; i < run.end; ++i) {
    const int half = codes[i / 2] >> (i % 2 * 4) & 15;
    const auto code = static_cast<float>(half < 8 ? half : half - 16);
    out[i - run.begin] = Dtype::round(code * scale + zero);
  }
}

// bfloat16 by its nature, whatever the dtype.
void tiles(const AoWeight& weight, const Run& run, float* out) {
  const auto* meta = static_cast<const uint16_t*>(weight.scales) +
                     (run.begin / weight.block * weight.padded_rows + run.row) * 2;
  const float scale = BF16::load(meta, 0), zero = BF16::load(meta, 1);
  for (uint64_t first = run.begin / 128 * 128; first < run.end; first += 128) {
    const uint32_t* words = static_cast<const uint32_t*>(weight.qdata) +
                            tile_words(weight.padded_columns, run.row, first);
    for_tile_columns([&](uint64_t within, uint64_t word, int bit) {
      const uint64_t column = first + within;
      if (column < run.begin || column >= run.end) return;
      const auto code = static_cast<float>(static_cast<int>(words[word] >> bit & 15u) - 8);
      out[column - run.begin] = BF16::round(code * scale + zero);
    });
  }
}

template <typename Dtype, typename Scale>
void decode_run(const AoWeight& weight, const Run& run, float* out) {
  switch (weight.codes) {
    case AoCodes::int8:
      return scaled_bytes<Dtype, Scale>(
          weight, run, [](uint8_t code) { return static_cast<float>(static_cast<int8_t>(code)); },
          out);
    case AoCodes::float8_e4m3fn:
      return scaled_bytes<Dtype, Scale>(weight, run, float8_e4m3fn_to_float, out);
    case AoCodes::float8_e5m2:
      return scaled_bytes<Dtype, Scale>(weight, run, float8_e5m2_to_float, out);
    case AoCodes::int4_pairs:
      return pairs<Dtype, Scale>(weight, run, out);
    case AoCodes::int4_tiles:
      return tiles(weight, run, out);
  }
}

template <typename Out>
void decode_columns(const AoWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
                    typename Out::Stored* out) {
  constexpr uint64_t kStrip = 256;
  float values[kStrip];
  for (uint64_t column = begin; column < end;) {
    const uint64_t block_end = (column / weight.block + 1) * weight.block;
    const Run run{row, column, std::min({end, block_end, column + kStrip})};
    with_types(weight.dtype, weight.scale_type, [&](auto dtype, auto scale) {
      decode_run<decltype(dtype), decltype(scale)>(weight, run, values);
    });
    for (uint64_t i = run.begin; i < run.end; ++i)
      Out::store(out, i - begin, values[i - run.begin]);
    column = run.end;
  }
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
