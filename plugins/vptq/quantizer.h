// VPTQ's stored form: read as the config's entry of a module says, written with one group, no
// outliers and no permutation.
#pragma once

#include "plugins/vptq/stored.h"

namespace precis::vptq {

class VptqQuantizer : public sdk::WeightQuantizer {
 public:
  explicit VptqQuantizer(Config config);

  // Over the frame's: an entry for every module that is written.
  std::string config(const precis_component& component) const override;

  void plan_linear(const precis_linear_options& options, const precis_param& param,
                   sdk::PlanWriter& plan) const override;
  std::unique_ptr<sdk::Linear> prepare_linear(const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) const override;

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  uint64_t workspace(const precis_param& param) const override;
  std::string_view anchor() const override { return kIndices; }
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;

 private:
  Layer layer_of(const precis_param& param) const;

  Config config_;
};

}  // namespace precis::vptq
