// Where a written file comes from: what its metadata says of its making, and verifying reads again.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/format/container.h"

namespace precis {

// A weight file of the source.
struct SourceFile {
  std::string name;  // without its directory
  uint64_t bytes = 0;
  std::string
      header_sha256;  // of names, dtypes, shapes and places of its tensors, and its metadata
  std::string sample_sha256;  // of the first 4 KiB of 16 tensors, evenly spread over the file

  // Whether both are of the same file, whatever its name.
  bool same_content(const SourceFile& other) const;
};

// Reads the header and at most 64 KiB of the data.
Result<SourceFile> describe_source(const Container& file);

// Of a config.json, whatever the order of its keys and its white space.
std::string config_digest(const nlohmann::json& config);

struct Provenance {
  nlohmann::json plugins = nlohmann::json::object();  // id to version, of the methods in the file
  std::string method;                                 // of its component: "nf4"; empty: none
  nlohmann::json recipe;                              // the options of the run
  std::string config_sha256;  // of the config.json written beside the file; empty: none
  std::vector<SourceFile> sources;

  // As it stands in the metadata, under kProvenanceKey.
  std::string to_text() const;
};

inline constexpr const char* kVersion = "0.1.0";

inline constexpr std::string_view kProvenanceKey = "precis.provenance";

// What a file says of its making; nothing when precis did not write it.
std::optional<Provenance> stored_provenance(const Container& file);

// A text of the metadata, in either container; empty when there is none.
std::string metadata_string(const Container& file, std::string_view key);

}  // namespace precis
