// FineGrainedFP8Config and FbgemmFp8Config of transformers 5.23 (utils/quantization_config.py).
#pragma once

#include <precis/weight_quantizer.hpp>

namespace precis::fp8 {

// Config of quant_method "fp8".
struct TileConfig {
  uint64_t tile_rows = 128, tile_columns = 128;  // 0: one scale for the whole weight
  bool exponent_scales = false;                  // scale_fmt "ue8m0"
  sdk::SkipList skip;
  sdk::Json normalized;
};

// Config of quant_method "fbgemm_fp8".
struct RowConfig {
  sdk::SkipList skip;
  sdk::Json normalized;
};

const sdk::OptionTable& tile_options(std::string_view library);
const sdk::OptionTable& row_options(std::string_view library);

TileConfig read_tile_config(const precis_config& request);
RowConfig read_row_config(const precis_config& request);

}  // namespace precis::fp8
