// Weights of SDNQ, read alone.
#pragma once

#include "plugins/sdnq/config.h"

namespace precis::sdnq {

class SdnqQuantizer : public sdk::WeightQuantizer {
 public:
  explicit SdnqQuantizer(Config config)
      : WeightQuantizer(config.normalized, config.skip), config_(std::move(config)) {}

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  std::string_view anchor() const override { return "scale"; }
  bool is_quantized(const sdk::StoredModule& module) const override;
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;

 private:
  Scheme scheme_of(const precis_param& param) const;

  Config config_;
};

}  // namespace precis::sdnq
