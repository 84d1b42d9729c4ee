// Weights of SpQR, read alone.
#pragma once

#include "plugins/spqr/config.h"

namespace precis::spqr {

class SpqrQuantizer : public sdk::WeightQuantizer {
 public:
  explicit SpqrQuantizer(Config config) : WeightQuantizer(config.normalized, config.skip) {}

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  std::string_view anchor() const override { return "dense_weights"; }
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;
};

}  // namespace precis::spqr
