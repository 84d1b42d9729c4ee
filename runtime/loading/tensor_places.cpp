#include "runtime/loading/tensor_places.h"

#include <fmt/format.h>

#include <algorithm>

namespace precis {
namespace {

constexpr const char* kOtherModel = "the weights and config.json belong to different models";

}  // namespace

TensorPlaces::TensorPlaces(torch::nn::Module& model, const std::vector<LogicalTensor>& tensors,
                           const StoredNames& stored_names) {
  std::map<std::string, std::size_t> stored;
  for (std::size_t i = 0; i < tensors.size(); ++i) stored.emplace(tensors[i].param.name, i);
  const auto place = [&](const std::string& name, const at::Tensor& target) {
    const auto candidates = stored_names ? stored_names(name) : std::vector<std::string>{name};
    for (const std::string& candidate : candidates) {
      const auto found = stored.find(candidate);
      if (found == stored.end()) continue;
      places_.emplace(found->second, Place{name, target});
      stored.erase(found);
      return;
    }
    missing_.push_back(name);
  };
  for (const auto& item : model.named_parameters()) place(item.key(), item.value());
  for (const auto& item : model.named_buffers()) place(item.key(), item.value());
}

const TensorPlaces::Place* TensorPlaces::of(std::size_t index) const {
  const auto found = places_.find(index);
  return found == places_.end() ? nullptr : &found->second;
}

Status TensorPlaces::check_shapes(const std::vector<LogicalTensor>& tensors) const {
  for (const auto& [index, place] : places_) {
    const Param& param = tensors[index].param;
    if (!param.shape_known || place.target.sizes() == at::IntArrayRef(param.shape)) continue;
    return Error(
        ErrorCode::data_loss,
        fmt::format("tensor '{}': its shape is [{}], the model takes [{}]", place.name,
                    fmt::join(param.shape, ", "), fmt::join(place.target.sizes().vec(), ", ")),
        kOtherModel);
  }
  return {};
}

Status nothing_missing(const std::vector<std::string>& names) {
  if (names.empty()) return {};
  const std::size_t shown = std::min<std::size_t>(names.size(), 5);
  const std::vector<std::string> first(names.begin(),
                                       names.begin() + static_cast<std::ptrdiff_t>(shown));
  return Error(
      ErrorCode::data_loss,
      fmt::format("the checkpoint lacks {} of the model's tensors: {}{}", names.size(),
                  fmt::join(first, ", "),
                  names.size() > shown ? fmt::format(" and {} more", names.size() - shown) : ""),
      "are all shards there? Else the weights and config.json belong to different models");
}

}  // namespace precis
