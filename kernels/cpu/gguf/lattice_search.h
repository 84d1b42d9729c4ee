// The search for the entry of a codebook nearest to a point, the inner loop of the IQ encoders.
#pragma once

#include <cfloat>

#include "kernels/cpu/common/lanes.h"
#include "kernels/cpu/gguf/block_io.h"
#include "kernels/cpu/gguf/lattice.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

#if defined(PRECIS_NEON)
// Eight numbers, looked up a lane by a lane.
struct Table8 {
  uint8x16x2_t bytes;
  Floats operator[](Ints index) const { return {{at(index.v[0]), at(index.v[1])}}; }

 private:
  float32x4_t at(int32x4_t index) const {
    const int32x4_t places = vmlaq_s32(vdupq_n_s32(0x03020100), index, vdupq_n_s32(0x04040404));
    return vreinterpretq_f32_u8(vqtbl2q_u8(bytes, vreinterpretq_u8_s32(places)));
  }
};
inline Table8 load_table8(const float* numbers) {
  return {vld1q_u8_x2(reinterpret_cast<const uint8_t*>(numbers))};
}
#endif

// What each level of each element would cost: weight * (scale * value - x)^2.
struct LevelCosts {
  alignas(32) float of[8][8];  // by element and level

  // values: of the eight levels, whether the codebook has as many or not.
  void set(int elements, const float* x, const float* weights, float scale, const float* values) {
    for (int e = 0; e < elements; ++e) {
      for (int level = 0; level < 8; ++level) {
        const float difference = scale * values[level] - x[e];
        of[e][level] = weights[e] * difference * difference;
      }
    }
  }
};

// The neighbour of least cost, the first of equals; the first of all when no cost is a finite
// number, where ggml aborts. Costs are summed from the first element to the last, one neighbour a
// lane: the neighbours are too far apart in memory to look up one by one.
template <int kElements>
inline uint16_t cheapest_neighbour(const Lattice& grid, int32_t point, const LevelCosts& costs) {
  const Lattice::Neighbours list = grid.lists[static_cast<std::size_t>(-1 - point)];
  const uint16_t* entries = grid.neighbours.data() + list.begin;
  const uint8_t* levels =
      grid.neighbour_levels.data() + static_cast<std::size_t>(list.begin) * kElements;
  alignas(32) float least[8];
  alignas(32) int32_t place[8];
#if defined(__AVX2__)
  __m256 table[kElements];
  for (int e = 0; e < kElements; ++e) table[e] = _mm256_load_ps(costs.of[e]);
  __m256 best = _mm256_set1_ps(FLT_MAX);
  __m256i where = _mm256_setzero_si256();
  for (uint32_t n = 0; n < list.count; n += 8, levels += 8 * kElements) {
    __m256 sum = _mm256_setzero_ps();
    for (int e = 0; e < kElements; ++e) {
      const __m256i level =
          _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(levels + 8 * e)));
      sum = _mm256_add_ps(sum, _mm256_permutevar8x32_ps(table[e], level));
    }
    const __m256 better = _mm256_cmp_ps(sum, best, _CMP_LT_OQ);
    best = _mm256_blendv_ps(best, sum, better);
    where = _mm256_blendv_epi8(where, _mm256_set1_epi32(static_cast<int32_t>(n)),
                               _mm256_castps_si256(better));
  }
  _mm256_store_ps(least, best);
  _mm256_store_si256(reinterpret_cast<__m256i*>(place), where);
#elif defined(PRECIS_NEON)
  Floats best = Floats::of(FLT_MAX);
  Ints where = Ints::of(0);
  for (uint32_t n = 0; n < list.count; n += 8, levels += 8 * kElements) {
    Floats sum = Floats::of(0);
    for (int e = 0; e < kElements; ++e)
      sum = sum + load_table8(costs.of[e])[Ints::load(levels + 8 * e)];
    const Mask better = sum < best;
    best = select(better, sum, best);
    where = as_ints(select(better, as_floats(Ints::of(static_cast<int32_t>(n))), as_floats(where)));
  }
  best.store(least);
  where.store(place);
#else
  for (int lane = 0; lane < 8; ++lane) {
    least[lane] = FLT_MAX;
    place[lane] = 0;
  }
  for (uint32_t n = 0; n < list.count; n += 8, levels += 8 * kElements) {
    for (int lane = 0; lane < 8; ++lane) {
      float sum = 0;
      for (int e = 0; e < kElements; ++e) sum += costs.of[e][levels[8 * e + lane]];
      if (sum < least[lane]) {
        least[lane] = sum;
        place[lane] = static_cast<int32_t>(n);
      }
    }
  }
#endif
  float cost = FLT_MAX;
  int32_t chosen = 0;
  for (int32_t lane = 0; lane < 8; ++lane) {
    const int32_t at = place[lane] + lane;
    if (least[lane] < cost || (least[lane] == cost && cost < FLT_MAX && at < chosen)) {
      cost = least[lane];
      chosen = at;
    }
  }
  return entries[chosen];
}

// Levels 0, 1, 2 ... as the odd numbers that IQ2 and IQ3 are fitted with.
inline constexpr float kOddValues[8] = {1, 3, 5, 7, 9, 11, 13, 15};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
