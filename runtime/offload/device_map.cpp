#include "runtime/offload/device_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "core/base/byte_size.h"

namespace precis {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 4> kAutomatic = {"auto", "balanced", "balanced_low_0",
                                                        "sequential"};

Error no_such_device(const std::string& device, const std::string& module) {
  const std::string place = module.empty() ? "" : fmt::format(" for '{}'", module);
  return Error(ErrorCode::device_error,
               fmt::format("device '{}' of the device map{} is not there: quantized layers run on "
                           "the CPU",
                           device, place),
               "use \"cpu\", \"disk\", \"auto\", or no device map");
}

Result<bool> is_disk(const json& device, const std::string& module) {
  if (device.is_number_integer()) return no_such_device("cuda:" + device.dump(), module);
  if (!device.is_string()) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("device_map: {} is no device", device.dump()),
                 "a device is \"cpu\" or \"disk\"");
  }
  const auto name = device.get<std::string>();
  if (name != "cpu" && name != "disk") return no_such_device(name, module);
  return name == "disk";
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
  if (!map.is_object()) {
    PRECIS_ASSIGN(const bool disk, is_disk(map, ""));
    result.places_.emplace_back("", disk);
    return result;
  }
  for (const auto& [module, device] : map.items()) {
    PRECIS_ASSIGN(const bool disk, is_disk(device, module));
    result.places_.emplace_back(module, disk);
  }
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
