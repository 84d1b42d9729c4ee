// Weights in float8 e4m3fn: TileQuantizer for quant_method "fp8", RowQuantizer for "fbgemm_fp8".
#pragma once

#include "plugins/fp8/config.h"

namespace precis::fp8 {

class TileQuantizer : public sdk::WeightQuantizer {
 public:
  explicit TileQuantizer(TileConfig config);

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  std::string_view anchor() const override { return "weight_scale_inv"; }
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;

 private:
  TileConfig config_;
};

class RowQuantizer : public sdk::WeightQuantizer {
 public:
  explicit RowQuantizer(RowConfig config);

  // FBGEMM's product takes bfloat16 alone.
  precis_dtype compute_dtype(precis_dtype) const override { return sdk::kBFloat16; }

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  std::string_view anchor() const override { return "weight_scale"; }
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;
};

}  // namespace precis::fp8
