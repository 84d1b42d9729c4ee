#include "runtime/loading/mixed_lifecycle.h"

#include <algorithm>

namespace precis {
namespace {

std::vector<LayerChoice> choices_of(const Lifecycle& lifecycle,
                                    const std::vector<LayerChoice>& choices) {
  std::vector<LayerChoice> own;
  std::copy_if(
      choices.begin(), choices.end(), std::back_inserter(own),
      [&](const LayerChoice& choice) { return choice.quantizer == lifecycle.quantizer(); });
  return own;
}

}  // namespace

void MixedLifecycle::add(std::shared_ptr<const Quantizer> quantizer, bool pre_quantized,
                         const Lifecycle::Observer& observer) {
  if (of(quantizer.get()) != nullptr) return;
  lifecycles_.emplace_back(std::move(quantizer), pre_quantized, observer);
}

const Lifecycle* MixedLifecycle::of(const Quantizer* quantizer) const {
  for (const Lifecycle& lifecycle : lifecycles_) {
    if (lifecycle.quantizer().get() == quantizer) return &lifecycle;
  }
  return nullptr;
}

Status MixedLifecycle::validate_environment(std::optional<DType> dtype,
                                            const nlohmann::json& device_map) const {
  for (const Lifecycle& lifecycle : lifecycles_) {
    PRECIS_TRY(lifecycle.validate_environment(dtype, device_map));
  }
  return {};
}

Result<std::optional<DType>> MixedLifecycle::update_torch_dtype(std::optional<DType> asked) const {
  for (const Lifecycle& lifecycle : lifecycles_) {
    PRECIS_ASSIGN(asked, lifecycle.update_torch_dtype(asked));
  }
  return asked;
}

Result<nlohmann::json> MixedLifecycle::update_device_map(nlohmann::json device_map) const {
  for (const Lifecycle& lifecycle : lifecycles_) {
    PRECIS_ASSIGN(device_map, lifecycle.update_device_map(device_map));
  }
  return device_map;
}

Result<std::map<std::string, uint64_t>> MixedLifecycle::adjust_max_memory(
    std::map<std::string, uint64_t> budgets) const {
  for (const Lifecycle& lifecycle : lifecycles_) {
    PRECIS_ASSIGN(budgets, lifecycle.adjust_max_memory(std::move(budgets)));
  }
  return budgets;
}

Result<std::map<std::string, DType>> MixedLifecycle::get_special_dtypes_update(
    const std::vector<Param>& params) const {
  std::map<std::string, DType> dtypes;
  for (const Lifecycle& lifecycle : lifecycles_) {
    PRECIS_ASSIGN(const auto own, lifecycle.get_special_dtypes_update(params));
    dtypes.insert(own.begin(), own.end());
  }
  return dtypes;
}

Result<std::vector<std::string>> MixedLifecycle::update_missing_keys(
    std::vector<std::string> keys) const {
  for (const Lifecycle& lifecycle : lifecycles_) {
    PRECIS_ASSIGN(keys, lifecycle.update_missing_keys(keys));
  }
  return keys;
}

Result<std::vector<std::string>> MixedLifecycle::maybe_update_loaded_keys(
    std::vector<std::string> keys) const {
  for (const Lifecycle& lifecycle : lifecycles_) {
    PRECIS_ASSIGN(keys, lifecycle.maybe_update_loaded_keys(keys));
  }
  return keys;
}

Status MixedLifecycle::preprocess_model(const std::vector<LayerChoice>& choices) const {
  for (const Lifecycle& lifecycle : lifecycles_) {
    PRECIS_TRY(lifecycle.preprocess_model(choices_of(lifecycle, choices)));
  }
  return {};
}

Status MixedLifecycle::postprocess_model(const std::vector<LayerChoice>& choices) const {
  for (const Lifecycle& lifecycle : lifecycles_) {
    PRECIS_TRY(lifecycle.postprocess_model(choices_of(lifecycle, choices)));
  }
  return {};
}

}  // namespace precis
