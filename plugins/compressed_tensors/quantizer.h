// Weights as compressed-tensors stores them, each by the scheme of the group that targets it.
#pragma once

#include "plugins/compressed_tensors/storage.h"
#include "plugins/scaled_quantizer.h"

namespace precis::compressed_tensors {

class CompressedTensorsQuantizer : public plugins::ScaledQuantizer {
 public:
  // Throws PRECIS_UNSUPPORTED for a config with rotations.
  explicit CompressedTensorsQuantizer(Config config);

  void storage(const precis_param& param, precis_storage& out) const override;
  std::string config(const precis_component& component) const override;
  // Throws PRECIS_UNSUPPORTED for weights behind a mask, which are decoded instead.
  void plan_linear(const precis_linear_options& options, const precis_param& param,
                   sdk::PlanWriter& plan) const override;

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  std::vector<std::string_view> anchors() const override { return {"weight_scale", "bitmask"}; }
  bool is_quantized(const sdk::StoredModule& module) const override;
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;
  kernels::ScaledWeight stored(const precis_param& param,
                               const sdk::ConstParts& parts) const override;
  void write_skip_list(const sdk::ModuleList& modules, sdk::Json& config) const override;

 private:
  // Whether the weight stands behind a mask, by sparsity_config.
  bool is_sparse(std::string_view module) const;
  void decode_sparse(const precis_param& param, const sdk::ConstParts& parts, sdk::RowRange rows,
                     const precis_tensor& out) const;
  // The scheme of a module's weight, or null.
  const QuantizationScheme* weight_scheme(std::string_view module) const;
  // The same; throws PRECIS_UNSUPPORTED where there is none.
  const QuantizationScheme& scheme(const precis_param& param) const;

  Config config_;
};

}  // namespace precis::compressed_tensors
