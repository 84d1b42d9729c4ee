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

uint64_t bytes_in_turn(const ComponentBytes& component, Offload offload) {
  return offload == Offload::sequential ? component.sequential : component.loaded;
}

// Those that stay, and the largest of those that take turns.
uint64_t peak_of(const std::vector<ComponentBytes>& components,
                 const std::map<std::string, Offload>& places) {
  uint64_t held = 0, largest = 0;
  for (const ComponentBytes& component : components) {
    const Offload offload = places.at(component.name);
    if (offload == Offload::none) {
      held += component.loaded;
    } else {
      largest = std::max(largest, bytes_in_turn(component, offload));
    }
  }
  return held + largest;
}

Placement placed(const std::vector<ComponentBytes>& components,
                 std::map<std::string, Offload> places) {
  const uint64_t peak = peak_of(components, places);
  return {std::move(places), peak};
}

std::map<std::string, Offload> all_in_memory(const std::vector<ComponentBytes>& components) {
  std::map<std::string, Offload> places;
  for (const ComponentBytes& component : components) places[component.name] = Offload::none;
  return places;
}

// The largest ones, as few as do, on the disk; nothing: even all of them do not.
std::optional<Placement> fewest_on_disk(std::vector<ComponentBytes> components, Offload offload,
                                        uint64_t limit) {
  std::stable_sort(components.begin(), components.end(),
                   [](const auto& a, const auto& b) { return a.loaded > b.loaded; });
  auto places = all_in_memory(components);
  for (const ComponentBytes& component : components) {
    if (peak_of(components, places) <= limit) break;
    if (component.stays.empty()) places[component.name] = offload;
  }
  Placement placement = placed(components, std::move(places));
  if (placement.peak_bytes <= limit) return placement;
  return std::nullopt;
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

Result<std::map<std::string, Offload>> as_mapped(const std::vector<ComponentBytes>& components,
                                                 const DeviceMap& map, Offload on_disk,
                                                 bool by_name) {
  std::map<std::string, Offload> places;
  for (const ComponentBytes& component : components) {
    PRECIS_ASSIGN(const bool disk, map.on_disk(component.name));
    if (disk && !component.stays.empty() && by_name) {
      return Error(ErrorCode::invalid_argument,
                   fmt::format("component '{}' cannot wait on the disk: {}", component.name,
                               component.stays),
                   "leave it in memory: \"cpu\"");
    }
    places[component.name] = disk && component.stays.empty() ? on_disk : Offload::none;
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
                                   const nlohmann::json& device_map, Offload offload,
                                   uint64_t max_memory, uint64_t working_set) {
  PRECIS_TRY(check_names(components, device_map));
  const bool all_wait = device_map.is_null() && offload != Offload::none;
  PRECIS_ASSIGN(const DeviceMap map, DeviceMap::parse(all_wait ? "disk" : device_map));
  const uint64_t limit = max_memory > working_set ? max_memory - working_set : 0;
  if (map.automatic() && max_memory == 0) return placed(components, all_in_memory(components));
  std::vector<Offload> ways{offload};
  if (offload == Offload::none) ways = {Offload::model, Offload::sequential};
  if (map.automatic()) {
    for (const Offload way : ways) {
      if (auto placement = fewest_on_disk(components, way, limit)) return *std::move(placement);
    }
  }
  PRECIS_ASSIGN(auto places,
                map.automatic()
                    ? as_mapped(components, *DeviceMap::parse("disk"), ways.back(), false)
                    : as_mapped(components, map, ways.front(), device_map.is_object()));
  Placement placement = placed(components, std::move(places));
  if (max_memory == 0 || placement.peak_bytes <= limit) return placement;
  const bool offloaded = map.automatic() || offload != Offload::none;
  return too_large(components, placement.peak_bytes, working_set, max_memory, offloaded);
}

void Turns::add(std::shared_ptr<torch::nn::Module> network, Offload offload) {
  waiting_.push_back({std::move(network), offload});
}

void Turns::begin(const torch::nn::Module& network) {
  if (current_ == &network) return;
  end();
  // What the network before freed would add to this one's peak.
  release_freed_memory();
  current_ = &network;
  for (const Waiting& waiting : waiting_) {
    if (waiting.network.get() == &network && waiting.offload == Offload::model) {
      prefetch_weights(network);
    }
  }
}

void Turns::end() {
  for (const Waiting& waiting : waiting_) {
    if (waiting.network.get() == current_) release_weights(*waiting.network);
  }
  current_ = nullptr;
}

}  // namespace precis::pipelines
