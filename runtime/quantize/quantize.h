// Quantizing the layers of a module tree, and decoding them again.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/engine/method_resolver.h"
#include "runtime/modules/module_tree.h"
#include "runtime/modules/quantized_linear.h"

namespace precis {

// Which layers of a model get which method. Rules apply as in `precis quantize`: the config for
// every Linear, then rules, the last match wins; then skips take layers out again. A Conv2d or an
// Embedding gets a method only from a rule that finds it, for the libraries' configs cover Linear
// layers; and only where the method takes its shape.
struct QuantizeOptions {
  std::string config;  // preset, config string or quantization_config as JSON; empty: rules alone
  std::vector<std::pair<std::string, std::string>> rules;  // regular expression, config or "keep"
  std::vector<std::string> skips;                          // regular expressions
  // The sensitive layers of the model's family, and the layers that the config lists.
  bool default_skips = true;
  Arithmetic arithmetic = Arithmetic::library;  // of the quantized layers
  // False: Linears keep their float weight, which may still be changed, until freeze().
  bool freeze = true;

  std::string component;   // of a pipeline: "transformer"; empty: a lone model
  std::string library;     // "diffusers", "transformers" or empty
  std::string class_name;  // "SD3Transformer2DModel"; empty: the family is told by names
};

// What becomes of one layer.
struct LayerChoice {
  ModuleSite site;
  Param param;
  std::shared_ptr<const Quantizer> quantizer;  // null: it stays as it is
  std::string reason;                          // in words
  uint64_t bytes_before = 0, bytes_after = 0;  // of the weight
};

// Decides for every Linear, Conv2d and Embedding below `root` and changes nothing. Errors before
// any heavy work: a config without a plugin, a rule that matches nothing, a shape that does not
// fit, a method that needs calibration or has no kernels for the layer's device, a layer that
// cannot be replaced (see check_replaceable).
Result<std::vector<LayerChoice>> choose_layers(torch::nn::Module& root,
                                               const QuantizeOptions& options,
                                               MethodResolver& methods);

// Replaces the chosen layers by quantized ones, one after another, each on the device that it is
// on: memory grows by one layer. On an
// error in the middle the layers before it stay quantized. Returns what was done.
Result<std::vector<LayerChoice>> quantize(torch::nn::Module& root, const QuantizeOptions& options,
                                          MethodResolver& methods);

// The same for a tree with quantized layers: of these, those that `options` chooses are decoded and
// encoded anew. What the first method rounded away the second does not bring back.
Result<std::vector<LayerChoice>> requantize(torch::nn::Module& root, const QuantizeOptions& options,
                                            MethodResolver& methods);

// Encodes the weights that quantize() left in floating point, one after another. Returns how many.
// Errors: the plugin's, with the layer's path.
Result<std::size_t> freeze(torch::nn::Module& root);

// Replaces every quantized layer by a float one with the decoded weight in `dtype` (nothing: the
// dtype it had). Returns how many.
Result<std::size_t> dequantize(torch::nn::Module& root, std::optional<DType> dtype = {});

}  // namespace precis
