#include "validate/subject/stored.h"

#include "core/abi/call.h"
#include "validate/verdict.h"

namespace precis::validate {

StoredCheckpoint::StoredCheckpoint(const Weight& weight, std::vector<std::vector<std::byte>> parts,
                                   std::string metadata_json)
    : tensors(weight.plan.parts), bytes(std::move(parts)), metadata(std::move(metadata_json)) {
  const std::string module = weight.param.name.substr(0, weight.param.name.rfind('.') + 1);
  for (PartSpec& part : tensors) part.name = module + part.name;
  // What a component has besides.
  tensors.push_back({module + "bias", DType::f32, {3}, 12, ""});
  bytes.emplace_back(12);
}

void StoredCheckpoint::describe() {
  infos_.clear();
  for (const PartSpec& tensor : tensors) {
    precis_tensor_info info{};
    info.struct_size = sizeof info;
    info.name = to_abi(tensor.name);
    info.dtype = to_abi(tensor.dtype);
    info.ndim = static_cast<int32_t>(tensor.shape.size());
    info.shape = tensor.shape.data();
    info.nbytes = tensor.nbytes;
    info.encoding = tensor.encoding.empty() ? nullptr : tensor.encoding.c_str();
    infos_.push_back(info);
  }
}

Result<std::vector<StoredCheckpoint::Found>> StoredCheckpoint::find(const Instance& instance) {
  describe();
  found_.clear();
  const precis_state_dict dict{sizeof(precis_state_dict), 0,    this,     infos_.size(),
                               to_abi(metadata),          info, index_of, read};
  const precis_param_sink sink{this, emit};
  const RecordedCall call;
  PRECIS_TRY(call.finish(
      instance.loading()->quantized_params(instance.handle(), call.abi(), &dict, &sink)));
  return found_;
}

Result<Weight> StoredCheckpoint::weight_of(const Found& found) const {
  Weight weight{found.param, {}, {}, nullptr};
  const std::string module = found.param.name.substr(0, found.param.name.rfind('.') + 1);
  std::vector<std::vector<std::byte>> parts;
  for (const uint64_t index : found.parts) {
    if (index >= tensors.size()) return violation("it emits the part {}", index);
    PartSpec& part = weight.plan.parts.emplace_back(tensors[index]);
    if (part.name.starts_with(module)) part.name.erase(0, module.size());
    parts.push_back(bytes[index]);
  }
  weight.stored = std::make_shared<const std::vector<std::vector<std::byte>>>(std::move(parts));
  return weight;
}

std::optional<Weight> readable_weight(const Subject& subject, const Instance& instance) {
  if (subject.input() == nullptr) return fitting_weight(instance);
  if (instance.loading() == nullptr) return std::nullopt;
  // Small enough to be decoded some hundred times.
  constexpr uint64_t kMostElements = 1 << 22;
  StoredCheckpoint checkpoint(*subject.input());
  const auto found = checkpoint.find(instance);
  if (!found.ok()) return std::nullopt;
  for (const StoredCheckpoint::Found& each : *found) {
    if (!each.param.shape_known || each.param.shape.size() < 2 ||
        each.param.elements() > kMostElements)
      continue;
    auto weight = checkpoint.weight_of(each);
    if (weight.ok()) return *std::move(weight);
  }
  return std::nullopt;
}

void StoredCheckpoint::decode_findings(const Instance& instance) {
  const auto all = find(instance);
  if (!all.ok()) return;
  for (const Found& found : *all) {
    uint64_t elements = 1;
    for (const int64_t size : found.param.shape) {
      // What a plugin makes of damaged shapes may be anything; a loader compares with its model.
      if (size < 0 || size > 4096) return;
      elements *= static_cast<uint64_t>(size);
    }
    if (!found.param.shape_known || elements > (1 << 22)) return;
    const auto weight = weight_of(found);
    if (!weight.ok()) return;
    DecodeOptions options;
    options.parts_guard = Guard::behind;
    (void)decode(instance, *weight, *weight->stored, options);
  }
}

const precis_tensor_info* StoredCheckpoint::info(const precis_state_dict* dict, uint64_t index) {
  const auto& self = *static_cast<const StoredCheckpoint*>(dict->ctx);
  return index < self.infos_.size() ? &self.infos_[index] : nullptr;
}

int64_t StoredCheckpoint::index_of(const precis_state_dict* dict, precis_str name) {
  const auto& self = *static_cast<const StoredCheckpoint*>(dict->ctx);
  for (std::size_t i = 0; i < self.tensors.size(); ++i) {
    if (self.tensors[i].name == from_abi(name)) return static_cast<int64_t>(i);
  }
  return -1;
}

precis_status StoredCheckpoint::read(const precis_state_dict* dict, uint64_t index,
                                     const precis_sink* out) {
  const auto& self = *static_cast<const StoredCheckpoint*>(dict->ctx);
  if (index >= self.bytes.size()) return PRECIS_NOT_FOUND;
  out->write(out->ctx, reinterpret_cast<const char*>(self.bytes[index].data()),
             self.bytes[index].size());
  return PRECIS_OK;
}

void StoredCheckpoint::emit(void* ctx, const precis_param* param, const uint64_t* parts,
                            uint64_t count) {
  Found found;
  found.param.name = from_abi(param->name);
  found.param.module_kind = from_abi(param->module_kind);
  found.param.dtype = dtype_from_abi(param->dtype).value_or(DType::f32);
  found.param.shape_known = param->ndim >= 0;
  if (param->ndim > 0) found.param.shape.assign(param->shape, param->shape + param->ndim);
  found.parts.assign(parts, parts + count);
  static_cast<StoredCheckpoint*>(ctx)->found_.push_back(std::move(found));
}

}  // namespace precis::validate
