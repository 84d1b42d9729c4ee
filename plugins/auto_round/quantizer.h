// Weights that auto-round rounded, stored as GPTQ's or AWQ's.
#pragma once

#include "kernels/cpu/awq/awq.h"
#include "kernels/cpu/gptq/gptq.h"
#include "plugins/auto_round/config.h"

namespace precis::auto_round {

class AutoRoundQuantizer : public sdk::WeightQuantizer {
 public:
  // Throws PRECIS_UNSUPPORTED for a config with rotations.
  explicit AutoRoundQuantizer(Config config);

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
