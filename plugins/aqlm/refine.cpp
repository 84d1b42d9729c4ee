// AQLM's alternation (Egiazarian et al. 2024) without its fine-tuning: codes by coordinate descent
// over the blocks of a row, each searched with what all others leave of the outputs' error; then
// codebooks by least squares with the codes as they are, and scales likewise.
//
// With e the error of a row and H the moments, all of it lessens the sum of e H e^T. Rows are
// independent where codebooks are fixed, so tiles of them are handed out to threads.
#include "plugins/aqlm/refine.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <mutex>

#include "kernels/cpu/calibration/dense.h"
#include "kernels/cpu/codebooks/codebooks.h"
#include "plugins/additive_codebooks.h"
#include "plugins/second_moments.h"

namespace precis::aqlm {
namespace {

constexpr uint64_t kRowsAtOnce = 64;
constexpr int kRounds = 4, kDescents = 2, kLastSweeps = 2;
constexpr int kConjugateSteps = 8;  // of the least squares

const kernels::DenseKernels& dense() {
  return kernels::dense_kernels(kernels::current_isa());
}

using Matrix = std::vector<float>;

// Output groups of a tile.
uint64_t groups_at_once(const kernels::AqlmShape& shape) {
  return std::max<uint64_t>(1, kRowsAtOnce / shape.out_group);
}

// How errors of the columns of one input group count: their moments are R^T R.
struct GroupMetric {
  GroupMetric(const Moments& moments, uint64_t first, uint64_t size)
      : n(size), factor(size * size), inverse(size * size) {
    float largest = 0;
    for (uint64_t i = 0; i < n; ++i) largest = std::max(largest, moments.diagonal(first + i));
    // Columns that are all but multiples of each other need more than what damps the whole.
    for (float more = 0; !factorize(moments, first, more);)
      more = std::max(10 * more, 1e-6f * largest);
    for (uint64_t i = 0; i < n; ++i) inverse[i * n + i] = 1;
    dense().solve(factor.data(), n, n, inverse.data(), n, n);
  }
  // out = v R^T
  void transform(const float* v, float* out) const {
    for (uint64_t i = 0; i < n; ++i) {
      out[i] = 0;
      for (uint64_t j = i; j < n; ++j) out[i] += v[j] * factor[i * n + j];
    }
  }
  // out += v R^-1
  void add_pull(const float* v, float* out) const {
    for (uint64_t i = 0; i < n; ++i) {
      for (uint64_t j = 0; j <= i; ++j) out[i] += v[j] * inverse[j * n + i];
    }
  }

  uint64_t n;
  Matrix factor, inverse;

 private:
  bool factorize(const Moments& moments, uint64_t first, float more) {
    for (uint64_t i = 0; i < n; ++i) {
      std::copy_n(moments.values + (first + i) * moments.columns + first, n, &factor[i * n]);
      factor[i * (n + 1)] += more;
    }
    return dense().factor(factor.data(), n, n);
  }
};

// A codebook in a group's metric, as kernels::CodebookKernels takes it.
struct SearchedBook {
  std::vector<float> words, transposed, half_norms;

  SearchedBook(const float* book, const kernels::AqlmShape& shape, const GroupMetric& metric)
      : words(shape.codewords() * shape.block_size()),
        transposed(words.size()),
        half_norms(shape.codewords()) {
    const uint64_t size = shape.block_size(), count = shape.codewords();
    for (uint64_t word = 0; word < count; ++word) {
      for (uint64_t row = 0; row < size; row += shape.in_group)
        metric.transform(book + word * size + row, &words[word * size + row]);
      for (uint64_t i = 0; i < size; ++i) {
        const float value = words[word * size + i];
        transposed[i * count + word] = value;
        half_norms[word] += 0.5f * value * value;
      }
    }
  }
};

// Some output groups of a weight, with their errors.
class Tile {
 public:
  Tile(kernels::WeightType type, const Moments& moments, const Fit& fit)
      : type_(type),
        moments_(moments),
        fit_(fit),
        shape_(fit.shape),
        weight_(groups_at_once(shape_) * shape_.out_group * shape_.columns),
        numbers_(weight_.size()),
        products_(weight_.size()),
        codes_(shape_.codebooks * groups_at_once(shape_)),
        points_(groups_at_once(shape_) * shape_.block_size()),
        left_(points_.size()),
        scores_(shape_.codewords()) {}

  void load(const void* weight, uint64_t first, uint64_t groups) {
    first_ = first;
    groups_ = groups;
    kernels::with_type(type_, [&](auto tag) {
      using Type = decltype(tag);
      const auto* stored = static_cast<const typename Type::Stored*>(weight) +
                           first * shape_.out_group * shape_.columns;
      for (uint64_t row = 0; row < rows(); ++row) {
        for (uint64_t column = 0; column < shape_.columns; ++column)
          weight_[column * rows() + row] = Type::load(stored, row * shape_.columns + column);
      }
    });
  }

  // One pass over the input groups: new codes for each in turn.
  void sweep() {
    multiply_errors();
    for (uint64_t group = 0; group < shape_.in_groups(); ++group) {
      const uint64_t begin = group * shape_.in_group;
      const GroupMetric metric(moments_, begin, shape_.in_group);
      const std::vector<SearchedBook> books = searched_books(metric);
      set_points(group, metric);
      load_codes(group);
      for (int descent = 0; descent < kDescents; ++descent) {
        for (uint64_t book = 0; book < shape_.codebooks; ++book) search(books, book);
      }
      store_codes(group);
      replace(group);
    }
  }

  // sums[book][codeword] += scale times the block of (errors H), of the blocks that it is in.
  void add_gradient(std::vector<double>& sums) {
    multiply_errors();
    add_products(sums);
  }
  // The same of (numbers H), for the numbers that these codebooks stand for.
  void add_curvature(const float* books, std::vector<double>& sums) {
    decode(books);
    multiply(numbers_);
    add_products(sums);
  }
  void add_diagonal(std::vector<double>& sums) const {
    for_each_number([&](uint64_t, uint64_t column, uint64_t at, float scale) {
      sums[at] += double{scale} * scale * moments_.diagonal(column);
    });
  }

  // What each group's scale must be multiplied by.
  void improve_scales(std::vector<float>& factors) {
    decode(fit_.codebooks);
    multiply(numbers_);
    for (uint64_t group = 0; group < groups_; ++group) {
      double wanted = 0, present = 0;
      for (uint64_t column = 0; column < shape_.columns; ++column) {
        for (uint64_t i = 0; i < shape_.out_group; ++i) {
          const uint64_t row = group * shape_.out_group + i, at = column * rows() + row;
          const double product = products_[row * shape_.columns + column];
          wanted += weight_[at] * product;
          present += numbers_[at] * product;
        }
      }
      const double factor = wanted / present;
      factors[first_ + group] =
          factor > 0 && std::isfinite(factor) ? static_cast<float>(factor) : 1.0f;
    }
  }

  double output_error() {
    multiply_errors();
    double error = 0;
    for (uint64_t column = 0; column < shape_.columns; ++column) {
      for (uint64_t row = 0; row < rows(); ++row) {
        const double lost = numbers_[column * rows() + row];
        error += lost * (products_[row * shape_.columns + column] - moments_.damping * lost);
      }
    }
    return std::max(error, 0.0);
  }

 private:
  uint64_t rows() const { return groups_ * shape_.out_group; }

  uint16_t* code(uint64_t book, uint64_t out_group, uint64_t in_group) const {
    return fit_.codes + book * shape_.blocks() + (first_ + out_group) * shape_.in_groups() +
           in_group;
  }

  // Calls body(row, column, number of the codebooks, scale) for every addend of every number.
  template <typename Body>
  void for_each_number(Body&& body) const {
    const uint64_t size = shape_.block_size(), book_size = shape_.codewords() * size;
    for (uint64_t group = 0; group < groups_; ++group) {
      const float scale = fit_.scales[first_ + group];
      for (uint64_t block = 0; block < shape_.in_groups(); ++block) {
        for (uint64_t book = 0; book < shape_.codebooks; ++book) {
          const uint64_t word = book * book_size + *code(book, group, block) * size;
          for (uint64_t i = 0; i < size; ++i)
            body(group * shape_.out_group + i / shape_.in_group,
                 block * shape_.in_group + i % shape_.in_group, word + i, scale);
        }
      }
    }
  }

  // numbers_: [columns][rows]
  void decode(const float* books) {
    std::fill_n(numbers_.begin(), rows() * shape_.columns, 0.0f);
    for_each_number([&](uint64_t row, uint64_t column, uint64_t at, float scale) {
      numbers_[column * rows() + row] += books[at] * scale;
    });
  }
  // products_: [rows][columns]
  void multiply(const Matrix& columns) {
    std::fill_n(products_.begin(), rows() * shape_.columns, 0.0f);
    dense().multiply_add(columns.data(), rows(), moments_.values, shape_.columns, rows(),
                         shape_.columns, shape_.columns, 1.0f, products_.data(), shape_.columns);
  }
  // numbers_ become the errors, products_ these times H.
  void multiply_errors() {
    decode(fit_.codebooks);
    for (uint64_t i = 0; i < rows() * shape_.columns; ++i) numbers_[i] = weight_[i] - numbers_[i];
    multiply(numbers_);
  }
  void add_products(std::vector<double>& sums) const {
    for_each_number([&](uint64_t row, uint64_t column, uint64_t at, float scale) {
      sums[at] += double{scale} * products_[row * shape_.columns + column];
    });
  }

  std::vector<SearchedBook> searched_books(const GroupMetric& metric) const {
    std::vector<SearchedBook> books;
    for (uint64_t book = 0; book < shape_.codebooks; ++book)
      books.emplace_back(fit_.codebooks + book * shape_.codewords() * shape_.block_size(), shape_,
                         metric);
    return books;
  }

  // Where the blocks of a group were best, over their scales and in the group's metric: present
  // numbers, and what the errors of all columns pull them by.
  void set_points(uint64_t group, const GroupMetric& metric) {
    std::vector<float> present(shape_.in_group), pull(shape_.in_group);
    for (uint64_t row = 0; row < rows(); ++row) {
      const float scale = fit_.scales[first_ + row / shape_.out_group];
      for (uint64_t i = 0; i < shape_.in_group; ++i) {
        const uint64_t column = group * shape_.in_group + i, at = column * rows() + row;
        present[i] = (weight_[at] - numbers_[at]) / scale;
        pull[i] = products_[row * shape_.columns + column] / scale;
      }
      float* point = &points_[row * shape_.in_group];
      metric.transform(present.data(), point);
      metric.add_pull(pull.data(), point);
    }
  }

  void load_codes(uint64_t group) {
    for (uint64_t book = 0; book < shape_.codebooks; ++book) {
      for (uint64_t i = 0; i < groups_; ++i) codes_[book * groups_ + i] = *code(book, i, group);
    }
  }
  void store_codes(uint64_t group) {
    for (uint64_t book = 0; book < shape_.codebooks; ++book) {
      for (uint64_t i = 0; i < groups_; ++i) *code(book, i, group) = codes_[book * groups_ + i];
    }
  }

  // The codewords nearest to what the other codebooks leave.
  void search(const std::vector<SearchedBook>& books, uint64_t searched) {
    const uint64_t size = shape_.block_size();
    std::copy_n(points_.begin(), groups_ * size, left_.begin());
    for (uint64_t book = 0; book < shape_.codebooks; ++book) {
      for (uint64_t group = 0; group < groups_ && book != searched; ++group) {
        const float* word = &books[book].words[codes_[book * groups_ + group] * size];
        for (uint64_t i = 0; i < size; ++i) left_[group * size + i] -= word[i];
      }
    }
    kernels::codebook_kernels(kernels::current_isa())
        .nearest(left_.data(), size, 0, groups_, books[searched].transposed.data(),
                 books[searched].half_norms.data(), shape_.codewords(), scores_.data(),
                 &codes_[searched * groups_]);
  }

  // The errors of a group after its codes changed, and their products.
  void replace(uint64_t group) {
    const uint64_t size = shape_.block_size(), first = group * shape_.in_group;
    std::vector<float> changes(shape_.in_group * rows());
    for (uint64_t row = 0; row < rows(); ++row) {
      const uint64_t out = row / shape_.out_group;
      for (uint64_t i = 0; i < shape_.in_group; ++i) {
        float number = 0;
        for (uint64_t book = 0; book < shape_.codebooks; ++book)
          number +=
              fit_.codebooks[(book * shape_.codewords() + codes_[book * groups_ + out]) * size +
                             row % shape_.out_group * shape_.in_group + i] *
              fit_.scales[first_ + out];
        const uint64_t at = (first + i) * rows() + row;
        const float error = weight_[at] - number;
        changes[i * rows() + row] = error - numbers_[at];
        numbers_[at] = error;
      }
    }
    dense().multiply_add(changes.data(), rows(), moments_.values + first * shape_.columns,
                         shape_.columns, rows(), shape_.columns, shape_.in_group, 1.0f,
                         products_.data(), shape_.columns);
  }

  kernels::WeightType type_;
  const Moments& moments_;
  const Fit& fit_;
  const kernels::AqlmShape& shape_;
  uint64_t first_ = 0, groups_ = 0;
  Matrix weight_;              // [columns][rows]
  Matrix numbers_, products_;  // decoded numbers or errors, and these times H
  std::vector<uint16_t> codes_;
  std::vector<float> points_, left_, scores_;
};

class Refinement {
 public:
  Refinement(const precis_call& call, kernels::WeightType type, const void* weight,
             const Moments& moments, Fit& fit)
      : call_(call), type_(type), weight_(weight), moments_(moments), fit_(fit) {}

  double run() {
    for (int round = 0; round < kRounds; ++round) {
      progress_ = static_cast<double>(round) / kRounds;
      sweep();
      fit_codebooks();
      fit_scales();
    }
    round_numbers();
    for (int i = 0; i < kLastSweeps; ++i) sweep();
    double error = 0;
    std::mutex mutex;
    for_each_tile([&](Tile& tile) {
      const double lost = tile.output_error();
      const std::lock_guard lock(mutex);
      error += lost;
    });
    return error;
  }

 private:
  void for_each_tile(const std::function<void(Tile&)>& body) const {
    const uint64_t groups = fit_.shape.out_groups(), at_once = groups_at_once(fit_.shape);
    plugins::host_threads(call_)((groups + at_once - 1) / at_once,
                                 [&](uint64_t begin, uint64_t end) {
                                   Tile tile(type_, moments_, fit_);
                                   for (uint64_t i = begin; i < end; ++i) {
                                     sdk::poll(&call_, progress_);
                                     const uint64_t first = i * at_once;
                                     tile.load(weight_, first, std::min(at_once, groups - first));
                                     body(tile);
                                   }
                                 });
  }

  void sweep() const {
    for_each_tile([](Tile& tile) { tile.sweep(); });
  }

  uint64_t numbers() const {
    return fit_.shape.codebooks * fit_.shape.codewords() * fit_.shape.block_size();
  }

  // Of all tiles; body adds a tile's part to its second argument.
  std::vector<double> sum(const std::function<void(Tile&, std::vector<double>&)>& body) const {
    std::vector<double> sums(numbers());
    std::mutex mutex;
    for_each_tile([&](Tile& tile) {
      std::vector<double> part(sums.size());
      body(tile, part);
      const std::lock_guard lock(mutex);
      for (uint64_t i = 0; i < sums.size(); ++i) sums[i] += part[i];
    });
    return sums;
  }

  // Conjugate gradients from the present codebooks on, each number in units of its own curvature.
  // A codeword that no block has stays.
  void fit_codebooks() {
    const std::vector<double> diagonal =
        sum([](Tile& tile, std::vector<double>& part) { tile.add_diagonal(part); });
    std::vector<double> rest =
        sum([](Tile& tile, std::vector<double>& part) { tile.add_gradient(part); });
    std::vector<double> direction(rest.size());
    std::vector<float> step(rest.size());
    double last = 0;
    for (int i = 0; i < kConjugateSteps; ++i) {
      double size = 0;
      for (uint64_t at = 0; at < rest.size(); ++at) {
        if (diagonal[at] > 0) size += rest[at] * rest[at] / diagonal[at];
      }
      for (uint64_t at = 0; at < rest.size(); ++at) {
        const double ahead = diagonal[at] > 0 ? rest[at] / diagonal[at] : 0;
        direction[at] = ahead + (i == 0 ? 0 : size / last * direction[at]);
        step[at] = static_cast<float>(direction[at]);
      }
      last = size;
      const std::vector<double> curved = sum(
          [&](Tile& tile, std::vector<double>& part) { tile.add_curvature(step.data(), part); });
      double curvature = 0;
      for (uint64_t at = 0; at < rest.size(); ++at) curvature += direction[at] * curved[at];
      if (!(curvature > 0) || !(size > 0)) return;
      const double length = size / curvature;
      for (uint64_t at = 0; at < rest.size(); ++at) {
        fit_.codebooks[at] += static_cast<float>(length * direction[at]);
        rest[at] -= length * curved[at];
      }
    }
  }

  void fit_scales() {
    std::vector<float> factors(fit_.shape.out_groups());
    for_each_tile([&](Tile& tile) { tile.improve_scales(factors); });
    for (uint64_t i = 0; i < factors.size(); ++i) {
      const float scale = plugins::rounded(type_, fit_.scales[i] * factors[i]);
      if (scale > 0 && std::isfinite(scale)) fit_.scales[i] = scale;
    }
  }

  void round_numbers() {
    for (uint64_t i = 0; i < numbers(); ++i)
      fit_.codebooks[i] = plugins::rounded(type_, fit_.codebooks[i]);
  }

  const precis_call& call_;
  kernels::WeightType type_;
  const void* weight_;
  const Moments& moments_;
  Fit& fit_;
  double progress_ = 0;
};

}  // namespace

double refine(const precis_call& call, kernels::WeightType type, const void* weight,
              const Moments& moments, Fit& fit) {
  return Refinement(call, type, weight, moments, fit).run();
}

}  // namespace precis::aqlm
