#include "runtime/loading/lifecycle.h"

#include <fmt/format.h>

#include <charconv>

#include "core/abi/views.h"
#include "runtime/tensor/device.h"
#include "runtime/tensor/tensor_adapter.h"

namespace precis {
namespace {

using nlohmann::json;

// Error invalid_argument for a text that is no device.
Result<precis_device> parse_device(const std::string& name) {
  if (name == "cpu") return kCpuDevice;
  precis_device device{PRECIS_DEVICE_CUDA, 0};
  if (name == "cuda") return device;
  if (name.starts_with("cuda:")) {
    const char* end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data() + 5, end, device.index);
    if (error == std::errc() && stop == end && device.index >= 0) return device;
  }
  return Error(ErrorCode::invalid_argument, fmt::format("'{}' is not a device", name),
               "devices are \"cpu\", \"cuda\" and \"cuda:N\"");
}

}  // namespace

Lifecycle::Lifecycle(std::shared_ptr<const Quantizer> quantizer, bool pre_quantized,
                     Observer observer)
    : quantizer_(std::move(quantizer)),
      loading_(&quantizer_->loading()),
      pre_quantized_(pre_quantized),
      observer_(std::move(observer)) {}

void Lifecycle::begin(const char* hook) const {
  if (observer_) observer_(hook);
}

bool Lifecycle::has_flag(uint32_t flag) const {
  return (quantizer_->handle()->method->flags & flag) != 0;
}

Status Lifecycle::validate_environment(std::optional<DType> dtype, const json& device_map) const {
  begin("validate_environment");
  const json environment{{"devices", usable_device_names()},
                         {"device_map", device_map},
                         {"dtype", dtype ? json(dtype_name(*dtype)) : json()},
                         {"pre_quantized", pre_quantized_},
                         {"libraries", json::object()}};
  const std::string text = environment.dump();
  const Call call;
  return call.finish(loading_->validate(quantizer_->handle(), call.abi(), to_abi(text)),
                     quantizer_->spec());
}

Result<std::optional<DType>> Lifecycle::update_torch_dtype(std::optional<DType> asked) const {
  begin("update_torch_dtype");
  precis_dtype out{};
  const Call call;
  PRECIS_TRY(call.finish(loading_->compute_dtype(quantizer_->handle(), call.abi(),
                                                 asked ? to_abi(*asked) : precis_dtype{}, &out),
                         quantizer_->spec()));
  if (out.bits == 0) return std::optional<DType>();
  return dtype_from_abi(out);
}

Result<json> Lifecycle::update_device_map(const json& device_map) const {
  begin("update_device_map");
  const std::string text = device_map.dump();
  std::string out;
  const precis_sink sink = string_sink(out);
  const Call call;
  PRECIS_TRY(
      call.finish(loading_->device_map(quantizer_->handle(), call.abi(), to_abi(text), &sink),
                  quantizer_->spec()));
  json updated = json::parse(out, nullptr, /*allow_exceptions=*/false);
  if (updated.is_discarded()) {
    return Error(ErrorCode::plugin,
                 fmt::format("plugin {}: its device map is not JSON", quantizer_->plugin_id()));
  }
  return updated;
}

Result<std::map<std::string, uint64_t>> Lifecycle::adjust_max_memory(
    std::map<std::string, uint64_t> budgets) const {
  begin("adjust_max_memory");
  std::vector<precis_budget> abi;
  for (const auto& [name, bytes] : budgets) {
    PRECIS_ASSIGN(const precis_device device, parse_device(name));
    abi.push_back({device, bytes});
  }
  const Call call;
  PRECIS_TRY(
      call.finish(loading_->budgets(quantizer_->handle(), call.abi(), abi.data(), abi.size()),
                  quantizer_->spec()));
  auto budget = abi.begin();
  for (auto& [name, bytes] : budgets) bytes = (budget++)->bytes;
  return budgets;
}

Result<uint64_t> Lifecycle::adjust_target_dtype(const Param& param) const {
  begin("adjust_target_dtype");
  PRECIS_ASSIGN(const Storage storage, quantizer_->storage(param));
  return storage.bytes;
}

Result<std::map<std::string, DType>> Lifecycle::get_special_dtypes_update(
    const std::vector<Param>& params) const {
  begin("get_special_dtypes_update");
  std::map<std::string, DType> dtypes;
  for (const Param& param : params) {
    PRECIS_ASSIGN(const Storage storage, quantizer_->storage(param));
    if (storage.keep && storage.cast_to) dtypes.emplace(param.name, *storage.cast_to);
  }
  return dtypes;
}

Result<std::vector<std::string>> Lifecycle::modules_to_not_convert(
    const std::vector<Param>& params) const {
  begin("modules_to_not_convert");
  std::vector<std::string> modules;
  for (const Param& param : params) {
    PRECIS_ASSIGN(const Storage storage, quantizer_->storage(param));
    if (storage.keep) modules.push_back(param.name.substr(0, param.name.rfind('.')));
  }
  return modules;
}

Result<std::vector<std::string>> Lifecycle::rewrite_keys(
    int32_t which, const std::vector<std::string>& keys) const {
  std::vector<precis_str> abi;
  for (const std::string& key : keys) abi.push_back(to_abi(key));
  std::vector<std::string> out;
  const precis_key_sink sink{
      &out, [](void* ctx, precis_str key) {
        static_cast<std::vector<std::string>*>(ctx)->emplace_back(from_abi(key));
      }};
  const Call call;
  PRECIS_TRY(call.finish(loading_->rewrite_keys(quantizer_->handle(), call.abi(), which, abi.data(),
                                                abi.size(), &sink),
                         quantizer_->spec()));
  return out;
}

Result<std::vector<std::string>> Lifecycle::update_missing_keys(
    const std::vector<std::string>& keys) const {
  begin("update_missing_keys");
  return rewrite_keys(PRECIS_KEYS_MISSING, keys);
}

Result<std::vector<std::string>> Lifecycle::update_expected_keys(
    const std::vector<std::string>& keys) const {
  begin("update_expected_keys");
  return rewrite_keys(PRECIS_KEYS_EXPECTED, keys);
}

Result<std::vector<std::string>> Lifecycle::update_unexpected_keys(
    const std::vector<std::string>& keys) const {
  begin("update_unexpected_keys");
  return rewrite_keys(PRECIS_KEYS_UNEXPECTED, keys);
}

Result<std::vector<std::string>> Lifecycle::maybe_update_loaded_keys(
    const std::vector<std::string>& keys) const {
  begin("maybe_update_loaded_keys");
  return rewrite_keys(PRECIS_KEYS_LOADED, keys);
}

Result<bool> Lifecycle::check_if_quantized_param(const Param& param) const {
  begin("check_if_quantized_param");
  PRECIS_ASSIGN(const Storage storage, quantizer_->storage(param));
  return !storage.keep;
}

Status Lifecycle::check_quantized_param_shape(const Param& param,
                                              const std::vector<TensorEntry>& parts) const {
  begin("check_quantized_param_shape");
  std::vector<precis_tensor_info> infos;
  for (const TensorEntry& part : parts) {
    precis_tensor_info info{};
    info.struct_size = sizeof info;
    info.name = to_abi(part.name);
    info.dtype = to_abi(part.dtype);
    info.ndim = static_cast<int32_t>(part.shape.size());
    info.shape = part.shape.data();
    info.nbytes = part.nbytes;
    info.encoding = part.encoding.empty() ? nullptr : part.encoding.c_str();
    infos.push_back(info);
  }
  std::vector<const precis_tensor_info*> pointers;
  for (const precis_tensor_info& info : infos) pointers.push_back(&info);
  const AbiParam abi_param(param);
  const Call call;
  return call.finish(loading_->check(quantizer_->handle(), call.abi(), abi_param.get(),
                                     pointers.data(), pointers.size()),
                     fmt::format("tensor '{}'", param.name));
}

Result<QuantizedWeight> Lifecycle::create_quantized_param(const Param& param,
                                                          const at::Tensor& weight,
                                                          const PartMemory& memory) const {
  begin("create_quantized_param");
  return QuantizedWeight::encode(quantizer_, param, weight, memory);
}

Status Lifecycle::preprocess_model(const std::vector<LayerChoice>& choices) const {
  begin("preprocess_model");
  for (const LayerChoice& choice : choices) {
    if (choice.quantizer != nullptr) PRECIS_TRY(check_replaceable(choice.site));
  }
  return {};
}

Status Lifecycle::postprocess_model(const std::vector<LayerChoice>& choices) const {
  begin("postprocess_model");
  for (const LayerChoice& choice : choices) {
    if (choice.quantizer == nullptr) continue;
    if (choice.site.module()->as<QuantizedLayer>() != nullptr) continue;
    return Error(ErrorCode::internal,
                 fmt::format("module '{}' was to be quantized and is not", choice.site.path));
  }
  return {};
}

Result<std::size_t> Lifecycle::dequantize(torch::nn::Module& model) const {
  begin("dequantize");
  return precis::dequantize(model);
}

bool Lifecycle::is_serializable() const {
  begin("is_serializable");
  return has_flag(PRECIS_METHOD_SERIALIZABLE);
}

bool Lifecycle::is_trainable() const {
  begin("is_trainable");
  return has_flag(PRECIS_METHOD_TRAINABLE);
}

bool Lifecycle::is_compileable() const {
  begin("is_compileable");
  return has_flag(PRECIS_METHOD_COMPILEABLE);
}

bool Lifecycle::requires_calibration() const {
  begin("requires_calibration");
  return has_flag(PRECIS_METHOD_NEEDS_CALIBRATION);
}

}  // namespace precis
