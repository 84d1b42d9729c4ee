#include "core/abi/quantizer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "core/abi/call.h"
#include "core/abi/plugin_call.h"
#include "core/abi/tables.h"
#include "core/abi/views.h"

namespace precis {

std::vector<int64_t> contiguous_strides(std::span<const int64_t> shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

uint64_t Param::row_elements() const {
  uint64_t elements = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) elements *= static_cast<uint64_t>(shape[i]);
  return elements;
}

Result<std::shared_ptr<const Quantizer>> Quantizer::adopt(precis_quantizer* handle,
                                                          std::string plugin_id,
                                                          std::string plugin_version,
                                                          std::string spec,
                                                          std::string canonical_config) {
  std::shared_ptr<Quantizer> quantizer(new Quantizer());
  quantizer->handle_ = handle;
  quantizer->canonical_config_ = std::move(canonical_config);
  quantizer->plugin_id_ = std::move(plugin_id);
  quantizer->plugin_version_ = std::move(plugin_version);
  quantizer->spec_ = std::move(spec);
  const auto table = [&](const char* id) { return handle->get_extension(handle, id); };
  quantizer->quantize_ = static_cast<const precis_quantize_v1*>(table(PRECIS_QUANTIZE_1));
  quantizer->loading_ = static_cast<const precis_loading_v1*>(table(PRECIS_LOADING_1));
  quantizer->serialize_ = static_cast<const precis_serialize_v1*>(table(PRECIS_SERIALIZE_1));
  const std::string owner =
      fmt::format("plugin {}: method {}", quantizer->plugin_id_, quantizer->method());
  if (quantizer->quantize_ == nullptr) {
    return Error(ErrorCode::plugin, fmt::format("{} has no table {}", owner, PRECIS_QUANTIZE_1),
                 "without it there is no way to plan, encode or decode: update the plugin");
  }
  PRECIS_TRY(check_table(quantizer->quantize_, owner, PRECIS_QUANTIZE_1));
  PRECIS_TRY(check_table(quantizer->loading_, owner, PRECIS_LOADING_1));
  PRECIS_TRY(check_table(quantizer->serialize_, owner, PRECIS_SERIALIZE_1));
  const auto* linear = static_cast<const precis_linear_v1*>(table(PRECIS_LINEAR_1));
  PRECIS_TRY(check_table(linear, owner, PRECIS_LINEAR_1));
  const auto* calibration = static_cast<const precis_calibration_v1*>(table(PRECIS_CALIBRATION_1));
  PRECIS_TRY(check_table(calibration, owner, PRECIS_CALIBRATION_1));
  const auto* grid = static_cast<const precis_grid_v1*>(table(PRECIS_GRID_1));
  PRECIS_TRY(check_table(grid, owner, PRECIS_GRID_1));
  if (quantizer->loading_ == nullptr) quantizer->loading_ = &default_loading();
  return std::shared_ptr<const Quantizer>(std::move(quantizer));
}

Quantizer::~Quantizer() {
  if (handle_ != nullptr) handle_->destroy(handle_);
}

PluginCall Quantizer::during(const char* doing, const Param& param) const {
  return {plugin_id_.c_str(), doing, param.name.c_str()};
}

namespace {

// What is allocated and written is what the plan says: its numbers have to agree.
Status check_planned_part(const PartSpec& part) {
  uint64_t elements = 1;
  bool possible = true;
  for (const int64_t size : part.shape) {
    possible = possible && size >= 0 &&
               (size == 0 || elements <= (uint64_t{1} << 56) / static_cast<uint64_t>(size));
    if (possible) elements *= static_cast<uint64_t>(size);
  }
  const auto bytes = possible ? dtype_bytes(part.dtype, elements) : std::nullopt;
  if (bytes && (bytes == part.nbytes || !part.encoding.empty())) return {};
  return Error(ErrorCode::plugin,
               fmt::format("the plan says that '{}', {} [{}], takes {} bytes", part.name,
                           dtype_name(part.dtype), fmt::join(part.shape, ", "), part.nbytes),
               "the plugin's author must mend it: precis-validate shows where");
}

}  // namespace

Result<PartPlan> Quantizer::plan(const Param& param, precis_device device) const {
  const AbiParam abi_param(param);
  PRECIS_ASSIGN(PartPlan plan, ask_for_plan([&](const precis_call* call, precis_plan* out) {
                  return in_plugin(during("planning", param), call, [&] {
                    return quantize_->plan(handle_, call, device, abi_param.get(), out);
                  });
                }));
  for (const PartSpec& part : plan.parts) {
    const auto checked = check_planned_part(part);
    if (checked.ok()) continue;
    return Error(checked.error()).with_context(fmt::format("plugin {}", plugin_id_));
  }
  return plan;
}

Result<Storage> Quantizer::storage(const Param& param) const {
  const AbiParam abi_param(param);
  precis_storage out{};
  out.struct_size = sizeof out;
  const Call call;
  PRECIS_TRY(call.finish(
      in_plugin(during("describing", param), call.abi(),
                [&] { return loading_->storage(handle_, call.abi(), abi_param.get(), &out); }),
      ""));
  Storage storage;
  storage.keep = out.keep != 0;
  storage.bytes = out.bytes;
  storage.reason = from_abi(out.reason);
  if (out.dtype.bits != 0) storage.cast_to = dtype_from_abi(out.dtype);
  return storage;
}

Status Quantizer::quantize(const Param& param, std::span<const std::byte> weight,
                           std::span<const PartSpec> specs,
                           std::span<const std::span<std::byte>> parts,
                           std::span<std::byte> workspace, const std::atomic<bool>* cancel,
                           const Place& where) const {
  const AbiParam abi_param(param);
  AbiTensor abi_weight(weight.data(), weight.size(), param.dtype, param.shape, "", true,
                       where.device);
  const AbiTensors tensors(specs, parts, where.device);
  const Call call(workspace, cancel, where);
  return call.finish(in_plugin(during("quantizing", param), call.abi(),
                               [&] {
                                 return quantize_->quantize(handle_, call.abi(), abi_param.get(),
                                                            abi_weight.get(), tensors.pointers(),
                                                            tensors.count());
                               }),
                     "");
}

Status Quantizer::dequantize(const Param& param, std::span<const PartSpec> specs,
                             std::span<const std::span<const std::byte>> parts, int64_t row_begin,
                             int64_t rows, DType dtype, std::span<std::byte> out,
                             const Place& where) const {
  const AbiParam abi_param(param);
  const AbiTensors tensors(specs, parts, where.device);
  std::vector<int64_t> shape = param.shape;
  if (!shape.empty()) shape.front() = rows;
  AbiTensor weight(out.data(), out.size(), dtype, shape, "", false, where.device);
  const Call call({}, nullptr, where);
  return call.finish(in_plugin(during("decoding", param), call.abi(),
                               [&] {
                                 return quantize_->dequantize(
                                     handle_, call.abi(), abi_param.get(), tensors.const_pointers(),
                                     tensors.count(), row_begin, weight.get());
                               }),
                     "");
}

namespace {

// The state dict as the plugin walks it, and what it emits.
struct StateDictCall {
  const StateDict* source;
  std::vector<precis_tensor_info> infos;
  std::vector<StoredParam> found;
  Status read_status;

  static const precis_tensor_info* info(const precis_state_dict* dict, uint64_t index) {
    auto& self = *static_cast<StateDictCall*>(dict->ctx);
    return index < self.infos.size() ? &self.infos[index] : nullptr;
  }
  static int64_t find(const precis_state_dict* dict, precis_str name) {
    const auto& self = *static_cast<StateDictCall*>(dict->ctx);
    const auto entry = self.by_name.find(from_abi(name));
    return entry == self.by_name.end() ? -1 : static_cast<int64_t>(entry->second);
  }
  static precis_status read(const precis_state_dict* dict, uint64_t index, const precis_sink* out) {
    auto& self = *static_cast<StateDictCall*>(dict->ctx);
    if (index >= self.infos.size()) return PRECIS_NOT_FOUND;
    auto bytes = self.source->read(index);
    if (!bytes.ok()) {
      self.read_status = bytes.error();
      return PRECIS_DATA_LOSS;
    }
    out->write(out->ctx, reinterpret_cast<const char*>(bytes->data()), bytes->size());
    return PRECIS_OK;
  }
  static void emit(void* ctx, const precis_param* param, const uint64_t* parts, uint64_t count) {
    StoredParam stored;
    stored.param.name = from_abi(param->name);
    stored.param.module_kind = from_abi(param->module_kind);
    stored.param.dtype = dtype_from_abi(param->dtype).value_or(DType::f32);
    stored.param.shape_known = param->ndim >= 0;
    if (param->ndim > 0) stored.param.shape.assign(param->shape, param->shape + param->ndim);
    stored.parts.assign(parts, parts + count);
    static_cast<StateDictCall*>(ctx)->found.push_back(std::move(stored));
  }

  std::map<std::string_view, std::size_t> by_name;
};

}  // namespace

Result<std::vector<StoredParam>> Quantizer::stored_params(const StateDict& state_dict) const {
  StateDictCall walk;
  walk.source = &state_dict;
  for (const TensorEntry* entry : state_dict.tensors) {
    walk.by_name.emplace(entry->name, walk.infos.size());
    precis_tensor_info info{};
    info.struct_size = sizeof info;
    info.name = to_abi(entry->name);
    info.dtype = to_abi(entry->dtype);
    info.ndim = static_cast<int32_t>(entry->shape.size());
    info.shape = entry->shape.data();
    info.nbytes = entry->nbytes;
    info.encoding = entry->encoding.empty() ? nullptr : entry->encoding.c_str();
    walk.infos.push_back(info);
  }
  const precis_state_dict abi{sizeof(precis_state_dict),
                              0,
                              &walk,
                              walk.infos.size(),
                              to_abi(state_dict.metadata_json),
                              StateDictCall::info,
                              StateDictCall::find,
                              StateDictCall::read};
  const precis_param_sink sink{&walk, StateDictCall::emit};
  const Call call;
  const precis_status status = loading_->quantized_params(handle_, call.abi(), &abi, &sink);
  if (!walk.read_status.ok()) return std::move(walk.read_status).error();
  PRECIS_TRY(call.finish(status, ""));
  for (const StoredParam& stored : walk.found) {
    // Everything behind multiplies the dimensions without looking for overflow.
    constexpr int64_t kMostElements = int64_t{1} << 56;
    int64_t elements = 1;
    for (const int64_t size : stored.param.shape) {
      if (size < 0 || (size > 0 && elements > kMostElements / size)) {
        return Error(ErrorCode::data_loss,
                     fmt::format("'{}' has an impossible shape: [{}]", stored.param.name,
                                 fmt::join(stored.param.shape, ", ")));
      }
      elements *= std::max<int64_t>(size, 1);
    }
    for (const std::size_t part : stored.parts) {
      if (part < walk.infos.size()) continue;
      return Error(ErrorCode::plugin,
                   fmt::format("plugin {} names a tensor that does not exist for '{}'", plugin_id_,
                               stored.param.name));
    }
  }
  return std::move(walk.found);
}

namespace {

// A precis_component that borrows from a ComponentDescription.
class AbiComponent {
 public:
  explicit AbiComponent(const ComponentDescription& component) {
    for (const Param* param : component.quantized) add(*param, quantized_);
    for (const Param* param : component.kept) add(*param, kept_);
    for (const Param* param : component.others) add(*param, others_);
    abi_ = {};
    abi_.struct_size = sizeof(precis_component);
    abi_.name = to_abi(component.name);
    abi_.library = to_abi(component.library);
    abi_.class_name = to_abi(component.class_name);
    abi_.config_json = to_abi(component.config_json);
    abi_.quantized = quantized_.data();
    abi_.quantized_count = quantized_.size();
    abi_.kept = kept_.data();
    abi_.kept_count = kept_.size();
    abi_.others = others_.data();
    abi_.others_count = others_.size();
  }
  const precis_component* get() const { return &abi_; }

 private:
  void add(const Param& param, std::vector<const precis_param*>& list) {
    params_.push_back(std::make_unique<AbiParam>(param));
    list.push_back(params_.back()->get());
  }
  std::vector<std::unique_ptr<AbiParam>> params_;
  std::vector<const precis_param*> quantized_, kept_, others_;
  precis_component abi_;
};

using SerializeFunction = precis_status (*)(const precis_quantizer*, const precis_call*,
                                            const precis_component*, const precis_sink*);

Result<std::string> serialize(SerializeFunction function, const precis_quantizer* handle,
                              const ComponentDescription& component) {
  const AbiComponent abi_component(component);
  std::string text;
  const precis_sink sink = string_sink(text);
  const Call call;
  PRECIS_TRY(call.finish(function(handle, call.abi(), abi_component.get(), &sink), ""));
  return text;
}

}  // namespace

Result<std::string> Quantizer::config(const ComponentDescription& component) const {
  if (serialize_ == nullptr) return canonical_config_;
  return serialize(serialize_->config, handle_, component);
}

Result<std::string> Quantizer::metadata(const ComponentDescription& component) const {
  if (serialize_ == nullptr) return std::string("{}");
  return serialize(serialize_->metadata, handle_, component);
}

Result<std::string> Quantizer::sidecar_files(const ComponentDescription& component) const {
  if (serialize_ == nullptr) return std::string("{}");
  return serialize(serialize_->sidecar_files, handle_, component);
}

}  // namespace precis
