#include "kernels/cpu/bitsandbytes/codebooks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace precis::kernels {
namespace {

constexpr std::array<uint32_t, 256> kDynamicBits{
#include "dynamic_8bit_codebook.inc"
};

constexpr std::array<uint32_t, 16> kNf4Bits{
    0xBF800000, 0xBF3239B1, 0xBF066B30, 0xBECA32A0, 0xBE91A24D, 0xBE3D353F, 0xBDBA7871, 0x00000000,
    0x3DA2FAFF, 0x3E24CAE3, 0x3E7C04DD, 0x3EAD033A, 0x3EE1A4B8, 0x3F1007AB, 0x3F3913B3, 0x3F800000};
constexpr std::array<uint32_t, 8> kFp4Magnitudes{0x00000000, 0x3BAAAAAB, 0x3F2AAAAB, 0x3F800000,
                                                 0x3EAAAAAB, 0x3F000000, 0x3E2AAAAB, 0x3E800000};

void fill_bounds(FourBitCode& code) {
  for (int rank = 0; rank < 15; ++rank) {
    code.bounds[rank] =
        (code.values[code.code_of_rank[rank]] + code.values[code.code_of_rank[rank + 1]]) / 2.0f;
  }
}

FourBitCode make_nf4() {
  FourBitCode code{};
  for (uint8_t i = 0; i < 16; ++i) {
    code.values[i] = std::bit_cast<float>(kNf4Bits[i]);
    code.code_of_rank[i] = i;
  }
  fill_bounds(code);
  return code;
}

FourBitCode make_fp4() {
  FourBitCode code{};
  for (std::size_t i = 0; i < 8; ++i) {
    code.values[i] = std::bit_cast<float>(kFp4Magnitudes[i]);
    code.values[i + 8] = i == 0 ? 0.0f : -code.values[i];
  }
  // torch.argsort on the reference host; the two zeros, codes 0 and 8, may stand either way round.
  constexpr uint8_t kRanks[16] = {11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3};
  std::copy(std::begin(kRanks), std::end(kRanks), code.code_of_rank);
  fill_bounds(code);
  return code;
}

struct Dynamic {
  std::array<float, 256> values{};
  std::array<float, 255> bounds{};
};

const Dynamic& dynamic_code() {
  static const Dynamic code = [] {
    Dynamic made;
    for (std::size_t i = 0; i < 256; ++i) made.values[i] = std::bit_cast<float>(kDynamicBits[i]);
    for (std::size_t i = 0; i < 255; ++i) made.bounds[i] = (made.values[i] + made.values[i + 1]) / 2.0f;
    return made;
  }();
  return code;
}

}  // namespace

const FourBitCode& four_bit_code(FourBitType type) {
  static const FourBitCode nf4 = make_nf4();
  static const FourBitCode fp4 = make_fp4();
  return type == FourBitType::nf4 ? nf4 : fp4;
}

const float* four_bit_codebook(FourBitType type) { return four_bit_code(type).values; }
const float* dynamic_8bit_codebook() { return dynamic_code().values.data(); }

void quantize_absmax(const float* absmax, uint64_t count, uint8_t* codes, float* nested_absmax,
                     float* offset) {
  double sum = 0;
  for (uint64_t i = 0; i < count; ++i) sum += absmax[i];
  *offset = count == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(count));
  const auto& bounds = dynamic_code().bounds;
  for (uint64_t begin = 0; begin < count; begin += kNestedBlocksize) {
    const uint64_t end = std::min(count, begin + kNestedBlocksize);
    const bool full = end - begin == kNestedBlocksize;
    float largest = 0;
    for (uint64_t i = begin; i < end; ++i) {
      const float magnitude = std::fabs(absmax[i] - *offset);
      if (magnitude > largest || std::isnan(magnitude)) largest = magnitude;
      if (std::isnan(largest)) break;
    }
    const float clamped = largest < 1e-38f ? 1e-38f : largest;
    nested_absmax[begin / kNestedBlocksize] = full ? largest : clamped;
    const float inverse = 1.0f / clamped;
    for (uint64_t i = begin; i < end; ++i) {
      const float difference = absmax[i] - *offset;
      float s = full ? difference * inverse : difference / clamped;
      if (s < -1.0f) s = -1.0f;
      if (s > 1.0f) s = 1.0f;
      const auto above = std::isnan(s) ? bounds.end() : std::lower_bound(bounds.begin(), bounds.end(), s);
      codes[i] = static_cast<uint8_t>(above - bounds.begin());
    }
  }
}

void dequantize_absmax(const uint8_t* codes, const float* nested_absmax, const float* codebook,
                       float offset, uint64_t nested_blocksize, uint64_t begin, uint64_t end,
                       float* absmax) {
  for (uint64_t i = begin; i < end; ++i) {
    const float scaled = codebook[codes[i]] * nested_absmax[i / nested_blocksize];
    absmax[i - begin] = scaled + offset;
  }
}

}  // namespace precis::kernels
