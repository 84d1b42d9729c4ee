// Weights as ModelOpt exports them for Hugging Face models.
#pragma once

#include "plugins/modelopt/config.h"
#include "plugins/modelopt/effective.h"
#include "plugins/scaled_quantizer.h"

namespace precis::modelopt {

class ModelOptQuantizer : public plugins::ScaledQuantizer {
 public:
  explicit ModelOptQuantizer(Config config);

  // Throws PRECIS_UNSUPPORTED for diffusers' config, whose weights need a pickle to be read.
  void quantized_params(const precis_state_dict& state_dict,
                        const sdk::EmitParam& emit) const override;

  std::string config(const precis_component& component) const override;

  std::unique_ptr<sdk::Linear> prepare_linear(const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) const override;

  kernels::ScaledWeight stored(const precis_param& param,
                               const sdk::ConstParts& parts) const override;
  bool reads(const precis_param& param, std::size_t part) const override;
  std::optional<plugins::ScaledEncodingPlan> encoding(const precis_param& param,
                                                      const sdk::Parts& parts) const override;
  // Throws PRECIS_UNSUPPORTED for weights with a scale for each column, or rounded to float8.
  void check_stored(const precis_param& param, const sdk::ConstParts& parts) const override;

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  std::string_view anchor() const override { return "weight_scale"; }
  bool is_quantized(const sdk::StoredModule& module) const override;
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;

 private:
  EffectiveWeight effective(const precis_param& param, const sdk::ConstParts& parts) const;
  const Scheme& scheme(std::string_view module) const;
  const Scheme& scheme(const precis_param& param) const {
    return scheme(sdk::module_of(sdk::view(param.name)));
  }

  Config config_;
};

}  // namespace precis::modelopt
