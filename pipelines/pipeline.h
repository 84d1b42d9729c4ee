// Text to image: a diffusers pipeline directory, loaded and run.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/engine/method_resolver.h"
#include "core/engine/resolve.h"
#include "models/activation_memory.h"
#include "pipelines/offload.h"
#include "runtime/modules/quantized_linear.h"

namespace precis::pipelines {

struct LoadOptions {
  // Methods of the components, as `precis quantize` takes them; the same rules choose the same
  // layers.
  ResolveOptions methods;
  // What weights that are not quantized are held and computed in.
  at::ScalarType dtype = at::kFloat;
  Arithmetic arithmetic = Arithmetic::library;  // of the layers that are quantized
  // Queries, keys and values of the transformer as one product, where its class can: fused in
  // floating point, then quantized. See models::load_fused_weights.
  bool fuse_qkv = false;
  std::string variant;  // of the weight files; empty: the plain ones
  // Of all weights at once where they work, bytes (Placement::peak_bytes); 0: no limit.
  uint64_t max_memory = 0;
  // That components work on where device_map names no device for them: "cpu", "cuda", "cuda:N".
  std::string device = "cpu";
  // Which components work elsewhere, which wait, and how they take turns: see place_components().
  nlohmann::json device_map;
  Offload offload = Offload::none;
  // For weights on the disk that are not held as the checkpoint stores them; empty: the system's
  // directory for temporary files.
  std::filesystem::path offload_directory;
  // Ready networks by component, taken as they are and moved to the device: from load_network, or a
  // models/ class of the caller's making. Several pipelines may share one, not at the same time.
  // They do not wait.
  std::map<std::string, std::shared_ptr<torch::nn::Module>> components;
};

// What loading did to one component.
struct ComponentReport {
  std::string name, class_name;
  std::string method;            // as asked or as stored; empty: floating point
  bool ready = false;            // it was given, not loaded
  uint64_t source_bytes = 0;     // of its weights in the checkpoint; 0 when ready
  uint64_t loaded_bytes = 0;     // of its weights as they are held
  uint64_t mapped_bytes = 0;     // of these, in the checkpoint's files
  at::Device device = at::kCPU;  // that it works on
  Offload offload = Offload::none;
  double seconds = 0;
};

struct GenerateOptions {
  std::string prompt, negative_prompt;
  int64_t images = 1;  // made together, from one noise of all of them
  int64_t steps = 28;
  std::optional<double> guidance_scale;  // nothing: the pipeline's default
  int64_t height = 0, width = 0;         // pixels; 0: what the network was trained for
  uint64_t seed = 0;                     // of torch's CPU generator, as manual_seed takes it
  int64_t max_sequence_length = 0;       // tokens of the T5 encoder; 0: the pipeline's default
  at::Tensor latents;                    // start here instead of at noise of the seed
  std::function<void(int64_t step, int64_t steps)> progress;  // after every step; may be empty
};

// What one component is called with.
struct ComponentWork {
  std::string component;
  models::Workload work;
};

// One thread at a time.
class Pipeline {
 public:
  // Reads model_index.json and every component. methods must outlive the call only. Errors, before
  // any weight is read: unsupported for a pipeline class that precis does not have, naming those it
  // has; what resolve() refuses; invalid_argument for a ready network that no component is, or that
  // a method is asked for; out_of_memory, telling what each component takes. Later: those of
  // load_component(), with the component in front.
  static Result<std::unique_ptr<Pipeline>> from_pretrained(const std::filesystem::path& directory,
                                                           const LoadOptions& options,
                                                           MethodResolver& methods);
  virtual ~Pipeline() = default;

  // Whether from_pretrained() and then generate() will go through, as far as that shows before a
  // weight is read: their errors of that time, and out_of_memory when what loading makes of the
  // weights and the activations do not fit the memory that the system has to give.
  static Status check(const std::filesystem::path& directory, const LoadOptions& options,
                      const GenerateOptions& generate, MethodResolver& methods);

  // The images, float32 [images, 3, height, width] in 0 to 1, on the CPU. Errors: invalid_argument
  // for options that do not fit the networks; out_of_memory when the activations will not fit the
  // memory that the system has to give.
  Result<at::Tensor> generate(const GenerateOptions& options);

  const std::vector<ComponentReport>& components() const { return components_; }
  // Bytes of weights at once where they work, as the networks take turns: Placement::peak_bytes.
  uint64_t peak_weight_bytes() const { return peak_weight_bytes_; }
  // Bytes of activations that generate() will have at once, at most, on any device. Error
  // invalid_argument for options that no network takes.
  Result<uint64_t> activation_bytes(const GenerateOptions& options) const;

 protected:
  virtual at::Tensor run(const GenerateOptions& options) = 0;
  // The largest call of each component. Error: std::invalid_argument for sizes that do not fit.
  virtual std::vector<ComponentWork> work(const GenerateOptions& options) const = 0;

 private:
  static Result<std::unique_ptr<Pipeline>> make(const std::filesystem::path& directory,
                                                const LoadOptions& options, MethodResolver& methods,
                                                bool load);
  // Of the largest call of a component that counts.
  Result<uint64_t> largest_work(
      const GenerateOptions& options,
      const std::function<bool(const ComponentReport& component)>& counts) const;
  Status check_memory(const GenerateOptions& options, uint64_t weights) const;

  std::vector<ComponentReport> components_;
  std::map<std::string, nlohmann::json> configs_;  // by component
  at::ScalarType dtype_ = at::kFloat;              // that networks work in
  uint64_t peak_weight_bytes_ = 0, made_weight_bytes_ = 0;
  std::shared_ptr<Turns> turns_;
};

}  // namespace precis::pipelines
