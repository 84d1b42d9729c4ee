// Decoding of the block types without codebooks, one number after another: what runs where there
// are no lanes, and the reference of decode_lanes_kernels.cpp. Compiled once for each instruction
// set.
#include "kernels/cpu/common/lanes.h"
#include "kernels/cpu/gguf/block_io.h"
#include "kernels/cpu/gguf/codecs.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

#if PRECIS_LANES == 1

void decode_tq1_0(const uint8_t* block, uint64_t count, float* out) {
  constexpr uint8_t kPowers[5] = {1, 3, 9, 27, 81};
  const auto trit = [](uint8_t byte, uint8_t power) {
    const auto shifted = static_cast<uint8_t>(byte * power);
    return static_cast<float>(((static_cast<uint32_t>(shifted) * 3) >> 8)) - 1.0f;
  };
  for (; count > 0; --count, block += 54, out += 256) {
    const float d = load_half(block + 52);
    for (int n = 0; n < 5; ++n) {
      for (int m = 0; m < 32; ++m) out[32 * n + m] = trit(block[m], kPowers[n]) * d;
      for (int m = 0; m < 16; ++m) out[160 + 16 * n + m] = trit(block[32 + m], kPowers[n]) * d;
    }
    for (int n = 0; n < 4; ++n) {
      for (int j = 0; j < 4; ++j) out[240 + 4 * n + j] = trit(block[48 + j], kPowers[n]) * d;
    }
  }
}

void decode_q4_0(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 18, out += 32) {
    const float d = load_half(block);
    for (int j = 0; j < 16; ++j) {
      out[j] = static_cast<float>((block[2 + j] & 15) - 8) * d;
      out[j + 16] = static_cast<float>((block[2 + j] >> 4) - 8) * d;
    }
  }
}

void decode_q4_1(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 20, out += 32) {
    const float d = load_half(block), m = load_half(block + 2);
    for (int j = 0; j < 16; ++j) {
      out[j] = static_cast<float>(block[4 + j] & 15) * d + m;
      out[j + 16] = static_cast<float>(block[4 + j] >> 4) * d + m;
    }
  }
}

void decode_q5_0(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 22, out += 32) {
    const float d = load_half(block);
    const uint32_t high = load_u32(block + 2);
    for (int j = 0; j < 16; ++j) {
      const int low_bit = static_cast<int>((high >> j) & 1) << 4,
                high_bit = static_cast<int>((high >> (j + 16)) & 1) << 4;
      out[j] = static_cast<float>(((block[6 + j] & 15) | low_bit) - 16) * d;
      out[j + 16] = static_cast<float>(((block[6 + j] >> 4) | high_bit) - 16) * d;
    }
  }
}

void decode_q5_1(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 24, out += 32) {
    const float d = load_half(block), m = load_half(block + 2);
    const uint32_t high = load_u32(block + 4);
    for (int j = 0; j < 16; ++j) {
      const int low_bit = static_cast<int>((high >> j) & 1) << 4,
                high_bit = static_cast<int>((high >> (j + 16)) & 1) << 4;
      out[j] = static_cast<float>((block[8 + j] & 15) | low_bit) * d + m;
      out[j + 16] = static_cast<float>((block[8 + j] >> 4) | high_bit) * d + m;
    }
  }
}

void decode_q8_0(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 34, out += 32) {
    const float d = load_half(block);
    for (int j = 0; j < 32; ++j) out[j] = static_cast<float>(static_cast<int8_t>(block[2 + j])) * d;
  }
}

void decode_q2_k(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 84, out += 256) {
    const float d = load_half(block + 80), dmin = load_half(block + 82);
    for (int group = 0; group < 16; ++group) {
      const float scale = d * static_cast<float>(block[group] & 15),
                  minimum = dmin * static_cast<float>(block[group] >> 4);
      const uint8_t* q = block + 16 + 32 * (group / 8) + 16 * (group % 2);
      const int shift = 2 * ((group % 8) / 2);
      for (int l = 0; l < 16; ++l)
        out[16 * group + l] = scale * static_cast<float>((q[l] >> shift) & 3) - minimum;
    }
  }
}

void decode_q3_k(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 110, out += 256) {
    const uint8_t* packed = block + 96;
    const float d = load_half(block + 108);
    for (int group = 0; group < 16; ++group) {
      const int low = group < 8 ? packed[group] & 15 : packed[group - 8] >> 4;
      const int high = (packed[8 + (group & 3)] >> (2 * (group >> 2))) & 3;
      const float scale = d * static_cast<float>((low | (high << 4)) - 32);
      const uint8_t* q = block + 32 + 32 * (group / 8) + 16 * (group % 2);
      const uint8_t* mask = block + 16 * (group % 2);
      const int shift = 2 * ((group % 8) / 2), bit = group / 2;
      for (int l = 0; l < 16; ++l) {
        out[16 * group + l] = scale * static_cast<float>(((q[l] >> shift) & 3) -
                                                         (((mask[l] >> bit) & 1) != 0 ? 0 : 4));
      }
    }
  }
}

void decode_q4_k(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 144, out += 256) {
    const SubBlockScales scales = load_sub_block_scales(block);
    for (int group = 0; group < 8; ++group) {
      const float ds = scales.scale[group], dm = scales.minimum[group];
      const uint8_t* q = block + 16 + 32 * (group / 2);
      const int shift = 4 * (group % 2);
      for (int l = 0; l < 32; ++l)
        out[32 * group + l] = ds * static_cast<float>((q[l] >> shift) & 15) - dm;
    }
  }
}

void decode_q5_k(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 176, out += 256) {
    const SubBlockScales scales = load_sub_block_scales(block);
    for (int group = 0; group < 8; ++group) {
      const float ds = scales.scale[group], dm = scales.minimum[group];
      const uint8_t* q = block + 48 + 32 * (group / 2);
      const uint8_t* high = block + 16;
      const int shift = 4 * (group % 2);
      for (int l = 0; l < 32; ++l) {
        out[32 * group + l] =
            ds * static_cast<float>(((q[l] >> shift) & 15) | (((high[l] >> group) & 1) << 4)) - dm;
      }
    }
  }
}

void decode_q6_k(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 210, out += 256) {
    const float d = load_half(block + 208);
    for (int group = 0; group < 16; ++group) {
      const int half = group / 8, quarter = (group % 8) / 2, first = 16 * (group % 2);
      const float scale = d * static_cast<float>(static_cast<int8_t>(block[192 + group]));
      const uint8_t* low = block + 64 * half + 32 * (quarter % 2) + first;
      const uint8_t* high = block + 128 + 32 * half + first;
      const int low_shift = 4 * (quarter / 2), high_shift = 2 * quarter;
      for (int l = 0; l < 16; ++l) {
        const int q = ((low[l] >> low_shift) & 15) | (((high[l] >> high_shift) & 3) << 4);
        out[16 * group + l] = scale * static_cast<float>(q - 32);
      }
    }
  }
}

void decode_iq4_nl(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 18, out += 32) {
    const float d = load_half(block);
    for (int j = 0; j < 16; ++j) {
      out[j] = d * static_cast<float>(kIq4Values[block[2 + j] & 15]);
      out[j + 16] = d * static_cast<float>(kIq4Values[block[2 + j] >> 4]);
    }
  }
}

void decode_iq4_xs(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 136, out += 256) {
    const float d = load_half(block);
    const uint16_t high = load_u16(block + 2);
    for (int group = 0; group < 8; ++group) {
      const int code =
          ((block[4 + group / 2] >> (4 * (group % 2))) & 15) | (((high >> (2 * group)) & 3) << 4);
      const float scale = d * static_cast<float>(code - 32);
      const uint8_t* q = block + 8 + 16 * group;
      for (int j = 0; j < 16; ++j) {
        out[32 * group + j] = scale * static_cast<float>(kIq4Values[q[j] & 15]);
        out[32 * group + j + 16] = scale * static_cast<float>(kIq4Values[q[j] >> 4]);
      }
    }
  }
}

void decode_tq2_0(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 66, out += 256) {
    const float d = load_half(block + 64);
    for (int half = 0; half < 2; ++half) {
      for (int k = 0; k < 4; ++k) {
        for (int l = 0; l < 32; ++l) {
          out[128 * half + 32 * k + l] =
              static_cast<float>(((block[32 * half + l] >> (2 * k)) & 3) - 1) * d;
        }
      }
    }
  }
}

void decode_mxfp4(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 17, out += 32) {
    const float d = e8m0_half(block[0]);
    for (int j = 0; j < 16; ++j) {
      out[j] = static_cast<float>(kFp4Values[block[1 + j] & 15]) * d;
      out[j + 16] = static_cast<float>(kFp4Values[block[1 + j] >> 4]) * d;
    }
  }
}

void decode_nvfp4(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 36, out += 64) {
    for (int group = 0; group < 4; ++group) {
      const float d = ue4m3_half(block[group]);
      const uint8_t* q = block + 4 + 8 * group;
      for (int j = 0; j < 8; ++j) {
        out[16 * group + j] = static_cast<float>(kFp4Values[q[j] & 15]) * d;
        out[16 * group + j + 8] = static_cast<float>(kFp4Values[q[j] >> 4]) * d;
      }
    }
  }
}

void decode_q1_0(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 18, out += 128) {
    const float d = load_half(block);
    for (int i = 0; i < 128; ++i) out[i] = ((block[2 + i / 8] >> (i % 8)) & 1) != 0 ? d : -d;
  }
}

void decode_q2_0(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 18, out += 64) {
    const float d = load_half(block);
    for (int i = 0; i < 64; ++i)
      out[i] = static_cast<float>(((block[2 + i / 4] >> (2 * (i % 4))) & 3) - 1) * d;
  }
}

void decode_f16(const uint8_t* block, uint64_t count, float* out) {
  for (uint64_t i = 0; i < count; ++i) out[i] = load_half(block + 2 * i);
}

void decode_bf16(const uint8_t* block, uint64_t count, float* out) {
  for (uint64_t i = 0; i < count; ++i) out[i] = bfloat16_to_float(load_u16(block + 2 * i));
}

#endif

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
