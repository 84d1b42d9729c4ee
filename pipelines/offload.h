// Where the networks of a pipeline work, and where their weights wait for their turn.
#pragma once

#include <c10/core/Device.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "runtime/modules/onloaded.h"
#include "runtime/offload/device_map.h"

namespace precis::pipelines {

// How much of the networks that wait is where they work at once: diffusers'
// enable_model_cpu_offload() and enable_sequential_cpu_offload(). Beside another device weights
// wait in the CPU's memory; where the CPU is the place to work, on the disk.
enum class Offload {
  none,
  model,       // the whole network whose turn it is
  sequential,  // the layer whose turn it is
};

// Bytes of one component.
struct ComponentBytes {
  std::string name;
  uint64_t loaded = 0;          // of all its weights
  uint64_t sequential = 0;      // where it works at most when it is offloaded sequentially
  uint64_t outside_layers = 0;  // of these, what belongs to no layer
  std::string stays = "";       // why it has to stay where it works; empty: it may wait
};

struct ComponentPlace {
  at::Device device = at::kCPU;  // that it works on
  WeightPlace weights = WeightPlace::device;
  Offload offload = Offload::none;  // none where the weights are on the device

  bool operator==(const ComponentPlace&) const = default;
};

// Where the components of a pipeline live.
struct Placement {
  std::map<std::string, ComponentPlace> components;
  // Of weights at once in the memory of a device other than the CPU, of the one that has most; of
  // the CPU where all work there.
  uint64_t peak_bytes = 0;
};

struct PlacementOptions {
  // Null, one device for all, or an object of component, or "" for the rest, to device. Devices:
  // "cpu", "cuda", "cuda:N", which a component works on, and "disk", where it waits. "auto" and
  // "balanced" leave the choice.
  nlohmann::json device_map;
  // Of components that device_map names no device for.
  at::Device device = at::kCPU;
  Offload offload = Offload::none;
  uint64_t max_memory = 0;   // bytes, see Placement::peak_bytes; 0 for no limit
  uint64_t working_set = 0;  // bytes needed beside the weights while they are loaded
};

// Null with `offload` set: all components wait. "auto": all stay where they work when that fits
// max_memory, else the largest components wait, by `offload` or, where that is none, by model when
// that fits and sequentially when not. A component that waits on the disk is offloaded by
// `offload`, by model where that is none. Errors: device_error and invalid_argument of
// parse_map_device(); invalid_argument for a component that is not there, that has no device, or
// that is sent to the disk by its name and has to stay; out_of_memory, telling what each component
// takes.
Result<Placement> place_components(const std::vector<ComponentBytes>& components,
                                   const PlacementOptions& options);

// Takes turns among the networks of one pipeline. One thread at a time.
class Turns {
 public:
  void add(std::shared_ptr<torch::nn::Module> network, const ComponentPlace& place);
  // Now it is this network's turn: the weights of the one before are let go. Throws c10::Error.
  void begin(torch::nn::Module& network);
  // No network's turn.
  void end();
  // That the network works on; the CPU for one that was not added.
  at::Device device_of(const torch::nn::Module& network) const;

 private:
  struct Member {
    std::shared_ptr<torch::nn::Module> network;
    ComponentPlace place;
  };
  const Member* find(const torch::nn::Module& network) const;

  std::vector<Member> members_;
  const torch::nn::Module* current_ = nullptr;
  std::unique_ptr<Onloaded> onloaded_;  // the current network, where it waits beside its device
};

// A network of a pipeline; null for one that may be left out. Whoever calls it through -> begins
// its turn.
template <typename Network>
class Turn {
 public:
  Turn() = default;
  Turn(std::shared_ptr<Network> network, std::shared_ptr<Turns> turns)
      : network_(std::move(network)), turns_(std::move(turns)) {}

  explicit operator bool() const { return network_ != nullptr; }
  Network* operator->() const {
    turns_->begin(*network_);
    return network_.get();
  }
  // Where the network takes its inputs and leaves its outputs.
  at::Device device() const { return turns_->device_of(*network_); }

 private:
  std::shared_ptr<Network> network_;
  std::shared_ptr<Turns> turns_;
};

}  // namespace precis::pipelines
