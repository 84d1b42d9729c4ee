// One way to store weights, as the benchmark drives it: precis' own kernels or another library.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/cpu/common/numbers.h"

namespace precis::bench {

inline constexpr uint64_t kColumns = 4096;  // of the benchmark's weight
inline constexpr uint64_t kRows = 8192;

struct Codec {
  std::string library;  // "precis", "ggml", "bitsandbytes"
  std::string format;   // "nf4", "q4_k"
  // Not 0: the encoder searches for scales, so slowly that a part of the weight must do, and a row
  // is stored in as many bytes, one after another.
  uint64_t searched_row_bytes = 0;
  // Encodes rows [begin, end) of weights[kRows][kColumns] into `stored`, which holds the whole
  // weight and is the codec's own affair: at most 4 bytes a weight. Null: no encoder.
  std::function<void(const float* weights, uint64_t begin, uint64_t end, uint8_t* stored)> quantize;
  // Decodes rows [begin, end) to out[kRows][kColumns] of type `type`; false where the library has
  // no such function. Null: no decoder.
  std::function<bool(const uint8_t* stored, uint64_t begin, uint64_t end, kernels::WeightType type,
                     void* out)>
      dequantize;
};

// Every format of the three plugins, with the kernels that this machine (or PRECIS_CPU) selects.
std::vector<Codec> precis_codecs();

// The codecs of ggml in the shared library at `path` (libggml-base.so). Throws std::runtime_error
// when it cannot be loaded.
std::vector<Codec> ggml_codecs(const std::string& path);

// The codecs of bitsandbytes' CPU library at `path` (libbitsandbytes_cpu.so); the same.
std::vector<Codec> bitsandbytes_codecs(const std::string& path);

}  // namespace precis::bench
