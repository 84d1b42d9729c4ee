// GPTQ's stored form, written by rounding to nearest, or by calibration (calibration.cpp).
#pragma once

#include "plugins/gptq/config.h"
#include "plugins/grid.h"

namespace precis::gptq {

// Parts.
inline constexpr std::size_t kCodes = 0, kZeros = 1, kScales = 2, kGroups = 3;

class GptqQuantizer : public sdk::WeightQuantizer {
 public:
  explicit GptqQuantizer(Config config);

  // quantize_config.json, which GPTQModel, AutoGPTQ and vLLM read.
  std::string sidecar_files(const precis_component& component) const override;

  // The state is the second moments of the activation, float32 [in, in], and the count of rows.
  void plan_calibration(const sdk::CalibrationGroup& group, sdk::PlanWriter& state) const override;
  void observe(const precis_call& call, const precis_param& param, const precis_tensor& activation,
               const sdk::Parts& state) const override;
  void finish(const precis_call& call, const sdk::CalibrationGroup& group) const override;

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

  const Config& settings() const { return config_; }
  kernels::GptqShape shape_of(const precis_param& param) const;
  // Throws PRECIS_UNSUPPORTED where no stored form has this shape.
  void check_layout(const precis_param& param) const { layout(param); }

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  uint64_t workspace(const precis_param& param) const override;
  std::string_view anchor() const override { return "qweight"; }
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;
  void write_skip_list(const sdk::ModuleList& patterns, sdk::Json& config) const override;

 private:
  plugins::GridTiles tiles_of(const precis_param& param) const;
  // The group of each column, or null; throws PRECIS_DATA_LOSS for one that does not exist.
  const int32_t* checked_groups(const precis_param& param, const sdk::ConstParts& parts) const;

  struct SolvingOrder {
    std::vector<uint32_t> order, group_of;  // as kernels::GptqSolve has them
  };
  SolvingOrder solving_order(const float* moments, const kernels::GptqShape& shape) const;
  double solve(const precis_call& call, const precis_param& param, const precis_tensor& weight,
               const SolvingOrder& order, const float* factor, double damping,
               const sdk::Parts& parts) const;

  Config config_;
};

// Throws PRECIS_DATA_LOSS where a column is of a group that does not exist.
void check_groups(const int32_t* group_of, const kernels::GptqShape& shape);

}  // namespace precis::gptq
