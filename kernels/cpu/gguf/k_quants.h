// How a K-quant is encoded, whatever its type: search the scales of all sub-blocks, as many at once
// as there are lanes, then write the super-block.
//
// A type brings kSize, the elements of its sub-block; kBytes, those of its super-block;
// kSigmaFactor, for the weights of an importance matrix; search() and search_lanes(), for one
// sub-block and for one in each lane; and finish(), which writes a super-block once all scales are
// known.
#pragma once

#include "kernels/cpu/gguf/lane_search.h"
#include "kernels/cpu/gguf/positive_search.h"
#include "kernels/cpu/gguf/scale_search.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

inline constexpr uint64_t kBlock = 256;

// What the search finds for the sub-blocks of a super-block.
struct SubBlocks {
  float scale[16], minimum[16];
  float weight[16];  // sums of the weights of the elements; only with an importance matrix
};

inline void weights_of(const float* x, const float* importance, float sigma2, int n,
                       float* weights) {
  for (int i = 0; i < n; ++i) weights[i] = importance[i] * std::sqrt(sigma2 + x[i] * x[i]);
}

inline float sum_of(const float* values, int n) {
  float sum = 0;
  for (int i = 0; i < n; ++i) sum += values[i];
  return sum;
}

#if PRECIS_LANES > 1
template <int N>
Floats weights_of(const Floats* x, const Floats* importance, Floats sigma2, Floats* weights) {
  Floats sum = Floats::of(0);
  for (int i = 0; i < N; ++i) {
    weights[i] = importance[i] * sqrt(sigma2 + x[i] * x[i]);
    sum = sum + weights[i];
  }
  return sum;
}
#endif

// The codes that sub-block j had in the search: they stay where its stored scale is zero.
template <typename Type>
void search_levels(const float* x, const float* importance, float sigma2, int j, uint8_t* levels) {
  const int begin = Type::kSize * j;
  float scale = 0, minimum = 0, weight = 0;
  Type::search(x + begin, importance != nullptr ? importance + begin : nullptr, sigma2,
               levels + begin, scale, minimum, weight);
}

// Codes low ... high of sub-block j, stored from 0: (x + minimum) in steps of `scale`.
template <typename Type>
void write_levels(const float* x, const float* importance, float sigma2, int j, int low, int high,
                  float scale, float minimum, uint8_t* levels) {
  if (scale == 0) return search_levels<Type>(x, importance, sigma2, j, levels);
  const int begin = Type::kSize * j, end = begin + Type::kSize;
#if PRECIS_LANES > 1
  for (int i = begin; i < end; i += kLanes) {
    const Floats value = (Floats::load(x + i) + Floats::of(minimum)) / Floats::of(scale);
    store_bytes(levels + i, clamped_level(value, low, high));
  }
#else
  for (int i = begin; i < end; ++i) {
    const int l = nearest_int((x[i] + minimum) / scale);
    levels[i] = static_cast<uint8_t>(clamp_int(l, low, high) - low);
  }
#endif
}

template <typename Type>
void search_block(const float* x, const float* importance, float sigma2, SubBlocks& sub) {
  uint8_t levels[Type::kSize];
  for (int j = 0; j < static_cast<int>(kBlock) / Type::kSize; ++j) {
    const int begin = Type::kSize * j;
    Type::search(x + begin, importance != nullptr ? importance + begin : nullptr, sigma2, levels,
                 sub.scale[j], sub.minimum[j], sub.weight[j]);
  }
}

#if PRECIS_LANES > 1

// Super-blocks whose sub-blocks fill the lanes.
template <typename Type>
constexpr uint64_t kTogether = std::max<uint64_t>(1, kLanes* Type::kSize / kBlock);

// search_block for kTogether super-blocks. False: a value needs the scalar search.
template <typename Type>
bool search_together(const float* x, const float* importance, const float* sigma2, SubBlocks* sub) {
  constexpr int kN = Type::kSize, kSubBlocks = static_cast<int>(kBlock) / kN;
  constexpr int kAll = static_cast<int>(kTogether<Type>) * kSubBlocks;
  for (int first = 0; first < kAll; first += kLanes) {
    float sigma[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) sigma[lane] = sigma2[(first + lane) / kSubBlocks];
    Floats values[kN], weights[kN], weight = Floats::of(0);
    for (int i = 0; i < kN; ++i) {
      values[i] = Floats::gather(x + first * kN + i, kN);
      if (importance != nullptr) weights[i] = Floats::gather(importance + first * kN + i, kN);
    }
    LaneScales found;
    if (!Type::search_lanes(values, importance != nullptr ? weights : nullptr, Floats::load(sigma),
                            found, weight)) {
      return false;
    }
    float scale[kLanes], minimum[kLanes], sum[kLanes];
    found.scale.store(scale);
    found.minimum.store(minimum);
    weight.store(sum);
    for (int lane = 0; lane < kLanes; ++lane) {
      SubBlocks& block = sub[(first + lane) / kSubBlocks];
      const int j = (first + lane) % kSubBlocks;
      block.scale[j] = scale[lane];
      block.minimum[j] = minimum[lane];
      block.weight[j] = sum[lane];
    }
  }
  return true;
}

#else

template <typename Type>
constexpr uint64_t kTogether = 1;

template <typename Type>
bool search_together(const float*, const float*, const float*, SubBlocks*) {
  return false;
}

#endif

template <typename Type>
void encode_row(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  constexpr uint64_t kStep = kTogether<Type>;
  const uint64_t count = columns / kBlock;
  for (uint64_t first = 0; first < count; first += kStep) {
    const uint64_t blocks_here = std::min(kStep, count - first);
    const float* x = row + first * kBlock;
    const float* weights = importance != nullptr ? importance + first * kBlock : nullptr;
    SubBlocks sub[kStep];
    float sigma2[kStep] = {};
    for (uint64_t i = 0; i < blocks_here && importance != nullptr && Type::kSigmaFactor != 0; ++i)
      sigma2[i] = mean_square(x + i * kBlock, kBlock, Type::kSigmaFactor);
    if (blocks_here < kStep || !search_together<Type>(x, weights, sigma2, sub)) {
      for (uint64_t i = 0; i < blocks_here; ++i) {
        search_block<Type>(x + i * kBlock, weights != nullptr ? weights + i * kBlock : nullptr,
                           sigma2[i], sub[i]);
      }
    }
    for (uint64_t i = 0; i < blocks_here; ++i) {
      Type::finish(x + i * kBlock, weights != nullptr ? weights + i * kBlock : nullptr, sigma2[i],
                   sub[i], blocks + (first + i) * Type::kBytes);
    }
  }
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
