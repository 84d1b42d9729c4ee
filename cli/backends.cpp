// precis backends, doctor: the plugins, and this machine.
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "cli/networks_commands.h"
#include "cli/session.h"
#include "cli/table.h"
#include "core/base/byte_size.h"
#include "core/base/printable.h"
#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/tile_state.h"

namespace precis::cli {
namespace {

using nlohmann::ordered_json;

std::string joined(const std::vector<std::string>& list) {
  std::string text;
  for (const std::string& item : list) text += (text.empty() ? "" : ", ") + item;
  return text;
}

// Why the processor's tiles are not used, where it has some.
std::string unused_tiles() {
  switch (kernels::tile_state()) {
    case kernels::TileState::refused:
      return "; AMX: refused by the operating system";
    case kernels::TileState::wrong:
      return "; AMX: left alone, its products are wrong";
    case kernels::TileState::none:
    case kernels::TileState::usable:
      break;
  }
  return "";
}

void print_refusal(const Error& error) {
  fmt::print(stderr, "refused: {}\n  hint: {}\n", printable(error.text()), printable(error.hint()));
}

ordered_json plugin_json(const FoundPlugin& plugin) {
  const Manifest& manifest = plugin.manifest;
  ordered_json presets = ordered_json::array(), methods = ordered_json::array();
  for (const PresetEntry& preset : manifest.presets) {
    presets.push_back(
        {{"name", preset.name}, {"summary", preset.summary}, {"config", preset.config}});
  }
  for (const QuantMethodEntry& entry : manifest.quant_methods) {
    methods.push_back({{"quant_method", entry.name},
                       {"when", entry.when},
                       {"method", entry.method},
                       {"libraries", entry.libraries}});
  }
  ordered_json json{{"id", manifest.id},
                    {"status", plugin_status_name(plugin.status)},
                    {"manifest", manifest.path.string()}};
  if (plugin.error) {
    json["error"] = plugin.error->text();
    json["hint"] = plugin.error->hint();
  }
  if (manifest.id.empty()) return json;
  json.update({{"version", manifest.version},
               {"license", manifest.license},
               {"description", manifest.description},
               {"abi", fmt::format("{}.{}", manifest.abi_major, manifest.abi_minor)},
               {"devices", manifest.devices},
               {"reads", manifest.reads},
               {"writes", manifest.writes},
               {"quant_methods", std::move(methods)},
               {"presets", std::move(presets)}});
  return json;
}

std::string plugin_text(const FoundPlugin& plugin) {
  const Manifest& manifest = plugin.manifest;
  const std::string head = fmt::format(
      "{} {} ({}, ABI {}.{}, {})\n  {}\n  reads   {}\n  writes  {}\n  devices {}\n  from    {}\n\n",
      manifest.id, manifest.version, manifest.license, manifest.abi_major, manifest.abi_minor,
      plugin_status_name(plugin.status), manifest.description, joined(manifest.reads),
      joined(manifest.writes), joined(manifest.devices), manifest.path.string());
  std::vector<std::vector<std::string>> rows{{"preset", "what it is"}};
  for (const PresetEntry& preset : manifest.presets) rows.push_back({preset.name, preset.summary});
  return head + format_table(rows, 9);
}

// The README's table of methods.
std::string markdown_table(const std::vector<FoundPlugin>& plugins) {
  std::string text =
      "| plugin | what it is | reads and writes | reads only | libraries "
      "|\n|---|---|---|---|---|\n";
  for (const FoundPlugin& plugin : plugins) {
    const Manifest& manifest = plugin.manifest;
    if (plugin.status != PluginStatus::ready) continue;
    std::vector<std::string> read_only, libraries;
    for (const std::string& format : manifest.reads) {
      const auto& writes = manifest.writes;
      if (std::find(writes.begin(), writes.end(), format) == writes.end())
        read_only.push_back(format);
    }
    for (const QuantMethodEntry& entry : manifest.quant_methods) {
      for (const std::string& library : entry.libraries) {
        if (std::find(libraries.begin(), libraries.end(), library) == libraries.end())
          libraries.push_back(library);
      }
    }
    text += fmt::format("| {} | {} | {} | {} | {} |\n", manifest.id, manifest.description,
                        joined(manifest.writes), joined(read_only), joined(libraries));
  }
  return text;
}

// The config's keys of every method, as the JSON Schema that its plugin writes.
Result<ordered_json> options_json(const std::string& id, Session& session) {
  PRECIS_ASSIGN(const LoadedPlugin plugin, session.plugins().load(id));
  ordered_json options = ordered_json::object();
  for (uint32_t i = 0; i < plugin.factory->count(); ++i) {
    PRECIS_ASSIGN(options[plugin.factory->method(i)->id], plugin.config_schema(i, ""));
  }
  return options;
}

// "integer or null", "fp4 or nf4": what a JSON Schema lets a key be. Empty: anything.
std::string values_text(const ordered_json& property) {
  const auto word = [](const ordered_json& item) {
    return item.is_string() ? item.get<std::string>() : item.dump();
  };
  std::string text;
  const auto add = [&](const std::string& item) {
    if (!item.empty()) text += (text.empty() ? "" : " or ") + item;
  };
  if (property.contains("const")) return word(property["const"]);
  for (const char* kind : {"enum", "type", "anyOf"}) {
    if (!property.contains(kind)) continue;
    const ordered_json& found = property[kind];
    if (!found.is_array()) return word(found);
    for (const ordered_json& item : found) add(item.is_object() ? values_text(item) : word(item));
    return text;
  }
  return text;
}

// One line a key: its type or values, its default, what it means.
std::string options_text(const ordered_json& options) {
  std::string text;
  for (const auto& [method, schema] : options.items()) {
    std::vector<std::vector<std::string>> rows{
        {"key of " + method, "values", "default", "meaning"}};
    const ordered_json properties = schema.value("properties", ordered_json::object());
    for (const auto& [key, property] : properties.items()) {
      rows.push_back({key, values_text(property),
                      property.contains("default") ? property["default"].dump() : "",
                      property.value("description", "")});
    }
    text += "\n" +
            (properties.empty() ? printable(method) + " has no options\n" : format_table(rows, 9));
  }
  return text;
}

int backends(const std::string& name, Session& session) {
  session.plugins().load_all();
  const auto& plugins = session.plugins().plugins();
  ordered_json list = ordered_json::array();
  std::vector<std::vector<std::string>> rows{{"plugin", "version", "status", "devices", "presets"}};
  bool found = false, ready = false, refused = false;
  for (const FoundPlugin& plugin : plugins) {
    if (!name.empty() && plugin.manifest.id != name) continue;
    found = true;
    ready = ready || plugin.status == PluginStatus::ready;
    refused = refused || plugin.status == PluginStatus::refused;
    list.push_back(plugin_json(plugin));
    if (!name.empty()) session.show(plugin_text(plugin));
    if (!name.empty() && plugin.status == PluginStatus::ready) {
      auto options = options_json(name, session);
      if (!options.ok()) return session.fail(options.error());
      session.show(options_text(*options));
      list.back()["options"] = *std::move(options);
    }
    std::vector<std::string> presets;
    for (const PresetEntry& preset : plugin.manifest.presets) presets.push_back(preset.name);
    rows.push_back(
        {plugin.manifest.id.empty() ? plugin.manifest.path.filename().string() : plugin.manifest.id,
         plugin.manifest.version, std::string(plugin_status_name(plugin.status)),
         joined(plugin.manifest.devices), joined(presets)});
    if (plugin.error) print_refusal(*plugin.error);
  }
  if (!name.empty() && !found) {
    return session.fail(Error(ErrorCode::plugin, fmt::format("there is no plugin '{}'", name),
                              "`precis backends` lists them"));
  }
  if (session.json)
    session.print({{"plugins", std::move(list)}});
  else if (name.empty())
    session.show(format_table(rows, 9));
  return !name.empty() && refused && !ready ? static_cast<int>(kPlugin) : static_cast<int>(kDone);
}

int doctor(Session& session) {
  std::size_t ready = 0, refused = 0;
  ordered_json plugins = ordered_json::array();
  session.plugins().load_all();
  for (const FoundPlugin& plugin : session.plugins().plugins()) {
    plugins.push_back(plugin_json(plugin));
    refused += plugin.status == PluginStatus::refused ? 1 : 0;
    ready += plugin.status == PluginStatus::ready ? 1 : 0;
  }
  const std::string torch = PRECIS_TORCH_VERSION;
  std::vector<std::string> left_out;
  if (torch.empty()) left_out.emplace_back("LibTorch runtime (`precis generate`, `precis embed`)");
  // Of this build: a plugin from elsewhere may have kernels of its own.
  if (!PRECIS_HAS_CUDA) left_out.emplace_back("CUDA kernels");
  if (!PRECIS_HAS_HIP) left_out.emplace_back("HIP kernels");
  const uint64_t memory = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                          static_cast<uint64_t>(::sysconf(_SC_PAGE_SIZE));
  struct statvfs disk {};
  ::statvfs(".", &disk);
  const uint64_t free_disk = uint64_t{disk.f_bavail} * disk.f_frsize;
  if (session.json) {
    session.print({{"version", "0.1.0"},
                   {"abi", fmt::format("{}.{}", PRECIS_ABI_MAJOR, PRECIS_ABI_MINOR)},
                   {"processors", available_processors()},
                   {"instruction_set", kernels::isa_name(kernels::current_isa())},
                   {"amx_tiles", kernels::tile_state_name(kernels::tile_state())},
                   {"memory_bytes", memory},
                   {"free_disk_bytes", free_disk},
                   {"runtime", torch.empty() ? ordered_json() : ordered_json("LibTorch " + torch)},
                   {"left_out", left_out},
                   {"plugins", std::move(plugins)}});
  } else {
    session.show(
        fmt::format("precis 0.1.0, plugin ABI {}.{}\n", PRECIS_ABI_MAJOR, PRECIS_ABI_MINOR));
    session.show(fmt::format("processors   {}, kernels for {}{}\n", available_processors(),
                             kernels::isa_name(kernels::current_isa()), unused_tiles()));
    session.show(fmt::format("memory       {}, free disk here {}\n", format_bytes(memory),
                             format_bytes(free_disk)));
    if (!torch.empty()) session.show(fmt::format("runtime      LibTorch {}\n", torch));
    if (!left_out.empty()) session.show(fmt::format("left out     {}\n", joined(left_out)));
    session.show(fmt::format("plugins      {} load, {} do not\n", ready, refused));
  }
  for (const FoundPlugin& plugin : session.plugins().plugins()) {
    if (plugin.error) print_refusal(*plugin.error);
  }
  return refused > 0 ? static_cast<int>(kPlugin) : static_cast<int>(kDone);
}

}  // namespace

void add_backends(CLI::App& app, Session& session, int& result) {
  auto* command =
      app.add_subcommand("backends", "the plugins found, and what each reads and writes");
  auto name = std::make_shared<std::string>();
  auto markdown = std::make_shared<bool>(false);
  command->add_option("NAME", *name, "one plugin, in detail");
  command->add_flag("--markdown", *markdown, "the README's table of methods");
  session.add_options(*command);
  command->callback([=, &session, &result] {
    session.apply();
    if (*markdown && !session.json) {
      session.show(markdown_table(session.plugins().plugins()));
      result = kDone;
      return;
    }
    result = backends(*name, session);
  });
}

void add_doctor(CLI::App& app, Session& session, int& result) {
  auto* command =
      app.add_subcommand("doctor", "this machine, this build, and whether every plugin loads");
  session.add_options(*command);
  command->callback([&session, &result] {
    session.apply();
    result = doctor(session);
  });
}

}  // namespace precis::cli
