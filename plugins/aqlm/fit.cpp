#include "plugins/aqlm/fit.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace precis::aqlm {

namespace {

constexpr int kMeansIterations = 12, kDescents = 4;
constexpr uint64_t kPointsAtOnce = 1024;

float rounded(kernels::WeightType type, float value) {
  float result = value;
  kernels::with_type(type, [&](auto tag) { result = decltype(tag)::round(value); });
  return result;
}

// Blocks over the scale of their output group, the norm of its whole rows.
void scale_blocks(kernels::WeightType type, const void* weight, Fit& fit) {
  const kernels::AqlmShape& shape = fit.shape;
  kernels::with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = static_cast<const typename Type::Stored*>(weight);
    for (uint64_t group = 0; group < shape.out_groups(); ++group) {
      const uint64_t first = group * shape.out_group * shape.columns;
      double squares = 0;
      for (uint64_t i = first; i < first + shape.out_group * shape.columns; ++i) {
        const double value = Type::load(values, i);
        squares += value * value;
      }
      const float scale = Type::round(static_cast<float>(std::sqrt(squares) + 1e-9));
      // A scale of 0 or infinity has no other side.
      fit.scales[group] = scale > 0 && std::isfinite(scale) ? scale : 1.0f;
      for (uint64_t i = 0; i < shape.out_group * shape.columns; ++i) {
        const uint64_t row = i / shape.columns, column = i % shape.columns;
        const uint64_t block = group * shape.in_groups() + column / shape.in_group;
        const float value = Type::load(values, first + i) / fit.scales[group];
        fit.points[block * shape.block_size() + row * shape.in_group + column % shape.in_group] =
            std::isfinite(value) ? value : 0.0f;
      }
    }
  });
}

// The part of codebook `book` in what is left: sign -1 takes it off, 1 puts it back.
void add_part(Fit& fit, uint64_t book, float sign) {
  const uint64_t size = fit.shape.block_size();
  const float* words = fit.codebooks + book * fit.shape.codewords() * size;
  const uint16_t* codes = fit.codes + book * fit.shape.blocks();
  for (uint64_t block = 0; block < fit.shape.blocks(); ++block) {
    for (uint64_t i = 0; i < size; ++i)
      fit.points[block * size + i] += sign * words[codes[block] * size + i];
  }
}

void assign(const precis_call& call, Fit& fit, uint64_t book) {
  const uint64_t size = fit.shape.block_size(), count = fit.shape.codewords();
  const float* words = fit.codebooks + book * count * size;
  std::vector<float> transposed(count * size), half_norms(count);
  for (uint64_t word = 0; word < count; ++word) {
    for (uint64_t i = 0; i < size; ++i) {
      const float value = words[word * size + i];
      transposed[i * count + word] = value;
      half_norms[word] += 0.5f * value * value;
    }
  }
  uint16_t* codes = fit.codes + book * fit.shape.blocks();
  sdk::Host::get().parallel_for(
      fit.shape.blocks(), kPointsAtOnce, [&](uint64_t begin, uint64_t end) {
        sdk::poll(&call, static_cast<double>(book) / static_cast<double>(fit.shape.codebooks));
        std::vector<float> scores(count);
        kernels::aqlm_kernels(kernels::current_isa())
            .nearest(fit.points, size, begin, end, transposed.data(), half_norms.data(), count,
                     scores.data(), codes);
      });
}

// Each codeword becomes the mean of its blocks, which count by the square of their scale: that is
// what an error of theirs costs in the weight. Without blocks it stays.
void move_codewords(Fit& fit, uint64_t book) {
  const uint64_t size = fit.shape.block_size(), count = fit.shape.codewords();
  const uint16_t* codes = fit.codes + book * fit.shape.blocks();
  std::vector<double> sums(count * size), counts(count);
  for (uint64_t block = 0; block < fit.shape.blocks(); ++block) {
    const double scale = fit.scales[block / fit.shape.in_groups()], squared = scale * scale;
    const uint64_t word = codes[block];
    counts[word] += squared;
    for (uint64_t i = 0; i < size; ++i)
      sums[word * size + i] += squared * fit.points[block * size + i];
  }
  float* words = fit.codebooks + book * count * size;
  for (uint64_t i = 0; i < count * size; ++i) {
    if (counts[i / size] > 0) words[i] = static_cast<float>(sums[i] / counts[i / size]);
  }
}

// Blocks spread evenly over the weight.
void start_codewords(Fit& fit, uint64_t book) {
  const uint64_t size = fit.shape.block_size(), count = fit.shape.codewords();
  float* words = fit.codebooks + book * count * size;
  for (uint64_t word = 0; word < count; ++word) {
    const uint64_t block = (word * fit.shape.blocks() + fit.shape.blocks() / 2) / count;
    std::copy_n(fit.points + block * size, size, words + word * size);
  }
}

void round_codewords(kernels::WeightType type, Fit& fit, uint64_t book) {
  const uint64_t numbers = fit.shape.codewords() * fit.shape.block_size();
  float* words = fit.codebooks + book * numbers;
  for (uint64_t i = 0; i < numbers; ++i) words[i] = rounded(type, words[i]);
}

}  // namespace

uint64_t fit_bytes(const kernels::AqlmShape& shape) {
  return (shape.rows * shape.columns + shape.out_groups() +
          shape.codebooks * shape.codewords() * shape.block_size()) *
             sizeof(float) +
         shape.codebooks * shape.blocks() * sizeof(uint16_t);
}

Fit fit_in(const kernels::AqlmShape& shape, void* memory) {
  Fit fit{shape, static_cast<float*>(memory), nullptr, nullptr, nullptr};
  fit.scales = fit.points + shape.rows * shape.columns;
  fit.codebooks = fit.scales + shape.out_groups();
  fit.codes = reinterpret_cast<uint16_t*>(fit.codebooks +
                                          shape.codebooks * shape.codewords() * shape.block_size());
  return fit;
}

void find_codebooks(const precis_call& call, kernels::WeightType type, const void* weight,
                    Fit& fit) {
  scale_blocks(type, weight, fit);
  for (uint64_t book = 0; book < fit.shape.codebooks; ++book) {
    start_codewords(fit, book);
    for (int i = 0; i < kMeansIterations; ++i) {
      assign(call, fit, book);
      move_codewords(fit, book);
    }
    assign(call, fit, book);
    add_part(fit, book, -1);
  }
  for (int descent = 0; descent <= kDescents; ++descent) {
    for (uint64_t book = 0; book < fit.shape.codebooks; ++book) {
      add_part(fit, book, 1);
      // The last time codes are found for the codewords as they are stored.
      if (descent < kDescents)
        move_codewords(fit, book);
      else
        round_codewords(type, fit, book);
      assign(call, fit, book);
      add_part(fit, book, -1);
    }
  }
}

}  // namespace precis::aqlm
