// The rules that a plugin's library is held against without loading it.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "registry/plugins/manifest.h"
#include "validate/audit/elf.h"
#include "validate/verdict.h"

namespace precis::validate {

// Newest versions of the system's libraries that a plugin may need.
struct AuditLimits {
  std::string glibc = "2.36", glibcxx = "3.4.30", cxxabi = "1.3.13";  // Debian 12
};

// A library as the rules see it.
struct AuditedFile {
  std::filesystem::path path;
  std::string sha256;
  std::optional<ElfLibrary> elf;  // nothing: elf_error
  std::optional<Error> elf_error;
  std::optional<Manifest> manifest;  // nothing: manifest_error
  std::optional<Error> manifest_error;
  AuditLimits limits;
};

struct AuditRule {
  std::string_view id, clause, explanation;
  Verdict (*test)(const AuditedFile& file);
};

std::span<const AuditRule> audit_rules();

// Reads a library and the manifest beside it that names it. Errors: io.
Result<AuditedFile> read_audited(const std::filesystem::path& library, const AuditLimits& limits);

// The libraries to audit: `path` itself, the one that a manifest names, or every one in and
// directly below a directory. Errors: io, not_found.
Result<std::vector<std::filesystem::path>> libraries_of(const std::filesystem::path& path);

}  // namespace precis::validate
