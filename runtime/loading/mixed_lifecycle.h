// The hooks of all quantizers that one model mixes.
#pragma once

#include <deque>

#include "runtime/loading/lifecycle.h"

namespace precis {

// Each hook is asked of every quantizer in the order of their adding, one's answer being the next
// one's question. Without a quantizer every answer is the question.
class MixedLifecycle {
 public:
  // A quantizer that is there already is not added again.
  void add(std::shared_ptr<const Quantizer> quantizer, bool pre_quantized,
           const Lifecycle::Observer& observer);

  bool empty() const { return lifecycles_.empty(); }
  // Not when empty().
  const Lifecycle& first() const { return lifecycles_.front(); }
  // Null: it was not added.
  const Lifecycle* of(const Quantizer* quantizer) const;

  Status validate_environment(std::optional<DType> dtype, const nlohmann::json& device_map) const;
  Result<std::optional<DType>> update_torch_dtype(std::optional<DType> asked) const;
  Result<nlohmann::json> update_device_map(nlohmann::json device_map) const;
  Result<std::map<std::string, uint64_t>> adjust_max_memory(
      std::map<std::string, uint64_t> budgets) const;
  Result<std::map<std::string, DType>> get_special_dtypes_update(
      const std::vector<Param>& params) const;
  Result<std::vector<std::string>> update_missing_keys(std::vector<std::string> keys) const;
  Result<std::vector<std::string>> maybe_update_loaded_keys(std::vector<std::string> keys) const;
  // Every quantizer with the choices that are its own.
  Status preprocess_model(const std::vector<LayerChoice>& choices) const;
  Status postprocess_model(const std::vector<LayerChoice>& choices) const;

 private:
  std::deque<Lifecycle> lifecycles_;
};

}  // namespace precis
