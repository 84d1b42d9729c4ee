// optimum-quanto's weights: qint8, qfloat8 (one scale a row), qint4, qint2 (scale and shift a
// group).
#pragma once

#include <precis/plugin.hpp>

#include "plugins/quanto/config.h"

namespace precis::quanto {

class QuantoQuantizer : public sdk::Quantizer {
 public:
  explicit QuantoQuantizer(Config config) : config_(std::move(config)) {}

  const Config& settings() const { return config_; }
  // Throws PRECIS_INVALID_ARGUMENT for parts that are not as many as planned.
  void require_planned(const sdk::Parts& parts) const;

  void plan(const precis_param& param, sdk::PlanWriter& plan) const override;
  void quantize(const precis_call& call, const precis_param& param, const precis_tensor& weight,
                const sdk::Parts& parts) const override;
  void dequantize(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
                  int64_t row_begin, precis_tensor& weight) const override;
  void storage(const precis_param& param, precis_storage& out) const override;
  void quantized_params(const precis_state_dict& state_dict,
                        const sdk::EmitParam& emit) const override;
  void check(const precis_param& param,
             const std::vector<const precis_tensor_info*>& parts) const override;
  void plan_linear(const precis_linear_options& options, const precis_param& param,
                   sdk::PlanWriter& plan) const override;
  std::unique_ptr<sdk::Linear> prepare_linear(const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) const override;
  std::string config(const precis_component& component) const override;
  std::string metadata(const precis_component& component) const override;
  std::string sidecar_files(const precis_component& component) const override;

 private:
  bool skipped(std::string_view module) const;
  void quantize_bytes(const precis_call& call, const precis_param& param,
                      const precis_tensor& weight, const sdk::Parts& parts) const;
  void quantize_groups(const precis_call& call, const precis_param& param,
                       const precis_tensor& weight, const sdk::Parts& parts) const;

  Config config_;
};

}  // namespace precis::quanto
