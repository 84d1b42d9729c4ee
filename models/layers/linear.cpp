#include "models/layers/linear.h"

namespace precis::models {

torch::nn::Linear uninitialised_linear(int64_t in_features, int64_t out_features, bool bias) {
  // LibTorch always initialises, so a layer of one weight grows to its size afterwards.
  torch::nn::Linear layer(torch::nn::LinearOptions(1, 1).bias(bias));
  layer->options.in_features(in_features).out_features(out_features);
  layer->weight.set_requires_grad(false);
  layer->weight.set_data(torch::empty({out_features, in_features}));
  if (bias) {
    layer->bias.set_requires_grad(false);
    layer->bias.set_data(torch::empty({out_features}));
  }
  return layer;
}

}  // namespace precis::models
