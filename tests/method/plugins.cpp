#include <filesystem>

#include "core/abi/host.h"
#include "tests/method/method_test.h"

namespace precis {

namespace {

PluginRegistry& plugins() {
  static auto* const registry = new PluginRegistry(
      process_host().abi(), {std::filesystem::path(PRECIS_BINARY_DIR) / "lib/precis/plugins"});
  return *registry;
}

}  // namespace

RegistryResolver& test_resolver(bool lenient) {
  static auto* const strict = new RegistryResolver(plugins(), false);
  static auto* const kind = new RegistryResolver(plugins(), true);
  return lenient ? *kind : *strict;
}

RegistryResolver& test_resolver_of_2025(const std::string& library) {
  static auto* const diffusers = new RegistryResolver(plugins(), true, "0.33");
  static auto* const transformers = new RegistryResolver(plugins(), true, "4.48");
  return library == "diffusers" ? *diffusers : *transformers;
}

}  // namespace precis
