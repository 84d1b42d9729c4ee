// Rounding the activations of quantized layers: quanto's `quantize(..., activations=)`.
#pragma once

#include <torch/nn/module.h>

#include "core/base/result.h"
#include "runtime/modules/activation_rounding.h"

namespace precis {

struct ActivationOptions {
  DType dtype = DType::i8;  // qint8; f8_e4m3fn and f8_e5m2: qfloat8
  // Outputs too, as a model of quanto does that was saved and loaded. False: inputs alone, as one
  // does straight after a calibration whose outputs go into functions that take floats.
  bool outputs = true;
};

// From now on every QuantizedLinear below `root` rounds its activations. Their scales are those of
// the checkpoint, or are measured while a Calibration lives:
//
//   quantize(model, {.config = "qint8"}, methods);
//   quantize_activations(model, {});
//   { Calibration calibration; for (const auto& batch : batches) model.forward(batch); }
//
// Returns how many layers. Unlike quanto, which hands integers on from layer to layer, a layer that
// is fed directly by another rounds anew with its own scale. Error unsupported, before any layer is
// changed, for a method whose stored form has no scales for activations (only quanto's has), and
// for another dtype.
Result<std::size_t> quantize_activations(torch::nn::Module& root, const ActivationOptions& options);

}  // namespace precis
