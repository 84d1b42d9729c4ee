// Where the weights of a model live: on a device, or on the disk beside the CPU.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace precis {

class DeviceMap {
 public:
  // Everything in the CPU's memory.
  DeviceMap() = default;

  // As accelerate has it: null, one device, or an object of the module's path ("" for all) to a
  // device, where the longest path that holds a weight counts. Devices: "cpu" and "disk", or one of
  // usable_device() for all, which may be a number N for "cuda:N"; "auto", "balanced",
  // "balanced_low_0" and "sequential" stand for distribute(). Errors: device_error for a device
  // that cannot be used, with the place of the map that names it; unsupported for weights on
  // several devices, or on one and the disk; invalid_argument for what is no map.
  static Result<DeviceMap> parse(const nlohmann::json& map);

  // Of all the weights that are not on the disk.
  at::Device device() const { return device_; }

  // Whether distribute() has to be called.
  bool automatic() const { return automatic_; }

  // Chooses: layers in the model's order live in memory as long as they fit `budget` bytes with
  // room for the largest layer on the disk, which comes in while it is used. nothing: no limit.
  // sizes: the model's tensors by name, with the bytes each takes. Error out_of_memory: not even
  // the largest layer fits.
  Status distribute(const std::vector<std::pair<std::string, uint64_t>>& sizes,
                    std::optional<uint64_t> budget);

  // Whether the tensor lives on the disk. Error invalid_argument: the map has no place for it.
  Result<bool> on_disk(const std::string& name) const;

 private:
  bool automatic_ = false;
  std::vector<std::pair<std::string, bool>> places_ = {{"", false}};  // path, on the disk
  at::Device device_ = at::kCPU;
};

}  // namespace precis
