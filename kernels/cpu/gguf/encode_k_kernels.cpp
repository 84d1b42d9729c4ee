// Encoding of the K-quants, super-blocks of 256. Compiled once for each instruction set.
//
// Bound by arithmetic: the search tries up to 37 scales for every sub-block, at about 17 operations
// a weight and scale. With lanes it takes as many sub-blocks at once; what follows it is left to
// the vectoriser.
#include "kernels/cpu/gguf/codecs.h"
#include "kernels/cpu/gguf/k_quants.h"
#include "kernels/cpu/gguf/positive_search.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// The largest of n values and zero.
float top_of(const float* values, int n) {
  float top = 0;
  for (int i = 0; i < n; ++i) top = values[i] > top ? values[i] : top;
  return top;
}

// Four planes of two bits, as Q2_K and Q3_K have them.
void pack_two_bits(const uint8_t* L, uint8_t* q) {
  for (int half = 0; half < 2; ++half) {
    const uint8_t* l = L + 128 * half;
    for (int i = 0; i < 32; ++i) {
      q[32 * half + i] =
          static_cast<uint8_t>(l[i] | (l[i + 32] << 2) | (l[i + 64] << 4) | (l[i + 96] << 6));
    }
  }
}

// Sixteen sub-blocks of 16 with 4-bit scales and minima.
struct Q2K {
  static constexpr int kSize = 16;
  static constexpr uint64_t kBytes = 84;
  static constexpr float kSigmaFactor = 1.0f;

  static void search(const float* x, const float* importance, float sigma2, uint8_t* levels,
                     float& scale, float& minimum, float& weight) {
    float weights[kSize];
    if (importance != nullptr) {
      weights_of(x, importance, sigma2, kSize, weights);
      weight = sum_of(weights, kSize);
      scale = search_with_minimum(kSize, 3, x, weights, levels, &minimum, -0.9f, 0.05f, 36, false,
                                  true);
      return;
    }
    for (int i = 0; i < kSize; ++i) weights[i] = std::fabs(x[i]);
    scale =
        search_with_minimum(kSize, 3, x, weights, levels, &minimum, -0.5f, 0.1f, 15, true, false);
  }

#if PRECIS_LANES > 1
  static bool search_lanes(const Floats* x, const Floats* importance, Floats sigma2,
                           LaneScales& found, Floats& weight) {
    Floats weights[kSize];
    if (importance != nullptr) {
      weight = weights_of<kSize>(x, importance, sigma2, weights);
      return search_with_minimum_lanes<kSize, false, true>(3, x, weights, -0.9f, 0.05f, 36, found);
    }
    for (int i = 0; i < kSize; ++i) weights[i] = abs(x[i]);
    return search_with_minimum_lanes<kSize, true, false>(3, x, weights, -0.5f, 0.1f, 15, found);
  }
#endif

  static void finish(const float* x, const float* importance, float sigma2, const SubBlocks& sub,
                     uint8_t* block) {
    uint8_t scale_code[16] = {}, min_code[16] = {};
    float d = 0, dmin = 0;
    if (importance != nullptr) {
      d = search_positive(16, 15, sub.scale, scale_code, sub.weight);
      dmin = search_positive(16, 15, sub.minimum, min_code, sub.weight);
    } else {
      d = scale_codes(sub.scale, scale_code);
      dmin = scale_codes(sub.minimum, min_code);
    }
    store_half(block + 80, d);
    store_half(block + 82, dmin);
    const float stored_d = load_half(block + 80), stored_min = load_half(block + 82);
    uint8_t levels[kBlock];
    for (int j = 0; j < 16; ++j) {
      block[j] = static_cast<uint8_t>(scale_code[j] | (min_code[j] << 4));
      write_levels<Q2K>(x, importance, sigma2, j, 0, 3,
                        stored_d * static_cast<float>(scale_code[j]),
                        stored_min * static_cast<float>(min_code[j]), levels);
    }
    pack_two_bits(levels, block + 16);
  }

 private:
  // Four-bit codes of sixteen scales that are not negative; returns their unit.
  static float scale_codes(const float* scales, uint8_t* codes) {
    const float top = top_of(scales, 16);
    if (!(top > 0)) return 0;
    const float inverse = 15.0f / top;
    for (int j = 0; j < 16; ++j) codes[j] = static_cast<uint8_t>(nearest_int(inverse * scales[j]));
    return top / 15.0f;
  }
};

// Sixteen sub-blocks of 16 with signed 6-bit scales; the third bit of a code stands in a mask.
struct Q3K {
  static constexpr int kSize = 16;
  static constexpr uint64_t kBytes = 110;
  static constexpr float kSigmaFactor = 2.0f;

  static void search(const float* x, const float* importance, float sigma2, uint8_t* levels,
                     float& scale, float&, float& weight) {
    auto* codes = reinterpret_cast<int8_t*>(levels);
    if (importance == nullptr) {
      scale = search_q3(kSize, 4, x, codes);
      return;
    }
    float weights[kSize];
    weights_of(x, importance, sigma2, kSize, weights);
    weight = sum_of(weights, kSize);
    scale = search_symmetric(kSize, 4, x, codes, weights);
  }

#if PRECIS_LANES > 1
  static bool search_lanes(const Floats* x, const Floats* importance, Floats sigma2,
                           LaneScales& found, Floats& weight) {
    found.minimum = Floats::of(0);
    if (importance == nullptr) return search_q3_lanes<kSize>(4, x, found.scale);
    Floats weights[kSize];
    weight = weights_of<kSize>(x, importance, sigma2, weights);
    return search_symmetric_lanes<kSize>(4, x, weights, found);
  }
#endif

  static void finish(const float* x, const float* importance, float sigma2, const SubBlocks& sub,
                     uint8_t* block) {
    uint8_t codes[16] = {};
    store_half(block + 108, scale_codes(sub, importance != nullptr, codes));
    const float stored = load_half(block + 108);
    uint8_t* packed = block + 96;
    std::memset(packed, 0, 12);
    uint8_t levels[kBlock];
    for (int j = 0; j < 16; ++j) {
      packed[j % 8] = static_cast<uint8_t>(packed[j % 8] | ((codes[j] & 15) << (j < 8 ? 0 : 4)));
      packed[8 + j % 4] =
          static_cast<uint8_t>(packed[8 + j % 4] | ((codes[j] >> 4) << (2 * (j / 4))));
      write_levels<Q3K>(x, importance, sigma2, j, -4, 3, stored * static_cast<float>(codes[j] - 32),
                        0.0f, levels);
    }
    uint8_t low_bits[kBlock];
    std::memset(block, 0, 32);
    for (int bit = 0; bit < 8; ++bit) {
      for (int i = 0; i < 32; ++i) {
        const int l = levels[32 * bit + i];
        block[i] = static_cast<uint8_t>(block[i] | ((l > 3 ? 1 : 0) << bit));
        low_bits[32 * bit + i] = static_cast<uint8_t>(l & 3);
      }
    }
    pack_two_bits(low_bits, block + 32);
  }

 private:
  static float scale_codes(const SubBlocks& sub, bool weighted, uint8_t* codes) {
    if (weighted)
      return search_symmetric(16, 32, sub.scale, reinterpret_cast<int8_t*>(codes), sub.weight);
    const float largest = signed_max(sub.scale, 16);
    if (largest == 0) return 0;
    const float iscale = -32.0f / largest;
    for (int j = 0; j < 16; ++j)
      codes[j] = static_cast<uint8_t>(clamp_int(nearest_int(iscale * sub.scale[j]), -32, 31) + 32);
    return 1.0f / iscale;
  }
};

void pack_scale_min(const uint8_t* scale, const uint8_t* minimum, uint8_t* packed) {
  for (int j = 0; j < 4; ++j) {
    packed[j] = static_cast<uint8_t>(scale[j] | ((scale[j + 4] >> 4) << 6));
    packed[j + 4] = static_cast<uint8_t>(minimum[j] | ((minimum[j + 4] >> 4) << 6));
    packed[j + 8] = static_cast<uint8_t>((scale[j + 4] & 15) | ((minimum[j + 4] & 15) << 4));
  }
}

// The common part of Q4_K and Q5_K: eight sub-blocks of 32 with 6-bit scales and minima. Top: 15
// or 31.
template <int Top>
struct Q45K {
  static constexpr int kSize = 32;
  static constexpr float kSigmaFactor = 2.0f;
  static constexpr float kFirst = Top == 15 ? -1.0f : -0.5f;
  static constexpr int kSteps = Top == 15 ? 20 : 15;

  static void search(const float* x, const float* importance, float sigma2, uint8_t* levels,
                     float& scale, float& minimum, float& weight) {
    float weights[kSize];
    if (importance != nullptr) {
      weights_of(x, importance, sigma2, kSize, weights);
      weight = sum_of(weights, kSize);
      scale = search_with_minimum(kSize, Top, x, weights, levels, &minimum, -0.9f, 0.05f, 36, false,
                                  true);
      return;
    }
    float sum = 0;
    for (int i = 0; i < kSize; ++i) sum += x[i] * x[i];
    const float average = std::sqrt(sum / kSize);
    for (int i = 0; i < kSize; ++i) weights[i] = average + std::fabs(x[i]);
    scale = search_with_minimum(kSize, Top, x, weights, levels, &minimum, kFirst, 0.1f, kSteps,
                                false, false);
  }

#if PRECIS_LANES > 1
  static bool search_lanes(const Floats* x, const Floats* importance, Floats sigma2,
                           LaneScales& found, Floats& weight) {
    Floats weights[kSize];
    if (importance != nullptr) {
      weight = weights_of<kSize>(x, importance, sigma2, weights);
      return search_with_minimum_lanes<kSize, false, true>(Top, x, weights, -0.9f, 0.05f, 36,
                                                           found);
    }
    Floats sum = Floats::of(0);
    for (int i = 0; i < kSize; ++i) sum = sum + x[i] * x[i];
    const Floats average = sqrt(sum / Floats::of(kSize));
    for (int i = 0; i < kSize; ++i) weights[i] = average + abs(x[i]);
    return search_with_minimum_lanes<kSize, false, false>(Top, x, weights, kFirst, 0.1f, kSteps,
                                                          found);
  }
#endif

  // The scales at the block's beginning; levels: one code an element.
  static void finish_scales(const float* x, const float* importance, float sigma2,
                            const SubBlocks& sub, uint8_t* block, uint8_t* levels) {
    uint8_t scale_code[8] = {}, min_code[8] = {};
    float d = 0, dmin = 0;
    if (importance != nullptr) {
      d = search_positive(8, 63, sub.scale, scale_code, sub.weight);
      dmin = search_positive(8, 63, sub.minimum, min_code, sub.weight);
    } else {
      const float top_scale = top_of(sub.scale, 8), top_min = top_of(sub.minimum, 8);
      const float inverse_scale = top_scale > 0 ? 63.0f / top_scale : 0.0f,
                  inverse_min = top_min > 0 ? 63.0f / top_min : 0.0f;
      for (int j = 0; j < 8; ++j) {
        scale_code[j] =
            static_cast<uint8_t>(clamp_int(nearest_int(inverse_scale * sub.scale[j]), -255, 63));
        min_code[j] =
            static_cast<uint8_t>(clamp_int(nearest_int(inverse_min * sub.minimum[j]), -255, 63));
      }
      d = top_scale / 63.0f;
      dmin = top_min / 63.0f;
    }
    pack_scale_min(scale_code, min_code, block + 4);
    store_half(block, d);
    store_half(block + 2, dmin);
    const float stored_d = load_half(block), stored_min = load_half(block + 2);
    for (int j = 0; j < 8; ++j) {
      write_levels<Q45K>(x, importance, sigma2, j, 0, Top,
                         stored_d * static_cast<float>(scale_code[j]),
                         stored_min * static_cast<float>(min_code[j]), levels);
    }
  }
};

struct Q4K : Q45K<15> {
  static constexpr uint64_t kBytes = 144;

  static void finish(const float* x, const float* importance, float sigma2, const SubBlocks& sub,
                     uint8_t* block) {
    uint8_t levels[kBlock];
    finish_scales(x, importance, sigma2, sub, block, levels);
    for (int pair = 0; pair < 4; ++pair) {
      for (int i = 0; i < 32; ++i) {
        block[16 + 32 * pair + i] =
            static_cast<uint8_t>(levels[64 * pair + i] | (levels[64 * pair + 32 + i] << 4));
      }
    }
  }
};

struct Q5K : Q45K<31> {
  static constexpr uint64_t kBytes = 176;

  static void finish(const float* x, const float* importance, float sigma2, const SubBlocks& sub,
                     uint8_t* block) {
    uint8_t levels[kBlock];
    finish_scales(x, importance, sigma2, sub, block, levels);
    std::memset(block + 16, 0, 32);
    for (int group = 0; group < 8; ++group) {
      for (int i = 0; i < 32; ++i) {
        block[16 + i] =
            static_cast<uint8_t>(block[16 + i] | ((levels[32 * group + i] >> 4) << group));
      }
    }
    for (int pair = 0; pair < 4; ++pair) {
      for (int i = 0; i < 32; ++i) {
        block[48 + 32 * pair + i] = static_cast<uint8_t>((levels[64 * pair + i] & 15) |
                                                         ((levels[64 * pair + 32 + i] & 15) << 4));
      }
    }
  }
};

// Sixteen sub-blocks of 16 with signed 8-bit scales.
struct Q6K {
  static constexpr int kSize = 16;
  static constexpr uint64_t kBytes = 210;
  static constexpr float kSigmaFactor = 0.0f;  // the matrix weighs as it is

  static void search(const float* x, const float* importance, float, uint8_t* levels, float& scale,
                     float&, float&) {
    scale = search_symmetric(kSize, 32, x, reinterpret_cast<int8_t*>(levels), importance);
  }

#if PRECIS_LANES > 1
  static bool search_lanes(const Floats* x, const Floats* importance, Floats, LaneScales& found,
                           Floats&) {
    return search_symmetric_lanes<kSize>(32, x, importance, found);
  }
#endif

  static void finish(const float* x, const float* importance, float sigma2, const SubBlocks& sub,
                     uint8_t* block) {
    const float largest = signed_max(sub.scale, 16);
    if (std::fabs(largest) < kGroupMaxEpsilon) {
      std::memset(block, 0, kBytes);
      return;
    }
    const float iscale = -128.0f / largest;
    store_half(block + 208, 1.0f / iscale);
    const float stored = load_half(block + 208);
    uint8_t levels[kBlock];
    for (int j = 0; j < 16; ++j) {
      const int code = clamp_int(nearest_int(iscale * sub.scale[j]), -128, 127);
      block[192 + j] = static_cast<uint8_t>(static_cast<int8_t>(code));
      write_levels<Q6K>(x, importance, sigma2, j, -32, 31, stored * static_cast<float>(code), 0.0f,
                        levels);
    }
    for (int half = 0; half < 2; ++half) {
      const uint8_t* l = levels + 128 * half;
      for (int i = 0; i < 32; ++i) {
        block[64 * half + i] = static_cast<uint8_t>((l[i] & 15) | ((l[i + 64] & 15) << 4));
        block[64 * half + 32 + i] =
            static_cast<uint8_t>((l[i + 32] & 15) | ((l[i + 96] & 15) << 4));
        block[128 + 32 * half + i] =
            static_cast<uint8_t>((l[i] >> 4) | ((l[i + 32] >> 4) << 2) | ((l[i + 64] >> 4) << 4) |
                                 ((l[i + 96] >> 4) << 6));
      }
    }
  }
};

}  // namespace

void encode_q2_k(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_row<Q2K>(row, columns, importance, blocks);
}
void encode_q3_k(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_row<Q3K>(row, columns, importance, blocks);
}
void encode_q4_k(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_row<Q4K>(row, columns, importance, blocks);
}
void encode_q5_k(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_row<Q5K>(row, columns, importance, blocks);
}
void encode_q6_k(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_row<Q6K>(row, columns, importance, blocks);
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
