// Weights as AMD Quark exports them.
#pragma once

#include "plugins/quark/config.h"
#include "plugins/scaled_quantizer.h"

namespace precis::quark {

class QuarkQuantizer : public plugins::ScaledQuantizer {
 public:
  explicit QuarkQuantizer(Config config);

  std::string config(const precis_component& component) const override;

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  std::string_view anchor() const override { return "weight_scale"; }
  bool is_quantized(const sdk::StoredModule& module) const override;
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  kernels::ScaledWeight stored(const precis_param& param,
                               const sdk::ConstParts& parts) const override;

 private:
  Config config_;
};

}  // namespace precis::quark
