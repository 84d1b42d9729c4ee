// The hooks of diffusers' DiffusersQuantizer and transformers' HfQuantizer, by their names.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/modules/quantized_weight.h"
#include "runtime/quantize/quantize.h"

namespace precis {

// What a loader asks of one quantizer, in the terms of the Python libraries; each answer is the
// plugin's. Where Python approximates (adjust_target_dtype: a dtype of about the right width) the
// answer here is exact. Names and order are those of diffusers 0.42; update_expected_keys and
// update_unexpected_keys are transformers' (4.48). [any thread]
class Lifecycle {
 public:
  // Called with the name of every hook as it begins.
  using Observer = std::function<void(const std::string& hook)>;

  // pre_quantized: the checkpoint was made with this quantizer.
  Lifecycle(std::shared_ptr<const Quantizer> quantizer, bool pre_quantized, Observer observer = {});

  // Refuses an environment that the method cannot run in. dtype, device_map: as the user gave them.
  Status validate_environment(std::optional<DType> dtype, const nlohmann::json& device_map) const;
  // The dtype of everything that is not quantized; nothing: as the checkpoint has it.
  Result<std::optional<DType>> update_torch_dtype(std::optional<DType> asked) const;
  // A JSON text, object or null.
  Result<nlohmann::json> update_device_map(const nlohmann::json& device_map) const;
  // Bytes by device ("cpu", "cuda:0").
  Result<std::map<std::string, uint64_t>> adjust_max_memory(
      std::map<std::string, uint64_t> budgets) const;
  // Bytes that a parameter takes once loaded.
  Result<uint64_t> adjust_target_dtype(const Param& param) const;
  // The dtypes of parameters that are kept in another one than the rest of the model.
  Result<std::map<std::string, DType>> get_special_dtypes_update(
      const std::vector<Param>& params) const;
  // Paths of the modules that are left as they are.
  Result<std::vector<std::string>> modules_to_not_convert(const std::vector<Param>& params) const;

  Result<std::vector<std::string>> update_missing_keys(const std::vector<std::string>& keys) const;
  Result<std::vector<std::string>> update_expected_keys(const std::vector<std::string>& keys) const;
  Result<std::vector<std::string>> update_unexpected_keys(
      const std::vector<std::string>& keys) const;
  Result<std::vector<std::string>> maybe_update_loaded_keys(
      const std::vector<std::string>& keys) const;

  Result<bool> check_if_quantized_param(const Param& param) const;
  // parts: as a checkpoint has them, with full names, in the quantizer's order.
  Status check_quantized_param_shape(const Param& param,
                                     const std::vector<TensorEntry>& parts) const;
  // From numbers. From a checkpoint the parts are taken as they are.
  Result<QuantizedWeight> create_quantized_param(const Param& param, const at::Tensor& weight,
                                                 const PartMemory& memory = {}) const;

  // Checks that the layers that will be replaced can be; nothing is changed yet.
  Status preprocess_model(const std::vector<LayerChoice>& choices) const;
  // Error internal when a layer that was to be replaced was not.
  Status postprocess_model(const std::vector<LayerChoice>& choices) const;
  Result<std::size_t> dequantize(torch::nn::Module& model) const;

  bool is_serializable() const;
  bool is_trainable() const;
  bool is_compileable() const;
  bool requires_calibration() const;
  bool pre_quantized() const { return pre_quantized_; }

  const std::shared_ptr<const Quantizer>& quantizer() const { return quantizer_; }

 private:
  void begin(const char* hook) const;
  bool has_flag(uint32_t flag) const;
  Result<std::vector<std::string>> rewrite_keys(int32_t which,
                                                const std::vector<std::string>& keys) const;

  std::shared_ptr<const Quantizer> quantizer_;
  const precis_loading_v1* loading_;
  bool pre_quantized_;
  Observer observer_;
};

}  // namespace precis
