#include "pipelines/offload.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "core/base/byte_size.h"
#include "core/engine/memory_usage.h"
#include "runtime/offload/device_map.h"
#include "runtime/offload/mapped_tensor.h"

namespace precis::pipelines {
namespace {

using Places = std::map<std::string, ComponentPlace>;

struct DevicePeak {
  uint64_t held = 0, largest = 0;  // always there; of those that come and go
};

// Of weights at once on the device that has most: see Placement.
uint64_t peak_of(const std::vector<ComponentBytes>& components, const Places& places) {
  std::map<std::string, DevicePeak> devices;
  for (const ComponentBytes& component : components) {
    const ComponentPlace& place = places.at(component.name);
    DevicePeak& peak = devices[place.device.str()];
    if (place.offload == Offload::none) {
      peak.held += component.loaded;
    } else if (place.offload == Offload::model) {
      peak.largest = std::max(peak.largest, component.loaded);
    } else {
      // From the disk to the CPU's memory all of it comes and goes.
      const uint64_t stays = place.device.is_cpu() ? 0 : component.outside_layers;
      peak.held += stays;
      peak.largest = std::max(peak.largest, component.sequential - stays);
    }
  }
  uint64_t most = 0;
  for (const auto& [device, peak] : devices) {
    if (device != "cpu" || devices.size() == 1) most = std::max(most, peak.held + peak.largest);
  }
  return most;
}

Placement placed(const std::vector<ComponentBytes>& components, Places places) {
  const uint64_t peak = peak_of(components, places);
  return {std::move(places), peak};
}

ComponentPlace waiting(const at::Device& device, Offload offload) {
  return {device, device.is_cpu() ? WeightPlace::disk : WeightPlace::memory,
          offload == Offload::none ? Offload::model : offload};
}

Places all_on(const std::vector<ComponentBytes>& components, const at::Device& device) {
  Places places;
  for (const ComponentBytes& component : components) places[component.name].device = device;
  return places;
}

// The largest ones wait, as few as do; nothing: even all of them do not.
std::optional<Placement> fewest_waiting(std::vector<ComponentBytes> components,
                                        const at::Device& device, Offload offload, uint64_t limit) {
  std::stable_sort(components.begin(), components.end(),
                   [](const auto& a, const auto& b) { return a.loaded > b.loaded; });
  Places places = all_on(components, device);
  for (const ComponentBytes& component : components) {
    if (peak_of(components, places) <= limit) break;
    if (component.stays.empty()) places[component.name] = waiting(device, offload);
  }
  Placement placement = placed(components, std::move(places));
  if (placement.peak_bytes <= limit) return placement;
  return std::nullopt;
}

Places all_waiting(const std::vector<ComponentBytes>& components, const at::Device& device,
                   Offload offload) {
  Places places = all_on(components, device);
  for (const ComponentBytes& component : components) {
    if (component.stays.empty()) places[component.name] = waiting(device, offload);
  }
  return places;
}

Error too_large(const std::vector<ComponentBytes>& components, uint64_t peak, uint64_t working_set,
                uint64_t max_memory, bool offloaded) {
  std::string list;
  for (const ComponentBytes& component : components) {
    list += fmt::format("{}{} {}", list.empty() ? "" : ", ", component.name,
                        format_bytes(component.loaded));
  }
  return Error(
      ErrorCode::out_of_memory,
      fmt::format("the networks take {} ({}){} and {} while they are quantized; max_memory "
                  "is {}",
                  format_bytes(peak), list, offloaded ? ", offloaded as they are," : "",
                  format_bytes(working_set), format_bytes(max_memory)),
      offloaded ? "allow more, or quantize to fewer bits"
                : "allow more, quantize to fewer bits, hold the rest in bf16, or leave "
                  "networks on the disk (offload, device_map \"auto\")");
}

// By a map that names devices.
Result<Places> as_mapped(const std::vector<ComponentBytes>& components,
                         const PlacementOptions& options) {
  const bool by_name = options.device_map.is_object();
  const nlohmann::json map =
      by_name ? options.device_map : nlohmann::json{{"", options.device_map}};
  std::map<std::string, std::optional<at::Device>> devices;
  at::Device main = options.device;  // of components that wait on the disk
  for (const auto& [name, device] : map.items()) {
    PRECIS_ASSIGN(const auto parsed, parse_map_device(device, name));
    if (main.is_cpu() && parsed) main = *parsed;
    devices[name] = parsed;
  }
  Places places;
  for (const ComponentBytes& component : components) {
    auto found = devices.find(component.name);
    if (found == devices.end()) found = devices.find("");
    if (found == devices.end()) {
      return Error(ErrorCode::invalid_argument,
                   fmt::format("device_map has no device for '{}'", component.name),
                   "add \"\": \"cpu\" for all the rest");
    }
    ComponentPlace& place = places[component.name];
    place.device = found->second.value_or(main);
    if (found->second) continue;
    if (!component.stays.empty() && by_name) {
      return Error(ErrorCode::invalid_argument,
                   fmt::format("component '{}' cannot wait on the disk: {}", component.name,
                               component.stays),
                   "leave it in memory: \"cpu\"");
    }
    if (!component.stays.empty()) continue;
    place = waiting(main, options.offload);
    place.weights = WeightPlace::disk;
  }
  return places;
}

Status check_names(const std::vector<ComponentBytes>& components,
                   const nlohmann::json& device_map) {
  if (!device_map.is_object()) return {};
  std::vector<std::string> names;
  for (const ComponentBytes& component : components) names.push_back(component.name);
  for (const auto& [name, device] : device_map.items()) {
    if (name.empty() || std::count(names.begin(), names.end(), name) > 0) continue;
    return Error(ErrorCode::invalid_argument,
                 fmt::format("device_map names '{}', which is no component of the pipeline", name),
                 fmt::format("components: {}", fmt::join(names, ", ")));
  }
  return {};
}

}  // namespace

Result<Placement> place_components(const std::vector<ComponentBytes>& components,
                                   const PlacementOptions& options) {
  const auto& [device_map, device, offload, max_memory, working_set] = options;
  PRECIS_TRY(check_names(components, device_map));
  const uint64_t limit = max_memory > working_set ? max_memory - working_set : 0;
  bool offloaded = offload != Offload::none;
  Places places = all_on(components, device);
  if (device_map.is_null()) {
    if (offloaded) places = all_waiting(components, device, offload);
  } else if (is_automatic(device_map)) {
    if (max_memory == 0) return placed(components, std::move(places));
    std::vector<Offload> ways{offload};
    if (!offloaded) ways = {Offload::model, Offload::sequential};
    for (const Offload way : ways) {
      if (auto found = fewest_waiting(components, device, way, limit)) return *std::move(found);
    }
    places = all_waiting(components, device, ways.back());
    offloaded = true;
  } else {
    PRECIS_ASSIGN(places, as_mapped(components, options));
  }
  Placement placement = placed(components, std::move(places));
  if (max_memory == 0 || placement.peak_bytes <= limit) return placement;
  return too_large(components, placement.peak_bytes, working_set, max_memory, offloaded);
}

void Turns::add(std::shared_ptr<torch::nn::Module> network, const ComponentPlace& place) {
  members_.push_back({std::move(network), place});
}

const Turns::Member* Turns::find(const torch::nn::Module& network) const {
  for (const Member& member : members_) {
    if (member.network.get() == &network) return &member;
  }
  return nullptr;
}

at::Device Turns::device_of(const torch::nn::Module& network) const {
  const Member* const member = find(network);
  return member == nullptr ? at::Device(at::kCPU) : member->place.device;
}

void Turns::begin(torch::nn::Module& network) {
  if (current_ == &network) return;
  end();
  // What the network before freed would add to this one's peak.
  release_freed_memory();
  const Member* const member = find(network);
  if (member != nullptr && member->place.offload == Offload::model) {
    if (member->place.device.is_cpu()) {
      prefetch_weights(network);
    } else {
      onloaded_ = std::make_unique<Onloaded>(network, Onload::by_network);
    }
  }
  current_ = &network;
}

void Turns::end() {
  onloaded_.reset();
  for (const Member& member : members_) {
    if (member.network.get() == current_ && member.place.offload != Offload::none)
      release_weights(*member.network);
  }
  current_ = nullptr;
}

}  // namespace precis::pipelines
