#include <memory>

#include "bench/codecs/codec.h"
#include "kernels/cpu/bitsandbytes/blockwise.h"
#include "kernels/cpu/bitsandbytes/int8.h"
#include "kernels/cpu/gguf/gguf.h"
#include "kernels/cpu/quanto/quanto.h"

namespace precis::bench {
namespace {

using kernels::WeightType;

constexpr uint64_t kElements = kRows * kColumns;

uint64_t bytes_of(WeightType type) {
  return type == WeightType::f32 ? 4 : 2;
}

std::byte* row_of(void* out, WeightType type, uint64_t row) {
  return static_cast<std::byte*>(out) + row * kColumns * bytes_of(type);
}

// Codes first, statistics behind them.
template <typename T>
T* statistics(uint8_t* stored) {
  return reinterpret_cast<T*>(stored + kElements);
}
template <typename T>
const T* statistics(const uint8_t* stored) {
  return reinterpret_cast<const T*>(stored + kElements);
}

Codec four_bit(const char* name, kernels::FourBitType type) {
  constexpr uint64_t kBlock = 64;
  const auto& kernel = kernels::blockwise_kernels(kernels::current_isa());
  Codec codec{"precis", name, 0, nullptr, nullptr};
  codec.quantize = [=, &kernel](const float* weights, uint64_t begin, uint64_t end,
                                uint8_t* stored) {
    kernel.quantize_4bit(type, WeightType::f32, weights, kElements, kBlock,
                         begin * kColumns / kBlock, end * kColumns / kBlock, stored,
                         statistics<float>(stored));
  };
  codec.dequantize = [=, &kernel](const uint8_t* stored, uint64_t begin, uint64_t end,
                                  WeightType out_type, void* out) {
    kernel.dequantize_4bit(type, stored, statistics<float>(stored) + begin * kColumns / kBlock,
                           kBlock, begin * kColumns, end * kColumns, out_type, out_type,
                           row_of(out, out_type, begin));
    return true;
  };
  return codec;
}

Codec int8_rows() {
  const auto& kernel = kernels::int8_row_kernels(kernels::current_isa());
  Codec codec{"precis", "int8", 0, nullptr, nullptr};
  codec.quantize = [&kernel](const float* weights, uint64_t begin, uint64_t end, uint8_t* stored) {
    kernel.quantize(WeightType::f32, weights, kColumns, begin, end,
                    reinterpret_cast<int8_t*>(stored), statistics<float>(stored));
  };
  codec.dequantize = [&kernel](const uint8_t* stored, uint64_t begin, uint64_t end, WeightType type,
                               void* out) {
    kernel.dequantize(reinterpret_cast<const int8_t*>(stored), statistics<float>(stored), kColumns,
                      begin, end, type, row_of(out, type, begin));
    return true;
  };
  return codec;
}

Codec quanto_bytes(const char* name, kernels::QuantoByteType type) {
  const auto& kernel = kernels::quanto_kernels(kernels::current_isa());
  Codec codec{"precis", name, 0, nullptr, nullptr};
  codec.quantize = [=, &kernel](const float* weights, uint64_t begin, uint64_t end,
                                uint8_t* stored) {
    kernel.quantize_bytes(type, WeightType::f32, weights, kColumns, begin, end, stored,
                          statistics<float>(stored));
  };
  codec.dequantize = [=, &kernel](const uint8_t* stored, uint64_t begin, uint64_t end,
                                  WeightType out_type, void* out) {
    kernel.dequantize_bytes(type, WeightType::f32, stored, statistics<float>(stored), true,
                            kColumns, begin, end, out_type, row_of(out, out_type, begin));
    return true;
  };
  return codec;
}

Codec quanto_groups(const char* name, int bits) {
  constexpr uint64_t kGroup = 128, kGroups = kElements / kGroup;
  const auto& kernel = kernels::quanto_kernels(kernels::current_isa());
  Codec codec{"precis", name, 0, nullptr, nullptr};
  codec.quantize = [=, &kernel](const float* weights, uint64_t begin, uint64_t end,
                                uint8_t* stored) {
    float* scales = statistics<float>(stored);
    kernel.quantize_groups(bits, WeightType::f32, weights, kGroup, begin * kColumns / kGroup,
                           end * kColumns / kGroup, stored, scales, scales + kGroups);
  };
  codec.dequantize = [=, &kernel](const uint8_t* stored, uint64_t begin, uint64_t end,
                                  WeightType type, void* out) {
    const float* scales = statistics<float>(stored);
    kernel.dequantize_groups(bits, WeightType::f32, stored, kGroups, scales, scales + kGroups,
                             kGroup, begin * kColumns / kGroup, end * kColumns / kGroup, type,
                             row_of(out, type, begin));
    return true;
  };
  return codec;
}

Codec gguf_type(const kernels::GgufCodec& type, bool with_importance) {
  const uint64_t row_bytes = kColumns / type.block_size * type.block_bytes;
  const bool searches = type.name.ends_with("_k") || type.name.starts_with("iq") ||
                        type.name == "nvfp4" || with_importance;
  Codec codec{"precis", std::string(type.name), searches ? row_bytes : 0, nullptr, nullptr};
  if (with_importance) codec.format += "+imatrix";
  const auto importance = std::make_shared<std::vector<float>>(kColumns, 1.0f);
  if (type.quantize != nullptr) {
    codec.quantize = [=, &type](const float* weights, uint64_t begin, uint64_t end,
                                uint8_t* stored) {
      for (uint64_t row = begin; row < end; ++row) {
        type.quantize(weights + row * kColumns, kColumns,
                      with_importance ? importance->data() : nullptr, stored + row * row_bytes);
      }
    };
  }
  if (with_importance) return codec;
  codec.dequantize = [=, &type](const uint8_t* stored, uint64_t begin, uint64_t end,
                                WeightType out_type, void* out) {
    kernels::gguf_dequantize(kernels::current_isa(), type, stored + begin * row_bytes,
                             (end - begin) * kColumns / type.block_size, out_type,
                             row_of(out, out_type, begin));
    return true;
  };
  return codec;
}

}  // namespace

std::vector<Codec> precis_codecs() {
  std::vector<Codec> codecs{four_bit("nf4", kernels::FourBitType::nf4),
                            four_bit("fp4", kernels::FourBitType::fp4),
                            int8_rows(),
                            quanto_bytes("qint8", kernels::QuantoByteType::int8),
                            quanto_bytes("qfloat8", kernels::QuantoByteType::float8_e4m3fn),
                            quanto_bytes("qfloat8_e5m2", kernels::QuantoByteType::float8_e5m2),
                            quanto_groups("qint4", 4),
                            quanto_groups("qint2", 2)};
  const kernels::Isa isa = kernels::current_isa();
  for (uint64_t i = 0; i < kernels::gguf_codec_count(); ++i)
    codecs.push_back(gguf_type(kernels::gguf_codec_at(isa, i), false));
  for (const char* name :
       {"q4_0", "q4_1", "q5_0", "q5_1", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs"})
    codecs.push_back(gguf_type(*kernels::gguf_codec(isa, name), true));
  return codecs;
}

}  // namespace precis::bench
