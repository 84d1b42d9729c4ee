#include "runtime/calibration/scale_folding.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/abi/calibration.h"
#include "core/checkpoint/family.h"
#include "runtime/tensor/tensor_adapter.h"

namespace precis {

EncodedTensor ReplacedTensor::encoded() const {
  return {planned, bytes_of(values)};
}

ScaleFolding::ScaleFolding(
    torch::nn::Module& network, ComponentPlan& plan,
    const std::function<std::vector<std::string>(const std::string&)>& stored_names)
    : network_(network), plan_(plan) {
  std::map<std::string, std::size_t> by_name;
  for (std::size_t i = 0; i < plan.tensors.size(); ++i)
    by_name.emplace(plan.tensors[i].source.param.name, i);
  for (const auto& item : network.named_parameters()) {
    for (const std::string& name : stored_names(item.key())) {
      const auto found = by_name.find(name);
      if (found == by_name.end()) continue;
      places_.push_back({found->second, item.key()});
      break;
    }
  }
}

const ScaleFolding::Place* ScaleFolding::place_of(const std::string& parameter) const {
  const auto found = std::find_if(places_.begin(), places_.end(),
                                  [&](const Place& place) { return place.parameter == parameter; });
  return found == places_.end() ? nullptr : &*found;
}

at::Tensor ScaleFolding::parameter(const std::string& name) const {
  const auto parameters = network_.named_parameters();
  const auto* found = parameters.find(name);
  return found == nullptr ? at::Tensor() : *found;
}

std::string ScaleFolding::producer_of(const LayerGroup& group) const {
  std::vector<std::string> paths;
  for (const ObservedLayer& layer : group) paths.push_back(layer.site.path);
  const std::string producer = scale_producer(plan_.family, paths);
  if (producer.empty()) return {};
  // A quantized layer has no such parameter any more; with grouped queries, sizes differ.
  const at::Tensor weight = parameter(producer + ".weight");
  const Place* place = place_of(producer + ".weight");
  if (!weight.defined() || place == nullptr) return {};
  const bool plain = plan_.tensors[place->tensor].source.plain() &&
                     plan_.tensors[place->tensor].action != Action::cast;
  const int64_t channels = group.front().linear->float_weight().size(1);
  return plain && weight.size(0) == channels ? producer : std::string();
}

void ScaleFolding::sort(std::vector<LayerGroup>& groups) const {
  const auto has = [](const LayerGroup& group, const std::string& path) {
    return std::any_of(group.begin(), group.end(),
                       [&](const ObservedLayer& layer) { return layer.site.path == path; });
  };
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto& method = plan_.tensors[groups[i].front().target].quantizer;
    if (!CalibrationGroup::available(*method)) continue;
    std::vector<Param> params;
    for (const ObservedLayer& layer : groups[i])
      params.push_back(plan_.tensors[layer.target].source.param);
    const auto wants = CalibrationGroup::wants_scales(*method, params);
    if (!wants.ok() || !*wants) continue;
    const std::string producer = producer_of(groups[i]);
    for (std::size_t j = 0; j < i; ++j) {
      if (producer.empty() || !has(groups[j], producer)) continue;
      std::rotate(groups.begin() + static_cast<std::ptrdiff_t>(j),
                  groups.begin() + static_cast<std::ptrdiff_t>(i),
                  groups.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      break;
    }
  }
}

Result<ReplacedTensor> ScaleFolding::replace(const std::string& parameter,
                                             const at::Tensor& values) const {
  const Place* place = place_of(parameter);
  if (place == nullptr) {
    return Error(ErrorCode::internal, fmt::format("'{}' is not in the checkpoint", parameter));
  }
  const TensorPlan& tensor = plan_.tensors[place->tensor];
  const LogicalTensor::Part& part = tensor.source.parts.front();
  PRECIS_ASSIGN(const at::ScalarType dtype, scalar_type_of(part.entry->dtype));
  ReplacedTensor result;
  result.planned = {part.entry->name, part.entry->dtype, "", part.entry->shape, part.entry->nbytes};
  result.values = values.to(dtype).contiguous();
  this->parameter(parameter).copy_(result.values);
  return result;
}

Result<std::vector<ReplacedTensor>> ScaleFolding::apply(const LayerGroup& group,
                                                        const std::string& producer,
                                                        const at::Tensor& scales) const {
  std::vector<ReplacedTensor> replaced;
  if (!scales.defined()) return replaced;
  for (const char* leaf : {".weight", ".bias"}) {
    const at::Tensor values = parameter(producer + leaf);
    if (!values.defined()) continue;
    const auto divisor = values.dim() == 2 ? scales.unsqueeze(1) : scales;
    PRECIS_ASSIGN(ReplacedTensor tensor, replace(producer + leaf, values.to(at::kFloat) / divisor));
    replaced.push_back(std::move(tensor));
  }
  for (const ObservedLayer& layer : group) {
    PRECIS_ASSIGN(
        ReplacedTensor tensor,
        replace(layer.site.path + ".weight", layer.linear->float_weight().to(at::kFloat) * scales));
    replaced.push_back(std::move(tensor));
  }
  return replaced;
}

std::vector<std::string> ScaleFolding::names(const std::vector<ReplacedTensor>& tensors) {
  std::vector<std::string> names;
  for (const ReplacedTensor& tensor : tensors) names.push_back(tensor.planned.name);
  return names;
}

Status ScaleFolding::take_over(const std::shared_ptr<const Container>& file,
                               const std::vector<std::string>& names) const {
  for (const std::string& name : names) {
    const TensorEntry* entry = file->find(name);
    const auto place = std::find_if(places_.begin(), places_.end(), [&](const Place& known) {
      return plan_.tensors[known.tensor].source.param.name == name;
    });
    if (entry == nullptr || place == places_.end()) {
      return Error(ErrorCode::data_loss,
                   fmt::format("{}: '{}' is missing", file->path().string(), name));
    }
    plan_.tensors[place->tensor].source.parts = {{file, entry}};
    PRECIS_ASSIGN(const auto bytes, file->data(*entry));
    PRECIS_ASSIGN(const at::Tensor values,
                  tensor_over({const_cast<std::byte*>(bytes.data()), bytes.size()}, entry->dtype,
                              entry->shape));
    parameter(place->parameter).copy_(values);
  }
  return {};
}

}  // namespace precis
