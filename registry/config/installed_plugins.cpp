#include "registry/config/installed_plugins.h"

#include "core/abi/host.h"

namespace precis {

RegistryResolver& installed_plugins(const std::vector<std::filesystem::path>& application) {
  // Never destroyed: quantizers in other static objects may outlive this function's.
  static auto* const plugins =
      new PluginRegistry(process_host().abi(), plugin_search_path(application));
  static auto* const resolver = new RegistryResolver(*plugins);
  return *resolver;
}

}  // namespace precis
