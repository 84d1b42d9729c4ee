// GPTQ's stored form, written by rounding to nearest.
#pragma once

#include "plugins/gptq/config.h"

namespace precis::gptq {

class GptqQuantizer : public sdk::WeightQuantizer {
 public:
  explicit GptqQuantizer(Config config);

  // quantize_config.json, which GPTQModel, AutoGPTQ and vLLM read.
  std::string sidecar_files(const precis_component& component) const override;

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  std::string_view anchor() const override { return "qweight"; }
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;
  void write_skip_list(const sdk::ModuleList& patterns, sdk::Json& config) const override;

 private:
  kernels::GptqShape shape_of(const precis_param& param) const;

  Config config_;
};

}  // namespace precis::gptq
