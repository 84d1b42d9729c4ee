// The two methods of bitsandbytes.
#pragma once

#include <precis/plugin.hpp>

#include "kernels/cpu/bitsandbytes/blockwise.h"
#include "plugins/bitsandbytes/config.h"
#include "plugins/bitsandbytes/quant_state.h"

namespace precis::bitsandbytes {

// What both methods answer alike.
class BitsAndBytesQuantizer : public sdk::Quantizer {
 public:
  explicit BitsAndBytesQuantizer(Config config) : config_(std::move(config)) {}

  const Config& settings() const { return config_; }

  void storage(const precis_param& param, precis_storage& out) const override;
  std::string config(const precis_component& component) const override;

 protected:
  // True when the library leaves this module as it is, given its list.
  bool skipped(std::string_view module, const std::vector<std::string>& list) const;
  virtual uint64_t stored_bytes(const precis_param& param) const = 0;

  Config config_;
};

// The tensors of a 4-bit weight in the order of the plan; the nested ones only with double
// quantization.
struct FourBitParts {
  static constexpr std::size_t kPlain = 4, kNested = 6;
};

// NF4 and FP4 in blocks, optionally with quantized block maxima.
class FourBitQuantizer : public BitsAndBytesQuantizer {
 public:
  explicit FourBitQuantizer(Config config);

  void plan(const precis_param& param, sdk::PlanWriter& plan) const override;
  void quantize(const precis_call& call, const precis_param& param, const precis_tensor& weight,
                const sdk::Parts& parts) const override;
  void dequantize(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
                  int64_t row_begin, precis_tensor& weight) const override;
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

  // Throws PRECIS_INVALID_ARGUMENT for parts that are not as many as planned.
  void require_planned(const sdk::Parts& parts) const;

 protected:
  uint64_t stored_bytes(const precis_param& param) const override;

 private:
  std::string quant_state_name_;
};

// LLM.int8(): one scale a row.
class EightBitQuantizer : public BitsAndBytesQuantizer {
 public:
  using BitsAndBytesQuantizer::BitsAndBytesQuantizer;

  void plan(const precis_param& param, sdk::PlanWriter& plan) const override;
  void quantize(const precis_call& call, const precis_param& param, const precis_tensor& weight,
                const sdk::Parts& parts) const override;
  void dequantize(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
                  int64_t row_begin, precis_tensor& weight) const override;
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

  // Throws PRECIS_INVALID_ARGUMENT for parts that are not as many as planned.
  void require_planned(const sdk::Parts& parts) const;

 protected:
  uint64_t stored_bytes(const precis_param& param) const override;
};

// Sums of products of 8-bit codes must stay within 32 bits. Throws PRECIS_UNSUPPORTED.
void require_exact_sums(const sdk::Matrix& matrix);

// Throws PRECIS_UNSUPPORTED when the bytes of weight_format, the third part of an 8-bit weight,
// name another layout.
void require_row_major(std::string_view weight_format);

// A tensor of bytes in host memory.
std::string_view text_of(const precis_tensor& tensor);

// What is known of a weight before it is encoded.
QuantState four_bit_state(const Config& config, const precis_param& param);

// What a stored quant_state says, in the kernels' terms. Throws PRECIS_DATA_LOSS for a dtype that
// weights do not have.
kernels::FourBitType code_type(const std::string& quant_type);
precis_dtype weight_dtype(const std::string& name);

}  // namespace precis::bitsandbytes
