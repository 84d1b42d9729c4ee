// The plugins of this build, for the tests of runtime/ and above.
#pragma once

#include <filesystem>

#include "core/abi/host.h"
#include "registry/config/registry_resolver.h"

namespace precis {

inline RegistryResolver& test_plugins() {
  static auto* const plugins = new PluginRegistry(
      process_host().abi(), {std::filesystem::path(PRECIS_BINARY_DIR) / "lib/precis/plugins"});
  static auto* const resolver = new RegistryResolver(*plugins);
  return *resolver;
}

}  // namespace precis
