// bitsandbytes' NF4 and FP4: kernels/cpu/bitsandbytes/blockwise.h has the format.
#pragma once

#include "kernels/device/formats/format.h"

namespace precis::kernels::PRECIS_DEVICE {

struct FourBit {
  struct Weight {
    uint32_t rows, columns;
    const uint8_t* codes;  // element e in byte e / 2, the even one in the high nibble
    const float* absmax;   // of block e >> blocksize_log2
    uint32_t blocksize_log2;
    Rounding rounding;   // the original weight's dtype, which decoded values are rounded to
    float codebook[16];  // value by code
  };

  struct Table {
    float codebook[16];
  };
  static PRECIS_FUNCTION void fill(Table& table, const Weight& weight) {
    if (threadIdx.x < 16) table.codebook[threadIdx.x] = weight.codebook[threadIdx.x];
  }

  struct Run {
    uint32_t codes;
    float absmax;
  };
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    const uint64_t element = uint64_t{row} * weight.columns + column;
    return Run{load_vector<uint32_t>(weight.codes + element / 2),
               weight.absmax[element >> weight.blocksize_log2]};
  }
  struct Row {
    const uint8_t* codes;
    uint32_t block, into_block;  // where the row begins; 2^32 blocks are more than memory holds
  };
  static PRECIS_FUNCTION Row row(const Weight& weight, uint32_t row) {
    const uint64_t element = uint64_t{row} * weight.columns;
    const uint32_t within = (1u << weight.blocksize_log2) - 1;
    return Row{weight.codes + element / 2, static_cast<uint32_t>(element >> weight.blocksize_log2),
               static_cast<uint32_t>(element) & within};
  }
  static PRECIS_FUNCTION Run load(const Weight& weight, const Row& row, uint32_t column,
                                  uint32_t ahead) {
    const uint32_t block = row.block + ((row.into_block + column + ahead) >> weight.blocksize_log2);
    return Run{load_vector<uint32_t>(row.codes + column / 2 + ahead / 2), weight.absmax[block]};
  }
  // For `rows` of 1: the last elements of a flat weight. `column` is a multiple of 8.
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t count) {
    const uint64_t element = uint64_t{row} * weight.columns + column;
    Run run{0, weight.absmax[element >> weight.blocksize_log2]};
    for (uint32_t i = 0; i < (count + 1) / 2; ++i)
      run.codes |= static_cast<uint32_t>(weight.codes[element / 2 + i]) << (8 * i);
    return run;
  }

  static PRECIS_FUNCTION void unpack(const Table& table, const Run& run, float (&levels)[kRun]) {
    // Offsets into the codebook in bytes, four nibbles at a time.
    const uint32_t even = run.codes >> 2 & 0x3c3c3c3cu, odd = run.codes << 2 & 0x3c3c3c3cu;
    const auto at = [&](uint32_t offsets, unsigned byte) {
      return *reinterpret_cast<const float*>(reinterpret_cast<const char*>(table.codebook) +
                                             byte_of(offsets, byte));
    };
    PRECIS_UNROLL
    for (unsigned byte = 0; byte < 4; ++byte) {
      levels[2 * byte] = at(even, byte);
      levels[2 * byte + 1] = at(odd, byte);
    }
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run& run) {
    return Scale{run.absmax, 0.0f};
  }
  static PRECIS_FUNCTION float value(const Weight&, float level, Scale scale) {
    return level * scale.scale;
  }
  static PRECIS_FUNCTION Rounding rounding(const Weight& weight) { return weight.rounding; }
  static constexpr bool kShifted = false;
  static PRECIS_FUNCTION float factor(Scale scale) { return scale.scale; }
};

}  // namespace precis::kernels::PRECIS_DEVICE
