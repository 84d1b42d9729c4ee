// A config's list of modules that are left as they are.
#ifndef PRECIS_SDK_SKIP_LIST_HPP
#define PRECIS_SDK_SKIP_LIST_HPP

#include <precis/precis.h>

#include <string>
#include <string_view>

#include "error.hpp"
#include "module_match.hpp"
#include "option.hpp"

PRECIS_SDK_NAMESPACE_BEGIN

// The list, and how the method's library reads it.
struct SkipList {
  std::string key;  // in the config: "modules_to_not_convert"
  ModuleList modules;
  bool (*keeps)(std::string_view module, const ModuleList& modules);
  // The entry that keeps this module alone; null: the module's path.
  std::string (*entry)(std::string_view module) = nullptr;
};

// The texts of a list option; whatever else Python lets stand there is ignored.
inline ModuleList module_list(const Json& value) {
  ModuleList modules;
  if (!value.is_array()) return modules;
  for (const Json& name : value) {
    if (name.is_string()) modules.push_back(name.get<std::string>());
  }
  return modules;
}

// The modules of the list and those that the component keeps: libraries replace every Linear that
// is not listed, and then expect quantized weights for it. Throws PRECIS_UNSUPPORTED where the list
// would keep a quantized module too.
inline ModuleList listed_modules(const SkipList& skip, const precis_component& component) {
  ModuleList modules = skip.modules;
  for (uint64_t i = 0; i < component.kept_count; ++i) {
    const std::string module(module_of(view(component.kept[i]->name)));
    if (!skip.keeps(module, modules))
      modules.push_back(skip.entry == nullptr ? module : skip.entry(module));
  }
  for (uint64_t i = 0; i < component.quantized_count; ++i) {
    const std::string_view module = module_of(view(component.quantized[i]->name));
    if (!skip.keeps(module, modules)) continue;
    throw PluginError(PRECIS_UNSUPPORTED,
                      "'" + skip.key + "' cannot list every kept module without '" +
                          std::string(module) +
                          "', which is quantized: keep or quantize both (--rule, --skip, "
                          "--no-default-skips)");
  }
  return modules;
}

PRECIS_SDK_NAMESPACE_END

#endif
