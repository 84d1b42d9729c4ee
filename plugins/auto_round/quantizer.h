// Weights that auto-round rounded, stored as GPTQ's or AWQ's.
#pragma once

#include "kernels/cpu/awq/awq.h"
#include "kernels/cpu/gptq/gptq.h"
#include "plugins/auto_round/config.h"
#include "plugins/grid.h"

namespace precis::auto_round {

// Parts; the last is GPTQ's alone.
inline constexpr std::size_t kCodes = 0, kZeros = 1, kScales = 2, kGroups = 3;

// Throws PRECIS_DATA_LOSS where a column's group is none of the shape's.
void check_groups(const int32_t* group_of, const kernels::GptqShape& shape);

class AutoRoundQuantizer : public sdk::WeightQuantizer {
 public:
  // Throws PRECIS_UNSUPPORTED for a config with rotations.
  explicit AutoRoundQuantizer(Config config);

  void plan_linear(const precis_linear_options& options, const precis_param& param,
                   sdk::PlanWriter& plan) const override;
  std::unique_ptr<sdk::Linear> prepare_linear(const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) const override;

  // For conversions to gptq, awq and the like; nothing is written.
  void plan_grid(const precis_param& param, sdk::PlanWriter& grid) const override;
  void read_grid(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
                 const sdk::Parts& grid) const override;

  // Whether AWQ's gemm is stored, or else GPTQ's tensors.
  bool is_awq() const { return config_.packing == Packing::awq; }
  // These throw PRECIS_UNSUPPORTED for widths that no packing has.
  kernels::AwqShape awq_shape(const precis_param& param) const;
  kernels::GptqShape gptq_shape(const precis_param& param) const;
  kernels::GptqFormat gptq_format(const precis_param& param) const;
  // Throws PRECIS_UNSUPPORTED for a shape that does not fit the packing.
  void check_layout(const precis_param& param) const { layout(param); }

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  std::string_view anchor() const override { return "qweight"; }
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;

 private:
  // Of a parameter; throws PRECIS_UNSUPPORTED for widths that no packing has.
  Settings settings(const precis_param& param) const;

  Config config_;
};

}  // namespace precis::auto_round
