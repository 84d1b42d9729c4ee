// Weights as AMD Quark exports them.
#pragma once

#include "plugins/quark/config.h"
#include "plugins/scaled_quantizer.h"

namespace precis::quark {

class QuarkQuantizer : public plugins::ScaledQuantizer {
 public:
  explicit QuarkQuantizer(Config config);

  std::string config(const precis_component& component) const override;

  void plan_linear(const precis_linear_options& options, const precis_param& param,
                   sdk::PlanWriter& plan) const override;
  std::unique_ptr<sdk::Linear> prepare_linear(const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) const override;

  kernels::ScaledWeight stored(const precis_param& param,
                               const sdk::ConstParts& parts) const override;
  std::optional<plugins::ScaledEncodingPlan> encoding(const precis_param& param,
                                                      const sdk::Parts& parts) const override;
  // Throws PRECIS_UNSUPPORTED for integers that are packed as AWQ's.
  void check_numbers(const precis_param& param) const override;

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  std::string_view anchor() const override { return "weight_scale"; }
  bool is_quantized(const sdk::StoredModule& module) const override;
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;

 private:
  const TensorConfig& weights_of(const precis_param& param) const;

  Config config_;
};

}  // namespace precis::quark
