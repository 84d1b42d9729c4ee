// Encoding of IQ4_NL and IQ4_XS, whose 16 levels are not evenly spaced. Compiled once for each
// instruction set.
//
// Bound by arithmetic: 16 scales are tried for every block of 32, at about 18 operations a weight
// and scale, most of them for the nearest level.
#include <array>

#include "kernels/cpu/common/ranks15.h"
#include "kernels/cpu/gguf/codecs.h"
#include "kernels/cpu/gguf/lane_search.h"
#include "kernels/cpu/gguf/positive_search.h"
#include "kernels/cpu/gguf/scale_search.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

constexpr int kTries = 7;
constexpr uint64_t kTogether = 16;  // blocks of 32 that are searched at once

// The code whose value is nearest; of two equally near the upper one. A NaN has the last one.
int nearest_iq4(float x) {
  if (x <= static_cast<float>(kIq4Values[0])) return 0;
  if (x >= static_cast<float>(kIq4Values[15])) return 15;
  int low = 0, high = 15;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (x < static_cast<float>(kIq4Values[middle]))
      high = middle;
    else
      low = middle;
  }
  return x - static_cast<float>(kIq4Values[high - 1]) < static_cast<float>(kIq4Values[high]) - x
             ? high - 1
             : high;
}

// The scale of 32 values. sigma2: only read with an importance matrix.
float iq4_scale(const float* x, const float* importance, float sigma2) {
  float weights[32];
  for (int i = 0; i < 32; ++i) {
    weights[i] =
        importance != nullptr ? importance[i] * std::sqrt(sigma2 + x[i] * x[i]) : x[i] * x[i];
  }
  const float max = signed_max(x, 32);
  if (std::fabs(max) < kGroupMaxEpsilon) return 0;
  float d = -max / static_cast<float>(kIq4Values[0]);
  float best = 0;
  const auto sums = [&](float id, float& sumqx, float& sumq2) {
    sumqx = sumq2 = 0;
    for (int i = 0; i < 32; ++i) {
      const auto q = static_cast<float>(kIq4Values[nearest_iq4(id * x[i])]);
      sumqx += weights[i] * q * x[i];
      sumq2 += weights[i] * q * q;
    }
  };
  float sumqx = 0, sumq2 = 0;
  sums(1 / d, sumqx, sumq2);
  d = sumq2 > 0 ? sumqx / sumq2 : 0.0f;
  best = d * sumqx;
  for (int attempt = -kTries; attempt <= kTries; ++attempt) {
    sums((static_cast<float>(attempt) + static_cast<float>(kIq4Values[0])) / max, sumqx, sumq2);
    if (sumq2 > 0 && sumqx * sumqx > best * sumq2) {
      d = sumqx / sumq2;
      best = d * sumqx;
    }
  }
  return d;
}

#if PRECIS_LANES > 1

// nearest_iq4 as the number of midpoints that are not above the value. Both agree on every float:
// next to a midpoint the two differences that nearest_iq4 compares are exact.
struct NearestIq4 {
  Ranks15<true> rank{midpoints().data()};
  Table16 value{values()};

 private:
  static std::array<float, 15> midpoints() {
    std::array<float, 15> middle;
    for (std::size_t i = 0; i < 15; ++i)
      middle[i] = static_cast<float>(kIq4Values[i] + kIq4Values[i + 1]) * 0.5f;
    return middle;
  }
  static Table16 values() {
    float table[16];
    for (int i = 0; i < 16; ++i) table[i] = static_cast<float>(kIq4Values[i]);
    return Table16::load(table);
  }
};

// iq4_scale for kLanes blocks, one a lane.
void iq4_scale_lanes(const NearestIq4& nearest_level, const float* x, const float* importance,
                     const float* sigma2, float* scales) {
  const Floats zero = Floats::of(0);
  Floats values[32], weights[32];
  for (int i = 0; i < 32; ++i) {
    values[i] = Floats::gather(x + i, 32);
    const Floats square = values[i] * values[i];
    weights[i] = importance != nullptr
                     ? Floats::gather(importance + i, 32) * sqrt(Floats::load(sigma2) + square)
                     : square;
  }
  const Floats largest = signed_max<32>(values);
  Floats sumqx, sumq2;
  const auto sums = [&](Floats inverse) {
    sumqx = sumq2 = zero;
    for (int i = 0; i < 32; ++i) {
      const Floats q = nearest_level.value[nearest_level.rank(inverse * values[i])];
      const Floats wq = weights[i] * q;
      sumqx = sumqx + wq * values[i];
      sumq2 = sumq2 + wq * q;
    }
  };
  const Floats first = Floats::of(static_cast<float>(kIq4Values[0]));
  sums(Floats::of(1) / (Floats::of(-1) * largest / first));
  Floats d = select(zero < sumq2, sumqx / sumq2, zero);
  Floats best = d * sumqx;
  for (int attempt = -kTries; attempt <= kTries; ++attempt) {
    sums((Floats::of(static_cast<float>(attempt)) + first) / largest);
    const Mask better = (zero < sumq2) & (best * sumq2 < sumqx * sumqx);
    d = select(better, sumqx / sumq2, d);
    best = select(better, d * sumqx, best);
  }
  select(abs(largest) < Floats::of(kGroupMaxEpsilon), zero, d).store(scales);
}

void pack_iq4(const NearestIq4& nearest_level, const float* x, float inverse, uint8_t* q) {
  uint8_t codes[32];
  for (int i = 0; i < 32; i += kLanes)
    store_bytes(codes + i, nearest_level.rank(Floats::of(inverse) * Floats::load(x + i)));
  for (int j = 0; j < 16; ++j) q[j] = static_cast<uint8_t>(codes[j] | (codes[j + 16] << 4));
}

#else

struct NearestIq4 {};

void pack_iq4(const NearestIq4&, const float* x, float inverse, uint8_t* q) {
  for (int j = 0; j < 16; ++j) {
    q[j] =
        static_cast<uint8_t>(nearest_iq4(inverse * x[j]) | (nearest_iq4(inverse * x[j + 16]) << 4));
  }
}

#endif

// The scales of `count` blocks of 32.
void iq4_scales(const NearestIq4& nearest_level, const float* x, const float* importance,
                const float* sigma2, uint64_t count, float* scales) {
  uint64_t i = 0;
#if PRECIS_LANES > 1
  for (; i + kLanes <= count; i += kLanes) {
    iq4_scale_lanes(nearest_level, x + 32 * i,
                    importance != nullptr ? importance + 32 * i : nullptr, sigma2 + i, scales + i);
  }
#else
  (void)nearest_level;
#endif
  for (; i < count; ++i) {
    scales[i] =
        iq4_scale(x + 32 * i, importance != nullptr ? importance + 32 * i : nullptr, sigma2[i]);
  }
}

// One super-block of IQ4_XS, whose sub-blocks have these scales.
void write_iq4_xs(const NearestIq4& nearest_level, const float* x, const float* scales,
                  uint8_t* block) {
  const float d = -signed_max(scales, 8) / 32;
  store_half(block, d);
  const float id = d != 0 ? 1 / d : 0.0f;
  uint16_t high = 0;
  std::memset(block + 4, 0, 4);
  for (int j = 0; j < 8; ++j) {
    const int l = clamp_int(nearest_int(id * scales[j]), -32, 31);
    const float dl = d * static_cast<float>(l);
    pack_iq4(nearest_level, x + 32 * j, dl != 0 ? 1 / dl : 0.0f, block + 8 + 16 * j);
    const int code = l + 32;
    block[4 + j / 2] = static_cast<uint8_t>(block[4 + j / 2] | ((code & 15) << (4 * (j % 2))));
    high = static_cast<uint16_t>(high | ((code >> 4) << (2 * j)));
  }
  std::memcpy(block + 2, &high, sizeof high);
}

}  // namespace

void encode_iq4_nl(const float* row, uint64_t columns, const float* importance, uint8_t* block) {
  const NearestIq4 nearest_level;
  for (uint64_t begin = 0; begin < columns; begin += 32 * kTogether) {
    const uint64_t count = std::min(kTogether, (columns - begin) / 32);
    float sigma2[kTogether] = {}, scales[kTogether];
    for (uint64_t i = 0; i < count && importance != nullptr; ++i)
      sigma2[i] = mean_square(row + begin + 32 * i, 32, 2.0f);
    iq4_scales(nearest_level, row + begin, importance != nullptr ? importance + begin : nullptr,
               sigma2, count, scales);
    for (uint64_t i = 0; i < count; ++i, block += 18) {
      store_half(block, scales[i]);
      pack_iq4(nearest_level, row + begin + 32 * i, scales[i] != 0 ? 1 / scales[i] : 0.0f,
               block + 2);
    }
  }
}

void encode_iq4_xs(const float* row, uint64_t columns, const float* importance, uint8_t* block) {
  const NearestIq4 nearest_level;
  for (uint64_t begin = 0; begin < columns; begin += 32 * kTogether) {
    const uint64_t count = std::min(kTogether, (columns - begin) / 32);
    float sigma2[kTogether] = {}, scales[kTogether];
    for (uint64_t i = 0; i < count && importance != nullptr; i += 8)
      std::fill_n(sigma2 + i, 8, mean_square(row + begin + 32 * i, 256, 2.0f));
    iq4_scales(nearest_level, row + begin, importance != nullptr ? importance + begin : nullptr,
               sigma2, count, scales);
    for (uint64_t i = 0; i < count; i += 8, block += 136)
      write_iq4_xs(nearest_level, row + begin + 32 * i, scales + i, block);
  }
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
