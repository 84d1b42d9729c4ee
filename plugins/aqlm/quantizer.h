// AQLM's stored form.
#pragma once

#include "kernels/cpu/aqlm/aqlm.h"
#include "plugins/aqlm/config.h"
#include "plugins/aqlm/fit.h"

namespace precis::aqlm {

// Parts.
inline constexpr std::size_t kCodes = 0, kCodebooks = 1, kScales = 2;

class AqlmQuantizer : public sdk::WeightQuantizer {
 public:
  explicit AqlmQuantizer(Config config);

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

  // Throws PRECIS_UNSUPPORTED, naming the rule, for sizes that AQLM has not.
  kernels::AqlmShape shape_of(const precis_param& param) const;
  // Refers to the parts.
  kernels::AqlmWeight stored_weight(const precis_param& param, const sdk::ConstParts& parts) const;

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  uint64_t workspace(const precis_param& param) const override;
  std::string_view anchor() const override { return "codebooks"; }
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;
  void write_skip_list(const sdk::ModuleList& modules, sdk::Json& config) const override;

 private:
  Config config_;
};

void store(const Fit& fit, kernels::WeightType type, const sdk::Parts& parts);

}  // namespace precis::aqlm
