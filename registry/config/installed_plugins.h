// The plugins of this machine, for programs that need no more than them.
#pragma once

#include <filesystem>
#include <vector>

#include "registry/config/registry_resolver.h"

namespace precis {

// Every quantizer comes from here. Made by the first call, with the threads of the whole machine,
// and alive until the process ends. application: folders to look for plugins in before all others
// (see plugin_search_path); later calls' are ignored. [any thread]
RegistryResolver& installed_plugins(const std::vector<std::filesystem::path>& application = {});

}  // namespace precis
