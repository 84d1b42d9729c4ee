// Encoding of the codebook types IQ2 and IQ3, blocks of 256. Compiled once for each instruction
// set.
#include "kernels/cpu/gguf/codecs.h"
#include "kernels/cpu/gguf/lattice_fit.h"
#include "kernels/cpu/gguf/positive_search.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

constexpr int kBlock = 256;
constexpr float kAnythingButZero = 1e-45f;

constexpr LatticeRule kIq2Xxs{LatticeName::iq2_xxs, 32,   8,    3,          6, 0.1f, 1.0f,
                              kGroupMaxEpsilon,     true, true, Refine::all};
constexpr LatticeRule kIq2Xs{
    LatticeName::iq2_xs, 16, 8, 3, 9, 0.1f, 1.0f, kGroupMaxEpsilon, true, false,
    Refine::off_lattice};
constexpr LatticeRule kIq2S{LatticeName::iq2_s, 16, 8, 3, 9, 0.1f, 2.0f, 1e-8f, false, false,
                            Refine::off_lattice};
constexpr LatticeRule kIq3Xxs{LatticeName::iq3_xxs, 32, 4, 8, 15, 0.2f, 2.0f, 1e-8f, true, false,
                              Refine::off_lattice};
constexpr LatticeRule kIq3S{LatticeName::iq3_s,
                            32,
                            4,
                            8,
                            9,
                            0.2f,
                            2.0f,
                            kAnythingButZero,
                            false,
                            false,
                            Refine::all_if_any_off_lattice};

// Fits the groups of a block. without_importance(x, sigma2): the weight of a value when there is
// no importance matrix.
template <const LatticeRule& kRule, typename Weight>
void fit_groups(const float* x, const float* importance, Weight without_importance,
                LatticeFit* fits) {
  const float sigma2 = mean_square(x, kBlock, kRule.sigma);
  LatticeFitter<kRule> fitter;
  for (int g = 0; g < kBlock / kRule.group; ++g) {
    float weights[kRule.group];
    for (int i = 0; i < kRule.group; ++i) {
      const float value = x[g * kRule.group + i];
      weights[i] = importance != nullptr
                       ? importance[g * kRule.group + i] * std::sqrt(sigma2 + value * value)
                       : without_importance(value, sigma2);
    }
    fits[g] = fitter.fit(x + g * kRule.group, weights);
  }
}

float square(float value, float) {
  return value * value;
}

float square_and_quarter_variance(float value, float sigma2) {
  return 0.25f * sigma2 + value * value;
}

// Stores the block's scale, `fudge` times the 31st part of the largest, and sets codes to the
// groups' scales in 4 bits. False when all scales are zero.
template <int kGroups>
bool store_scales(const LatticeFit* fits, float fudge, uint8_t* block, uint8_t* codes) {
  float max = 0;
  for (int g = 0; g < kGroups; ++g) max = max > fits[g].scale ? max : fits[g].scale;
  store_half(block, 0);
  if (max == 0) return false;
  const float d = max / 31;
  store_half(block, d * fudge);
  for (int g = 0; g < kGroups; ++g)
    codes[g] = static_cast<uint8_t>(nearest_level(fits[g].scale, 1 / d, 16));
  return true;
}

void store_u32(uint8_t* at, uint32_t value) {
  std::memcpy(at, &value, sizeof value);
}
void store_u16(uint8_t* at, uint32_t value) {
  const auto narrow = static_cast<uint16_t>(value);
  std::memcpy(at, &narrow, sizeof narrow);
}

// Four times seven signs and a scale, as IQ2_XXS and IQ3_XXS have them.
uint32_t signs_and_scale(const LatticeFit& fit, uint8_t code) {
  uint32_t packed = static_cast<uint32_t>(code) << 28;
  for (int k = 0; k < 4; ++k) packed |= static_cast<uint32_t>(fit.signs[k]) << (7 * k);
  return packed;
}

const float* at_column(const float* importance, uint64_t column) {
  return importance != nullptr ? importance + column : nullptr;
}

void encode_iq2_xxs_block(const float* x, const float* importance, uint8_t* block) {
  LatticeFit fits[8];
  uint8_t codes[8];
  fit_groups<kIq2Xxs>(x, importance, square, fits);
  std::memset(block + 2, 0, 64);
  if (!store_scales<8>(fits, 1.0f, block, codes)) return;
  for (int g = 0; g < 8; ++g) {
    uint8_t* q = block + 2 + 8 * g;
    for (int k = 0; k < 4; ++k) q[k] = static_cast<uint8_t>(fits[g].entries[k]);
    store_u32(q + 4, signs_and_scale(fits[g], codes[g]));
  }
}

void encode_iq2_xs_block(const float* x, const float* importance, uint8_t* block) {
  LatticeFit fits[16];
  uint8_t codes[16];
  fit_groups<kIq2Xs>(x, importance, square, fits);
  std::memset(block + 2, 0, 72);
  if (!store_scales<16>(fits, 1.0f, block, codes)) return;
  for (int g = 0; g < 16; ++g) {
    for (int k = 0; k < 2; ++k) {
      store_u16(block + 2 + 4 * g + 2 * k,
                fits[g].entries[k] | (static_cast<uint32_t>(fits[g].signs[k]) << 9));
    }
    block[66 + g / 2] = static_cast<uint8_t>(block[66 + g / 2] | (codes[g] << (4 * (g % 2))));
  }
}

void encode_iq2_s_block(const float* x, const float* importance, uint8_t* block) {
  LatticeFit fits[16];
  uint8_t codes[16] = {};
  fit_groups<kIq2S>(x, importance, square_and_quarter_variance, fits);
  std::memset(block + 2, 0, 80);
  store_scales<16>(fits, 0.9875f, block, codes);
  for (int g = 0; g < 16; ++g) {
    for (int k = 0; k < 2; ++k) {
      const int chunk = 2 * g + k;
      uint8_t& high = block[66 + chunk / 4];
      block[2 + chunk] = static_cast<uint8_t>(fits[g].entries[k]);
      high = static_cast<uint8_t>(high | ((fits[g].entries[k] >> 8) << (2 * (chunk % 4))));
      block[34 + chunk] = fits[g].signs[k];
    }
    block[74 + g / 2] = static_cast<uint8_t>(block[74 + g / 2] | (codes[g] << (4 * (g % 2))));
  }
}

void encode_iq3_xxs_block(const float* x, const float* importance, uint8_t* block) {
  LatticeFit fits[8];
  uint8_t codes[8];
  fit_groups<kIq3Xxs>(x, importance, square, fits);
  std::memset(block + 2, 0, 96);
  if (!store_scales<8>(fits, 1.0125f, block, codes)) return;
  for (int g = 0; g < 8; ++g) {
    for (int k = 0; k < 8; ++k) block[2 + 8 * g + k] = static_cast<uint8_t>(fits[g].entries[k]);
    store_u32(block + 66 + 4 * g, signs_and_scale(fits[g], codes[g]));
  }
}

void encode_iq3_s_block(const float* x, const float* importance, uint8_t* block) {
  LatticeFit fits[8];
  uint8_t codes[8] = {};
  fit_groups<kIq3S>(x, importance, square, fits);
  std::memset(block + 2, 0, 108);
  store_scales<8>(fits, 1.033f, block, codes);
  for (int g = 0; g < 8; ++g) {
    for (int k = 0; k < 8; ++k) {
      block[2 + 8 * g + k] = static_cast<uint8_t>(fits[g].entries[k]);
      block[66 + g] = static_cast<uint8_t>(block[66 + g] | ((fits[g].entries[k] >> 8) << k));
    }
    for (int k = 0; k < 4; ++k) block[74 + 4 * g + k] = fits[g].signs[k];
    block[106 + g / 2] = static_cast<uint8_t>(block[106 + g / 2] | (codes[g] << (4 * (g % 2))));
  }
}

template <void (*encode_block)(const float*, const float*, uint8_t*), int kBytes>
void encode_row(const float* row, uint64_t columns, const float* importance, uint8_t* block) {
  for (uint64_t begin = 0; begin < columns; begin += kBlock, block += kBytes)
    encode_block(row + begin, at_column(importance, begin), block);
}

}  // namespace

void encode_iq2_xxs(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_row<encode_iq2_xxs_block, 66>(row, columns, importance, blocks);
}
void encode_iq2_xs(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_row<encode_iq2_xs_block, 74>(row, columns, importance, blocks);
}
void encode_iq2_s(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_row<encode_iq2_s_block, 82>(row, columns, importance, blocks);
}
void encode_iq3_xxs(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_row<encode_iq3_xxs_block, 98>(row, columns, importance, blocks);
}
void encode_iq3_s(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_row<encode_iq3_s_block, 110>(row, columns, importance, blocks);
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
