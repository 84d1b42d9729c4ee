// HQQ's weights: written with its proximal solver, read by what the stored tensors say of
// themselves.
#pragma once

#include "plugins/hqq/stored.h"

namespace precis::hqq {

// Of the fit, at most.
inline constexpr int kIterations = 20;

// Groups that one task fits: about 64 Ki elements. The sums of errors of the tasks are added in
// their order, so that the number of threads changes no bit.
inline uint64_t groups_together(const kernels::HqqGrid& grid) {
  const uint64_t size = grid.axis == 1 ? grid.columns : grid.rows;
  return 1 + (64 << 10) / size;
}

class HqqQuantizer : public sdk::WeightQuantizer {
 public:
  explicit HqqQuantizer(Config config);

  void storage(const precis_param& param, precis_storage& out) const override;
  // Over the frame's: a stored weight is laid out as its own tensors say, whatever the config.
  void dequantize(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
                  int64_t row_begin, precis_tensor& weight) const override;
  void check(const precis_param& param,
             const std::vector<const precis_tensor_info*>& parts) const override;

  void plan_linear(const precis_linear_options& options, const precis_param& param,
                   sdk::PlanWriter& plan) const override;
  std::unique_ptr<sdk::Linear> prepare_linear(const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) const override;

  // How the config stores this weight.
  Description description_of(const precis_param& param) const;
  // What the config says of it, which is stored beside each weight.
  bool offloads_meta() const;

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  uint64_t workspace(const precis_param& param) const override;
  std::string_view anchor() const override { return "W_q"; }
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;

 private:
  Config config_;
};

}  // namespace precis::hqq
