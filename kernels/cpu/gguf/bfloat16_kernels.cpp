// Block types with at most 16 values a scale, or of whole bytes, decoded to bfloat16 without
// float32 in between: the values of a scale are computed and rounded once and looked up. Compiled
// once for each instruction set.
#include "kernels/cpu/common/byte_numbers.h"
#include "kernels/cpu/common/value_table.h"
#include "kernels/cpu/gguf/block_io.h"
#include "kernels/cpu/gguf/linear.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

using Table = ValueTable<BF16>;

// number * scale and number * scale + minimum, as the codecs compute them.
auto scaled(float scale) {
  return [scale](auto number) { return number * all_of<decltype(number)>(scale); };
}
auto scaled(float scale, float minimum) {
  return [scale, minimum](auto number) {
    using Value = decltype(number);
    return number * all_of<Value>(scale) + all_of<Value>(minimum);
  };
}

struct Numbers16 {
  alignas(64) float list[16];
};
constexpr Numbers16 numbers_of(const int8_t* values) {
  Numbers16 numbers{};
  for (int i = 0; i < 16; ++i) numbers.list[i] = static_cast<float>(values[i]);
  return numbers;
}
constexpr Numbers16 kIq4Numbers = numbers_of(kIq4Values), kFp4Numbers = numbers_of(kFp4Values);
constexpr Numbers16 kNibblesAround8{{-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7}};

struct Q40 {
  static constexpr uint64_t kSize = 32, kBytes = 18;
  static void decode(const uint8_t* block, uint16_t* out) {
    Table(kNibblesAround8.list, scaled(load_half(block))).look_up_split_nibbles(block + 2, out);
  }
};
struct Q41 {
  static constexpr uint64_t kSize = 32, kBytes = 20;
  static void decode(const uint8_t* block, uint16_t* out) {
    Table(kUnsignedNibbles, scaled(load_half(block), load_half(block + 2)))
        .look_up_split_nibbles(block + 4, out);
  }
};
struct Q80 {
  static constexpr uint64_t kSize = 32, kBytes = 34;
  static void decode(const uint8_t* block, uint16_t* out) {
    decode_bytes<SignedBytes, BF16>(block + 2, 32, scaled(load_half(block)), out);
  }
};
struct Iq4Nl {
  static constexpr uint64_t kSize = 32, kBytes = 18;
  static void decode(const uint8_t* block, uint16_t* out) {
    Table(kIq4Numbers.list, scaled(load_half(block))).look_up_split_nibbles(block + 2, out);
  }
};
struct Mxfp4 {
  static constexpr uint64_t kSize = 32, kBytes = 17;
  static void decode(const uint8_t* block, uint16_t* out) {
    Table(kFp4Numbers.list, scaled(e8m0_half(block[0]))).look_up_split_nibbles(block + 1, out);
  }
};
struct Iq4Xs {
  static constexpr uint64_t kSize = 256, kBytes = 136;
  static void decode(const uint8_t* block, uint16_t* out) {
    const float d = load_half(block);
    const uint16_t high = load_u16(block + 2);
    for (int group = 0; group < 8; ++group) {
      const int low = (block[4 + group / 2] >> (4 * (group % 2))) & 15;
      const float scale = d * static_cast<float>((low | ((high >> (2 * group)) & 3) << 4) - 32);
      Table(kIq4Numbers.list, scaled(scale))
          .look_up_split_nibbles(block + 8 + 16 * group, out + 32 * group);
    }
  }
};
struct Q4K {
  static constexpr uint64_t kSize = 256, kBytes = 144;
  static void decode(const uint8_t* block, uint16_t* out) {
    const float d = load_half(block), dmin = load_half(block + 2);
    for (int group = 0; group < 8; ++group) {
      uint8_t scale = 0, minimum = 0;
      unpack_scale_min(group, block + 4, scale, minimum);
      Table(kUnsignedNibbles,
            scaled(d * static_cast<float>(scale), -(dmin * static_cast<float>(minimum))))
          .look_up_plane(block + 16 + 32 * (group / 2), 4 * (group % 2), 15, 32, out + 32 * group);
    }
  }
};

template <typename Type>
void decode(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& weight = *static_cast<const GgufWeight*>(format);
  const uint8_t* block =
      weight.blocks + row * weight.row_bytes + begin / Type::kSize * Type::kBytes;
  auto* values = static_cast<uint16_t*>(out);
  for (uint64_t i = begin; i < end; i += Type::kSize, block += Type::kBytes, values += Type::kSize)
    Type::decode(block, values);
}

constexpr GgufBfloat16Decoder kDecoders[] = {
    {"q4_0", decode<Q40>},    {"q4_1", decode<Q41>},     {"q8_0", decode<Q80>},
    {"q4_k", decode<Q4K>},    {"iq4_nl", decode<Iq4Nl>}, {"iq4_xs", decode<Iq4Xs>},
    {"mxfp4", decode<Mxfp4>},
};

}  // namespace

std::span<const GgufBfloat16Decoder> gguf_bfloat16_decoders() {
  return kDecoders;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
