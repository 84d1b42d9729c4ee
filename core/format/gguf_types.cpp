#include "core/format/gguf_types.h"

#include <array>

namespace precis {
namespace {

constexpr std::array kTypes{
    GgufType{0, "f32", 1, 4, DType::f32},    GgufType{1, "f16", 1, 2, DType::f16},
    GgufType{2, "q4_0", 32, 18, {}},         GgufType{3, "q4_1", 32, 20, {}},
    GgufType{6, "q5_0", 32, 22, {}},         GgufType{7, "q5_1", 32, 24, {}},
    GgufType{8, "q8_0", 32, 34, {}},         GgufType{9, "q8_1", 32, 36, {}},
    GgufType{10, "q2_k", 256, 84, {}},       GgufType{11, "q3_k", 256, 110, {}},
    GgufType{12, "q4_k", 256, 144, {}},      GgufType{13, "q5_k", 256, 176, {}},
    GgufType{14, "q6_k", 256, 210, {}},      GgufType{15, "q8_k", 256, 292, {}},
    GgufType{16, "iq2_xxs", 256, 66, {}},    GgufType{17, "iq2_xs", 256, 74, {}},
    GgufType{18, "iq3_xxs", 256, 98, {}},    GgufType{19, "iq1_s", 256, 50, {}},
    GgufType{20, "iq4_nl", 32, 18, {}},      GgufType{21, "iq3_s", 256, 110, {}},
    GgufType{22, "iq2_s", 256, 82, {}},      GgufType{23, "iq4_xs", 256, 136, {}},
    GgufType{24, "i8", 1, 1, DType::i8},     GgufType{25, "i16", 1, 2, DType::i16},
    GgufType{26, "i32", 1, 4, DType::i32},   GgufType{27, "i64", 1, 8, DType::i64},
    GgufType{28, "f64", 1, 8, DType::f64},   GgufType{29, "iq1_m", 256, 56, {}},
    GgufType{30, "bf16", 1, 2, DType::bf16}, GgufType{34, "tq1_0", 256, 54, {}},
    GgufType{35, "tq2_0", 256, 66, {}},      GgufType{39, "mxfp4", 32, 17, {}},
    GgufType{40, "nvfp4", 64, 36, {}},       GgufType{41, "q1_0", 128, 18, {}},
    GgufType{42, "q2_0", 64, 18, {}},
};

constexpr std::string_view kPrefix = "gguf.";

}  // namespace

const GgufType* gguf_type(uint32_t id) {
  for (const GgufType& type : kTypes) {
    if (type.id == id) return &type;
  }
  return nullptr;
}

const GgufType* gguf_type_for(DType dtype, std::string_view encoding) {
  for (const GgufType& type : kTypes) {
    if (encoding.empty() ? type.number == dtype
                         : encoding.starts_with(kPrefix) &&
                               encoding.substr(kPrefix.size()) == type.name && !type.number) {
      return &type;
    }
  }
  return nullptr;
}

std::optional<uint64_t> gguf_nbytes(const GgufType& type, std::span<const int64_t> shape) {
  uint64_t elements = 1;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(elements, static_cast<uint64_t>(size), &elements))
      return {};
  }
  const uint64_t row = shape.empty() ? 1 : static_cast<uint64_t>(shape.back());
  if (row % type.block_size != 0) return {};
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(elements / type.block_size, uint64_t{type.block_bytes}, &bytes))
    return {};
  return bytes;
}

std::string gguf_encoding(const GgufType& type) {
  return std::string(kPrefix) + std::string(type.name);
}

}  // namespace precis
