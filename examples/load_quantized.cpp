// One network of a pipeline that precis, diffusers or transformers saved quantized, and what it
// computes: load_quantized DIR, where DIR holds a T5 encoder.
#include <c10/core/InferenceMode.h>

#include <cstdio>

#include "models/t5/t5_encoder.h"
#include "pipelines/networks.h"
#include "registry/config/installed_plugins.h"

int main(int argc, char** argv) {
  using namespace precis;
  if (argc != 2) return std::fprintf(stderr, "usage: load_quantized DIR\n"), 1;
  const auto loaded = pipelines::load_network(argv[1], {}, installed_plugins({PRECIS_PLUGIN_DIR}));
  if (!loaded.ok()) return std::fprintf(stderr, "%s\n", loaded.error().text().c_str()), 1;
  std::printf("%s, %s: %llu bytes\n", loaded->report.class_name.c_str(),
              loaded->report.method.c_str(),
              static_cast<unsigned long long>(loaded->report.loaded_bytes));

  auto* encoder = loaded->network->as<models::T5Encoder>();
  if (encoder == nullptr) return std::fprintf(stderr, "%s is no T5 encoder\n", argv[1]), 1;
  const c10::InferenceMode inference;
  const at::Tensor states = encoder->forward(at::arange(8).unsqueeze(0));
  std::printf("states of 8 tokens: [%lld, %lld], norm %.4f\n",
              static_cast<long long>(states.size(1)), static_cast<long long>(states.size(2)),
              states.norm().item<double>());
  return 0;
}
