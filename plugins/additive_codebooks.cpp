#include "plugins/additive_codebooks.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/codebooks/codebooks.h"

namespace precis::plugins {

namespace {

constexpr int kMeansIterations = 12, kDescents = 4;
// Between two looks at whether to stop: milliseconds of work.
constexpr uint64_t kDistancesAtOnce = 1 << 18;

// One of the codebooks.
struct Book {
  AdditiveCodebooks& fit;
  uint64_t count;
  float* words;
  uint16_t* codes;
};

Book book_of(AdditiveCodebooks& fit, uint64_t index) {
  float* words = fit.codebooks;
  for (uint64_t i = 0; i < index; ++i) words += fit.codewords[i] * fit.size;
  return {fit, fit.codewords[index], words, fit.codes + index * fit.vectors};
}

// The part of the codebook in what is left: sign -1 takes it off, 1 puts it back.
void add_part(const Book& book, float sign) {
  const uint64_t size = book.fit.size;
  for (uint64_t vector = 0; vector < book.fit.vectors; ++vector) {
    for (uint64_t i = 0; i < size; ++i)
      book.fit.points[vector * size + i] += sign * book.words[book.codes[vector] * size + i];
  }
}

void assign(const precis_call& call, const Book& book, double progress) {
  const uint64_t size = book.fit.size, count = book.count;
  std::vector<float> transposed(count * size), half_norms(count);
  for (uint64_t word = 0; word < count; ++word) {
    for (uint64_t i = 0; i < size; ++i) {
      const float value = book.words[word * size + i];
      transposed[i * count + word] = value;
      half_norms[word] += 0.5f * value * value;
    }
  }
  const uint64_t step = 1 + kDistancesAtOnce / count;
  sdk::Host::get().parallel_for(book.fit.vectors, step, [&](uint64_t begin, uint64_t end) {
    std::vector<float> scores(count);
    for (uint64_t at = begin; at < end; at += step) {
      sdk::poll(&call, progress);
      kernels::codebook_kernels(kernels::current_isa())
          .nearest(book.fit.points, size, at, std::min(at + step, end), transposed.data(),
                   half_norms.data(), count, scores.data(), book.codes);
    }
  });
}

// Each codeword becomes the mean of its vectors, which count by the square of their scale: that is
// what an error of theirs costs in the weight. Without vectors it stays.
void move_codewords(const Book& book) {
  const uint64_t size = book.fit.size, count = book.count;
  std::vector<double> sums(count * size), counts(count);
  for (uint64_t vector = 0; vector < book.fit.vectors; ++vector) {
    const double scale = book.fit.scales[vector / book.fit.vectors_per_scale];
    const double squared = scale * scale;
    const uint64_t word = book.codes[vector];
    counts[word] += squared;
    for (uint64_t i = 0; i < size; ++i)
      sums[word * size + i] += squared * book.fit.points[vector * size + i];
  }
  for (uint64_t i = 0; i < count * size; ++i) {
    if (counts[i / size] > 0) book.words[i] = static_cast<float>(sums[i] / counts[i / size]);
  }
}

// Vectors spread evenly over the weight.
void start_codewords(const Book& book) {
  const uint64_t size = book.fit.size;
  for (uint64_t word = 0; word < book.count; ++word) {
    const uint64_t vector = (word * book.fit.vectors + book.fit.vectors / 2) / book.count;
    std::copy_n(book.fit.points + vector * size, size, book.words + word * size);
  }
}

void round_codewords(kernels::WeightType type, const Book& book) {
  for (uint64_t i = 0; i < book.count * book.fit.size; ++i)
    book.words[i] = rounded(type, book.words[i]);
}

}  // namespace

float rounded(kernels::WeightType type, float value) {
  float result = value;
  kernels::with_type(type, [&](auto tag) { result = decltype(tag)::round(value); });
  return result;
}

void find_codebooks(const precis_call& call, kernels::WeightType type, AdditiveCodebooks& fit) {
  const uint64_t books = fit.codewords.size();
  const auto progress = [&](uint64_t index) {
    return static_cast<double>(index) / static_cast<double>(books);
  };
  for (uint64_t index = 0; index < books; ++index) {
    const Book book = book_of(fit, index);
    start_codewords(book);
    for (int i = 0; i < kMeansIterations; ++i) {
      assign(call, book, progress(index));
      move_codewords(book);
    }
    assign(call, book, progress(index));
    add_part(book, -1);
  }
  for (int descent = 0; descent <= kDescents; ++descent) {
    for (uint64_t index = 0; index < books; ++index) {
      const Book book = book_of(fit, index);
      add_part(book, 1);
      // The last time codes are found for the codewords as they are stored.
      if (descent < kDescents)
        move_codewords(book);
      else
        round_codewords(type, book);
      assign(call, book, progress(index));
      add_part(book, -1);
    }
  }
}

}  // namespace precis::plugins
