// Quantizes, calibrates and saves a perceptron as a program of optimum-quanto would, for
// tests/interop/test_quanto_verbs.py: quanto_verbs DIR WEIGHTS ACTIVATIONS|none
//
// DIR has a model directory `float` (fc1, fc2) and batches.safetensors (x.0, x.1, …). Written are
// saved.safetensors, saved.json and outputs.safetensors: `frozen`, the result of x.0, and
// `reloaded`, that of the saved model.
#include <torch/nn/functional/activation.h>

#include <fstream>
#include <iostream>

#include "core/format/container.h"
#include "registry/config/installed_plugins.h"
#include "runtime/loading/load.h"
#include "runtime/modules/any_layer.h"
#include "runtime/modules/without_weights.h"
#include "runtime/quantize/activations.h"
#include "runtime/saving/save.h"
#include "runtime/tensor/tensor_adapter.h"

namespace {

namespace fs = std::filesystem;
using namespace precis;

template <typename T>
T check(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().text() + "; " + result.error().hint());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

struct Perceptron : torch::nn::Module {
  Perceptron()
      : fc1(*this, "fc1", torch::nn::Linear(64, 256)),
        fc2(*this, "fc2", torch::nn::Linear(256, 64)) {}
  torch::Tensor forward(const torch::Tensor& x) { return fc2(torch::silu(fc1(x))); }
  AnyLayer fc1, fc2;
};

std::shared_ptr<Perceptron> empty_perceptron() {
  const WithoutWeights without;
  return std::make_shared<Perceptron>();
}

std::shared_ptr<Perceptron> load(const fs::path& directory) {
  auto model = empty_perceptron();
  const Checkpoint checkpoint = check(open_checkpoint(directory));
  check(load_model(*model, checkpoint.components.front(), installed_plugins(), {}));
  return model;
}

std::vector<torch::Tensor> read_batches(const fs::path& path) {
  const auto file = check(Container::open(path));
  std::vector<torch::Tensor> batches;
  while (const auto* entry = file->find("x." + std::to_string(batches.size()))) {
    const auto bytes = check(file->data(*entry));
    batches.push_back(
        at::from_blob(const_cast<std::byte*>(bytes.data()), entry->shape, at::kFloat).clone());
  }
  return batches;
}

void run(const fs::path& directory, const std::string& weights, const std::string& activations) {
  const auto batches = read_batches(directory / "batches.safetensors");
  const auto model = load(directory / "float");
  QuantizeOptions options;
  options.config = weights;
  options.freeze = false;
  check(quantize(*model, options, installed_plugins()));
  const torch::Tensor unfrozen = model->forward(batches[0]);
  check(freeze(*model));
  if (!at::equal(unfrozen, model->forward(batches[0])))
    throw std::runtime_error("freezing changes what the model computes");
  const ActivationOptions rounding{activations == "qint8" ? DType::i8 : DType::f8_e4m3fn};
  if (activations != "none") {
    check(quantize_activations(*model, rounding));
    const Calibration calibration;
    for (const torch::Tensor& batch : batches) model->forward(batch);
  }
  torch::nn::Module outputs;
  outputs.register_buffer("frozen", model->forward(batches[0]));
  const fs::path saved = directory / "saved";
  fs::create_directories(saved);
  check(save_state_dict(*model, saved / "model.safetensors"));
  const auto map = quantization_map(*model);
  std::ofstream(saved / "quantization_map.json") << map.dump(2);
  std::ofstream(saved / "config.json") << nlohmann::json{
      {"quantization_config", {{"quant_method", "quanto"}, {"weights", weights.substr(1)}}}};

  const auto reloaded = load(saved);
  if (activations != "none") check(quantize_activations(*reloaded, rounding));
  outputs.register_buffer("reloaded", reloaded->forward(batches[0]));
  check(save_state_dict(outputs, directory / "outputs.safetensors"));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::cerr << "usage: quanto_verbs DIR WEIGHTS ACTIVATIONS|none\n", 1;
  try {
    const at::NoGradGuard no_grad;
    run(argv[1], argv[2], argv[3]);
  } catch (const std::exception& error) {
    return std::cerr << error.what() << "\n", 1;
  }
  return 0;
}
