// Codes of a byte each, unpacked and packed with NEON: what bytes_avx2.h has with AVX2.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "kernels/cpu/common/isa.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

inline void unpack_low_nibbles_first(const uint8_t* packed, uint8_t* codes) {
  const uint8x16_t both = vld1q_u8(packed);
  vst2q_u8(codes, {{vandq_u8(both, vdupq_n_u8(15)), vshrq_n_u8(both, 4)}});
}

inline void unpack_plane(const uint8_t* bytes, int shift, int mask, uint8_t* codes) {
  const int8x16_t down = vdupq_n_s8(static_cast<int8_t>(-shift));
  for (int i = 0; i < 32; i += 16) {
    const uint8x16_t shifted = vshlq_u8(vld1q_u8(bytes + i), down);
    vst1q_u8(codes + i, vandq_u8(shifted, vdupq_n_u8(static_cast<uint8_t>(mask))));
  }
}

inline void split_nibbles(const uint8_t* packed, uint8_t* codes) {
  const uint8x16_t both = vld1q_u8(packed);
  vst1q_u8(codes, vandq_u8(both, vdupq_n_u8(15)));
  vst1q_u8(codes + 16, vshrq_n_u8(both, 4));
}

inline uint32_t fifth_bits_of(const uint8_t* bytes) {
  const uint8x16_t places = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const auto sixteen = [&](const uint8_t* from) {
    const uint8x16_t set = vandq_u8(vtstq_u8(vld1q_u8(from), vdupq_n_u8(16)), places);
    return static_cast<uint32_t>(vaddv_u8(vget_low_u8(set)) | vaddv_u8(vget_high_u8(set)) << 8);
  };
  return sixteen(bytes) | sixteen(bytes + 16) << 16;
}

inline void interleave_halves(const uint8_t* halves, uint8_t* pairs) {
  vst2_u8(pairs, {{vld1_u8(halves), vld1_u8(halves + 8)}});
}
inline void split_pairs(const uint8_t* pairs, uint8_t* halves) {
  const uint8x8x2_t both = vld2_u8(pairs);
  vst1_u8(halves, both.val[0]);
  vst1_u8(halves + 8, both.val[1]);
}

class NibblesOfRanks {
 public:
  explicit NibblesOfRanks(const uint8_t* codes) : codes_(vld1q_u8(codes)) {}
  void pack(const uint8_t* ranks, uint8_t* packed) const {
    for (int i = 0; i < 2; ++i) {
      const uint8x16x2_t pairs = vld2q_u8(ranks + 32 * i);
      const uint8x16_t high = vqtbl1q_u8(codes_, pairs.val[0]);
      vst1q_u8(packed + 16 * i, vsliq_n_u8(vqtbl1q_u8(codes_, pairs.val[1]), high, 4));
    }
  }

 private:
  uint8x16_t codes_;
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
