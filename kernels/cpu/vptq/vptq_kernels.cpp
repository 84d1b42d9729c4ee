// Compiled once for each instruction set. Bound by the reads of centroids, which no order makes
// neighbours: all rows of a centroid are decoded when it is read.
#include "kernels/cpu/vptq/vptq.h"

#include "kernels/cpu/common/eight_numbers.h"
#include "kernels/cpu/common/turn_tile.h"

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

#if PRECIS_LANES > 1

constexpr uint64_t kColumns = 32;  // decoded together

// The two numbers from element index[lane] on.
struct Pair {
  Floats first, second;
};
template <typename Type>
Pair gather_pair(const typename Type::Stored* from, Ints index) {
  const Ints bits = Ints::gather(from, index);
  if constexpr (std::is_same_v<Type, F32>)
    return {as_floats(bits), as_floats(Ints::gather(from, index + Ints::of(1)))};
  else if constexpr (std::is_same_v<Type, F16>)
    return {half_bits_to_floats(bits & Ints::of(0xffff)), half_bits_to_floats(bits >> 16)};
  else
    return {as_floats(bits << 16), as_floats(bits & Ints::of(-0x10000))};
}

// Where the indices of kColumns columns stand.
struct IndexPlaces {
  const uint32_t* words[kColumns];  // of the first vector
  uint64_t inside[kColumns];
  int32_t centroids[kColumns], residual[kColumns];  // the first of their groups
  uint64_t outliers[kColumns];                      // columns that have none
  uint64_t outlier_count = 0;

  IndexPlaces(const VptqWeight& weight, uint64_t begin) {
    for (uint64_t i = 0; i < kColumns; ++i) {
      const uint64_t place = weight.places == nullptr ? begin + i : weight.places[begin + i];
      const bool outlier = place < weight.outliers;
      if (outlier) outliers[outlier_count++] = i;
      const uint64_t column = outlier ? 0 : place - weight.outliers;
      const uint64_t group = weight.groups == 1 ? 0 : column / weight.group_size;
      words[i] = weight.indices + group * weight.vectors() * weight.words();
      inside[i] = column - group * weight.group_size;
      centroids[i] = static_cast<int32_t>(group << weight.bits);
      residual[i] = static_cast<int32_t>(group << weight.residual_bits);
    }
  }
};

// The first elements of the centroids of kColumns columns.
struct CentroidPlaces {
  int32_t main[kColumns], residual[kColumns];

  CentroidPlaces(const VptqWeight& weight, const IndexPlaces& at, uint64_t vector) {
    const auto length = static_cast<int32_t>(weight.vector);
    const uint64_t words = vector * weight.words();
    for (uint64_t i = 0; i < kColumns; ++i) {
      const uint32_t both =
          stream_bits(at.words[i] + words, at.inside[i], weight.bits + weight.residual_bits);
      const uint32_t mask = (1u << weight.bits) - 1;
      main[i] = (at.centroids[i] + static_cast<int32_t>(both & mask)) * length;
      residual[i] = (at.residual[i] + static_cast<int32_t>(both >> weight.bits)) * length;
    }
  }
};

// kColumns numbers of rows `part` and `part` + 1 of a vector, before scales and biases.
template <typename Type>
void read_parts(const VptqWeight& weight, const CentroidPlaces& places, uint64_t part,
                float (&numbers)[2][kColumns]) {
  const auto* centroids = static_cast<const typename Type::Stored*>(weight.centroids);
  const auto* residual = static_cast<const typename Type::Stored*>(weight.residual);
  const Ints offset = Ints::of(static_cast<int32_t>(part));
  for (uint64_t i = 0; i < kColumns; i += kLanes) {
    Pair pair = gather_pair<Type>(centroids, Ints::load(places.main + i) + offset);
    if (weight.residual_bits != 0) {
      const auto second = gather_pair<Type>(residual, Ints::load(places.residual + i) + offset);
      pair = {round_as<Type>(pair.first + second.first),
              round_as<Type>(pair.second + second.second)};
    }
    pair.first.store(numbers[0] + i);
    pair.second.store(numbers[1] + i);
  }
}

template <typename Type, typename Out>
void finish_columns(const VptqWeight& weight, const IndexPlaces& at, uint64_t row, uint64_t begin,
                    float* numbers, typename Out::Stored* out) {
  for (uint64_t i = 0; i < at.outlier_count; ++i) {
    const uint64_t column = begin + at.outliers[i];
    const uint64_t place = weight.places == nullptr ? column : weight.places[column];
    numbers[at.outliers[i]] = stored_number<Type>(weight, row, place);
  }
  const auto* scales = static_cast<const typename Type::Stored*>(weight.scales);
  const auto* biases = static_cast<const typename Type::Stored*>(weight.biases);
  for (uint64_t i = 0; i < kColumns; i += kLanes) {
    Floats value = Floats::load(numbers + i);
    if (scales != nullptr) value = round_as<Type>(value * load_numbers<Type>(scales + begin + i));
    if (biases != nullptr) value = round_as<Type>(value + load_numbers<Type>(biases + begin + i));
    value.store(numbers + i);
  }
  put<Out>(numbers, kColumns, out, false);
}

// Whether read_parts may read a vector: pairs of its rows, at 32-bit places.
bool has_pairs(const VptqWeight& weight) {
  const uint64_t most = weight.groups << std::max(weight.bits, weight.residual_bits);
  return weight.vector % 2 == 0 && weight.bits < 32 && most * weight.vector < (uint64_t{1} << 31);
}

// kColumns columns of several rows.
template <typename Type, typename Out>
void decode_tile(const VptqWeight& weight, uint64_t row_begin, uint64_t row_end, uint64_t begin,
                 typename Out::Stored* out, uint64_t stride) {
  const IndexPlaces at(weight, begin);
  for (uint64_t row = row_begin / weight.vector * weight.vector; row < row_end;
       row += weight.vector) {
    const CentroidPlaces places(weight, at, row / weight.vector);
    for (uint64_t part = 0; part < weight.vector; part += 2) {
      if (row + part + 1 < row_begin || row + part >= row_end) continue;
      float numbers[2][kColumns];
      read_parts<Type>(weight, places, part, numbers);
      for (uint64_t i = 0; i < 2; ++i) {
        const uint64_t here = row + part + i;
        if (here >= row_begin && here < row_end)
          finish_columns<Type, Out>(weight, at, here, begin, numbers[i],
                                    out + (here - row_begin) * stride);
      }
    }
  }
}

// Vectors of whole eights: kRows rows of kColumns columns at once.
constexpr uint64_t kRows = 16;

struct EightRows {
  uint64_t vector, part;
  EightRows(const VptqWeight& weight, uint64_t row)
      : vector(std::min(row / weight.vector, weight.vectors() - 1)), part(row % weight.vector) {}
};

// kLanes numbers of a column, those of the first and of the last kEight rows at `first` and `last`.
template <typename Type>
Floats column_numbers(const VptqWeight& weight, const CentroidPlaces& first, uint64_t first_part,
                      const CentroidPlaces& last, uint64_t last_part, uint64_t i) {
  using Stored = typename Type::Stored;
  const auto read = [&](const void* book, int32_t low, int32_t high) {
    const auto* centroids = static_cast<const Stored*>(book);
    return load_eights<Type>(centroids + low + first_part, centroids + high + last_part);
  };
  const Floats number = read(weight.centroids, first.main[i], last.main[i]);
  if (weight.residual_bits == 0) return number;
  return round_as<Type>(number + read(weight.residual, first.residual[i], last.residual[i]));
}

// Rows [row, row + kRows) of kColumns columns from `begin` on, to columns[i][row].
template <typename Type>
void read_columns(const VptqWeight& weight, const IndexPlaces& at, uint64_t row, uint64_t begin,
                  float (&columns)[kColumns][kRows]) {
  const auto* scales = static_cast<const typename Type::Stored*>(weight.scales);
  const auto* biases = static_cast<const typename Type::Stored*>(weight.biases);
  const EightRows first(weight, row), last(weight, row + kEight);
  const CentroidPlaces low(weight, at, first.vector), high(weight, at, last.vector);
  for (uint64_t i = 0; i < kColumns; ++i) {
    for (uint64_t lane = 0; lane < kRows; lane += kLanes) {
      const bool upper = lane != 0;
      column_numbers<Type>(weight, upper ? high : low, upper ? last.part : first.part, high,
                           last.part, i)
          .store(columns[i] + lane);
    }
  }
  for (uint64_t i = 0; i < at.outlier_count; ++i) {
    const uint64_t column = begin + at.outliers[i];
    const uint64_t place = weight.places == nullptr ? column : weight.places[column];
    for (uint64_t j = 0; j < kRows && row + j < weight.rows; ++j)
      columns[at.outliers[i]][j] = stored_number<Type>(weight, row + j, place);
  }
  for (uint64_t i = 0; i < kColumns && (scales != nullptr || biases != nullptr); ++i) {
    for (uint64_t lane = 0; lane < kRows; lane += kLanes) {
      Floats value = Floats::load(columns[i] + lane);
      if (scales != nullptr)
        value = round_as<Type>(value * Floats::of(Type::load(scales, begin + i)));
      if (biases != nullptr)
        value = round_as<Type>(value + Floats::of(Type::load(biases, begin + i)));
      value.store(columns[i] + lane);
    }
  }
}

// decode_tile for vectors of whole eights.
template <typename Type, typename Out>
void decode_whole_vectors(const VptqWeight& weight, uint64_t row_begin, uint64_t row_end,
                          uint64_t begin, typename Out::Stored* out, uint64_t stride) {
  const IndexPlaces at(weight, begin);
  for (uint64_t row = row_begin / kRows * kRows; row < row_end; row += kRows) {
    float columns[kColumns][kRows], rows[kRows][kColumns];
    read_columns<Type>(weight, at, row, begin, columns);
    for (uint64_t i = 0; i < kColumns; i += kTile)
      turn_tile(reinterpret_cast<const uint32_t*>(columns[i]), kRows,
                reinterpret_cast<uint8_t*>(rows[0] + i), sizeof rows[0]);
    for (uint64_t i = 0; i < kRows; ++i) {
      if (row + i >= row_begin && row + i < row_end)
        put<Out>(rows[i], kColumns, out + (row + i - row_begin) * stride, false);
    }
  }
}

#endif

// Columns [begin, end) of several rows.
template <typename Type, typename Out>
void decode_row_range(const VptqWeight& weight, uint64_t row_begin, uint64_t row_end,
                      uint64_t begin, uint64_t end, typename Out::Stored* out, uint64_t stride) {
  uint64_t column = begin;
#if PRECIS_LANES > 1
  if (has_pairs(weight)) {
    const auto decode =
        weight.vector % kEight == 0 ? decode_whole_vectors<Type, Out> : decode_tile<Type, Out>;
    for (; column + kColumns <= end; column += kColumns)
      decode(weight, row_begin, row_end, column, out + (column - begin), stride);
  }
#endif
  for (uint64_t row = row_begin; row < row_end; ++row)
    decode_columns<Type, Out>(weight, row, column, end,
                              out + (row - row_begin) * stride + (column - begin));
}

void dequantize(const VptqWeight& weight, uint64_t row_begin, uint64_t row_end, WeightType out_type,
                void* out) {
  constexpr uint64_t kRowsAtOnce = 64;  // in the second-level cache
  with_types(weight.type, out_type, [&](auto type, auto tag) {
    using Out = decltype(tag);
    auto* rows = static_cast<typename Out::Stored*>(out);
    for (uint64_t row = row_begin; row < row_end; row += kRowsAtOnce) {
      decode_row_range<decltype(type), Out>(
          weight, row, std::min(row_end, row + kRowsAtOnce), 0, weight.columns,
          rows + (row - row_begin) * weight.columns, weight.columns);
    }
  });
}

void decode_rows(const void* format, uint64_t row, uint64_t rows, uint64_t begin, uint64_t end,
                 void* out, uint64_t stride) {
  const auto& product = *static_cast<const VptqProductWeight*>(format);
  with_types(product.weight.type, product.out, [&](auto type, auto tag) {
    using Out = decltype(tag);
    decode_row_range<decltype(type), Out>(product.weight, row, row + rows, begin, end,
                                          static_cast<typename Out::Stored*>(out), stride);
  });
}

}  // namespace

const VptqKernels& vptq_kernels() {
  static constexpr VptqKernels kernels{dequantize, decode_rows};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
