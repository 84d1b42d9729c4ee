// Blocks decoded to bfloat16 without float32 in memory in between. Where a scale has at most 16
// values, they are computed and rounded once and looked up. Compiled once for each instruction set.
#include "kernels/cpu/common/byte_numbers.h"
#include "kernels/cpu/common/value_table.h"
#include "kernels/cpu/gguf/codecs.h"
#include "kernels/cpu/gguf/integer_values.h"
#include "kernels/cpu/gguf/nibble_numbers.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

using Table = ValueTable<BF16>;

// number * scale and number * scale + minimum, as the codecs compute them.
struct Scaled {
  float scale;
  template <typename Value>
  Value operator()(Value number) const {
    return number * all_of<Value>(scale);
  }
};
struct ScaledFrom {
  float scale, minimum;
  template <typename Value>
  Value operator()(Value number) const {
    return number * all_of<Value>(scale) + all_of<Value>(minimum);
  }
};
inline Scaled scaled(float scale) {
  return {scale};
}
inline ScaledFrom scaled(float scale, float minimum) {
  return {scale, minimum};
}

// walk(block, to) hands each scale's 32 codes, with the numbers they stand for and how a number
// becomes a value, to to.split(), 32 integers to to.bytes(), or all 256 of a block to to.planes().
struct Q40 {
  static constexpr uint64_t kSize = 32, kBytes = 18;
  template <typename To>
  static void walk(const uint8_t* block, To& to) {
    to.split(block + 2, kNibblesAround8.list, scaled(load_half(block)));
  }
};
struct Q41 {
  static constexpr uint64_t kSize = 32, kBytes = 20;
  template <typename To>
  static void walk(const uint8_t* block, To& to) {
    to.split(block + 4, kUnsignedNibbles, scaled(load_half(block), load_half(block + 2)));
  }
};
struct Q80 {
  static constexpr uint64_t kSize = 32, kBytes = 34;
  template <typename To>
  static void walk(const uint8_t* block, To& to) {
    to.bytes(block + 2, load_half(block));
  }
};
struct Iq4Nl {
  static constexpr uint64_t kSize = 32, kBytes = 18;
  template <typename To>
  static void walk(const uint8_t* block, To& to) {
    to.split(block + 2, kIq4Numbers.list, scaled(load_half(block)));
  }
};
struct Mxfp4 {
  static constexpr uint64_t kSize = 32, kBytes = 17;
  template <typename To>
  static void walk(const uint8_t* block, To& to) {
    to.split(block + 1, kFp4Numbers.list, scaled(e8m0_half(block[0])));
  }
};
struct Iq4Xs {
  static constexpr uint64_t kSize = 256, kBytes = 136;
  template <typename To>
  static void walk(const uint8_t* block, To& to) {
    const float d = load_half(block);
    const uint16_t high = load_u16(block + 2);
    for (int group = 0; group < 8; ++group) {
      const int low = (block[4 + group / 2] >> (4 * (group % 2))) & 15;
      const float scale = d * static_cast<float>((low | ((high >> (2 * group)) & 3) << 4) - 32);
      to.split(block + 8 + 16 * group, kIq4Numbers.list, scaled(scale));
    }
  }
};
struct Q4K {
  static constexpr uint64_t kSize = 256, kBytes = 144;
  template <typename To>
  static void walk(const uint8_t* block, To& to) {
    to.planes(block + 16, kUnsignedNibbles, load_sub_block_scales(block));
  }
};

// Writes values down.
struct Values {
  uint16_t* out;
  template <typename Value>
  void split(const uint8_t* packed, const float* numbers, Value value) {
    Table(numbers, value).look_up_split_nibbles(packed, out);
    out += 32;
  }
  void bytes(const uint8_t* codes, float scale) {
    decode_bytes<SignedBytes, BF16>(codes, 32, scaled(scale), out);
    out += 32;
  }
  // Two groups share 32 bytes.
  void planes(const uint8_t* bytes, const float* numbers, const SubBlockScales& scales) {
    for (int group = 0; group < 8; group += 2, bytes += 32, out += 64) {
      const auto of = [&](int i) { return scaled(scales.scale[i], -scales.minimum[i]); };
#if PRECIS_LANES == 16
      const TwoTables<BF16> tables(numbers, of(group), of(group + 1));
      tables.look_up_planes(bytes, out);
#else
      Table(numbers, of(group)).look_up_plane(bytes, 0, 15, 32, out);
      Table(numbers, of(group + 1)).look_up_plane(bytes, 4, 15, 32, out + 32);
#endif
    }
  }
};

template <typename Type>
void decode(const uint8_t* block, uint64_t count, uint16_t* out) {
  Values values{out};
  for (; count > 0; --count, block += Type::kBytes) Type::walk(block, values);
}

struct Decoder {
  std::string_view name;
  GgufDecodeBfloat16* decode;
};
constexpr Decoder kDecoders[] = {
    {"q4_0", decode<Q40>},
    {"q4_1", decode<Q41>},
    {"q8_0", decode<Q80>},
    {"q4_k", decode<Q4K>},
    {"iq4_nl", decode<Iq4Nl>},
    {"iq4_xs", decode<Iq4Xs>},
    {"mxfp4", decode<Mxfp4>},
    {"q5_0", decode_integers<integers::Q50, BF16>},
    {"q5_1", decode_integers<integers::Q51, BF16>},
    {"q2_k", decode_integers<integers::Q2K, BF16>},
    {"q3_k", decode_integers<integers::Q3K, BF16>},
    {"q5_k", decode_integers<integers::Q5K, BF16>},
    {"q6_k", decode_integers<integers::Q6K, BF16>},
};

}  // namespace

GgufDecodeBfloat16* bfloat16_decoder(std::string_view name) {
  for (const Decoder& decoder : kDecoders) {
    if (decoder.name == name) return decoder.decode;
  }
  return nullptr;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
