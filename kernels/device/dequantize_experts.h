// MXFP4 experts of GPT-OSS: stored with in_features innermost, decoded with out_features innermost.
#pragma once

#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kExpertThreads = 128;

struct ExpertsWeight {
  uint32_t rows, columns;  // out_features, in_features
  const uint8_t* blocks;   // [experts][rows][columns / 2]
  const uint8_t* scales;   // [experts][rows][columns / 32]
};

// out[gridDim.z][columns][rows]. A thread has 32 columns of a row: neighbours write neighbours.
template <class Out>
__global__ void __launch_bounds__(kExpertThreads)
    dequantize_experts_kernel(PRECIS_PARAMETER ExpertsWeight weight, Out* out) {
  const uint32_t row = blockIdx.x * kExpertThreads + threadIdx.x, group = blockIdx.y;
  if (row >= weight.rows) return;
  const uint64_t stored_row = uint64_t{blockIdx.z} * weight.rows + row;
  const auto codes =
      load_vector<Words4>(weight.blocks + stored_row * (weight.columns / 2) + uint64_t{group} * 16);
  const uint32_t exponent = weight.scales[stored_row * (weight.columns / 32) + group];
  const auto scale = bits_as<float>(exponent == 0 ? 0x00400000u : exponent << 23);
  Out* to =
      out + (uint64_t{blockIdx.z} * weight.columns + uint64_t{group} * 32) * weight.rows + row;
  PRECIS_UNROLL
  for (uint32_t i = 0; i < 32; ++i) {
    const uint32_t code = codes.words[i / 8] >> (4 * (i % 8)) & 15u;
    // A float16 with its exponent 14 higher.
    const float number =
        half_value(static_cast<uint16_t>((code & 8u) << 12 | (code & 7u) << 9)) * 0x1p14f;
    to[uint64_t{i} * weight.rows] = from_float<Out>(round_to(Rounding::bfloat16, number * scale));
  }
}

template <class Out>
const char* launch_dequantize_experts(const ExpertsWeight& weight, uint32_t experts, Out* out,
                                      void* stream) {
  if (experts == 0 || weight.rows == 0 || weight.columns == 0) return nullptr;
  const dim3 grid((weight.rows + kExpertThreads - 1) / kExpertThreads, weight.columns / 32,
                  experts);
  return PRECIS_LAUNCH((dequantize_experts_kernel<Out>), grid, dim3(kExpertThreads), 0, stream,
                       weight, out);
}

}  // namespace precis::kernels::PRECIS_DEVICE
