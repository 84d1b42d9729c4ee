// Where the weights of a model live: on the device that they work on, in the CPU's memory, or on
// the disk.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace precis {

enum class WeightPlace {
  device,  // the one that all weights work on
  memory,  // the CPU's, beside another device: they come to the device while they work
  disk,    // likewise, from a file
};

// A device of a device map: "cpu", "cuda:1", 1; nothing for "disk". module: that the map has it
// for, for errors. Errors: see DeviceMap::parse.
Result<std::optional<at::Device>> parse_map_device(const nlohmann::json& device,
                                                   const std::string& module);

// Whether a device map leaves the choice: "auto", "balanced", "balanced_low_0" and "sequential".
bool is_automatic(const nlohmann::json& map);

class DeviceMap {
 public:
  // Everything in the CPU's memory, where it works.
  DeviceMap() = default;

  // As accelerate has it: null, one device, or an object of the module's path ("" for all) to a
  // device, where the longest path that holds a weight counts. Devices: "cpu", "disk", and one of
  // usable_device(), which may be a number N for "cuda:N". execution_device: that all weights work
  // on; nothing: the one that the map names beside "cpu" and "disk", else the CPU. An automatic
  // map stands for distribute(), and then nothing is the first device that is there and that
  // max_memory, where it is not empty, has a budget for.
  // Errors: device_error for a device that cannot be used, with the place of the map that names it;
  // unsupported for several devices beside the CPU; invalid_argument for what is no map.
  static Result<DeviceMap> parse(const nlohmann::json& map,
                                 std::optional<at::Device> execution_device = {},
                                 const std::map<std::string, uint64_t>& max_memory = {});

  // That all the weights work on.
  at::Device device() const { return device_; }

  // Whether distribute() has to be called.
  bool automatic() const { return automatic_; }

  // Bytes; nothing: no limit.
  struct Budgets {
    std::optional<uint64_t> device = {}, memory = {};
  };

  // Chooses: layers in the model's order live on the device as long as they fit its budget with
  // room for the largest of the rest, which comes in while it is used; then in the CPU's memory,
  // where that is not the device, and then on the disk. sizes: the model's tensors by name, with
  // the bytes each takes. Error out_of_memory: not even the largest layer fits.
  Status distribute(const std::vector<std::pair<std::string, uint64_t>>& sizes,
                    const Budgets& budgets);

  // Error invalid_argument: the map has no place for the tensor.
  Result<WeightPlace> place_of(const std::string& name) const;

 private:
  bool automatic_ = false;
  std::vector<std::pair<std::string, WeightPlace>> places_ = {{"", WeightPlace::device}};
  at::Device device_ = at::kCPU;
};

}  // namespace precis
