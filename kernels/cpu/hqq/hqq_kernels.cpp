// Compiled once for each instruction set.
#include "kernels/cpu/hqq/hqq.h"

#include "kernels/cpu/hqq/code.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// Bit of a word that the codes of `piece` begin at.
int shift_of(const HqqGrid& grid, uint64_t piece) {
  return grid.bits * static_cast<int>(grid.pieces() - 1 - piece);
}

template <typename Word, typename Type>
void pack_row(const typename Type::Stored* weight, const HqqGrid& grid, int levels,
              const float* scales, const float* zeros, uint64_t packed_row, Word* words) {
  for (uint64_t c = 0; c < grid.columns; ++c) words[c] = 0;
  for (uint64_t piece = 0; piece < grid.pieces(); ++piece) {
    const uint64_t row = piece * grid.packed_rows() + packed_row;
    if (row >= grid.rows) break;
    const int shift = shift_of(grid, piece);
    const auto* values = weight + row * grid.columns;
    for (uint64_t c = 0; c < grid.columns; ++c) {
      const uint64_t group = grid.axis == 1 ? row : c;
      const float code =
          hqq_code(Type::load(values, c), scales[group], zeros[group], static_cast<float>(levels));
      const auto bits = static_cast<uint32_t>(code == code ? code : 0.0f);
      words[c] = static_cast<Word>(words[c] | bits << shift);
    }
  }
}

void pack(WeightType type, const void* weight, const HqqGrid& grid, int levels, const float* scales,
          const float* zeros, uint64_t row_begin, uint64_t row_end, void* packed) {
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = static_cast<const typename Type::Stored*>(weight);
    for (uint64_t row = row_begin; row < row_end; ++row) {
      if (grid.bits == 3) {
        pack_row<uint32_t, Type>(values, grid, levels, scales, zeros, row,
                                 static_cast<uint32_t*>(packed) + row * grid.columns);
      } else {
        pack_row<uint8_t, Type>(values, grid, levels, scales, zeros, row,
                                static_cast<uint8_t*>(packed) + row * grid.columns);
      }
    }
  });
}

// Columns [first, first + count) of a row of the grouped matrix.
template <typename Word, typename Compute, typename Meta, typename Out>
void decode_run(const HqqWeight& weight, uint64_t row, uint64_t first, uint64_t count,
                typename Out::Stored* out) {
  const HqqGrid& grid = weight.grid;
  const uint64_t packed_rows = grid.packed_rows();
  const Word* words =
      static_cast<const Word*>(weight.packed) + row % packed_rows * grid.columns + first;
  const int shift = shift_of(grid, row / packed_rows);
  const auto mask = static_cast<Word>((1u << grid.bits) - 1);
  const auto* scales = static_cast<const typename Meta::Stored*>(weight.scales);
  const auto* zeros = static_cast<const typename Meta::Stored*>(weight.zeros);
  const auto value = [&](uint64_t i, float scale, float zero) {
    const auto code = static_cast<float>(static_cast<int32_t>((words[i] >> shift) & mask));
    return Compute::round(Compute::round(code - zero) * scale);
  };
  if (grid.axis == 1) {
    const float scale = Compute::round(Meta::load(scales, row));
    const float zero = Compute::round(Meta::load(zeros, row));
    for (uint64_t i = 0; i < count; ++i) Out::store(out, i, value(i, scale, zero));
    return;
  }
  for (uint64_t i = 0; i < count; ++i) {
    Out::store(out, i,
               value(i, Compute::round(Meta::load(scales, first + i)),
                     Compute::round(Meta::load(zeros, first + i))));
  }
}

template <typename Compute, typename Meta, typename Out>
void decode(const HqqWeight& weight, uint64_t begin, uint64_t end, typename Out::Stored* out) {
  const HqqGrid& grid = weight.grid;
  while (begin < end) {
    const uint64_t row = begin / grid.columns, first = begin % grid.columns;
    const uint64_t count = std::min(end - begin, grid.columns - first);
    if (grid.bits == 3)
      decode_run<uint32_t, Compute, Meta, Out>(weight, row, first, count, out);
    else
      decode_run<uint8_t, Compute, Meta, Out>(weight, row, first, count, out);
    begin += count;
    out += count;
  }
}

void dequantize(const HqqWeight& weight, uint64_t begin, uint64_t end, WeightType out_type,
                void* out) {
  with_types(weight.compute, weight.meta_type, [&](auto compute, auto meta) {
    with_type(out_type, [&](auto tag) {
      using Out = decltype(tag);
      decode<decltype(compute), decltype(meta), Out>(weight, begin, end,
                                                     static_cast<typename Out::Stored*>(out));
    });
  });
}

void decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& product = *static_cast<const HqqProductWeight*>(format);
  const uint64_t first = row * product.in_features;
  dequantize(product.weight, first + begin, first + end, product.out, out);
}

}  // namespace

const HqqKernels& hqq_kernels() {
  static constexpr HqqKernels kernels{pack, dequantize, decode_floats};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
