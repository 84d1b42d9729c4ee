// Blocks of 256 with a scale for each 16 or 32: q2_k, q3_k, q5_k, q6_k and iq4_xs.
#pragma once

#include "kernels/device/formats/gguf_run.h"
#include "kernels/device/gguf.h"

namespace precis::kernels::PRECIS_DEVICE {

// `at` is the run's place in its block.
PRECIS_FUNCTION GgufRun load_q2_k(const uint8_t* block, uint32_t at) {
  const uint32_t scales = block[at / 16];
  const Words2 codes = load_eight(block + 16 + at / 128 * 32 + at % 32);
  return {fields(codes, 2 * (at % 128 / 32), 3),
          {load_half(block + 80) * static_cast<float>(scales & 15u),
           -(load_half(block + 82) * static_cast<float>(scales >> 4))}};
}

PRECIS_FUNCTION GgufRun load_q3_k(const uint8_t* block, uint32_t at) {
  const uint32_t group = at / 16;
  const uint8_t* packed = block + 96;
  const uint32_t low = packed[group % 8] >> (group < 8 ? 0 : 4) & 15u;
  const uint32_t high = packed[8 + group % 4] >> (2 * (group / 4)) & 3u;
  const int scale = static_cast<int>(low | high << 4) - 32;
  const Words2 codes =
      fields(load_eight(block + 32 + at / 128 * 32 + at % 32), 2 * (at % 128 / 32), 3);
  const Words2 bits = fields(load_eight(block + at % 32), at / 32, 1);
  return {less(joined(codes, bits, 2), 4),
          {load_half(block + 108) * static_cast<float>(scale), 0.0f}};
}

PRECIS_FUNCTION GgufRun load_q5_k(const uint8_t* block, uint32_t at) {
  const uint32_t group = at / 32;
  const Words2 codes =
      fields(load_vector<Words2>(block + 48 + 32 * (group / 2) + at % 32), 4 * (group % 2), 15);
  const Words2 bits = fields(load_vector<Words2>(block + 16 + at % 32), group, 1);
  return {joined(codes, bits, 4), sub_block_scale(load_vector<Words4>(block), group)};
}

PRECIS_FUNCTION GgufRun load_q6_k(const uint8_t* block, uint32_t at) {
  const uint32_t quarter = at % 128 / 32;
  const Words2 low = fields(load_eight(block + at / 128 * 64 + 32 * (quarter % 2) + at % 32),
                            4 * (quarter / 2), 15);
  const Words2 high = fields(load_eight(block + 128 + at / 128 * 32 + at % 32), 2 * quarter, 3);
  const auto scale = static_cast<float>(static_cast<int8_t>(block[192 + at / 16]));
  return {less(joined(low, high, 4), 32), {load_half(block + 208) * scale, 0.0f}};
}

PRECIS_FUNCTION GgufRun load_iq4_xs(const uint8_t* block, uint32_t at) {
  const uint32_t group = at / 32;
  const uint32_t low = block[4 + group / 2] >> (4 * (group % 2)) & 15u;
  const uint32_t high = load_u16(block + 2) >> (2 * group) & 3u;
  const int scale = static_cast<int>(low | high << 4) - 32;
  return {fields(load_vector<Words2>(block + 8 + 16 * group + at % 16), at % 32 < 16 ? 0 : 4, 15),
          {load_half(block) * static_cast<float>(scale), 0.0f}};
}

struct GgufKQuants {
  static constexpr bool kFamilyShifted = true, kLooksUp = true;
  static PRECIS_FUNCTION GgufRun load(GgufType type, const uint8_t* block, uint32_t at) {
    if (type == GgufType::q6_k) return load_q6_k(block, at);
    if (type == GgufType::q5_k) return load_q5_k(block, at);
    if (type == GgufType::q3_k) return load_q3_k(block, at);
    if (type == GgufType::q2_k) return load_q2_k(block, at);
    return load_iq4_xs(block, at);
  }
};

}  // namespace precis::kernels::PRECIS_DEVICE
