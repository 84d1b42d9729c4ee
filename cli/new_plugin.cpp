// precis new-plugin: a plugin that builds, validates and quantizes, to be made one's own.
#include "cli/new_plugin.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/session.h"
#include "core/base/output_file.h"
#include "core/base/printable.h"

namespace precis::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct NewPlugin {
  std::string name, language = "c", folder;
};

// The name becomes an id, a preset, a CMake target and part of file names.
Status check_name(const std::string& name, Session& session) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  if (name.empty() || name.size() > 64 || name[0] < 'a' || name[0] > 'z' ||
      !std::all_of(name.begin(), name.end(), allowed)) {
    return Error(ErrorCode::invalid_argument, fmt::format("'{}' cannot be a plugin's name", name),
                 "begin with a small letter and go on with small letters, digits and '_', 64 at "
                 "most: my_int8");
  }
  for (const FoundPlugin& plugin : session.plugins().plugins()) {
    const auto& presets = plugin.manifest.presets;
    if (plugin.manifest.id != name &&
        std::none_of(presets.begin(), presets.end(),
                     [&](const PresetEntry& preset) { return preset.name == name; }))
      continue;
    return Error(ErrorCode::invalid_argument,
                 fmt::format("plugin {} has the name '{}' already", plugin.manifest.id, name),
                 "choose another name; `precis backends` lists those taken");
  }
  return {};
}

std::string renamed(std::string_view text, const std::string& name) {
  std::string result(text);
  for (std::size_t at = result.find(kTemplateName); at != std::string::npos;
       at = result.find(kTemplateName, at + name.size()))
    result.replace(at, kTemplateName.size(), name);
  return result;
}

// Where find_package(precis-plugin-api) succeeds: beside this program, installed or just built.
std::string package_prefix() {
  std::error_code error;
  const fs::path prefix = fs::read_symlink("/proc/self/exe", error).parent_path().parent_path();
  return fs::exists(prefix / "lib/cmake/precis-plugin-api", error) ? prefix.string() : "";
}

Result<std::vector<std::string>> write_files(const NewPlugin& plugin) {
  std::error_code error;
  if (fs::exists(plugin.folder, error) && !fs::is_empty(plugin.folder, error)) {
    return Error(ErrorCode::invalid_argument, fmt::format("{} is there already", plugin.folder),
                 "name another folder with -o");
  }
  if (fs::create_directories(plugin.folder, error); error)
    return system_error(plugin.folder, "create", error.value());
  std::vector<std::string> written;
  for (const TemplateFile& file : plugin_template_files()) {
    if (file.language != plugin.language) continue;
    const fs::path path = fs::path(plugin.folder) / file.name;
    PRECIS_TRY(write_file_atomically(path, renamed(file.content, plugin.name)));
    written.push_back(path.string());
  }
  return written;
}

int new_plugin(const NewPlugin& plugin, Session& session) {
  if (const auto status = check_name(plugin.name, session); !status.ok())
    return session.fail(status.error());
  const auto files = write_files(plugin);
  if (!files.ok()) return session.fail(files.error());
  const std::string prefix = package_prefix();
  const std::string build = (fs::absolute(plugin.folder) / "build").lexically_normal().string();
  const std::vector<std::string> commands{
      fmt::format("cmake -S '{}' -B '{}'{}", plugin.folder, build,
                  prefix.empty() ? "" : fmt::format(" -DCMAKE_PREFIX_PATH='{}'", prefix)),
      fmt::format("cmake --build '{}'", build), fmt::format("ctest --test-dir '{}'", build),
      fmt::format("export PRECIS_PLUGIN_PATH='{}/lib/precis/plugins'", build),
      fmt::format("precis backends {}", plugin.name)};
  session.print({{"directory", plugin.folder}, {"files", *files}, {"commands", commands}});
  std::string text = fmt::format("{} is made; next:\n", printable(plugin.folder));
  for (const std::string& command : commands) text += "  " + printable(command) + "\n";
  session.show(text);
  return kDone;
}

}  // namespace

void add_new_plugin(CLI::App& app, Session& session, int& result) {
  auto* command = app.add_subcommand(
      "new-plugin", "a plugin of yours to begin with: it builds, validates and quantizes");
  auto plugin = std::make_shared<NewPlugin>();
  command->add_option("NAME", plugin->name, "its id, preset and quant_method")->required();
  command->add_option("--language", plugin->language, "c or cpp")
      ->check(CLI::IsMember({"c", "cpp"}))
      ->capture_default_str();
  command->add_option("-o,--output", plugin->folder, "the folder to make; NAME where not given")
      ->type_name("DIR");
  session.add_options(*command);
  command->callback([plugin, &session, &result] {
    session.apply();
    if (plugin->folder.empty()) plugin->folder = plugin->name;
    result = new_plugin(*plugin, session);
  });
}

}  // namespace precis::cli
