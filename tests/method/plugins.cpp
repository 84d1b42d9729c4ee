#include <filesystem>

#include "core/abi/host.h"
#include "tests/method/method_test.h"

namespace precis {

RegistryResolver& test_resolver(bool lenient) {
  static auto* const plugins = new PluginRegistry(
      process_host().abi(), {std::filesystem::path(PRECIS_BINARY_DIR) / "lib/precis/plugins"});
  static auto* const strict = new RegistryResolver(*plugins, false);
  static auto* const kind = new RegistryResolver(*plugins, true);
  return lenient ? *kind : *strict;
}

}  // namespace precis
