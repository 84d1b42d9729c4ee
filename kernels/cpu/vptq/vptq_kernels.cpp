// Compiled once for each instruction set. Bound by the reads of centroids, which no order makes
// neighbours.
#include "kernels/cpu/vptq/vptq.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// The number of `row` at the stored place `place`, before scale and bias.
template <typename Type>
float stored_number(const VptqWeight& weight, uint64_t row, uint64_t place) {
  const auto* outliers = static_cast<const typename Type::Stored*>(weight.outlier_centroids);
  if (place < weight.outliers) {
    const uint64_t vector = row / weight.outlier_vector, part = row % weight.outlier_vector;
    const uint64_t index = weight.outlier_indices[vector * weight.outliers + place];
    return Type::load(outliers, index * weight.outlier_vector + part);
  }
  const uint64_t column = place - weight.outliers;
  const uint64_t group = column / weight.group_size, inside = column % weight.group_size;
  const uint64_t vector = row / weight.vector, part = row % weight.vector;
  const uint32_t* words = weight.indices + (group * weight.vectors() + vector) * weight.words();
  const uint64_t both = stream_bits(words, inside, weight.bits + weight.residual_bits);
  const auto* centroids = static_cast<const typename Type::Stored*>(weight.centroids);
  const uint64_t main = (group << weight.bits) + (both & ((uint64_t{1} << weight.bits) - 1));
  const float number = Type::load(centroids, main * weight.vector + part);
  if (weight.residual_bits == 0) return number;
  const auto* residual = static_cast<const typename Type::Stored*>(weight.residual);
  const uint64_t second = (group << weight.residual_bits) + (both >> weight.bits);
  return Type::round(number + Type::load(residual, second * weight.vector + part));
}

template <typename Type, typename Out>
void decode_columns(const VptqWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
                    typename Out::Stored* out) {
  const auto* scales = static_cast<const typename Type::Stored*>(weight.scales);
  const auto* biases = static_cast<const typename Type::Stored*>(weight.biases);
  for (uint64_t column = begin; column < end; ++column) {
    const uint64_t place = weight.places == nullptr ? column : weight.places[column];
    float value = stored_number<Type>(weight, row, place);
    if (scales != nullptr) value = Type::round(value * Type::load(scales, column));
    if (biases != nullptr) value = Type::round(value + Type::load(biases, column));
    Out::store(out, column - begin, value);
  }
}

void dequantize(const VptqWeight& weight, uint64_t row_begin, uint64_t row_end, WeightType out_type,
                void* out) {
  with_types(weight.type, out_type, [&](auto type, auto tag) {
    using Out = decltype(tag);
    auto* rows = static_cast<typename Out::Stored*>(out);
    for (uint64_t row = row_begin; row < row_end; ++row) {
      decode_columns<decltype(type), Out>(weight, row, 0, weight.columns,
                                          rows + (row - row_begin) * weight.columns);
    }
  });
}

void decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& product = *static_cast<const VptqProductWeight*>(format);
  with_types(product.weight.type, product.out, [&](auto type, auto tag) {
    using Out = decltype(tag);
    decode_columns<decltype(type), Out>(product.weight, row, begin, end,
                                        static_cast<typename Out::Stored*>(out));
  });
}

}  // namespace

const VptqKernels& vptq_kernels() {
  static constexpr VptqKernels kernels{dequantize, decode_floats};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
