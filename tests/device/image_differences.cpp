// image_differences DIR: the images of a pipeline on a device beside those on the CPU, and those of
// weights that wait or work elsewhere, for tests/interop/test_networks.py. PSNR in dB, 200 for
// equal ones, as JSON.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "pipelines/image.h"
#include "pipelines/pipeline.h"
#include "tests/device/executor_as_cuda.h"

namespace precis {
namespace {

using pipelines::Pipeline;

at::Tensor image(const std::string& directory, const pipelines::LoadOptions& load) {
  const auto pipeline = Pipeline::from_pretrained(directory, load, linked_plugin());
  if (!pipeline.ok()) throw std::runtime_error(pipeline.error().text());
  pipelines::GenerateOptions options;
  options.prompt = "a lighthouse at dusk";
  options.steps = 2;
  options.height = options.width = 64;
  options.max_sequence_length = 32;
  auto made = (*pipeline)->generate(options);
  if (!made.ok()) throw std::runtime_error(made.error().text());
  return *std::move(made);
}

double psnr(const at::Tensor& image, const at::Tensor& reference) {
  return std::min(200.0, pipelines::psnr(image, reference));
}

double difference(const std::string& directory, at::ScalarType dtype, const std::string& method) {
  pipelines::LoadOptions load;
  load.dtype = dtype;
  if (!method.empty()) load.methods.components = {{"transformer", method}};
  const at::Tensor on_cpu = image(directory, load);
  load.device = "cuda";
  return psnr(image(directory, load), on_cpu);
}

// Weights that wait, and components that work on the CPU, beside everything on the device.
nlohmann::json placed_elsewhere(const std::string& directory, const std::string& method) {
  pipelines::LoadOptions load;
  load.dtype = at::kBFloat16;
  load.methods.components = {{"transformer", method}};
  load.device = "cuda";
  const at::Tensor on_device = image(directory, load);
  nlohmann::json result;
  for (const char* waits : {"model", "sequential"}) {
    load.offload =
        waits == std::string("model") ? pipelines::Offload::model : pipelines::Offload::sequential;
    load.device_map = nullptr;
    result[std::string(waits) + ", memory"] = psnr(image(directory, load), on_device);
    load.device_map = "disk";
    result[std::string(waits) + ", disk"] = psnr(image(directory, load), on_device);
  }
  load.offload = pipelines::Offload::none;
  load.device_map = {{"", "cuda"}, {"text_encoder", "cpu"}, {"vae", "cpu"}};
  result["encoder and decoder on the CPU"] = psnr(image(directory, load), on_device);
  return result;
}

}  // namespace
}  // namespace precis

int main(int, char** argv) {
  const std::string nf4 =
      R"({"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4"})";
  const nlohmann::json psnr{{"float32", precis::difference(argv[1], at::kFloat, "")},
                            {"bfloat16", precis::difference(argv[1], at::kBFloat16, "")},
                            {"nf4", precis::difference(argv[1], at::kBFloat16, nf4)},
                            {"elsewhere", precis::placed_elsewhere(argv[1], nf4)}};
  std::printf("%s\n", psnr.dump().c_str());
}
