// Encoding of IQ1_S and IQ1_M, blocks of 256. Compiled once for each instruction set.
//
// A value is scale * (level + shift): levels -1, 0, 1, the shift an eighth up or down, one for 32
// values in IQ1_S and one for each 8 in IQ1_M. Of the values in rising order the lowest get level
// -1 and the highest 1; both boundaries are found by trying them all. What then stands off the
// codebook moves to the neighbour of least squared error.
#include "kernels/cpu/gguf/codecs.h"
#include "kernels/cpu/gguf/lattice_search.h"
#include "kernels/cpu/gguf/positive_search.h"
#include "kernels/cpu/gguf/scale_search.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

constexpr int kBlock = 256;
// The values of the three levels by shift, up and down; filled to eight for the search.
constexpr float kValues[2][8] = {{-0.875f, 0.125f, 1.125f}, {-1.125f, -0.125f, 0.875f}};

// Positions of n values in rising order; equal ones keep theirs.
void sort_positions(const float* x, int n, uint8_t* order) {
  for (int i = 0; i < n; ++i) {
    int place = i;
    for (; place > 0 && x[order[place - 1]] > x[i]; --place) order[place] = order[place - 1];
    order[place] = static_cast<uint8_t>(i);
  }
}

float largest_magnitude(const float* x, int n) {
  float max = std::fabs(x[0]);
  for (int i = 1; i < n; ++i) max = max > std::fabs(x[i]) ? max : std::fabs(x[i]);
  return max;
}

// A pair of boundaries in the order of the values, with the shifts chosen: bit h for half h.
struct Split {
  int low = -1, high = -1;
  uint32_t down = 0;
  float scale = 0;
  float score = -FLT_MAX;

  void offer(int low_now, int high_now, uint32_t down_now, float sumqx, float sumq2) {
    if (!(sumq2 > 0 && sumqx * sumqx > score * sumq2)) return;
    scale = sumqx / sumq2;
    score = scale * sumqx;
    low = low_now;
    high = high_now;
    down = down_now;
  }
};

// IQ1_S: one shift for all 32.
Split split_with_one_shift(const float* x, const float* weights, const uint8_t* order) {
  constexpr int n = 32;
  float sumx[n + 1] = {}, sumw[n + 1] = {};
  for (int j = 0; j < n; ++j) {
    const int i = order[j];
    sumx[j + 1] = sumx[j] + weights[i] * x[i];
    sumw[j + 1] = sumw[j] + weights[i];
  }
  Split best;
  for (int low = 0; low <= n; ++low) {
    float sumqx[2][n + 1], sumq2[2][n + 1];
    for (int down = 0; down < 2; ++down) {
      const float* v = kValues[down];
      for (int high = low; high <= n; ++high) {
        sumqx[down][high] =
            sumx[low] * v[0] + (sumx[high] - sumx[low]) * v[1] + (sumx[n] - sumx[high]) * v[2];
        sumq2[down][high] = sumw[low] * v[0] * v[0] + (sumw[high] - sumw[low]) * v[1] * v[1] +
                            (sumw[n] - sumw[high]) * v[2] * v[2];
      }
    }
    for (int high = low; high <= n; ++high) {
      for (uint32_t down = 0; down < 2; ++down)
        best.offer(low, high, down, sumqx[down][high], sumq2[down][high]);
    }
  }
  return best;
}

// IQ1_M: a shift for each half of 16. Neighbouring levels are one apart, whatever the shift: the
// sum over three groups is the total times the highest value less the sums below both boundaries.
Split split_with_two_shifts(const float* x, const float* weights, const uint8_t* order) {
  constexpr int n = 16;
  float sumx[2][n + 1] = {}, sumw[2][n + 1] = {};
  for (int j = 0; j < n; ++j) {
    const int i = order[j], half = i / 8;
    sumx[half][j + 1] = sumx[half][j] + weights[i] * x[i];
    sumx[1 - half][j + 1] = sumx[1 - half][j];
    sumw[half][j + 1] = sumw[half][j] + weights[i];
    sumw[1 - half][j + 1] = sumw[1 - half][j];
  }
  Split best;
  for (int low = 0; low <= n; ++low) {
    float sumqx[2][2][n + 1], sumq2[2][2][n + 1];  // by half, shift, upper boundary
    for (int half = 0; half < 2; ++half) {
      for (int down = 0; down < 2; ++down) {
        const float* v = kValues[down];
        const float low_step = v[0] * v[0] - v[1] * v[1], high_step = v[1] * v[1] - v[2] * v[2];
        for (int high = low; high <= n; ++high) {
          sumqx[half][down][high] = sumx[half][n] * v[2] - (sumx[half][low] + sumx[half][high]);
          sumq2[half][down][high] = sumw[half][n] * v[2] * v[2] + sumw[half][low] * low_step +
                                    sumw[half][high] * high_step;
        }
      }
    }
    for (int high = low; high <= n; ++high) {
      for (uint32_t k = 0; k < 4; ++k) {
        const uint32_t first = k >> 1, second = k & 1;
        best.offer(low, high, k, sumqx[0][first][high] + sumqx[1][second][high],
                   sumq2[0][first][high] + sumq2[1][second][high]);
      }
    }
  }
  return best;
}

struct Iq1Fit {
  float scale = 0;
  uint32_t down = 0;  // shifts: one bit (IQ1_S), or two, the higher for the first half (IQ1_M)
  uint16_t entries[4] = {};
};

// Group of 32 (IQ1_S) or 16 (IQ1_M) values.
template <bool kTwoShifts>
class Iq1Fitter {
 public:
  static constexpr int kGroup = kTwoShifts ? 16 : 32;

  Iq1Fit fit(const float* x, const float* weights) const {
    Iq1Fit fit;
    if (largest_magnitude(x, kGroup) < (kTwoShifts ? 1e-7f : 1e-12f)) return fit;
    uint8_t order[kGroup];
    sort_positions(x, kGroup, order);
    const Split split = kTwoShifts ? split_with_two_shifts(x, weights, order)
                                   : split_with_one_shift(x, weights, order);
    if (split.low < 0) return fit;
    const bool negative = split.scale < 0;
    uint8_t levels[kGroup];
    for (int j = 0; j < kGroup; ++j) {
      const int level = j < split.low ? 0 : j < split.high ? 1 : 2;
      levels[order[j]] = static_cast<uint8_t>(negative ? 2 - level : level);
    }
    fit.scale = negative ? -split.scale : split.scale;
    fit.down = negative ? split.down ^ (kTwoShifts ? 3u : 1u) : split.down;
    move_to_lattice(x, weights, levels, fit);
    return fit;
  }

  // The values of the levels of entry k.
  static const float* values_of(uint32_t down, int k) {
    return kValues[kTwoShifts && k == 0 ? down >> 1 : down & 1];
  }

  const uint8_t* levels_of(uint16_t entry) const {
    return grid_.levels.data() + static_cast<std::size_t>(entry) * 8;
  }

 private:
  void move_to_lattice(const float* x, const float* weights, const uint8_t* levels,
                       Iq1Fit& fit) const {
    bool all_on_lattice = true;
    for (int k = 0; k < kGroup / 8; ++k) {
      uint32_t point = 0;
      for (int j = 0; j < 8; ++j) point |= static_cast<uint32_t>(levels[8 * k + j]) << (2 * j);
      const int32_t at = grid_.at[point];
      if (at >= 0) {
        fit.entries[k] = static_cast<uint16_t>(at);
        continue;
      }
      all_on_lattice = false;
      LevelCosts costs;
      costs.set(8, x + 8 * k, weights + 8 * k, fit.scale, values_of(fit.down, k));
      fit.entries[k] = cheapest_neighbour<8>(grid_, at, costs);
    }
    if (all_on_lattice) return;
    float sumqx = 0, sumq2 = 0;
    for (int i = 0; i < kGroup; ++i) {
      const float w = weights[i],
                  q = values_of(fit.down, i / 8)[levels_of(fit.entries[i / 8])[i % 8]];
      sumqx += w * q * x[i];
      sumq2 += w * q * q;
    }
    if (sumqx > 0 && sumq2 > 0) fit.scale = sumqx / sumq2;
  }

  const Lattice& grid_ = lattice(LatticeName::iq1);
};

void weights_of(const float* x, const float* importance, float sigma2, int n, float* weights) {
  for (int i = 0; i < n; ++i) {
    weights[i] =
        importance != nullptr ? importance[i] * std::sqrt(sigma2 + x[i] * x[i]) : x[i] * x[i];
  }
}

template <typename Fitter>
float fit_groups(const Fitter& fitter, const float* x, const float* weights, Iq1Fit* fits) {
  float max = 0;
  for (int g = 0; g < kBlock / Fitter::kGroup; ++g) {
    fits[g] = fitter.fit(x + g * Fitter::kGroup, weights + g * Fitter::kGroup);
    max = max > fits[g].scale ? max : fits[g].scale;
  }
  return max;
}

int scale_code(float scale, float inverse) {
  return clamp_int(nearest_int(0.5f * (inverse * scale - 1)), 0, 7);
}

void encode_iq1_s_block(const float* x, const float* importance, uint8_t* block) {
  const Iq1Fitter<false> fitter;
  Iq1Fit fits[8];
  float weights[kBlock];
  weights_of(x, importance, mean_square(x, kBlock, 2.0f), kBlock, weights);
  const float max = fit_groups(fitter, x, weights, fits), d = max / 15;
  std::memset(block, 0, 50);
  if (max != 0) store_half(block, d * 1.125f);
  for (int g = 0; g < 8; ++g) {
    uint32_t high = 0;
    for (int k = 0; k < 4; ++k) {
      block[2 + 4 * g + k] = static_cast<uint8_t>(fits[g].entries[k]);
      high |= static_cast<uint32_t>(fits[g].entries[k] >> 8) << (3 * k);
    }
    if (max != 0) {
      high |= static_cast<uint32_t>(scale_code(fits[g].scale, 1 / d)) << 12;
      high |= fits[g].down << 15;
    }
    const auto packed = static_cast<uint16_t>(high);
    std::memcpy(block + 34 + 2 * g, &packed, sizeof packed);
  }
}

void encode_iq1_m_block(const float* x, const float* importance, uint8_t* block) {
  const Iq1Fitter<true> fitter;
  Iq1Fit fits[16];
  float weights[kBlock];
  weights_of(x, importance, mean_square(x, kBlock, 2.0f), kBlock, weights);
  const float max = fit_groups(fitter, x, weights, fits);
  std::memset(block, 0, 56);
  uint16_t scales[4] = {};
  float d = max / 15, sumqx = 0, sumq2 = 0;
  const float inverse = 1 / d;
  for (int g = 0; g < 16; ++g) {
    block[2 * g] = static_cast<uint8_t>(fits[g].entries[0]);
    block[2 * g + 1] = static_cast<uint8_t>(fits[g].entries[1]);
    block[32 + g] =
        static_cast<uint8_t>((fits[g].entries[0] >> 8) | ((fits[g].entries[1] >> 8) << 4));
    if (max == 0) continue;
    const int code = scale_code(fits[g].scale, inverse);
    scales[g / 4] = static_cast<uint16_t>(scales[g / 4] | (code << (3 * (g % 4))));
    block[32 + g] =
        static_cast<uint8_t>(block[32 + g] | ((fits[g].down & 2) << 2) | ((fits[g].down & 1) << 7));
    for (int i = 0; i < 16; ++i) {
      const float w = weights[16 * g + i];
      const float value =
          fitter.values_of(fits[g].down, i / 8)[fitter.levels_of(fits[g].entries[i / 8])[i % 8]];
      const float q = value * static_cast<float>(2 * code + 1);
      sumqx += w * q * x[16 * g + i];
      sumq2 += w * q * q;
    }
  }
  if (max == 0) return;
  if (sumq2 > 0) d = sumqx / sumq2;
  const uint32_t half = float_to_half(d * 1.1125f);
  for (int i = 0; i < 4; ++i) {
    scales[i] = static_cast<uint16_t>(scales[i] | (((half >> (4 * i)) & 15) << 12));
    std::memcpy(block + 48 + 2 * i, &scales[i], sizeof scales[i]);
  }
}

}  // namespace

void encode_iq1_s(const float* row, uint64_t columns, const float* importance, uint8_t* block) {
  for (uint64_t begin = 0; begin < columns; begin += kBlock, block += 50)
    encode_iq1_s_block(row + begin, importance != nullptr ? importance + begin : nullptr, block);
}

void encode_iq1_m(const float* row, uint64_t columns, const float* importance, uint8_t* block) {
  for (uint64_t begin = 0; begin < columns; begin += kBlock, block += 56)
    encode_iq1_m_block(row + begin, importance != nullptr ? importance + begin : nullptr, block);
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
