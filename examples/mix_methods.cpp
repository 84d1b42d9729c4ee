// An image from a float pipeline whose components are quantized while they are loaded, each by its
// own method: mix_methods PIPELINE IMAGE.png
#include <cstdio>

#include "pipelines/image.h"
#include "pipelines/pipeline.h"
#include "registry/config/installed_plugins.h"

int main(int argc, char** argv) {
  using namespace precis;
  if (argc != 3) return std::fprintf(stderr, "usage: mix_methods PIPELINE IMAGE.png\n"), 1;
  pipelines::LoadOptions options;
  options.methods.components = {{"transformer", "nf4"}, {"text_encoder_3", "qint8"}};
  // Within a component, the last rule that finds a weight wins.
  options.methods.rules = {{"transformer_blocks\\.0\\.", "gguf:q8_0"}};

  const auto pipeline = pipelines::Pipeline::from_pretrained(
      argv[1], options, installed_plugins({PRECIS_PLUGIN_DIR}));
  if (!pipeline.ok()) return std::fprintf(stderr, "%s\n", pipeline.error().text().c_str()), 1;
  for (const auto& component : (*pipeline)->components()) {
    std::printf("%-16s %-20s %9llu bytes, %9llu in memory\n", component.name.c_str(),
                component.method.c_str(), static_cast<unsigned long long>(component.source_bytes),
                static_cast<unsigned long long>(component.loaded_bytes));
  }
  pipelines::GenerateOptions generate;
  generate.prompt = "a lighthouse at dusk";
  generate.steps = 4;
  generate.seed = 7;
  const auto images = (*pipeline)->generate(generate);
  if (!images.ok()) return std::fprintf(stderr, "%s\n", images.error().text().c_str()), 1;
  return pipelines::write_png(argv[2], images->select(0, 0)).ok() ? 0 : 1;
}
