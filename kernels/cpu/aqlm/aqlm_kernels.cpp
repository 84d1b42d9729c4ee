// Compiled once for each instruction set.
#include "kernels/cpu/aqlm/aqlm.h"

#include "kernels/cpu/common/eight_numbers.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

uint64_t code_at(const AqlmWeight& weight, uint64_t index) {
  const uint64_t mask = weight.shape.codewords() - 1;
  const int64_t code = weight.shape.bits <= 8 ? static_cast<const int8_t*>(weight.codes)[index]
                                              : static_cast<const int16_t*>(weight.codes)[index];
  return static_cast<uint64_t>(code) & mask;
}

// torch's embedding_bag sums in float32; its bfloat16 path (FBGEMM) rounds ties away from zero.
template <typename Type>
float rounded_sum(float sum) {
  return Type::round(sum);
}
template <>
float rounded_sum<BF16>(float sum) {
  const uint32_t bits = std::bit_cast<uint32_t>(sum);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return sum;
  return std::bit_cast<float>((bits + 0x8000u) & 0xffff0000u);
}

// Columns [begin, end) of a row, which belong to one block.
template <typename Type>
void decode_block(const AqlmWeight& weight, uint64_t row, uint64_t begin, uint64_t end, float scale,
                  float* out) {
  const AqlmShape& shape = weight.shape;
  const auto* books = static_cast<const typename Type::Stored*>(weight.codebooks);
  const uint64_t block = begin / shape.in_group, count = end - begin;
  const uint64_t codes = row / shape.out_group * weight.out_stride + block * weight.in_stride;
  const uint64_t inside = row % shape.out_group * shape.in_group + begin % shape.in_group;
  for (uint64_t i = 0; i < count; ++i) out[i] = 0;
  for (uint64_t book = 0; book < shape.codebooks; ++book) {
    const uint64_t word = book * shape.codewords() + code_at(weight, codes + book);
    const auto* entry = books + word * shape.block_size() + inside;
    for (uint64_t i = 0; i < count; ++i) out[i] += Type::load(entry, i);
  }
  for (uint64_t i = 0; i < count; ++i) out[i] = Type::round(rounded_sum<Type>(out[i]) * scale);
}

template <typename Type, typename Out>
void decode_any_columns(const AqlmWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
                        typename Out::Stored* out) {
  constexpr uint64_t kStrip = 64;
  const uint64_t in_group = weight.shape.in_group;
  const float scale = Type::load(static_cast<const typename Type::Stored*>(weight.scales),
                                 row / weight.shape.out_group);
  for (uint64_t column = begin; column < end;) {
    float values[kStrip];
    const uint64_t block_end = (column / in_group + 1) * in_group;
    const uint64_t stop = std::min({end, block_end, column + kStrip});
    decode_block<Type>(weight, row, column, stop, scale, values);
    for (uint64_t i = column; i < stop; ++i) Out::store(out, i - begin, values[i - column]);
    column = stop;
  }
}

#if PRECIS_LANES > 1

template <typename Type>
Floats rounded_sums(Floats sums) {
  if constexpr (!std::is_same_v<Type, BF16>) return round_as<Type>(sums);
  const Ints rounded = (as_ints(sums) + Ints::of(0x8000)) & Ints::of(-0x10000);
  return select(sums == sums, as_floats(rounded), sums);
}

// Walks a row in steps of kEight columns, which are neighbours in every codeword where in_group is
// a multiple of it.
template <typename Type>
class PartWalk {
 public:
  using Stored = typename Type::Stored;
  PartWalk(const AqlmWeight& weight, uint64_t row, uint64_t column)
      : weight_(&weight),
        block_(row / weight.shape.out_group * weight.out_stride +
               column / weight.shape.in_group * weight.in_stride),
        row_(row % weight.shape.out_group * weight.shape.in_group),
        inside_(column % weight.shape.in_group) {}

  // The numbers of the next kEight columns in the codeword of `book`.
  const Stored* codeword(uint64_t book) const {
    const AqlmShape& shape = weight_->shape;
    const uint64_t word = (book << shape.bits) + code_at(*weight_, block_ + book);
    return static_cast<const Stored*>(weight_->codebooks) + word * shape.block_size() + row_ +
           inside_;
  }
  void step() {
    inside_ += kEight;
    if (inside_ < weight_->shape.in_group) return;
    inside_ = 0;
    block_ += weight_->in_stride;
  }

 private:
  const AqlmWeight* weight_;
  uint64_t block_, row_, inside_;
};

// Columns of a row, begin and end multiples of kEight as in_group is.
template <typename Type, typename Out>
void decode_parts(const AqlmWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
                  typename Out::Stored* out) {
  constexpr uint64_t kStrip = 128;
  const Floats scale = Floats::of(Type::load(
      static_cast<const typename Type::Stored*>(weight.scales), row / weight.shape.out_group));
  PartWalk<Type> walk(weight, row, begin);
  for (uint64_t column = begin; column < end; column += kStrip) {
    const uint64_t count = std::min(kStrip, end - column);
    float values[kStrip];
    for (uint64_t i = 0; i < count; i += kLanes) {
      PartWalk<Type> second = walk;
      if (kLanes == 2 * kEight && i + kEight < count) second.step();
      Floats sums = Floats::of(0);
      for (uint64_t book = 0; book < weight.shape.codebooks; ++book)
        sums = sums + load_eights<Type>(walk.codeword(book), second.codeword(book));
      round_as<Type>(rounded_sums<Type>(sums) * scale).store(values + i);
      if (kLanes == 2 * kEight) walk = second;
      walk.step();
    }
    put<Out>(values, count, out + (column - begin), false);
  }
}

#endif

template <typename Type, typename Out>
void decode_columns(const AqlmWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
                    typename Out::Stored* out) {
#if PRECIS_LANES > 1
  if (weight.shape.in_group % kEight == 0 && begin % kEight == 0 && end % kEight == 0)
    return decode_parts<Type, Out>(weight, row, begin, end, out);
#endif
  decode_any_columns<Type, Out>(weight, row, begin, end, out);
}

void dequantize(const AqlmWeight& weight, uint64_t row_begin, uint64_t row_end, WeightType out_type,
                void* out) {
  with_types(weight.type, out_type, [&](auto type, auto tag) {
    using Out = decltype(tag);
    auto* rows = static_cast<typename Out::Stored*>(out);
    for (uint64_t row = row_begin; row < row_end; ++row) {
      decode_columns<decltype(type), Out>(weight, row, 0, weight.shape.columns,
                                          rows + (row - row_begin) * weight.shape.columns);
    }
  });
}

void decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& product = *static_cast<const AqlmProductWeight*>(format);
  with_types(product.weight.type, product.out, [&](auto type, auto tag) {
    using Out = decltype(tag);
    decode_columns<decltype(type), Out>(product.weight, row, begin, end,
                                        static_cast<typename Out::Stored*>(out));
  });
}

}  // namespace

const AqlmKernels& aqlm_kernels() {
  static constexpr AqlmKernels kernels{dequantize, decode_floats};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
