#include <algorithm>

#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

std::string type_of(const json& options) {
  std::string type = options.at("type");
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return type;
}

// The encoders of these types search lattices.
std::optional<std::vector<PartSpec>> lattice_types(const json& options, const Param& param) {
  const std::string type = type_of(options);
  const bool lattice =
      type.starts_with("iq1") || type.starts_with("iq2") || type.starts_with("iq3");
  if (!lattice) return std::nullopt;
  return std::vector<PartSpec>{{"weight", DType::u8, param.shape, 0, "gguf." + type}};
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "gguf",
      .golden = {{.folder = "gguf",
                  .config =
                      [](const json& options) {
                        return json{{"quant_method", "gguf"}, {"type", type_of(options)}};
                      },
                  .read_only = lattice_types,
                  .opaque_parts = true}},
      .skip_lists = {{"gguf",
                      {{"quant_method", "gguf"}, {"type", "q8_0"}},
                      "modules_to_not_convert"}},
      .least_configs = 45};
  return method;
}

}  // namespace precis
