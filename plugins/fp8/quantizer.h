// Weights in float8 e4m3fn: TileQuantizer for quant_method "fp8", RowQuantizer for "fbgemm_fp8".
#pragma once

#include <optional>

#include "kernels/cpu/activations/activations.h"
#include "kernels/cpu/fp8/fp8.h"
#include "plugins/fp8/config.h"

namespace precis::fp8 {

// Parts.
inline constexpr std::size_t kCodes = 0, kScales = 1;

// What finding one scale of a whole weight takes on a device.
inline constexpr uint64_t kWholeWorkspace = 4096;

// Throws PRECIS_DATA_LOSS for a dtype that no scales have.
kernels::Fp8ScaleType scale_type(precis_dtype dtype);

class TileQuantizer : public sdk::WeightQuantizer {
 public:
  explicit TileQuantizer(TileConfig config);

  void plan_linear(const precis_linear_options& options, const precis_param& param,
                   sdk::PlanWriter& plan) const override;
  std::unique_ptr<sdk::Linear> prepare_linear(const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) const override;

  void plan_grid(const precis_param& param, sdk::PlanWriter& grid) const override;
  void read_grid(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
                 const sdk::Parts& grid) const override;
  void write_grid(const precis_call& call, const precis_param& param, const precis_tensor& weight,
                  const sdk::ConstParts& grid, const sdk::Parts& parts) const override;

  const TileConfig& settings() const { return config_; }
  kernels::Fp8Tiles tiles(const precis_param& param) const;
  // How activations are rounded, or nothing.
  std::optional<kernels::ActivationRounding> activations() const;

 protected:
  uint64_t workspace(const precis_param& param) const override;
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

  void plan_linear(const precis_linear_options& options, const precis_param& param,
                   sdk::PlanWriter& plan) const override;
  std::unique_ptr<sdk::Linear> prepare_linear(const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) const override;

  void plan_grid(const precis_param& param, sdk::PlanWriter& grid) const override;
  void read_grid(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
                 const sdk::Parts& grid) const override;
  void write_grid(const precis_call& call, const precis_param& param, const precis_tensor& weight,
                  const sdk::ConstParts& grid, const sdk::Parts& parts) const override;

  static kernels::Fp8Tiles tiles(const precis_param& param);
  std::optional<kernels::ActivationRounding> activations() const;

 protected:
  uint64_t workspace(const precis_param& param) const override;
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  std::string_view anchor() const override { return "weight_scale"; }
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;
};

}  // namespace precis::fp8
