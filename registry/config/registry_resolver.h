// The registry's answer to the engine: quantizers made by plugins.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/engine/method_resolver.h"
#include "registry/config/dispatch.h"
#include "registry/plugins/plugin_registry.h"

namespace precis {

// A config as a library's class holds it.
struct LibraryConfig {
  nlohmann::json config;
  std::vector<std::string> lost;  // keys of the wish for which the class has no place
};

class RegistryResolver : public MethodResolver {
 public:
  // `plugins` outlives the resolver. library_version: whose rules quantizers follow ("4.48"); empty
  // for today's.
  explicit RegistryResolver(PluginRegistry& plugins, bool lenient = false,
                            std::string library_version = {})
      : plugins_(plugins), lenient_(lenient), library_version_(std::move(library_version)) {}

  std::string loading_remark(const Quantizer& method, const std::string& library) const override;
  Result<std::shared_ptr<const Quantizer>> from_spec(const std::string& spec,
                                                     const std::string& library) override;
  Result<std::shared_ptr<const Quantizer>> for_conversion(const std::string& spec,
                                                          const Component& source) override;
  Result<std::shared_ptr<const Quantizer>> from_component(const Component& component) override {
    return from_component(component, nullptr);
  }

  // The same with a config of the user's, null for none; see merge(). A transformers component
  // whose quant_method transformers does not know is an error; lenient: it is loaded as if it had
  // no config, as there.
  Result<std::shared_ptr<const Quantizer>> from_component(const Component& component,
                                                          const nlohmann::json& user);

  // dispatch() and dispatch_string() among the plugins that may be used. Where only a refused
  // plugin has the method or preset, the error is that plugin's.
  Result<MethodChoice> choose(const nlohmann::json& config, const DispatchOptions& options) const;
  Result<MethodChoice> choose(const std::string& spec, const DispatchOptions& options) const;

  // merge_configs(); lenient: with the defaults of the user's config, as in Python. Errors: also
  // those of the user's config.
  Result<nlohmann::json> merge(const nlohmann::json& checkpoint, const nlohmann::json& user,
                               const std::string& library);

  // The canonical config with every default, as the Python library `library` would have it (python:
  // its reading to the type of every value). library_version: empty for today's.
  Result<nlohmann::json> normalize(const nlohmann::json& config, const std::string& library,
                                   bool python, const std::string& library_version = {});

  // What the config class of `library` ("diffusers", "transformers", or "" for precis' own) holds
  // for a method that precis' own spelling chose: a preset, a config string. Errors:
  // invalid_argument when that library has no such config.
  Result<LibraryConfig> library_config(const MethodChoice& choice, const std::string& library);

  // What of a canonical config differs from the method's defaults, as to_diff_dict() of the
  // libraries gives it; quant_method is never among it.
  Result<nlohmann::json> difference_from_defaults(const MethodChoice& choice,
                                                  const nlohmann::json& canonical,
                                                  const std::string& library,
                                                  const std::string& library_version = {});

  // Manifests of the plugins that may be used.
  std::vector<const Manifest*> ready() const;

 private:
  // `error`, or why the plugin that has what `name` stands for was refused.
  Error with_refusals(Error error, const std::string& name) const;
  Result<nlohmann::json> normalize_for(const MethodChoice& choice, const nlohmann::json& config,
                                       const std::string& library, bool python,
                                       const std::string& library_version);
  Result<std::shared_ptr<const Quantizer>> create(const MethodChoice& choice,
                                                  const std::string& library, uint32_t flags,
                                                  const std::string& spec);

  PluginRegistry& plugins_;
  bool lenient_;
  std::string library_version_;
};

}  // namespace precis
