// VPTQ with calibration data (Liu et al. 2024): k-means that counts columns by what their errors
// cost, then codes column after column, each error spread over the columns that have none yet.
#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>

#include "kernels/cpu/calibration/dense.h"
#include "kernels/cpu/codebooks/codebooks.h"
#include "plugins/additive_codebooks.h"
#include "plugins/second_moments.h"
#include "plugins/vptq/quantizer.h"
#include "plugins/weight_type.h"

namespace precis::vptq {
namespace {

constexpr double kDamping = 0.01;       // of the mean of the diagonal, as GPTQ has it
constexpr uint64_t kVectorsAtOnce = 8;  // of a column: their errors are spread together
constexpr uint64_t kColumnsAtOnce = 64;
constexpr int kDescents = 2;

// A codebook as kernels::CodebookKernels takes it.
struct SearchedBook {
  SearchedBook(const float* from, uint64_t words, uint64_t width)
      : values(from), count(words), size(width), transposed(words * width), half_norms(words) {
    for (uint64_t word = 0; word < count; ++word) {
      for (uint64_t i = 0; i < size; ++i) {
        const float value = values[word * size + i];
        transposed[i * count + word] = value;
        half_norms[word] += 0.5f * value * value;
      }
    }
  }

  const float* values;
  uint64_t count, size;
  std::vector<float> transposed, half_norms;
};

// Columns in the order that they get their codes in, and what spreads their errors.
struct Solving {
  const std::vector<uint32_t>& order;
  const float* factor;   // upper, [columns][columns], in that order
  const float* moments;  // both triangles, in the columns' own order
};

// Some vectors of every column, as their rows [kVectorsAtOnce * vector][columns] in solving order.
class Sweep {
 public:
  Sweep(const Fit& fit, const std::vector<SearchedBook>& books, const Solving& solving)
      : fit_(fit),
        books_(books),
        solving_(solving),
        values_(kVectorsAtOnce * fit.vector() * fit.columns()),
        lost_(values_.size()),
        errors_(kColumnsAtOnce * kVectorsAtOnce * fit.vector()),
        wanted_(kVectorsAtOnce * fit.vector()),
        left_(wanted_.size()),
        scores_(std::max(books.front().count, books.back().count)) {}

  // Gives the squared error of the outputs of these vectors' rows.
  double run(const void* weight, uint64_t first, uint64_t vectors) {
    first_ = first;
    vectors_ = vectors;
    double error = 0;
    kernels::with_type(fit_.type, [&](auto tag) { error = run_as(tag, weight); });
    return error;
  }

 private:
  uint64_t rows() const { return vectors_ * fit_.vector(); }

  template <typename Type>
  double run_as(Type, const void* weight) {
    const auto* stored = static_cast<const typename Type::Stored*>(weight);
    const uint64_t columns = fit_.columns();
    const uint64_t first_row = first_ * fit_.vector();
    const auto original = [&](uint64_t row, uint64_t place) {
      return row + first_row < fit_.rows()
                 ? Type::load(stored, (first_row + row) * columns + solving_.order[place])
                 : 0.0f;
    };
    for (uint64_t row = 0; row < rows(); ++row) {
      for (uint64_t place = 0; place < columns; ++place)
        values_[row * columns + place] = original(row, place);
    }
    for (uint64_t begin = 0; begin < columns; begin += kColumnsAtOnce) {
      const uint64_t end = std::min(columns, begin + kColumnsAtOnce);
      for (uint64_t place = begin; place < end; ++place) {
        choose_codes(place);
        float* errors = errors_.data() + (place - begin) * rows();
        for (uint64_t row = 0; row < rows(); ++row) {
          const bool padding = row + first_row >= fit_.rows();
          const float decoded = padding ? 0.0f : decode(Type{}, row, place);
          lost_[solving_.order[place] * rows() + row] = original(row, place) - decoded;
          errors[row] = padding ? 0.0f
                                : (values_[row * columns + place] - decoded) /
                                      solving_.factor[place * (columns + 1)];
        }
        spread(errors, 1, place, place + 1, end);
      }
      spread(errors_.data(), end - begin, begin, end, columns);
    }
    return output_error();
  }

  // The sum of e H e^T over the rows' losses e: what the errors of the sweep add up to as well, but
  // for their rounding.
  double output_error() {
    const uint64_t columns = fit_.columns();
    std::fill(values_.begin(), values_.end(), 0.0f);
    kernels::dense_kernels(kernels::current_isa())
        .multiply_add(lost_.data(), rows(), solving_.moments, columns, rows(), columns, columns,
                      1.0f, values_.data(), columns);
    double error = 0;
    for (uint64_t row = 0; row < rows(); ++row) {
      for (uint64_t column = 0; column < columns; ++column)
        error += double{values_[row * columns + column]} * lost_[column * rows() + row];
    }
    return std::max(error, 0.0);
  }

  // Takes the errors of `count` columns from `place` on off columns [begin, end).
  void spread(const float* errors, uint64_t count, uint64_t place, uint64_t begin, uint64_t end) {
    const uint64_t columns = fit_.columns();
    if (begin == end) return;
    kernels::dense_kernels(kernels::current_isa())
        .multiply_add(errors, rows(), solving_.factor + place * columns + begin, columns, rows(),
                      end - begin, count, -1.0f, values_.data() + begin, columns);
  }

  uint16_t* codes(std::size_t book, uint64_t place) {
    return fit_.codes + book * fit_.vectors() + solving_.order[place] * fit_.vectors_of_column() +
           first_;
  }

  // The codeword nearest to what the other codebook leaves.
  void search(std::size_t book, uint64_t place, bool other_known) {
    left_ = wanted_;
    if (other_known) {
      const SearchedBook& other = books_[1 - book];
      const uint16_t* known = codes(1 - book, place);
      for (uint64_t i = 0; i < rows(); ++i)
        left_[i] -= other.values[known[i / fit_.vector()] * fit_.vector() + i % fit_.vector()];
    }
    const SearchedBook& searched = books_[book];
    kernels::codebook_kernels(kernels::current_isa())
        .nearest(left_.data(), searched.size, 0, vectors_, searched.transposed.data(),
                 searched.half_norms.data(), searched.count, scores_.data(), codes(book, place));
  }

  void choose_codes(uint64_t place) {
    const float scale = fit_.scales[solving_.order[place]];
    for (uint64_t row = 0; row < rows(); ++row)
      wanted_[row] = values_[row * fit_.columns() + place] / scale;
    search(0, place, false);
    if (books_.size() == 1) return;
    search(1, place, true);
    for (int descent = 0; descent < kDescents; ++descent) {
      search(0, place, true);
      search(1, place, true);
    }
  }

  // As the stored form is decoded.
  template <typename Type>
  float decode(Type, uint64_t row, uint64_t place) {
    const uint64_t vector = row / fit_.vector(), i = row % fit_.vector();
    float number = books_[0].values[codes(0, place)[vector] * fit_.vector() + i];
    if (books_.size() > 1)
      number = Type::round(number + books_[1].values[codes(1, place)[vector] * fit_.vector() + i]);
    return Type::round(number * fit_.scales[solving_.order[place]]);
  }

  const Fit& fit_;
  const std::vector<SearchedBook>& books_;
  const Solving& solving_;
  std::vector<float> values_, lost_, errors_, wanted_, left_, scores_;
  uint64_t first_ = 0, vectors_ = 0;
};

// Those that matter most first: their errors find the most columns that can make up for them.
std::vector<uint32_t> solving_order(const float* moments, uint64_t columns) {
  std::vector<uint32_t> order(columns);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return moments[uint64_t{a} * (columns + 1)] > moments[uint64_t{b} * (columns + 1)];
  });
  return order;
}

// What the square of a column's error costs when the columns behind it make up for it.
std::vector<double> importance_of(const Solving& solving) {
  const uint64_t columns = solving.order.size();
  std::vector<double> importance(columns);
  for (uint64_t place = 0; place < columns; ++place) {
    const double pivot = solving.factor[place * (columns + 1)];
    importance[solving.order[place]] = 1 / (pivot * pivot);
  }
  return importance;
}

double choose_codes(const precis_call& call, const void* weight, const Fit& fit,
                    const Solving& solving) {
  std::vector<SearchedBook> books;
  const float* book = fit.books;
  for (const uint64_t count : fit.codewords()) {
    books.emplace_back(book, count, fit.vector());
    book += count * fit.vector();
  }
  const uint64_t tiles = (fit.vectors_of_column() + kVectorsAtOnce - 1) / kVectorsAtOnce;
  std::mutex mutex;
  double error = 0;
  plugins::host_threads(call)(tiles, [&](uint64_t begin, uint64_t end) {
    Sweep sweep(fit, books, solving);
    double sum = 0;
    for (uint64_t tile = begin; tile < end; ++tile) {
      sdk::poll(&call, static_cast<double>(tile) / static_cast<double>(tiles));
      const uint64_t first = tile * kVectorsAtOnce;
      sum += sweep.run(weight, first, std::min(kVectorsAtOnce, fit.vectors_of_column() - first));
    }
    const std::lock_guard lock(mutex);
    error += sum;
  });
  return error;
}

}  // namespace

void VptqQuantizer::plan_calibration(const sdk::CalibrationGroup& group,
                                     sdk::PlanWriter& state) const {
  uint64_t most = 0;
  for (const precis_param* param : group.params) {
    check_writable(*param);
    most = std::max(most, fit_bytes(layer_of(*param)));
  }
  const uint64_t columns = sdk::matrix(*group.params.front()).columns;
  plugins::plan_second_moments(columns, state);
  state.workspace(sizeof(float) * (columns * columns + kernels::inverse_factor_scratch(columns)) +
                  most);
}

void VptqQuantizer::observe(const precis_call& call, const precis_param&,
                            const precis_tensor& activation, const sdk::Parts& state) const {
  plugins::observe_second_moments(call, activation, state);
}

void VptqQuantizer::finish(const precis_call& call, const sdk::CalibrationGroup& group) const {
  const uint64_t columns = sdk::matrix(*group.params.front()).columns;
  float* moments = plugins::second_moments(group.state, columns);
  const std::vector<uint32_t> order = solving_order(moments, columns);
  auto* factor = static_cast<float*>(call.workspace);
  plugins::damped_inverse_factor(call, moments, order, kDamping, factor);
  kernels::mirror_upper(moments, columns);
  const Solving solving{order, factor, moments};
  float* behind = factor + columns * columns + kernels::inverse_factor_scratch(columns);
  for (std::size_t i = 0; i < group.params.size(); ++i) {
    const precis_param& param = *group.params[i];
    const void* weight = sdk::data<const void>(*group.weights[i]);
    plugins::check_finite(param, weight);
    Fit fit = fit_in(layer_of(param), plugins::weight_type(param.dtype), behind);
    find_codebooks(call, weight, importance_of(solving), fit);
    group.errors[i] = choose_codes(call, weight, fit, solving);
    store(fit, group.parts[i]);
  }
}

}  // namespace precis::vptq
