#include "runtime/offload/device_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "core/base/byte_size.h"
#include "runtime/tensor/device.h"

namespace precis {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 4> kAutomatic = {"auto", "balanced", "balanced_low_0",
                                                        "sequential"};

Error several_devices(const at::Device& one, const at::Device& other) {
  return Error(ErrorCode::unsupported,
               fmt::format("device_map: weights on '{}' and on '{}': one model works on one device",
                           one.str(), other.str()),
               "name one of them beside \"cpu\" and \"disk\"");
}

// The device that a model is distributed over.
Result<at::Device> first_device(const std::map<std::string, uint64_t>& max_memory) {
  for (const std::string& name : usable_device_names()) {
    if (name != "cpu" && (max_memory.empty() || max_memory.contains(name)))
      return usable_device(name);
  }
  return at::Device(at::kCPU);
}

bool holds(const std::string& module, const std::string& name) {
  return module.empty() || name == module ||
         (name.starts_with(module) && name[module.size()] == '.');
}

}  // namespace

bool is_automatic(const json& map) {
  return map.is_string() &&
         std::count(kAutomatic.begin(), kAutomatic.end(), map.get<std::string>()) > 0;
}

Result<std::optional<at::Device>> parse_map_device(const json& device, const std::string& module) {
  if (!device.is_string() && !device.is_number_integer()) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("device_map: {} is no device", device.dump()),
                 "a device is \"cpu\", \"disk\", \"cuda\" or \"cuda:N\"");
  }
  const auto name =
      device.is_string() ? device.get<std::string>() : fmt::format("cuda:{}", device.dump());
  if (name == "disk") return std::optional<at::Device>();
  auto found = usable_device(name);
  if (found.ok()) return std::optional(*found);
  if (module.empty()) return std::move(found).error();
  return std::move(found).error().with_context(fmt::format("device_map of '{}'", module));
}

Result<DeviceMap> DeviceMap::parse(const json& map, std::optional<at::Device> execution_device,
                                   const std::map<std::string, uint64_t>& max_memory) {
  DeviceMap result;
  result.device_ = execution_device.value_or(at::kCPU);
  if (map.is_null()) return result;
  if (is_automatic(map)) {
    result.automatic_ = true;
    if (execution_device) return result;
    PRECIS_ASSIGN(result.device_, first_device(max_memory));
    return result;
  }
  std::vector<std::pair<std::string, std::optional<at::Device>>> places;
  const json modules = map.is_object() ? map : json{{"", map}};
  for (const auto& [module, name] : modules.items()) {
    PRECIS_ASSIGN(const std::optional<at::Device> place, parse_map_device(name, module));
    places.emplace_back(module, place);
    if (!place || place->is_cpu() || *place == result.device_) continue;
    if (execution_device || !result.device_.is_cpu())
      return several_devices(result.device_, *place);
    result.device_ = *place;
  }
  result.places_.clear();
  for (const auto& [module, place] : places) {
    result.places_.emplace_back(module, !place                     ? WeightPlace::disk
                                        : *place == result.device_ ? WeightPlace::device
                                                                   : WeightPlace::memory);
  }
  return result;
}

Status DeviceMap::distribute(const std::vector<std::pair<std::string, uint64_t>>& sizes,
                             const Budgets& budgets) {
  std::vector<std::pair<std::string, uint64_t>> layers;
  uint64_t total = 0, largest = 0;
  for (const auto& [name, bytes] : sizes) {
    const std::size_t dot = name.rfind('.');
    const std::string layer = dot == std::string::npos ? name : name.substr(0, dot);
    if (layers.empty() || layers.back().first != layer) layers.emplace_back(layer, 0);
    layers.back().second += bytes;
    total += bytes;
    largest = std::max(largest, layers.back().second);
  }
  places_ = {{"", WeightPlace::device}};
  if (!budgets.device || total <= *budgets.device) return {};
  if (largest > *budgets.device) {
    return Error(ErrorCode::out_of_memory,
                 fmt::format("the largest layer takes {}, max_memory allows {} on '{}'",
                             format_bytes(largest), format_bytes(*budgets.device), device_.str()),
                 "allow more, or quantize to fewer bits");
  }
  uint64_t on_device = 0, in_memory = 0;
  const uint64_t memory = budgets.memory.value_or(UINT64_MAX);
  for (const auto& [layer, bytes] : layers) {
    WeightPlace place = WeightPlace::disk;
    if (on_device + bytes + largest <= *budgets.device) {
      place = WeightPlace::device;
      on_device += bytes;
    } else if (!device_.is_cpu() && bytes <= memory - in_memory) {
      place = WeightPlace::memory;
      in_memory += bytes;
    }
    places_.emplace_back(layer, place);
  }
  return {};
}

Result<WeightPlace> DeviceMap::place_of(const std::string& name) const {
  const std::pair<std::string, WeightPlace>* best = nullptr;
  for (const auto& place : places_) {
    if (!holds(place.first, name)) continue;
    if (best == nullptr || place.first.size() >= best->first.size()) best = &place;
  }
  if (best != nullptr) return best->second;
  return Error(ErrorCode::invalid_argument, fmt::format("device_map has no device for '{}'", name),
               "add \"\": \"cpu\" for all the rest");
}

}  // namespace precis
