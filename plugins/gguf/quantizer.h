// GGUF's block types as a method: one tensor a weight, stored in a GGUF file.
#pragma once

#include <map>
#include <precis/weight_quantizer.hpp>

#include "kernels/cpu/gguf/gguf.h"
#include "plugins/gguf/config.h"

namespace precis::gguf {

class GgufQuantizer : public sdk::Quantizer {
 public:
  explicit GgufQuantizer(Config config);

  const Config& settings() const { return config_; }
  // The codec a weight is written with: the config's, or the one that takes its place when rows are
  // no multiple of its block.
  const kernels::GgufCodec& codec_for(const precis_param& param) const;

  void plan(const precis_param& param, sdk::PlanWriter& plan) const override;
  void quantize(const precis_call& call, const precis_param& param, const precis_tensor& weight,
                const sdk::Parts& parts) const override;
  void dequantize(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
                  int64_t row_begin, precis_tensor& weight) const override;
  void storage(const precis_param& param, precis_storage& out) const override;
  void quantized_params(const precis_state_dict& state_dict,
                        const sdk::EmitParam& emit) const override;
  void check(const precis_param& param,
             const std::vector<const precis_tensor_info*>& parts) const override;
  void plan_linear(const precis_linear_options& options, const precis_param& param,
                   sdk::PlanWriter& plan) const override;
  std::unique_ptr<sdk::Linear> prepare_linear(const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) const override;
  std::string config(const precis_component& component) const override;
  std::string metadata(const precis_component& component) const override;

 private:
  // The same, null where no block fits.
  const kernels::GgufCodec* fitting_codec(const precis_param& param) const;

  Config config_;
  std::map<std::string_view, std::string> encodings_;  // by codec name: "gguf.q4_k"
};

// The codec of a stored tensor: blocks by their encoding, F16 and BF16 by their dtype.
const kernels::GgufCodec& codec_of(const char* encoding, precis_dtype dtype);

// Null: the host has none for this weight, or is of minor 0, which does not have the member yet.
const precis_tensor* importance_of(const precis_param& param);

// The codec of the one part that was planned. Throws PRECIS_FAILED_PRECONDITION where it needs an
// importance matrix and there is none.
const kernels::GgufCodec& planned_codec(const precis_param& param, const sdk::Parts& parts);

// Rows of a stored weight: its one part from byte `begin` on.
struct StoredRows {
  const kernels::GgufCodec& codec;
  uint64_t begin, blocks;
};
// Throws PRECIS_DATA_LOSS where the blocks are not those of the weight's shape.
StoredRows stored_rows(const precis_param& param, const sdk::ConstParts& parts, sdk::RowRange rows);

// All rows, for products, whose rows are whole blocks.
StoredRows stored_matrix(const precis_param& param, const sdk::ConstParts& parts);

}  // namespace precis::gguf
