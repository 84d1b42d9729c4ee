// What a plugin says of itself without being opened: NAME.precis-plugin.json beside the library.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace precis {

// A quant_method that the plugin reads. It applies when every key of `when` has that value in the
// config.
struct QuantMethodEntry {
  std::string name;                    // as config.json spells it: "bitsandbytes"
  std::vector<std::string> libraries;  // whose configs: "diffusers", "transformers"
  nlohmann::json when = nlohmann::json::object();
  std::string method;  // id of the method in the factory
  int priority = 0;    // the higher one wins; equal ones are a conflict
  // By library: what a user must know to load there what this method wrote.
  std::map<std::string, std::string> remarks;
};

// A short name for a method with a config: "nf4".
struct PresetEntry {
  std::string name, method;
  nlohmann::json config;
  std::string summary;
};

struct Manifest {
  std::filesystem::path path;  // of the manifest
  std::string id, version, license, description;
  std::string library;  // plain file name beside the manifest
  std::string sha256;   // of the library, 64 lower-case hex digits
  uint32_t abi_major = 0, abi_minor = 0, min_host_minor = 0;
  std::string platform;                   // "linux-x86_64"
  std::vector<std::string> requires_cpu;  // see cpu_features.h
  std::vector<QuantMethodEntry> quant_methods;
  std::vector<PresetEntry> presets;
  std::vector<std::string> devices, capabilities, reads, writes;

  std::filesystem::path library_path() const { return path.parent_path() / library; }
};

inline constexpr std::string_view kManifestSuffix = ".precis-plugin.json";
inline constexpr uint64_t kMaxManifestBytes = 1 << 20;

// Strict: unknown versions, wrong types, a library outside of its folder are refused. Errors:
// data_loss, with `path` and the key.
Result<Manifest> parse_manifest(std::string_view text, const std::filesystem::path& path);

// "linux-x86_64": the platform this program was built for.
std::string_view host_platform();

}  // namespace precis
