// The float layers that quantized ones can take the place of.
#pragma once

#include <string>

#include "runtime/modules/quantized_linear.h"

namespace precis {

// "Linear", "Conv2d" or "Embedding" as methods know them; empty: the module is no such layer, or
// one with an option that a quantized layer does not have (padding other than with zeros, a
// maximal norm).
std::string layer_kind(const torch::nn::Module& module);

// The layer's weight; undefined where layer_kind is empty.
torch::Tensor layer_weight(const torch::nn::Module& module);

// The quantized layer that takes the module's place, with its bias. layer_kind is not empty.
std::shared_ptr<QuantizedLayer> quantized_layer(const torch::nn::Module& module,
                                                QuantizedWeight weight, Arithmetic arithmetic);

}  // namespace precis
