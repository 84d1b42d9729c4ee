// Compiled once for each instruction set.
#include "kernels/cpu/codebooks/codebooks.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

void nearest(const float* points, uint64_t size, uint64_t begin, uint64_t end,
             const float* codewords, const float* half_norms, uint64_t count, float* scores,
             uint16_t* codes) {
  for (uint64_t point = begin; point < end; ++point) {
    const float* values = points + point * size;
    for (uint64_t word = 0; word < count; ++word) scores[word] = -half_norms[word];
    for (uint64_t i = 0; i < size; ++i) {
      const float value = values[i];
      const float* row = codewords + i * count;
      for (uint64_t word = 0; word < count; ++word) scores[word] += value * row[word];
    }
    uint64_t best = 0;
    for (uint64_t word = 1; word < count; ++word) {
      if (scores[word] > scores[best]) best = word;
    }
    codes[point] = static_cast<uint16_t>(best);
  }
}

}  // namespace

const CodebookKernels& codebook_kernels() {
  static constexpr CodebookKernels kernels{nearest};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
