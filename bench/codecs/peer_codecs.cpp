// Other libraries, loaded at run time and driven through their public C functions.
#include <dlfcn.h>

#include <memory>
#include <stdexcept>

#include "bench/codecs/codec.h"
#include "kernels/cpu/bitsandbytes/blockwise.h"

namespace precis::bench {
namespace {

using kernels::WeightType;

constexpr uint64_t kElements = kRows * kColumns;

class Library {
 public:
  explicit Library(const std::string& path) : handle_(::dlopen(path.c_str(), RTLD_NOW)) {
    if (handle_ == nullptr) throw std::runtime_error(::dlerror());
  }
  // Null when there is no such function.
  template <typename Function>
  Function* find(const std::string& name) const {
    return reinterpret_cast<Function*>(::dlsym(handle_, name.c_str()));
  }

 private:
  void* handle_;
};

struct GgmlType {
  const char* format;    // as precis calls it
  const char* function;  // as ggml's functions do
  int number;            // enum ggml_type
  uint32_t block_size, block_bytes;
};

constexpr GgmlType kGgmlTypes[] = {
    {"q4_0", "q4_0", 2, 32, 18},      {"q4_1", "q4_1", 3, 32, 20},
    {"q5_0", "q5_0", 6, 32, 22},      {"q5_1", "q5_1", 7, 32, 24},
    {"q8_0", "q8_0", 8, 32, 34},      {"q2_k", "q2_K", 10, 256, 84},
    {"q3_k", "q3_K", 11, 256, 110},   {"q4_k", "q4_K", 12, 256, 144},
    {"q5_k", "q5_K", 13, 256, 176},   {"q6_k", "q6_K", 14, 256, 210},
    {"iq4_nl", "iq4_nl", 20, 32, 18}, {"iq4_xs", "iq4_xs", 23, 256, 136},
    {"tq1_0", "tq1_0", 34, 256, 54},  {"tq2_0", "tq2_0", 35, 256, 66},
    {"mxfp4", "mxfp4", 39, 32, 17},   {"nvfp4", "nvfp4", 40, 64, 36},
};

// Types whose ggml encoder searches another way when it gets an importance matrix.
bool knows_importance(const GgmlType& type) {
  return type.number < 24 && type.number != 8;
}

}  // namespace

std::vector<Codec> ggml_codecs(const std::string& path) {
  const Library library(path);
  const auto quantize_chunk =
      library.find<std::size_t(int, const float*, void*, int64_t, int64_t, int64_t, const float*)>(
          "ggml_quantize_chunk");
  if (quantize_chunk == nullptr) throw std::runtime_error(path + ": no ggml_quantize_chunk");
  const auto importance = std::make_shared<std::vector<float>>(kColumns, 1.0f);
  std::vector<Codec> codecs;
  for (const GgmlType& type : kGgmlTypes) {
    const uint64_t row_bytes = kColumns / type.block_size * type.block_bytes;
    const auto to_float = library.find<void(const void*, float*, int64_t)>(
        std::string("dequantize_row_") + type.function);
    for (const bool with_importance : {false, true}) {
      if (to_float == nullptr || (with_importance && !knows_importance(type))) continue;
      Codec codec{"ggml", type.format, row_bytes, nullptr, nullptr};
      if (with_importance) codec.format += "+imatrix";
      codec.quantize = [=](const float* weights, uint64_t begin, uint64_t end, uint8_t* stored) {
        quantize_chunk(type.number, weights, stored, static_cast<int64_t>(begin * kColumns),
                       static_cast<int64_t>(end - begin), kColumns,
                       with_importance ? importance->data() : nullptr);
      };
      codec.dequantize = [=](const uint8_t* stored, uint64_t begin, uint64_t end, WeightType out,
                             void* values) {
        if (out != WeightType::f32 || with_importance) return false;
        to_float(stored + begin * row_bytes, static_cast<float*>(values) + begin * kColumns,
                 static_cast<int64_t>((end - begin) * kColumns));
        return true;
      };
      codecs.push_back(std::move(codec));
    }
  }
  return codecs;
}

std::vector<Codec> bitsandbytes_codecs(const std::string& path) {
  const Library library(path);
  std::vector<Codec> codecs;
  for (const char* name : {"nf4", "fp4"}) {
    constexpr uint64_t kBlock = 64;
    using Decode = void(uint8_t*, const float*, void*, long long, long long, long long);
    Decode* decoders[3];
    const char* types[3] = {"fp32", "fp16", "bf16"};  // in the order of WeightType
    for (int i = 0; i < 3; ++i) {
      decoders[i] =
          library.find<Decode>(std::string("cdequantize_blockwise_cpu_") + name + "_" + types[i]);
      if (decoders[i] == nullptr) throw std::runtime_error(path + ": no " + name + " decoder");
    }
    // It has no native encoder of 4-bit codes; precis' storage is the same.
    Codec codec{"bitsandbytes", name, 0, nullptr, nullptr};
    codec.dequantize = [f32 = decoders[0], f16 = decoders[1], bf16 = decoders[2]](
                           const uint8_t* stored, uint64_t begin, uint64_t end, WeightType type,
                           void* out) {
      Decode* decode = type == WeightType::f32 ? f32 : type == WeightType::f16 ? f16 : bf16;
      const uint64_t bytes = type == WeightType::f32 ? 4 : 2;
      decode(const_cast<uint8_t*>(stored) + begin * kColumns / 2,
             reinterpret_cast<const float*>(stored + kElements) + begin * kColumns / kBlock,
             static_cast<std::byte*>(out) + begin * kColumns * bytes, kBlock,
             static_cast<long long>(end - begin), kColumns);
      return true;
    };
    codecs.push_back(std::move(codec));
  }
  return codecs;
}

}  // namespace precis::bench
