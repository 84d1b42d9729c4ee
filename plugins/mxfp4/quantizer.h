// The experts of GPT-OSS in MXFP4. The model has them as [experts, in_features, out_features], the
// checkpoint with in_features innermost: each is transposed on its way.
#pragma once

#include <precis/plugin.hpp>

#include "plugins/mxfp4/config.h"

namespace precis::mxfp4 {

class ExpertsQuantizer : public sdk::Quantizer {
 public:
  explicit ExpertsQuantizer(Config config) : config_(std::move(config)) {}

  void plan(const precis_param& param, sdk::PlanWriter& plan) const override;
  void quantize(const precis_call& call, const precis_param& param, const precis_tensor& weight,
                const sdk::Parts& parts) const override;
  void dequantize(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
                  int64_t row_begin, precis_tensor& weight) const override;
  // Of one expert, [1, in_features, out_features], with its slice of the parts: y = x W.
  void plan_linear(const precis_linear_options& options, const precis_param& param,
                   sdk::PlanWriter& plan) const override;
  std::unique_ptr<sdk::Linear> prepare_linear(const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) const override;
  void storage(const precis_param& param, precis_storage& out) const override;
  void quantized_params(const precis_state_dict& state_dict,
                        const sdk::EmitParam& emit) const override;
  void check(const precis_param& param,
             const std::vector<const precis_tensor_info*>& parts) const override;
  std::string config(const precis_component& component) const override;

 private:
  Config config_;
};

// Throws PRECIS_DATA_LOSS for parts that are not those of the experts' shape, PRECIS_UNSUPPORTED
// for a shape that is none of experts.
void check_parts(const precis_param& param, const sdk::ConstParts& parts);

}  // namespace precis::mxfp4
