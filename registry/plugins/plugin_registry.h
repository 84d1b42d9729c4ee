// Finding and loading plugins.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/abi/quantizer.h"
#include "registry/plugins/manifest.h"

namespace precis {

enum class PluginStatus { ready, refused, disabled, shadowed };
std::string_view plugin_status_name(PluginStatus status);

// A plugin that was opened and initialised; it stays so until the process ends.
struct LoadedPlugin {
  const Manifest* manifest = nullptr;
  const precis_quantizer_factory_v1* factory = nullptr;
  uint32_t agreed_minor = 0;

  // Index of the method called `id` in the factory.
  Result<uint32_t> method_index(const std::string& id) const;

  // The JSON Schema of that method's config, as `library` knows it (empty: precis' own). Error
  // plugin when the plugin writes none or something else.
  Result<nlohmann::ordered_json> config_schema(uint32_t index, const std::string& library) const;
};

// A plugin that was found.
struct FoundPlugin {
  Manifest manifest;  // only the path is set when the manifest itself was refused
  PluginStatus status = PluginStatus::ready;
  std::optional<Error> error;  // why it was refused
  std::optional<LoadedPlugin> loaded;
};

// Where plugins are looked for, in this order: `application` paths, PRECIS_PLUGIN_PATH, the user's
// data folder, lib/precis/plugins beside the program's bin/, /usr/lib/precis/plugins. The
// environment and the user's folder do not count with elevated privileges; the current directory
// never does.
std::vector<std::filesystem::path> plugin_search_path(
    const std::vector<std::filesystem::path>& application);

// The plugins of a search path. [any thread]
class PluginRegistry {
 public:
  // host: handed to every plugin; outlives the process' plugins.
  PluginRegistry(const precis_host& host, std::vector<std::filesystem::path> search_path);

  // Reads the manifests; opens nothing. Sorted by folder, then name; a second plugin of the same id
  // is shadowed by the first one that is not refused. PRECIS_PLUGINS_ONLY and
  // PRECIS_PLUGINS_DISABLE are lists of globs on ids.
  const std::vector<FoundPlugin>& plugins() const { return plugins_; }

  // Checks, opens and initialises a plugin; the same answer every time. One that is refused leaves
  // its place to the next of its id, with a warning in the log. Errors: plugin, abi_mismatch, of
  // the first one.
  Result<LoadedPlugin> load(const std::string& id);

  // Loads every plugin that may be used, so that plugins() tells which are refused, and why.
  void load_all();

 private:
  void discover(const std::filesystem::path& folder);
  void add(const std::filesystem::path& manifest_path);
  Result<LoadedPlugin> load_locked(const std::string& id);
  Result<LoadedPlugin> open(const Manifest& manifest) const;

  const precis_host& host_;
  std::vector<FoundPlugin> plugins_;
  std::mutex mutex_;
};

}  // namespace precis
