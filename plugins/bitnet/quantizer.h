// Ternary weights of BitNet, four in a byte.
#pragma once

#include "kernels/cpu/bitnet/bitnet.h"
#include "plugins/bitnet/config.h"

namespace precis::bitnet {

// Parts; four numbers are in a byte.
inline constexpr std::size_t kCodes = 0, kScale = 1;
inline constexpr uint64_t kTogether = 4;

class BitNetQuantizer : public sdk::WeightQuantizer {
 public:
  explicit BitNetQuantizer(Config config)
      : WeightQuantizer(config.normalized, config.skip), config_(std::move(config)) {}

  void plan_linear(const precis_linear_options& options, const precis_param& param,
                   sdk::PlanWriter& plan) const override;
  std::unique_ptr<sdk::Linear> prepare_linear(const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) const override;

  // Throws PRECIS_UNSUPPORTED for a shape that has no parts.
  void check_layout(const precis_param& param) const { layout(param); }
  bool stores_step() const { return config_.scale_multiplies; }
  // What 1 stands for, by the stored scale.
  float step(float scale) const { return config_.scale_multiplies ? scale : 1.0f / scale; }

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  uint64_t workspace(const precis_param& param) const override;
  std::string_view anchor() const override { return "weight_scale"; }
  bool is_quantized(const sdk::StoredModule& module) const override;
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;

 private:
  kernels::BitNetWeight stored_weight(const sdk::Matrix& matrix,
                                      const sdk::ConstParts& parts) const;

  Config config_;
};

}  // namespace precis::bitnet
