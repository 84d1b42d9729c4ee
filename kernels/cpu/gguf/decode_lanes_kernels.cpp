// Decoding of the block types without large codebooks, a number in each lane. Compiled once for
// each instruction set; where there are no lanes decode_kernels.cpp stands in.
//
// Bound by writing: about one operation a number and one to unpack it, where a line of 16 numbers
// takes some 8 cycles to reach memory.
#include "kernels/cpu/common/lanes.h"
#include "kernels/cpu/gguf/block_io.h"
#include "kernels/cpu/gguf/codecs.h"
#include "kernels/cpu/gguf/integer_values.h"

#if PRECIS_LANES > 1

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// The 4-bit codes of 16 bytes: low nibbles to out[0 ... 15], high ones to out[16 ... 31].
template <typename Value>
inline void decode_nibbles(const uint8_t* bytes, float* out, Value value) {
  for (int i = 0; i < 16; i += kLanes) {
    const Ints both = Ints::load(bytes + i);
    value(both & Ints::of(15), i).store(out + i);
    value(both >> 4, 16 + i).store(out + 16 + i);
  }
}

// Sixteen signed bytes as a table of numbers.
inline Table16 table_of(const int8_t* values) {
  float numbers[16];
  for (int i = 0; i < 16; ++i) numbers[i] = static_cast<float>(values[i]);
  return Table16::load(numbers);
}

// `code` with 16 added where bit `i` and the following of `high` are set.
inline Ints with_fifth_bit(Ints code, uint32_t high, int i) {
  return add_where(mask_of(high >> i), code, Ints::of(16));
}

}  // namespace

void decode_q4_0(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 18, out += 32) {
    const Floats d = Floats::of(load_half(block));
    decode_nibbles(block + 2, out, [&](Ints q, int) { return to_floats(q - Ints::of(8)) * d; });
  }
}

void decode_q4_1(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 20, out += 32) {
    const Floats d = Floats::of(load_half(block)), m = Floats::of(load_half(block + 2));
    decode_nibbles(block + 4, out, [&](Ints q, int) { return to_floats(q) * d + m; });
  }
}

void decode_q5_0(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 22, out += 32) {
    const Floats d = Floats::of(load_half(block));
    const uint32_t high = load_u32(block + 2);
    decode_nibbles(block + 6, out, [&](Ints q, int i) {
      return to_floats(with_fifth_bit(q, high, i) - Ints::of(16)) * d;
    });
  }
}

void decode_q5_1(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 24, out += 32) {
    const Floats d = Floats::of(load_half(block)), m = Floats::of(load_half(block + 2));
    const uint32_t high = load_u32(block + 4);
    decode_nibbles(block + 8, out,
                   [&](Ints q, int i) { return to_floats(with_fifth_bit(q, high, i)) * d + m; });
  }
}

void decode_q8_0(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 34, out += 32) {
    const Floats d = Floats::of(load_half(block));
    const auto* q = reinterpret_cast<const int8_t*>(block + 2);
    for (int i = 0; i < 32; i += kLanes) (to_floats(Ints::load(q + i)) * d).store(out + i);
  }
}

void decode_q2_k(const uint8_t* block, uint64_t count, float* out) {
  decode_integers<integers::Q2K, F32>(block, count, out);
}

void decode_q3_k(const uint8_t* block, uint64_t count, float* out) {
  decode_integers<integers::Q3K, F32>(block, count, out);
}

void decode_q4_k(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 144, out += 256) {
    const SubBlockScales scales = load_sub_block_scales(block);
    for (int group = 0; group < 8; ++group) {
      const Floats ds = Floats::of(scales.scale[group]), dm = Floats::of(scales.minimum[group]);
      const uint8_t* q = block + 16 + 32 * (group / 2);
      const int shift = 4 * (group % 2);
      for (int i = 0; i < 32; i += kLanes) {
        const Ints code = (Ints::load(q + i) >> shift) & Ints::of(15);
        (ds * to_floats(code) - dm).store(out + 32 * group + i);
      }
    }
  }
}

void decode_q5_k(const uint8_t* block, uint64_t count, float* out) {
  decode_integers<integers::Q5K, F32>(block, count, out);
}

void decode_q6_k(const uint8_t* block, uint64_t count, float* out) {
  decode_integers<integers::Q6K, F32>(block, count, out);
}

void decode_iq4_nl(const uint8_t* block, uint64_t count, float* out) {
  const Table16 values = table_of(kIq4Values);
  for (; count > 0; --count, block += 18, out += 32) {
    const Floats d = Floats::of(load_half(block));
    decode_nibbles(block + 2, out, [&](Ints q, int) { return d * values[q]; });
  }
}

void decode_iq4_xs(const uint8_t* block, uint64_t count, float* out) {
  const Table16 values = table_of(kIq4Values);
  for (; count > 0; --count, block += 136, out += 256) {
    const float d = load_half(block);
    const uint16_t high = load_u16(block + 2);
    for (int group = 0; group < 8; ++group) {
      const int code =
          ((block[4 + group / 2] >> (4 * (group % 2))) & 15) | (((high >> (2 * group)) & 3) << 4);
      const Floats scale = Floats::of(d * static_cast<float>(code - 32));
      decode_nibbles(block + 8 + 16 * group, out + 32 * group,
                     [&](Ints q, int) { return scale * values[q]; });
    }
  }
}

void decode_tq1_0(const uint8_t* block, uint64_t count, float* out) {
  constexpr int kPowers[5] = {1, 3, 9, 27, 81};
  for (; count > 0; --count, block += 54, out += 256) {
    const float scale = load_half(block + 52);
    const Floats d = Floats::of(scale);
    const auto trits = [&](Ints bytes, int n) {
      const Ints shifted = (bytes * Ints::of(kPowers[n])) & Ints::of(255);
      return to_floats(((shifted * Ints::of(3)) >> 8) - Ints::of(1)) * d;
    };
    for (int n = 0; n < 5; ++n) {
      for (int m = 0; m < 32; m += kLanes) trits(Ints::load(block + m), n).store(out + 32 * n + m);
      for (int m = 0; m < 16; m += kLanes)
        trits(Ints::load(block + 32 + m), n).store(out + 160 + 16 * n + m);
    }
    for (int n = 0; n < 4; ++n) {
      for (int j = 0; j < 4; ++j) {
        const int shifted = (block[48 + j] * kPowers[n]) & 255;
        out[240 + 4 * n + j] = static_cast<float>(((shifted * 3) >> 8) - 1) * scale;
      }
    }
  }
}

void decode_tq2_0(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 66, out += 256) {
    const Floats d = Floats::of(load_half(block + 64));
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < 32; i += kLanes) {
        const Ints four = Ints::load(block + 32 * half + i);
        for (int k = 0; k < 4; ++k) {
          const Ints code = ((four >> (2 * k)) & Ints::of(3)) - Ints::of(1);
          (to_floats(code) * d).store(out + 128 * half + 32 * k + i);
        }
      }
    }
  }
}

void decode_mxfp4(const uint8_t* block, uint64_t count, float* out) {
  const Table16 values = table_of(kFp4Values);
  for (; count > 0; --count, block += 17, out += 32) {
    const Floats d = Floats::of(e8m0_half(block[0]));
    decode_nibbles(block + 1, out, [&](Ints q, int) { return values[q] * d; });
  }
}

void decode_nvfp4(const uint8_t* block, uint64_t count, float* out) {
  // Eight bytes in two words: the low nibbles of all, then the high ones.
  static constexpr int32_t kShifts[16] = {0, 8, 16, 24, 0, 8, 16, 24, 4, 12, 20, 28, 4, 12, 20, 28};
  const Table16 values = table_of(kFp4Values);
  for (; count > 0; --count, block += 36, out += 64) {
    for (int group = 0; group < 4; ++group) {
      const Floats d = Floats::of(ue4m3_half(block[group]));
      const uint32_t first = load_u32(block + 4 + 8 * group),
                     second = load_u32(block + 8 + 8 * group);
      for (int i = 0; i < 16; i += kLanes) {
        const Ints word = add_where(mask_of(0xf0f0u >> i), Ints::of(static_cast<int>(first)),
                                    Ints::of(static_cast<int>(second - first)));
        const Ints code = (word >> Ints::load(kShifts + i)) & Ints::of(15);
        (values[code] * d).store(out + 16 * group + i);
      }
    }
  }
}

void decode_q1_0(const uint8_t* block, uint64_t count, float* out) {
  for (; count > 0; --count, block += 18, out += 128) {
    const float scale = load_half(block);
    const Floats plus = Floats::of(scale), minus = Floats::of(-scale);
    for (int i = 0; i < 128; i += 16) {
      const uint32_t bits = load_u16(block + 2 + i / 8);
      for (int k = 0; k < 16; k += kLanes)
        select(mask_of(bits >> k), plus, minus).store(out + i + k);
    }
  }
}

void decode_q2_0(const uint8_t* block, uint64_t count, float* out) {
  static constexpr int32_t kShifts[16] = {0,  2,  4,  6,  8,  10, 12, 14,
                                          16, 18, 20, 22, 24, 26, 28, 30};
  for (; count > 0; --count, block += 18, out += 64) {
    const Floats d = Floats::of(load_half(block));
    for (int i = 0; i < 64; i += 16) {
      const Ints word = Ints::of(static_cast<int>(load_u32(block + 2 + i / 4)));
      for (int k = 0; k < 16; k += kLanes) {
        const Ints code = (word >> Ints::load(kShifts + k)) & Ints::of(3);
        (to_floats(code - Ints::of(1)) * d).store(out + i + k);
      }
    }
  }
}

void decode_f16(const uint8_t* block, uint64_t count, float* out) {
  uint64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) load_halves(block + 2 * i).store(out + i);
  for (; i < count; ++i) out[i] = load_half(block + 2 * i);
}

void decode_bf16(const uint8_t* block, uint64_t count, float* out) {
  uint64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const auto* from = reinterpret_cast<const uint16_t*>(block + 2 * i);
    as_floats(Ints::load(from) << 16).store(out + i);
  }
  for (; i < count; ++i) out[i] = bfloat16_to_float(load_u16(block + 2 * i));
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
#endif
