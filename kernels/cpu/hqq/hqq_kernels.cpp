// Compiled once for each instruction set.
#include "kernels/cpu/hqq/hqq.h"

#include "kernels/cpu/common/byte_numbers.h"
#include "kernels/cpu/common/value_table.h"
#include "kernels/cpu/hqq/code.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

constexpr uint64_t kSmallGroup = 16;

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

// The part of a row of the grouped matrix that is decoded: its packed words, and the bits in them.
template <typename Word>
struct Run {
  const Word* words;
  int shift, mask;
  uint64_t count;
  uint8_t code(uint64_t i) const {
    return static_cast<uint8_t>(words[i] >> shift & static_cast<Word>(mask));
  }
};

// (code - zero) * scale, each step rounded; the last by whom writes it down where that is Compute.
template <typename Compute, typename Out>
struct GroupValue {
  float scale, zero;
  template <typename Value>
  Value operator()(Value code) const {
    const Value value = round_as<Compute>(code - all_of<Value>(zero)) * all_of<Value>(scale);
    if constexpr (std::is_same_v<Compute, Out>)
      return value;
    else
      return round_as<Compute>(value);
  }
};

// A row of one group.
template <typename Compute, typename Out, typename Word>
void decode_group(const Run<Word>& run, float scale, float zero, typename Out::Stored* out) {
  const GroupValue<Compute, Out> value{scale, zero};
  if constexpr (std::is_same_v<Word, uint8_t>) {
    if (run.mask == 0xff) return decode_bytes<UnsignedBytes, Out>(run.words, run.count, value, out);
  }
  const ValueTable<Out> table(kUnsignedNibbles, value);
  if constexpr (std::is_same_v<Word, uint8_t>) {
    table.look_up_plane(run.words, run.shift, run.mask, run.count, out);
  } else {
    table.look_up(
        run.count,
        [&](uint64_t i, uint8_t* codes) {
          for (uint64_t j = 0; j < 32; ++j) codes[j] = run.code(i + j);
        },
        [&](uint64_t i) { return run.code(i); }, out);
  }
}

// Neighbouring rows of groups of 16: too few codes for a table. values_of(row): of run's rows, from
// 0.
template <typename Out, typename ValuesOf>
void decode_small_groups(const Run<uint8_t>& run, ValuesOf values_of, typename Out::Stored* out) {
  uint64_t i = 0;
#if PRECIS_LANES > 1
  const Ints mask = Ints::of(run.mask);
  i = for_each_line<Out>(
      run.count,
      [&](uint64_t at) {
        const Ints codes = (Ints::load(run.words + at) >> run.shift) & mask;
        return values_of(at / kSmallGroup)(to_floats(codes));
      },
      [&](uint64_t at, Line line) { store(out + at, line); });
#endif
  for (; i < run.count; ++i)
    Out::store(out, i, values_of(i / kSmallGroup)(static_cast<float>(run.code(i))));
}

// A row of which each column is of another group.
template <typename Compute, typename Meta, typename Out, typename Word>
void decode_across(const Run<Word>& run, const typename Meta::Stored* scales,
                   const typename Meta::Stored* zeros, typename Out::Stored* out) {
  for (uint64_t i = 0; i < run.count; ++i) {
    const auto code = static_cast<float>(static_cast<int32_t>(run.code(i)));
    const float scale = Compute::round(Meta::load(scales, i));
    const float zero = Compute::round(Meta::load(zeros, i));
    Out::store(out, i, Compute::round(Compute::round(code - zero) * scale));
  }
}

template <typename Word, typename Compute, typename Meta, typename Out>
void decode_words(const HqqWeight& weight, uint64_t begin, uint64_t end,
                  typename Out::Stored* out) {
  const HqqGrid& grid = weight.grid;
  const uint64_t packed_rows = grid.packed_rows();
  const auto* words = static_cast<const Word*>(weight.packed);
  const auto* scales = static_cast<const typename Meta::Stored*>(weight.scales);
  const auto* zeros = static_cast<const typename Meta::Stored*>(weight.zeros);
  uint64_t row = begin / grid.columns, first = begin % grid.columns;
  uint64_t piece = row / packed_rows, packed_row = row % packed_rows;
  while (begin < end) {
    const auto value_of = [&](uint64_t group) {
      return GroupValue<Compute, Out>{Compute::round(Meta::load(scales, group)),
                                      Compute::round(Meta::load(zeros, group))};
    };
    if constexpr (std::is_same_v<Word, uint8_t>) {
      if (grid.axis == 1 && grid.columns == kSmallGroup && first == 0) {
        const uint64_t rows = std::min((end - begin) / kSmallGroup, packed_rows - packed_row);
        const Run<Word> run{words + packed_row * grid.columns, shift_of(grid, piece),
                            (1 << grid.bits) - 1, rows * kSmallGroup};
        decode_small_groups<Out>(
            run, [&](uint64_t i) { return value_of(row + i); }, out);
        begin += run.count;
        out += run.count;
        row += rows;
        packed_row += rows;
        if (packed_row == packed_rows) packed_row = 0, ++piece;
        if (rows > 0) continue;
      }
    }
    const uint64_t count = std::min(end - begin, grid.columns - first);
    const Run<Word> run{words + packed_row * grid.columns + first, shift_of(grid, piece),
                        (1 << grid.bits) - 1, count};
    if (grid.axis == 1) {
      decode_group<Compute, Out>(run, Compute::round(Meta::load(scales, row)),
                                 Compute::round(Meta::load(zeros, row)), out);
    } else {
      decode_across<Compute, Meta, Out>(run, scales + first, zeros + first, out);
    }
    begin += count;
    out += count;
    first = 0;
    ++row;
    if (++packed_row == packed_rows) packed_row = 0, ++piece;
  }
}

template <typename Compute, typename Meta, typename Out>
void decode(const HqqWeight& weight, uint64_t begin, uint64_t end, typename Out::Stored* out) {
  if (weight.grid.bits == 3)
    return decode_words<uint32_t, Compute, Meta, Out>(weight, begin, end, out);
  decode_words<uint8_t, Compute, Meta, Out>(weight, begin, end, out);
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
