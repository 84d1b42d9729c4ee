#include "runtime/offload/device_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "core/base/byte_size.h"
#include "runtime/tensor/device.h"

namespace precis {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 4> kAutomatic = {"auto", "balanced", "balanced_low_0",
                                                        "sequential"};

// A place of the map: a device, or nothing for the disk.
Result<std::optional<at::Device>> parse_place(const json& device, const std::string& module) {
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

Error several_places(const std::string& one, const std::string& other) {
  return Error(ErrorCode::unsupported,
               fmt::format("device_map: weights on '{}' and on '{}': a device takes a model, or a "
                           "pipeline, as a whole",
                           one, other),
               "name one device for all, or \"cpu\" and \"disk\"");
}

bool holds(const std::string& module, const std::string& name) {
  return module.empty() || name == module ||
         (name.starts_with(module) && name[module.size()] == '.');
}

}  // namespace

Result<DeviceMap> DeviceMap::parse(const json& map) {
  DeviceMap result;
  if (map.is_null()) return result;
  if (map.is_string() && std::count(kAutomatic.begin(), kAutomatic.end(), map.get<std::string>())) {
    result.automatic_ = true;
    return result;
  }
  result.places_.clear();
  std::optional<at::Device> device;
  bool disk = false;
  const json modules = map.is_object() ? map : json{{"", map}};
  for (const auto& [module, name] : modules.items()) {
    PRECIS_ASSIGN(const std::optional<at::Device> place, parse_place(name, module));
    result.places_.emplace_back(module, !place);
    disk = disk || !place;
    if (!place) continue;
    if (device && *device != *place) return several_places(device->str(), place->str());
    device = place;
  }
  result.device_ = device.value_or(at::kCPU);
  if (disk && !result.device_.is_cpu()) return several_places(result.device_.str(), "disk");
  return result;
}

Status DeviceMap::distribute(const std::vector<std::pair<std::string, uint64_t>>& sizes,
                             std::optional<uint64_t> budget) {
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
  places_ = {{"", false}};
  if (!budget || total <= *budget) return {};
  if (largest > *budget) {
    return Error(ErrorCode::out_of_memory,
                 fmt::format("the largest layer takes {}, max_memory allows {} on 'cpu'",
                             format_bytes(largest), format_bytes(*budget)),
                 "allow more, or quantize to fewer bits");
  }
  uint64_t held = 0;
  for (const auto& [layer, bytes] : layers) {
    const bool disk = held + bytes + largest > *budget;
    if (!disk) held += bytes;
    places_.emplace_back(layer, disk);
  }
  return {};
}

Result<bool> DeviceMap::on_disk(const std::string& name) const {
  const std::pair<std::string, bool>* best = nullptr;
  for (const auto& place : places_) {
    if (!holds(place.first, name)) continue;
    if (best == nullptr || place.first.size() >= best->first.size()) best = &place;
  }
  if (best != nullptr) return best->second;
  return Error(ErrorCode::invalid_argument, fmt::format("device_map has no device for '{}'", name),
               "add \"\": \"cpu\" for all the rest");
}

}  // namespace precis
