// <vector> and <string> stand first: Boost.DLL 1.74 with std::filesystem needs them before its
// headers.
#include <string>
#include <vector>

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/shared_library.hpp>

#include <fmt/format.h>
#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "core/abi/call.h"
#include "core/abi/tables.h"
#include "core/base/log.h"
#include "core/base/output_file.h"
#include "precis/entry.h"
#include "registry/plugins/cpu_features.h"
#include "registry/plugins/plugin_registry.h"
#include "registry/plugins/trust.h"

namespace precis {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = elevated_privileges() ? nullptr : std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> items;
  std::istringstream stream(text);
  for (std::string item; std::getline(stream, item, separator);) {
    if (!item.empty()) items.push_back(item);
  }
  return items;
}

bool matches_any(const std::string& id, const std::string& globs) {
  for (const std::string& glob : split(globs, ',')) {
    if (::fnmatch(glob.c_str(), id.c_str(), 0) == 0) return true;
  }
  return false;
}

Error abi_error(const Manifest& manifest, std::string text, std::string hint) {
  return Error(
      ErrorCode::abi_mismatch,
      fmt::format("plugin {} ({}): {}", manifest.id, manifest.library_path().string(), text),
      std::move(hint));
}

Status negotiate(const Manifest& manifest, const precis_plugin_entry& entry,
                 const precis_host& host) {
  if (entry.magic != PRECIS_ENTRY_MAGIC) {
    return abi_error(manifest, "its entry has a wrong magic number",
                     "it is not a precis plugin: remove it");
  }
  if (entry.struct_size < sizeof(precis_plugin_entry)) {
    return abi_error(manifest,
                     fmt::format("its entry has {} bytes instead of {}", entry.struct_size,
                                 sizeof(precis_plugin_entry)),
                     "it was built against a damaged header: build it again");
  }
  if (entry.abi_major != host.abi_major) {
    return abi_error(manifest,
                     fmt::format("was built for ABI {}.x, this precis speaks {}.x", entry.abi_major,
                                 host.abi_major),
                     "install a version of the plugin, or of precis, that fits the other");
  }
  if (host.abi_minor < entry.min_host_minor) {
    return abi_error(manifest,
                     fmt::format("needs ABI {}.{} or later, this precis has {}.{}", entry.abi_major,
                                 entry.min_host_minor, host.abi_major, host.abi_minor),
                     "update precis");
  }
  if (entry.abi_major != manifest.abi_major || entry.abi_minor != manifest.abi_minor) {
    return abi_error(manifest, "its manifest states another ABI version than its library",
                     "the plugin's author must mend its manifest");
  }
  return {};
}

// Whatever stops a plugin is a matter of the plugin: a library that is missing is no unreadable
// input of the user's.
Error as_refusal(const Error& error) {
  if (error.code() == ErrorCode::plugin || error.code() == ErrorCode::abi_mismatch) return error;
  return Error(ErrorCode::plugin, error.text(),
               error.hint().empty() ? "install the plugin again" : error.hint());
}

// Rule R8, and what a factory says of its methods.
Status check_factory(const Manifest& manifest, const precis_quantizer_factory_v1& factory) {
  PRECIS_TRY(
      check_table(&factory, fmt::format("plugin {}", manifest.id), PRECIS_QUANTIZER_FACTORY_1));
  for (uint32_t i = 0; i < factory.count(); ++i) {
    const precis_method* method = factory.method(i);
    if (method != nullptr && method->id != nullptr && method->quant_method != nullptr &&
        method->version != nullptr && method->container != nullptr && method->extensions != nullptr)
      continue;
    return abi_error(manifest,
                     fmt::format("its method {} is {}", i,
                                 method == nullptr ? "null" : "described with null texts"),
                     "the plugin's author must mend it");
  }
  return {};
}

// Loaded libraries are never closed: plugins have static state, and handles of theirs may outlive
// us.
void keep_forever(boost::dll::shared_library library) {
  static auto* const kept = new std::vector<boost::dll::shared_library>();
  kept->push_back(std::move(library));
}

}  // namespace

std::string_view plugin_status_name(PluginStatus status) {
  switch (status) {
    case PluginStatus::ready:
      return "ready";
    case PluginStatus::refused:
      return "refused";
    case PluginStatus::disabled:
      return "disabled";
    case PluginStatus::shadowed:
      return "shadowed";
  }
  return "refused";
}

Result<uint32_t> LoadedPlugin::method_index(const std::string& id) const {
  for (uint32_t i = 0; i < factory->count(); ++i) {
    if (id == factory->method(i)->id) return i;
  }
  return Error(ErrorCode::plugin,
               fmt::format("plugin {} names the method '{}' in its manifest but does not have it",
                           manifest->id, id));
}

Result<nlohmann::ordered_json> LoadedPlugin::config_schema(uint32_t index,
                                                           const std::string& library) const {
  std::string text;
  const precis_sink sink = string_sink(text);
  const Call call;
  PRECIS_TRY(call.finish(factory->write_schema(call.abi(), index, to_abi(library), &sink),
                         factory->method(index)->id));
  auto schema = nlohmann::ordered_json::parse(text, nullptr, false);
  if (schema.is_object()) return schema;
  return Error(ErrorCode::plugin,
               fmt::format("plugin {}: the schema of method {} is no JSON object", manifest->id,
                           factory->method(index)->id),
               "the plugin's author must mend it");
}

std::vector<fs::path> plugin_search_path(const std::vector<fs::path>& application) {
  std::vector<fs::path> folders = application;
  for (const std::string& item : split(environment("PRECIS_PLUGIN_PATH"), ':')) {
    if (fs::path(item).is_absolute()) folders.emplace_back(item);
  }
  const std::string data = environment("XDG_DATA_HOME"), home = environment("HOME");
  if (!data.empty())
    folders.emplace_back(fs::path(data) / "precis/plugins");
  else if (!home.empty())
    folders.emplace_back(fs::path(home) / ".local/share/precis/plugins");
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) folders.push_back(program.parent_path().parent_path() / "lib/precis/plugins");
  folders.emplace_back("/usr/lib/precis/plugins");
  return folders;
}

PluginRegistry::PluginRegistry(const precis_host& host, std::vector<fs::path> search_path)
    : host_(host) {
  for (const fs::path& folder : search_path) discover(folder);
}

void PluginRegistry::discover(const fs::path& folder) {
  // Directly in the folder, or each plugin in a folder of its own.
  std::vector<fs::path> manifests;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename().string().ends_with(kManifestSuffix))
      manifests.push_back(entry.path());
    if (!entry.is_directory(error)) continue;
    for (const auto& inner : fs::directory_iterator(entry.path(), error)) {
      if (inner.path().filename().string().ends_with(kManifestSuffix))
        manifests.push_back(inner.path());
    }
  }
  std::sort(manifests.begin(), manifests.end());
  for (const fs::path& manifest : manifests) add(manifest);
}

void PluginRegistry::add(const fs::path& manifest_path) {
  FoundPlugin found;
  found.manifest.path = manifest_path;
  const auto refuse = [&](Error error) {
    found.status = PluginStatus::refused;
    found.error = std::move(error);
    plugins_.push_back(std::move(found));
  };
  auto text = read_file(manifest_path, kMaxManifestBytes);
  if (!text.ok()) return refuse(std::move(text).error());
  auto manifest = parse_manifest(*text, manifest_path);
  if (!manifest.ok()) return refuse(std::move(manifest).error());
  found.manifest = *std::move(manifest);
  if (found.manifest.platform != host_platform()) {
    return refuse(Error(ErrorCode::plugin,
                        fmt::format("{}: is for {}, this is {}", manifest_path.string(),
                                    found.manifest.platform, host_platform()),
                        "install the plugin for this platform"));
  }
  if (const auto missing = missing_cpu_feature(found.manifest.requires_cpu)) {
    return refuse(
        Error(ErrorCode::plugin,
              fmt::format("{}: 'requires.cpu' names {}, which this processor does not have",
                          manifest_path.string(), *missing),
              "install a build of the plugin for this processor"));
  }
  const std::string only = environment("PRECIS_PLUGINS_ONLY");
  if ((!only.empty() && !matches_any(found.manifest.id, only)) ||
      matches_any(found.manifest.id, environment("PRECIS_PLUGINS_DISABLE"))) {
    found.status = PluginStatus::disabled;
  }
  for (const FoundPlugin& earlier : plugins_) {
    if (earlier.manifest.id == found.manifest.id && earlier.status == PluginStatus::ready) {
      found.status = PluginStatus::shadowed;
    }
  }
  plugins_.push_back(std::move(found));
}

Result<LoadedPlugin> PluginRegistry::load(const std::string& id) {
  std::lock_guard lock(mutex_);
  return load_locked(id);
}

void PluginRegistry::load_all() {
  std::lock_guard lock(mutex_);
  for (const FoundPlugin& plugin : plugins_) {
    if (plugin.status == PluginStatus::ready) (void)load_locked(plugin.manifest.id);
  }
}

Result<LoadedPlugin> PluginRegistry::load_locked(const std::string& id) {
  const FoundPlugin* refused = nullptr;
  for (FoundPlugin& plugin : plugins_) {
    if (plugin.manifest.id != id || plugin.status == PluginStatus::disabled) continue;
    if (plugin.loaded) return *plugin.loaded;
    if (plugin.status != PluginStatus::refused) {
      auto loaded = open(plugin.manifest);
      if (loaded.ok()) {
        if (refused != nullptr) {
          logger().warn("plugin {} of {} is used: {}", id, plugin.manifest.path.string(),
                        refused->error->text());
        }
        plugin.status = PluginStatus::ready;
        plugin.loaded = *loaded;
        return *plugin.loaded;
      }
      plugin.status = PluginStatus::refused;
      plugin.error = as_refusal(loaded.error());
    }
    if (refused == nullptr) refused = &plugin;
  }
  if (refused != nullptr) return *refused->error;
  return Error(ErrorCode::plugin, fmt::format("there is no plugin '{}'", id),
               "see `precis backends`");
}

Result<LoadedPlugin> PluginRegistry::open(const Manifest& manifest) const {
  PRECIS_ASSIGN(OpenLibrary trusted, open_trusted(manifest));
  boost::dll::fs::error_code error;
  boost::dll::shared_library library;
  library.load(trusted.load_path(),
               boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local, error);
  if (error) {
    return Error(
        ErrorCode::plugin,
        fmt::format("{}: cannot be loaded: {}", manifest.library_path().string(), error.message()),
        "a library it needs may be missing; `ldd` on the file tells");
  }
  trusted.keep_open();
  if (!library.has(PRECIS_ENTRY_SYMBOL)) {
    keep_forever(std::move(library));
    return abi_error(manifest, fmt::format("does not export {}", PRECIS_ENTRY_SYMBOL),
                     "it is not a precis plugin: remove it");
  }
  const auto& entry = library.get<const precis_plugin_entry>(PRECIS_ENTRY_SYMBOL);
  keep_forever(library);
  PRECIS_TRY(negotiate(manifest, entry, host_));
  if (entry.init == nullptr || entry.deinit == nullptr || entry.get_factory == nullptr) {
    return abi_error(manifest, "its entry has a null member", "the plugin's author must mend it");
  }
  const uint32_t agreed = std::min(entry.abi_minor, host_.abi_minor);
  std::string why;
  const precis_sink sink = string_sink(why);
  if (const precis_status status = entry.init(&host_, agreed, &sink); status != PRECIS_OK) {
    return abi_error(manifest, fmt::format("could not start (status {}): {}", status, why),
                     "see the plugin's documentation");
  }
  const auto* factory = static_cast<const precis_quantizer_factory_v1*>(
      entry.get_factory(PRECIS_QUANTIZER_FACTORY_1));
  if (factory == nullptr) {
    return abi_error(manifest, fmt::format("has no {}", PRECIS_QUANTIZER_FACTORY_1),
                     "update the plugin");
  }
  PRECIS_TRY(check_factory(manifest, *factory));
  LoadedPlugin loaded{&manifest, factory, agreed};
  for (const QuantMethodEntry& method : manifest.quant_methods)
    PRECIS_TRY(loaded.method_index(method.method));
  return loaded;
}

}  // namespace precis
