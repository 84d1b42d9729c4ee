// Whether a file may become part of this process. Nothing of a plugin runs before it passed.
//
// What this does not do: a plugin that is loaded has all the rights of the process.
#pragma once

#include <filesystem>

#include "core/base/result.h"
#include "registry/plugins/manifest.h"

namespace precis {

// Refuses a file, or a directory above it, that anyone but root and this user could change; the
// user's private group (of the same name, without other members) counts as the user. Errors:
// plugin, naming the path, the rule and the command that mends it.
Status check_permissions(const std::filesystem::path& path);

// An open file descriptor, closed with its owner.
class OpenLibrary {
 public:
  explicit OpenLibrary(int descriptor) : descriptor_(descriptor) {}
  OpenLibrary(OpenLibrary&& other) noexcept;
  OpenLibrary& operator=(OpenLibrary&&) = delete;
  ~OpenLibrary();
  // The name under which the very file that was checked can be loaded, whatever happens to its
  // path.
  std::filesystem::path load_path() const;
  // Never closes the descriptor. The dynamic linker knows libraries by name: were the number used
  // again, it would take the next plugin for this one.
  void keep_open() { descriptor_ = -1; }

 private:
  int descriptor_;
};

// Opens the manifest's library and checks it: permissions, a regular file, its hash, and the
// allow-list (PRECIS_PLUGIN_ALLOWLIST, a file of hashes, one a line) where there is one.
Result<OpenLibrary> open_trusted(const Manifest& manifest);

// True when the process runs with more rights than its caller; then the environment is not
// believed.
bool elevated_privileges();

}  // namespace precis
