// Which networks of a pipeline are in memory, and which wait on the disk for their turn.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace precis::pipelines {

// How much of the networks on the disk is in memory at once. Diffusers' enable_model_cpu_offload()
// and enable_sequential_cpu_offload(), with the disk as the place to wait and the CPU as the place
// to work.
enum class Offload {
  none,
  model,       // the whole network whose turn it is
  sequential,  // the layer whose turn it is
};

// Bytes of one component.
struct ComponentBytes {
  std::string name;
  uint64_t loaded = 0;      // of all its weights
  uint64_t sequential = 0;  // in memory at most when it is offloaded sequentially
  std::string stays = "";   // why it has to stay in memory; empty: it may wait on the disk
};

// Where the components of a pipeline live.
struct Placement {
  std::map<std::string, Offload> components;
  uint64_t peak_bytes = 0;  // of weights in memory at once
};

// device_map: null, one device for all, or an object of component to device; devices "cpu" and
// "disk", or "cuda" for all. "auto" and "balanced" leave the choice: everything in memory when it
// fits max_memory, else the largest components on the disk, by `offload` or, where that is none, by
// model when that fits and sequentially when not. A component on the disk is offloaded by
// `offload`, by model where that is none. Null with `offload` set: all on the disk. max_memory:
// bytes, 0 for no limit. working_set: bytes needed beside the weights while they are loaded.
// Errors: device_error and invalid_argument of DeviceMap; invalid_argument for a component that is
// not there, or that is sent to the disk by its name and has to stay; out_of_memory, telling what
// each component takes.
Result<Placement> place_components(const std::vector<ComponentBytes>& components,
                                   const nlohmann::json& device_map, Offload offload,
                                   uint64_t max_memory, uint64_t working_set);

// Takes turns among the networks of one pipeline. One thread at a time.
class Turns {
 public:
  // A network whose weights are on the disk.
  void add(std::shared_ptr<torch::nn::Module> network, Offload offload);
  // Now it is this network's turn: the weights of the one before are let go.
  void begin(const torch::nn::Module& network);
  // No network's turn.
  void end();

 private:
  struct Waiting {
    std::shared_ptr<torch::nn::Module> network;
    Offload offload;
  };
  std::vector<Waiting> waiting_;
  const torch::nn::Module* current_ = nullptr;
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

 private:
  std::shared_ptr<Network> network_;
  std::shared_ptr<Turns> turns_;
};

}  // namespace precis::pipelines
