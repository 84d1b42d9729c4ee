// The registry's answer to the engine: quantizers made by plugins.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/engine/method_resolver.h"
#include "registry/config/dispatch.h"
#include "registry/plugins/plugin_registry.h"

namespace precis {

class RegistryResolver : public MethodResolver {
 public:
  // `plugins` outlives the resolver.
  explicit RegistryResolver(PluginRegistry& plugins, bool lenient = false)
      : plugins_(plugins), lenient_(lenient) {}

  Result<std::shared_ptr<const Quantizer>> from_spec(const std::string& spec,
                                                     const std::string& library) override;
  Result<std::shared_ptr<const Quantizer>> from_component(const Component& component) override;

  // The canonical config with every default, as the Python library `library` would have it (python:
  // its reading to the type of every value). library_version: empty for today's.
  Result<nlohmann::json> normalize(const nlohmann::json& config, const std::string& library,
                                   bool python, const std::string& library_version = {});

  // Manifests of the plugins that may be used.
  std::vector<const Manifest*> ready() const;

 private:
  Result<std::shared_ptr<const Quantizer>> create(const MethodChoice& choice,
                                                  const std::string& library, uint32_t flags,
                                                  const std::string& spec);

  PluginRegistry& plugins_;
  bool lenient_;
};

}  // namespace precis
