// Decoding of the codebook types IQ1, IQ2 and IQ3. Compiled once for each instruction set.
#include "kernels/cpu/gguf/block_io.h"
#include "kernels/cpu/gguf/codecs.h"
#include "kernels/cpu/gguf/iq_grids.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// n magnitudes with their signs.
inline void signed_values(const int8_t* magnitudes, int n, uint32_t signs, float scale,
                          float* out) {
  for (int j = 0; j < n; ++j) {
    const float value = scale * static_cast<float>(magnitudes[j]);
    out[j] = ((signs >> j) & 1) != 0 ? -value : value;
  }
}

}  // namespace

void decode_iq2_xxs(const uint8_t* block, uint64_t count, float* out) {
  const IqGrids& grids = iq_grids();
  for (; count > 0; --count, block += 66, out += 256) {
    const float d = load_half(block);
    for (int group = 0; group < 8; ++group) {
      const uint8_t* index = block + 2 + 8 * group;
      const uint32_t a = load_u32(index + 4);
      const float db = d * (0.5f + static_cast<float>(a >> 28)) * 0.25f;
      for (int l = 0; l < 4; ++l) {
        signed_values(grids.iq2xxs[index[l]], 8, grids.signs[(a >> (7 * l)) & 127], db,
                      out + 32 * group + 8 * l);
      }
    }
  }
}

void decode_iq2_xs(const uint8_t* block, uint64_t count, float* out) {
  const IqGrids& grids = iq_grids();
  for (; count > 0; --count, block += 74, out += 256) {
    const float d = load_half(block);
    for (int chunk = 0; chunk < 32; ++chunk) {
      const uint16_t q = load_u16(block + 2 + 2 * chunk);
      const int scale = (block[66 + chunk / 4] >> (4 * ((chunk / 2) % 2))) & 15;
      const float db = d * (0.5f + static_cast<float>(scale)) * 0.25f;
      signed_values(grids.iq2xs[q & 511], 8, grids.signs[q >> 9], db, out + 8 * chunk);
    }
  }
}

void decode_iq2_s(const uint8_t* block, uint64_t count, float* out) {
  const IqGrids& grids = iq_grids();
  for (; count > 0; --count, block += 82, out += 256) {
    const float d = load_half(block);
    for (int chunk = 0; chunk < 32; ++chunk) {
      const int group = chunk / 4, l = chunk % 4;
      const int index = block[2 + chunk] | ((block[66 + group] << (8 - 2 * l)) & 0x300);
      const int scale = (block[74 + group] >> (4 * (l / 2))) & 15;
      const float db = d * (0.5f + static_cast<float>(scale)) * 0.25f;
      signed_values(grids.iq2s[index], 8, block[34 + chunk], db, out + 8 * chunk);
    }
  }
}

void decode_iq3_xxs(const uint8_t* block, uint64_t count, float* out) {
  const IqGrids& grids = iq_grids();
  for (; count > 0; --count, block += 98, out += 256) {
    const float d = load_half(block);
    for (int group = 0; group < 8; ++group) {
      const uint8_t* index = block + 2 + 8 * group;
      const uint32_t a = load_u32(block + 66 + 4 * group);
      const float db = d * (0.5f + static_cast<float>(a >> 28)) * 0.5f;
      for (int l = 0; l < 4; ++l) {
        const uint32_t signs = grids.signs[(a >> (7 * l)) & 127];
        float* chunk = out + 32 * group + 8 * l;
        signed_values(grids.iq3xxs[index[2 * l]], 4, signs, db, chunk);
        signed_values(grids.iq3xxs[index[2 * l + 1]], 4, signs >> 4, db, chunk + 4);
      }
    }
  }
}

void decode_iq3_s(const uint8_t* block, uint64_t count, float* out) {
  const IqGrids& grids = iq_grids();
  for (; count > 0; --count, block += 110, out += 256) {
    const float d = load_half(block);
    for (int group = 0; group < 8; ++group) {
      const int scale = (block[106 + group / 2] >> (4 * (group % 2))) & 15;
      const float db = d * static_cast<float>(1 + 2 * scale);
      const int high = block[66 + group];
      for (int l = 0; l < 4; ++l) {
        const uint8_t* index = block + 2 + 8 * group + 2 * l;
        const uint32_t signs = block[74 + 4 * group + l];
        float* chunk = out + 32 * group + 8 * l;
        signed_values(grids.iq3s[index[0] | ((high << (8 - 2 * l)) & 256)], 4, signs, db, chunk);
        signed_values(grids.iq3s[index[1] | ((high << (7 - 2 * l)) & 256)], 4, signs >> 4, db,
                      chunk + 4);
      }
    }
  }
}

void decode_iq1_s(const uint8_t* block, uint64_t count, float* out) {
  const IqGrids& grids = iq_grids();
  for (; count > 0; --count, block += 50, out += 256) {
    const float d = load_half(block);
    for (int group = 0; group < 8; ++group) {
      const uint16_t high = load_u16(block + 34 + 2 * group);
      const float dl = d * static_cast<float>(2 * ((high >> 12) & 7) + 1);
      const float delta = (high & 0x8000) != 0 ? -0.125f : 0.125f;
      for (int l = 0; l < 4; ++l) {
        const int8_t* grid = grids.iq1s[block[2 + 4 * group + l] | (((high >> (3 * l)) & 7) << 8)];
        for (int j = 0; j < 8; ++j)
          out[32 * group + 8 * l + j] = dl * (static_cast<float>(grid[j]) + delta);
      }
    }
  }
}

void decode_iq1_m(const uint8_t* block, uint64_t count, float* out) {
  const IqGrids& grids = iq_grids();
  for (; count > 0; --count, block += 56, out += 256) {
    uint16_t scales[4];
    for (int i = 0; i < 4; ++i) scales[i] = load_u16(block + 48 + 2 * i);
    const auto bits = static_cast<uint16_t>((scales[0] >> 12) | ((scales[1] >> 8) & 0xf0) |
                                            ((scales[2] >> 4) & 0xf00) | (scales[3] & 0xf000));
    const float d = half_to_float(bits);
    for (int chunk = 0; chunk < 32; ++chunk) {
      const int half = chunk / 2, high = block[32 + half];
      const float dl = d * static_cast<float>(2 * ((scales[half / 4] >> (3 * (half % 4))) & 7) + 1);
      const bool odd = chunk % 2 != 0;
      const int index = block[chunk] | ((odd ? high << 4 : high << 8) & 0x700);
      const float delta = (high & (odd ? 0x80 : 0x08)) != 0 ? -0.125f : 0.125f;
      for (int j = 0; j < 8; ++j)
        out[8 * chunk + j] = dl * (static_cast<float>(grids.iq1s[index][j]) + delta);
    }
  }
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
