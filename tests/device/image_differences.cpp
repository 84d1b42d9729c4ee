// image_differences DIR: the images of a pipeline on a device beside those on the CPU, for
// tests/interop/test_networks.py. PSNR in dB, 200 for equal ones, as JSON.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "pipelines/image.h"
#include "pipelines/pipeline.h"
#include "tests/device/executor_as_cuda.h"

namespace precis {
namespace {

using pipelines::Pipeline;

at::Tensor image(const std::string& directory, const nlohmann::json& device_map,
                 at::ScalarType dtype, const std::string& method) {
  pipelines::LoadOptions load;
  load.device_map = device_map;
  load.dtype = dtype;
  if (!method.empty()) load.methods.components = {{"transformer", method}};
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

double difference(const std::string& directory, at::ScalarType dtype, const std::string& method) {
  return std::min(200.0, pipelines::psnr(image(directory, "cuda", dtype, method),
                                         image(directory, nullptr, dtype, method)));
}

}  // namespace
}  // namespace precis

int main(int, char** argv) {
  const std::string nf4 =
      R"({"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4"})";
  const nlohmann::json psnr{{"float32", precis::difference(argv[1], at::kFloat, "")},
                            {"bfloat16", precis::difference(argv[1], at::kBFloat16, "")},
                            {"nf4", precis::difference(argv[1], at::kBFloat16, nf4)}};
  std::printf("%s\n", psnr.dump().c_str());
}
