// Encoding of the K-quants, blocks of 256. Compiled once for each instruction set.
#include "kernels/cpu/gguf/codecs.h"
#include "kernels/cpu/gguf/scale_search.h"

namespace precis::kernels {
namespace PRECIS_ISA {
namespace {

constexpr uint64_t kBlock = 256;

void weights_of(const float* x, const float* importance, float sigma2, int n, float* weights) {
  for (int i = 0; i < n; ++i) weights[i] = importance[i] * std::sqrt(sigma2 + x[i] * x[i]);
}

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
void encode_q2_k_block(const float* x, const float* importance, uint8_t* block) {
  uint8_t L[kBlock], scale_code[16] = {}, min_code[16] = {};
  float scales[16], mins[16], sums[16];
  const float sigma2 = importance != nullptr ? mean_square(x, kBlock, 1.0f) : 0;
  for (int j = 0; j < 16; ++j) {
    float weights[16];
    if (importance != nullptr) {
      weights_of(x + 16 * j, importance + 16 * j, sigma2, 16, weights);
      sums[j] = 0;
      for (const float w : weights) sums[j] += w;
      scales[j] = search_with_minimum(16, 3, x + 16 * j, weights, L + 16 * j, &mins[j], -0.9f,
                                      0.05f, 36, false, true);
    } else {
      for (int i = 0; i < 16; ++i) weights[i] = std::fabs(x[16 * j + i]);
      scales[j] = search_with_minimum(16, 3, x + 16 * j, weights, L + 16 * j, &mins[j], -0.5f, 0.1f,
                                      15, true, false);
    }
  }
  float d = 0, dmin = 0;
  if (importance != nullptr) {
    d = search_positive(16, 15, scales, scale_code, sums);
    dmin = search_positive(16, 15, mins, min_code, sums);
  } else {
    const float top_scale = top_of(scales, 16), top_min = top_of(mins, 16);
    if (top_scale > 0) {
      const float inverse = 15.0f / top_scale;
      for (int j = 0; j < 16; ++j)
        scale_code[j] = static_cast<uint8_t>(nearest_int(inverse * scales[j]));
      d = top_scale / 15.0f;
    }
    if (top_min > 0) {
      const float inverse = 15.0f / top_min;
      for (int j = 0; j < 16; ++j)
        min_code[j] = static_cast<uint8_t>(nearest_int(inverse * mins[j]));
      dmin = top_min / 15.0f;
    }
  }
  store_half(block + 80, d);
  store_half(block + 82, dmin);
  const float stored_d = load_half(block + 80), stored_min = load_half(block + 82);
  for (int j = 0; j < 16; ++j) {
    block[j] = static_cast<uint8_t>(scale_code[j] | (min_code[j] << 4));
    const float ds = stored_d * static_cast<float>(scale_code[j]);
    if (ds == 0) continue;
    const float dm = stored_min * static_cast<float>(min_code[j]);
    for (int i = 0; i < 16; ++i)
      L[16 * j + i] = static_cast<uint8_t>(clamp_int(nearest_int((x[16 * j + i] + dm) / ds), 0, 3));
  }
  pack_two_bits(L, block + 16);
}

// Sixteen sub-blocks of 16 with signed 6-bit scales; the third bit of a code stands in a mask.
void encode_q3_k_block(const float* x, const float* importance, uint8_t* block) {
  int8_t L[kBlock];
  float scales[16];
  uint8_t codes[16] = {};
  float d = 0;
  if (importance != nullptr) {
    const float sigma2 = mean_square(x, kBlock, 2.0f);
    float sums[16];
    for (int j = 0; j < 16; ++j) {
      float weights[16];
      weights_of(x + 16 * j, importance + 16 * j, sigma2, 16, weights);
      sums[j] = 0;
      for (const float w : weights) sums[j] += w;
      scales[j] = search_symmetric(16, 4, x + 16 * j, L + 16 * j, weights);
    }
    d = search_symmetric(16, 32, scales, reinterpret_cast<int8_t*>(codes), sums);
  } else {
    for (int j = 0; j < 16; ++j) scales[j] = search_q3(16, 4, x + 16 * j, L + 16 * j);
    const float largest = signed_max(scales, 16);
    if (largest != 0) {
      const float iscale = -32.0f / largest;
      for (int j = 0; j < 16; ++j)
        codes[j] = static_cast<uint8_t>(clamp_int(nearest_int(iscale * scales[j]), -32, 31) + 32);
      d = 1.0f / iscale;
    }
  }
  uint8_t* packed = block + 96;
  std::memset(packed, 0, 12);
  for (int j = 0; j < 16; ++j) {
    packed[j % 8] = static_cast<uint8_t>(packed[j % 8] | ((codes[j] & 15) << (j < 8 ? 0 : 4)));
    packed[8 + j % 4] =
        static_cast<uint8_t>(packed[8 + j % 4] | ((codes[j] >> 4) << (2 * (j / 4))));
  }
  store_half(block + 108, d);
  const float stored = load_half(block + 108);
  for (int j = 0; j < 16; ++j) {
    const int low = j < 8 ? packed[j] & 15 : packed[j - 8] >> 4,
              high = (packed[8 + j % 4] >> (2 * (j / 4))) & 3;
    const float ds = stored * static_cast<float>((low | (high << 4)) - 32);
    if (ds == 0) continue;
    for (int i = 0; i < 16; ++i)
      L[16 * j + i] = static_cast<int8_t>(clamp_int(nearest_int(x[16 * j + i] / ds), -4, 3) + 4);
  }
  std::memset(block, 0, 32);
  uint8_t low_bits[kBlock];
  for (int i = 0; i < static_cast<int>(kBlock); ++i) {
    const bool high = L[i] > 3;
    if (high) block[i % 32] = static_cast<uint8_t>(block[i % 32] | (1 << (i / 32)));
    low_bits[i] = static_cast<uint8_t>(high ? L[i] - 4 : L[i]);
  }
  pack_two_bits(low_bits, block + 32);
}

void pack_scale_min(const uint8_t* scale, const uint8_t* minimum, uint8_t* packed) {
  for (int j = 0; j < 4; ++j) {
    packed[j] = static_cast<uint8_t>(scale[j] | ((scale[j + 4] >> 4) << 6));
    packed[j + 4] = static_cast<uint8_t>(minimum[j] | ((minimum[j + 4] >> 4) << 6));
    packed[j + 8] = static_cast<uint8_t>((scale[j + 4] & 15) | ((minimum[j + 4] & 15) << 4));
  }
}

// The common part of Q4_K and Q5_K: eight sub-blocks of 32 with 6-bit scales and minima. top: 15
// or 31.
void encode_q45_k(const float* x, const float* importance, int top, uint8_t* block, uint8_t* L) {
  float scales[8], mins[8], sums[8];
  const float sigma2 = importance != nullptr ? mean_square(x, kBlock, 2.0f) : 0;
  for (int j = 0; j < 8; ++j) {
    const float* group = x + 32 * j;
    float weights[32];
    if (importance != nullptr) {
      weights_of(group, importance + 32 * j, sigma2, 32, weights);
      sums[j] = 0;
      for (const float w : weights) sums[j] += w;
      scales[j] = search_with_minimum(32, top, group, weights, L + 32 * j, &mins[j], -0.9f, 0.05f,
                                      36, false, true);
    } else {
      float sum = 0;
      for (int i = 0; i < 32; ++i) sum += group[i] * group[i];
      const float average = std::sqrt(sum / 32);
      for (int i = 0; i < 32; ++i) weights[i] = average + std::fabs(group[i]);
      scales[j] =
          search_with_minimum(32, top, group, weights, L + 32 * j, &mins[j],
                              top == 15 ? -1.0f : -0.5f, 0.1f, top == 15 ? 20 : 15, false, false);
    }
  }
  uint8_t scale_code[8] = {}, min_code[8] = {};
  float d = 0, dmin = 0;
  if (importance != nullptr) {
    d = search_positive(8, 63, scales, scale_code, sums);
    dmin = search_positive(8, 63, mins, min_code, sums);
  } else {
    const float top_scale = top_of(scales, 8), top_min = top_of(mins, 8);
    const float inverse_scale = top_scale > 0 ? 63.0f / top_scale : 0.0f,
                inverse_min = top_min > 0 ? 63.0f / top_min : 0.0f;
    for (int j = 0; j < 8; ++j) {
      scale_code[j] =
          static_cast<uint8_t>(clamp_int(nearest_int(inverse_scale * scales[j]), -255, 63));
      min_code[j] = static_cast<uint8_t>(clamp_int(nearest_int(inverse_min * mins[j]), -255, 63));
    }
    d = top_scale / 63.0f;
    dmin = top_min / 63.0f;
  }
  pack_scale_min(scale_code, min_code, block + 4);
  store_half(block, d);
  store_half(block + 2, dmin);
  const float stored_d = load_half(block), stored_min = load_half(block + 2);
  for (int j = 0; j < 8; ++j) {
    const float ds = stored_d * static_cast<float>(scale_code[j]);
    if (ds == 0) continue;
    const float dm = stored_min * static_cast<float>(min_code[j]);
    for (int i = 0; i < 32; ++i)
      L[32 * j + i] =
          static_cast<uint8_t>(clamp_int(nearest_int((x[32 * j + i] + dm) / ds), 0, top));
  }
}

void encode_q4_k_block(const float* x, const float* importance, uint8_t* block) {
  uint8_t L[kBlock];
  encode_q45_k(x, importance, 15, block, L);
  for (int pair = 0; pair < 4; ++pair) {
    for (int i = 0; i < 32; ++i) {
      block[16 + 32 * pair + i] =
          static_cast<uint8_t>(L[64 * pair + i] | (L[64 * pair + 32 + i] << 4));
    }
  }
}

void encode_q5_k_block(const float* x, const float* importance, uint8_t* block) {
  uint8_t L[kBlock];
  encode_q45_k(x, importance, 31, block, L);
  std::memset(block + 16, 0, 32);
  for (int group = 0; group < 8; ++group) {
    for (int i = 0; i < 32; ++i) {
      block[16 + i] = static_cast<uint8_t>(block[16 + i] | ((L[32 * group + i] >> 4) << group));
    }
  }
  for (int pair = 0; pair < 4; ++pair) {
    for (int i = 0; i < 32; ++i) {
      block[48 + 32 * pair + i] =
          static_cast<uint8_t>((L[64 * pair + i] & 15) | ((L[64 * pair + 32 + i] & 15) << 4));
    }
  }
}

// Sixteen sub-blocks of 16 with signed 8-bit scales.
void encode_q6_k_block(const float* x, const float* importance, uint8_t* block) {
  int8_t L[kBlock];
  float scales[16];
  for (int j = 0; j < 16; ++j) {
    scales[j] = search_symmetric(16, 32, x + 16 * j, L + 16 * j,
                                 importance != nullptr ? importance + 16 * j : nullptr);
  }
  const float largest = signed_max(scales, 16);
  if (std::fabs(largest) < kGroupMaxEpsilon) {
    std::memset(block, 0, 210);
    return;
  }
  const float iscale = -128.0f / largest;
  store_half(block + 208, 1.0f / iscale);
  const float stored = load_half(block + 208);
  for (int j = 0; j < 16; ++j) {
    const int code = clamp_int(nearest_int(iscale * scales[j]), -128, 127);
    block[192 + j] = static_cast<uint8_t>(static_cast<int8_t>(code));
    const float ds = stored * static_cast<float>(code);
    if (ds == 0) continue;
    for (int i = 0; i < 16; ++i)
      L[16 * j + i] = static_cast<int8_t>(clamp_int(nearest_int(x[16 * j + i] / ds), -32, 31) + 32);
  }
  for (int half = 0; half < 2; ++half) {
    const int8_t* l = L + 128 * half;
    for (int i = 0; i < 32; ++i) {
      block[64 * half + i] = static_cast<uint8_t>((l[i] & 15) | ((l[i + 64] & 15) << 4));
      block[64 * half + 32 + i] = static_cast<uint8_t>((l[i + 32] & 15) | ((l[i + 96] & 15) << 4));
      block[128 + 32 * half + i] =
          static_cast<uint8_t>((l[i] >> 4) | ((l[i + 32] >> 4) << 2) | ((l[i + 64] >> 4) << 4) |
                               ((l[i + 96] >> 4) << 6));
    }
  }
}

template <typename Encode>
void encode_row(const float* row, uint64_t columns, const float* importance, uint8_t* blocks,
                uint64_t bytes, Encode encode) {
  for (uint64_t begin = 0; begin < columns; begin += kBlock, blocks += bytes) {
    encode(row + begin, importance != nullptr ? importance + begin : nullptr, blocks);
  }
}

}  // namespace

void encode_q2_k(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_row(row, columns, importance, blocks, 84, encode_q2_k_block);
}
void encode_q3_k(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_row(row, columns, importance, blocks, 110, encode_q3_k_block);
}
void encode_q4_k(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_row(row, columns, importance, blocks, 144, encode_q4_k_block);
}
void encode_q5_k(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_row(row, columns, importance, blocks, 176, encode_q5_k_block);
}
void encode_q6_k(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_row(row, columns, importance, blocks, 210, encode_q6_k_block);
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
