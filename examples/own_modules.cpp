// A module tree of one's own, quantized in place.
#include <torch/nn/functional/activation.h>

#include <cstdio>

#include "registry/config/installed_plugins.h"
#include "runtime/modules/any_layer.h"
#include "runtime/quantize/quantize.h"

namespace {

// Layers that may be replaced are held in an AnyLayer; the rest is any torch module.
struct Perceptron : torch::nn::Module {
  Perceptron()
      : fc1(*this, "fc1", torch::nn::Linear(256, 1024)),
        fc2(*this, "fc2", torch::nn::Linear(1024, 256)),
        head(*this, "head", torch::nn::Linear(256, 10)) {}
  torch::Tensor forward(const torch::Tensor& x) { return head(fc2(torch::relu(fc1(x)))); }
  precis::AnyLayer fc1, fc2, head;
};

}  // namespace

int main() {
  using namespace precis;
  const torch::NoGradGuard no_grad;
  torch::manual_seed(0);
  Perceptron model;
  const torch::Tensor x = torch::randn({4, 256}), want = model.forward(x);

  QuantizeOptions options;
  options.config = "nf4";
  options.rules = {{"^fc2\\.", "qint8"}};
  options.skips = {"^head\\."};
  const auto done = quantize(model, options, installed_plugins({PRECIS_PLUGIN_DIR}));
  if (!done.ok()) return std::fprintf(stderr, "%s\n", done.error().text().c_str()), 1;
  for (const LayerChoice& layer : *done) {
    std::printf("%-5s %8llu -> %8llu bytes  %s\n", layer.site.path.c_str(),
                static_cast<unsigned long long>(layer.bytes_before),
                static_cast<unsigned long long>(layer.bytes_after), layer.reason.c_str());
  }
  const double error = ((model.forward(x) - want).norm() / want.norm()).item<double>();
  std::printf("relative error of the output: %.4f\n", error);
  return error < 0.2 ? 0 : 1;
}
