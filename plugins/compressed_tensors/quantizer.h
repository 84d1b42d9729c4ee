// Weights as compressed-tensors stores them, each by the scheme of the group that targets it.
#pragma once

#include "plugins/compressed_tensors/storage.h"
#include "plugins/grid.h"
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

  // Of integers and float8 with scales in a weight's dtype.
  void plan_grid(const precis_param& param, sdk::PlanWriter& grid) const override;
  void read_grid(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
                 const sdk::Parts& grid) const override;
  void write_grid(const precis_call& call, const precis_param& param, const precis_tensor& weight,
                  const sdk::ConstParts& grid, const sdk::Parts& parts) const override;

  kernels::ScaledWeight stored(const precis_param& param,
                               const sdk::ConstParts& parts) const override;
  std::optional<kernels::ActivationRounding> activations(const precis_param& param) const override;
  bool reads(const precis_param& param, std::size_t part) const override;
  std::optional<kernels::NarrowRows> scattered(const precis_param& param) const override;
  std::optional<plugins::ByteCodes> byte_codes(const precis_param& param) const override;
  std::optional<plugins::ScaledEncodingPlan> encoding(const precis_param& param,
                                                      const sdk::Parts& parts) const override;
  // Weights behind a mask are no such numbers.
  void check_numbers(const precis_param& param) const override;

 protected:
  uint64_t workspace(const precis_param& param) const override;
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  std::vector<std::string_view> anchors() const override { return {"weight_scale", "bitmask"}; }
  bool is_quantized(const sdk::StoredModule& module) const override;
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;
  void write_skip_list(const sdk::ModuleList& modules, sdk::Json& config) const override;

 private:
  // Whether the weight stands behind a mask, by sparsity_config.
  bool is_sparse(std::string_view module) const;
  void decode_sparse(const precis_param& param, const sdk::ConstParts& parts, sdk::RowRange rows,
                     const precis_tensor& out) const;
  // Throws PRECIS_UNSUPPORTED for a scheme whose scales are not those of precis.grid/1.
  plugins::GridTiles tiles_of(const precis_param& param) const;
  // The scheme of a module's weight, or null.
  const QuantizationScheme* weight_scheme(std::string_view module) const;
  // The same; throws PRECIS_UNSUPPORTED where there is none.
  const QuantizationScheme& scheme(const precis_param& param) const;

  Config config_;
};

}  // namespace precis::compressed_tensors
