// Filling a module tree from a checkpoint, quantizing on the way or taking what is quantized.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/engine/plan.h"
#include "runtime/loading/lifecycle.h"

namespace precis {

struct LoadOptions {
  std::optional<DType> dtype;  // of what is not quantized; nothing: as the checkpoint has it
  // Names of modules whose weights stay in float32 where dtype is f16, for their results leave its
  // range: _keep_in_fp32_modules of transformers.
  std::set<std::string> kept_in_f32;
  // On the fly; not for a checkpoint that is already quantized. Rules may mix methods.
  std::optional<QuantizeOptions> quantize;
  // Instead of `quantize`: what resolve() decided for this very component. Outlives the call. A
  // weight that it quantizes and that no quantized layer can hold (a parameter of a module of the
  // network's own) keeps its float form, with the values that the method leaves.
  const ComponentPlan* plan = nullptr;
  Arithmetic arithmetic = Arithmetic::library;  // of the quantized layers
  // The names under which a checkpoint may have a tensor of the model, the likeliest first. Empty:
  // its own.
  std::function<std::vector<std::string>(const std::string& name)> stored_names;
  // As accelerate takes it (DeviceMap): null, "cpu", "cuda:0", "disk", "auto",
  // {"": "cuda", "proj_out": "cpu", …}. Weights are quantized on the device that they work on.
  // Those on the disk, or in the CPU's memory beside another device, are where they work only while
  // their layer is called, so for networks that hold their layers in AnyLayers. Beside another
  // device than the CPU, what belongs to no layer (norms, tables) lives on the device all the same.
  nlohmann::json device_map;
  // That weights work on; nothing: what the device map says. With {"": "cpu"} all of them wait in
  // the CPU's memory for it.
  std::optional<at::Device> execution_device;
  std::map<std::string, uint64_t> max_memory;  // bytes by device; empty: no limit
  // For weights on the disk that are not held as the checkpoint stores them; see WeightFile.
  std::filesystem::path offload_directory;
  // False: a network's weights come and go together. Those on the disk stay in memory after they
  // are used, until release_weights(); those that wait beside another device are there, all of
  // them, while an Onloaded of the network lives, and the network works only then.
  bool stream = true;
  // Weights that are held as the checkpoint stores them are mapped from its files, not copied: the
  // first use reads them. False: everything in memory is the process' own.
  bool map_files = true;
  Lifecycle::Observer observer;
};

struct LoadReport {
  std::size_t quantized = 0;            // layers
  uint64_t source_bytes = 0;            // of the loaded tensors, as the checkpoint stores them
  uint64_t bytes = 0;                   // of the loaded model
  uint64_t mapped_bytes = 0;            // of these, in the checkpoint's files
  uint64_t disk_bytes = 0;              // of these, on the disk by the device map
  uint64_t memory_bytes = 0;            // of these, in the CPU's memory beside another device
  std::vector<std::string> unexpected;  // tensors of the checkpoint that the model has no place for
};

// The dtype that a weight of the name has in a model of `dtype`.
DType kept_dtype(const std::string& name, DType dtype, const std::set<std::string>& kept_in_f32);

// Loads `component` into `model`, whose parameters have Hugging Face's names. One tensor at a time:
// memory grows by what is loaded, and beside that holds one weight as numbers. Networks made under
// WithoutWeights hold no float model meanwhile. A weight is cast to `dtype` before it is quantized,
// as diffusers does. Errors, before any weight is read: missing keys, shapes that differ, a device
// that is not there or that a method has no kernels for, budgets that do not do, a config for a
// checkpoint that is already quantized.
// The checkpoint's files must not be written to while the model lives (replacing them is fine).
Result<LoadReport> load_model(torch::nn::Module& model, const Component& component,
                              MethodResolver& methods, const LoadOptions& options);

}  // namespace precis
