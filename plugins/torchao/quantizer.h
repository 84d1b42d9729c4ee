// torchao's weights: Int8Tensor, Int4Tensor, Int4TilePackedTo4dTensor, IntxUnpackedToInt8Tensor and
// Float8Tensor, flattened as torchao's safetensors support flattens them.
#pragma once

#include "plugins/torchao/config.h"
#include "plugins/torchao/scheme.h"

namespace precis::torchao {

// Parts of a weight. int4_tiles: the second is scale_and_zero, and the last.
inline constexpr std::size_t kCodes = 0, kScale = 1, kZero = 2;

class TorchAoQuantizer : public sdk::WeightQuantizer {
 public:
  explicit TorchAoQuantizer(Config config);

  void storage(const precis_param& param, precis_storage& out) const override;
  // Over the frame's: a stored weight is what its own tensors are, whatever the config.
  void quantized_params(const precis_state_dict& state_dict,
                        const sdk::EmitParam& emit) const override;
  void dequantize(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
                  int64_t row_begin, precis_tensor& weight) const override;
  void check(const precis_param& param,
             const std::vector<const precis_tensor_info*>& parts) const override;
  std::string metadata(const precis_component& component) const override;

  void plan_linear(const precis_linear_options& options, const precis_param& param,
                   sdk::PlanWriter& plan) const override;
  std::unique_ptr<sdk::Linear> prepare_linear(const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) const override;

  // How `param` is written. Throws PRECIS_UNSUPPORTED for what precis cannot write.
  Scheme scheme(const precis_param& param) const;
  // How the library rounds activations, or nothing. Throws PRECIS_UNSUPPORTED for what has no
  // product here.
  std::optional<kernels::ActivationRounding> activations(const precis_param& param) const;

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  uint64_t workspace(const precis_param& param) const override;
  std::string_view anchor() const override { return "_weight_qdata"; }
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;

 private:
  Config config_;
};

}  // namespace precis::torchao
