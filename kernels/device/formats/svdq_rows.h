// SVDQuant's weights as products read them: the columns of the codes, then those of the low-rank
// part, which meet x / smooth and x down.
#pragma once

#include "kernels/device/float8_numbers.h"
#include "kernels/device/formats/format.h"
#include "kernels/device/formats/nunchaku_orders.h"
#include "kernels/device/formats/stored_scales.h"

namespace precis::kernels::PRECIS_DEVICE {

PRECIS_FUNCTION float svdq_number(bool nvfp4, uint32_t code) {
  if (!nvfp4) return static_cast<float>(static_cast<int>(code ^ 8u) - 8);
  // A float16 with its exponent 14 higher.
  return half_value(static_cast<uint16_t>((code & 8u) << 12 | (code & 7u) << 9)) * 0x1p14f;
}

template <class Element>
struct SvdqBlocks {
  static constexpr int kInFlight = 2;  // eight words each
  struct Weight {
    uint32_t rows, columns;  // with those of the low-rank part
    uint32_t coded;          // columns of codes
    bool nvfp4;
    const uint32_t* codes;
    StoredFloats scales;          // int4
    const uint8_t* micro_scales;  // nvfp4
    const float* row_scales;      // nvfp4
    const Element* up;            // [rows][columns - coded]
  };
  struct Table {
    float numbers[16];
  };
  static PRECIS_FUNCTION void fill(Table& table, const Weight& weight) {
    if (threadIdx.x < 16) table.numbers[threadIdx.x] = svdq_number(weight.nvfp4, threadIdx.x);
  }

  // A word of codes, which kCodes follows, or eight numbers. Two numbers are never kCodes, which
  // would be NaNs that lay_out_svdq does not write.
  static constexpr uint32_t kCodes = 0xffffffffu;
  struct Run {
    Words4 words;
    float scale;
  };
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    if (column >= weight.coded) {
      const uint64_t rank = weight.columns - weight.coded;
      return Run{load_vector<Words4>(weight.up + row * rank + (column - weight.coded)), 1.0f};
    }
    const uint32_t word = weight.codes[svdq_word(weight.coded, row, column)];
    float scale;
    if (weight.nvfp4)
      scale =
          e4m3fn_value(weight.micro_scales[svdq_micro_scale(weight.coded / 16, row, column / 16)]) *
          weight.row_scales[row];
    else
      scale = load_float(weight.scales, svdq_scale(weight.coded / 64, row, column / 64));
    return Run{Words4{{word, kCodes, 0, 0}}, scale};
  }
  // Rows are whole runs.
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t) {
    return load(weight, row, column);
  }
  static PRECIS_FUNCTION void unpack(const Table& table, const Run& run, float (&levels)[kRun]) {
    if (run.words.words[1] == kCodes) {
      PRECIS_UNROLL
      for (int i = 0; i < kRun; ++i) levels[i] = table.numbers[run.words.words[0] >> (4 * i) & 15u];
      return;
    }
    PRECIS_UNROLL
    for (int i = 0; i < kRun; ++i)
      levels[i] =
          to_float(Element{static_cast<uint16_t>(run.words.words[i / 2] >> (16 * (i % 2)))});
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run& run) {
    return Scale{run.scale, 0.0f};
  }
  static PRECIS_FUNCTION float value(const Weight&, float level, Scale scale) {
    return level * scale.scale;
  }
  static constexpr bool kShifted = false;
  static PRECIS_FUNCTION float factor(Scale scale) { return scale.scale; }
};

}  // namespace precis::kernels::PRECIS_DEVICE
