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
    for (std::size_t i = 0; i < 255; ++i)
      made.bounds[i] = (made.values[i] + made.values[i + 1]) / 2.0f;
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

const float* four_bit_codebook(FourBitType type) {
  return four_bit_code(type).values;
}
const float* dynamic_8bit_codebook() {
  return dynamic_code().values.data();
}

namespace {

// torch's float32 sum of a contiguous vector on one thread (2.13, ATen/native/cpu/SumKernel.cpp:
// cascade sum with 8 lanes, 4 rows of them at once): the nested offset is a mean, and its last bits
// are stored.
class TorchSum {
 public:
  static float sum(const float* values, uint64_t count) {
    const uint64_t vectors = count / kLanes;
    const uint64_t rows = vectors / kRows;
    Lanes total[kRows] = {};
    cascade(values, rows, total);
    for (uint64_t v = rows * kRows; v < vectors; ++v) add(total[0], values + v * kLanes);
    for (int row = 1; row < kRows; ++row) add(total[0], total[row].data());
    float result = 0;
    for (uint64_t i = vectors * kLanes; i < count; ++i) result += values[i];
    for (const float lane : total[0]) result += lane;
    return result;
  }

 private:
  static constexpr int kLanes = 8, kRows = 4, kLevels = 4;
  using Lanes = std::array<float, kLanes>;

  static void add(Lanes& sum, const float* values) {
    for (int lane = 0; lane < kLanes; ++lane) sum[static_cast<std::size_t>(lane)] += values[lane];
  }

  static void cascade(const float* values, uint64_t rows, Lanes* total) {
    const int log_rows = rows <= 1 ? 0 : static_cast<int>(std::bit_width(rows - 1));
    const int power = std::max(4, log_rows / kLevels);
    const uint64_t step = uint64_t{1} << power, mask = step - 1;
    Lanes levels[kLevels][kRows] = {};
    uint64_t i = 0;
    const auto add_row = [&](uint64_t row) {
      for (int k = 0; k < kRows; ++k)
        add(levels[0][k], values + (row * kRows + static_cast<uint64_t>(k)) * kLanes);
    };
    while (i + step <= rows) {
      for (uint64_t j = 0; j < step; ++j, ++i) add_row(i);
      for (int level = 1; level < kLevels; ++level) {
        for (int k = 0; k < kRows; ++k) {
          add(levels[level][k], levels[level - 1][k].data());
          levels[level - 1][k] = {};
        }
        if ((i & (mask << (level * power))) != 0) break;
      }
    }
    for (; i < rows; ++i) add_row(i);
    for (int k = 0; k < kRows; ++k) {
      for (int level = 1; level < kLevels; ++level) add(levels[0][k], levels[level][k].data());
      total[k] = levels[0][k];
    }
  }
};

// The code of each of the steps of 2 / 65535 from -1 on: the library's native CPU encoder looks a
// value's code up in such a table, which is a little coarser than the nearest code.
struct CodeOfStep {
  std::array<uint8_t, 65536> codes;
  CodeOfStep() {
    const auto& bounds = dynamic_code().bounds;
    std::size_t code = 0;
    for (uint32_t step = 0; step < codes.size(); ++step) {
      const float point = -1.0f + static_cast<float>(2u * step) / 65535.0f;
      while (code < bounds.size() && bounds[code] < point) ++code;
      codes[step] = static_cast<uint8_t>(code);
    }
  }
};

// value: in [-1, 1].
uint8_t dynamic_code_of(float value) {
  static const CodeOfStep table;
  return table.codes[static_cast<uint16_t>(((value + 1.0f) * 0.5f) * 65535.0f + 0.5f)];
}

}  // namespace

void quantize_absmax(const float* absmax, uint64_t count, uint8_t* codes, float* nested_absmax,
                     float* offset) {
  *offset = count == 0 ? 0.0f : TorchSum::sum(absmax, count) / static_cast<float>(count);
  for (uint64_t begin = 0; begin < count; begin += kNestedBlocksize) {
    const uint64_t end = std::min(count, begin + kNestedBlocksize);
    float largest = 0;
    for (uint64_t i = begin; i < end; ++i) {
      const float magnitude = std::fabs(absmax[i] - *offset);
      if (magnitude > largest || std::isnan(magnitude)) largest = magnitude;
      if (std::isnan(largest)) break;
    }
    nested_absmax[begin / kNestedBlocksize] = largest;
    const float inverse = 1.0f / largest;
    for (uint64_t i = begin; i < end; ++i) {
      const float scaled = (absmax[i] - *offset) * inverse;
      // A block without spread, or with a NaN, has code 0.
      codes[i] =
          largest > 0 && !std::isnan(scaled) ? dynamic_code_of(std::clamp(scaled, -1.0f, 1.0f)) : 0;
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
