// AWQ's stored forms, written by rounding to nearest.
#pragma once

#include "plugins/awq/config.h"

namespace precis::awq {

class AwqQuantizer : public sdk::WeightQuantizer {
 public:
  explicit AwqQuantizer(Config config);

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
  kernels::AwqShape shape_of(const precis_param& param) const;

  Config config_;
};

}  // namespace precis::awq
