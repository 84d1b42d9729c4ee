#include "registry/plugins/trust.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <utility>
#include <vector>

#include "core/base/output_file.h"
#include "core/base/sha256.h"

namespace precis {
namespace {

namespace fs = std::filesystem;

Error refused(const fs::path& path, std::string_view why, std::string hint) {
  return Error(ErrorCode::plugin, fmt::format("{}: {}", path.string(), why), std::move(hint));
}

// Whether `group` is this user's private group, as Debian and others make one for every user, with
// a umask of 002: of the user's name, the user's primary group, and without other members.
bool is_private_group(gid_t group) {
  std::vector<char> user_buffer(16384), group_buffer(16384);
  struct passwd user_entry {};
  struct passwd* user = nullptr;
  if (::getpwuid_r(::geteuid(), &user_entry, user_buffer.data(), user_buffer.size(), &user) != 0 ||
      user == nullptr || user->pw_gid != group) {
    return false;
  }
  struct group group_entry {};
  struct group* found = nullptr;
  if (::getgrgid_r(group, &group_entry, group_buffer.data(), group_buffer.size(), &found) != 0 ||
      found == nullptr || std::string_view(found->gr_name) != user->pw_name) {
    return false;
  }
  for (char** member = found->gr_mem; *member != nullptr; ++member) {
    if (std::string_view(*member) != user->pw_name) return false;
  }
  return true;
}

Status check_one(const fs::path& path, const struct stat& status) {
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    return refused(path, "belongs to another user",
                   fmt::format("if you trust it: chown {} '{}'", ::geteuid(), path.string()));
  }
  const bool directory = S_ISDIR(status.st_mode);
  const mode_t foreign =
      status.st_mode & (is_private_group(status.st_gid) ? S_IWOTH : S_IWGRP | S_IWOTH);
  // In a sticky directory only the owner of an entry can rename or remove it; the entries on the
  // path are owned by root or this user, which was checked, so nobody else can swap them.
  const bool sticky = directory && (status.st_mode & S_ISVTX) != 0;
  if (foreign != 0 && !sticky) {
    return refused(path, "can be changed by other users",
                   fmt::format("chmod go-w '{}'", path.string()));
  }
  return {};
}

}  // namespace

Status check_permissions(const fs::path& path) {
  std::error_code error;
  // Links are resolved first: what counts is the real file and the directories it really lies in.
  const fs::path real = fs::canonical(path, error);
  if (error) return system_error(path, "resolve", error.value());
  for (fs::path current = real;; current = current.parent_path()) {
    struct stat status {};
    if (::lstat(current.c_str(), &status) != 0) return system_error(current, "read", errno);
    PRECIS_TRY(check_one(current, status));
    if (current == current.parent_path()) return {};
  }
}

OpenLibrary::OpenLibrary(OpenLibrary&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

OpenLibrary::~OpenLibrary() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

fs::path OpenLibrary::load_path() const {
  return fmt::format("/proc/self/fd/{}", descriptor_);
}

namespace {

// Hashes through the descriptor that will be loaded, so that no other file can take its place.
Result<std::string> hash_descriptor(int descriptor, const fs::path& path) {
  Sha256 hash;
  std::vector<std::byte> chunk(1 << 20);
  for (uint64_t offset = 0;;) {
    const ssize_t count =
        ::pread(descriptor, chunk.data(), chunk.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(path, "read", errno);
    if (count == 0) break;
    hash.update(std::span(chunk).first(static_cast<std::size_t>(count)));
    offset += static_cast<uint64_t>(count);
  }
  return to_hex(hash.finish());
}

Status check_allow_list(const std::string& hash, const fs::path& library) {
  const char* list = elevated_privileges() ? nullptr : std::getenv("PRECIS_PLUGIN_ALLOWLIST");
  if (list == nullptr) return {};
  PRECIS_TRY(check_permissions(list));
  PRECIS_ASSIGN(const std::string text, read_file(list, 1 << 20));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.substr(0, 64) == hash) return {};
  }
  return refused(library, fmt::format("is not in the allow-list {}", list),
                 fmt::format("if you trust it, add the line {}", hash));
}

}  // namespace

Result<OpenLibrary> open_trusted(const Manifest& manifest) {
  const fs::path path = manifest.library_path();
  PRECIS_TRY(check_permissions(manifest.path));
  PRECIS_TRY(check_permissions(path));
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return system_error(path, "open", errno);
  OpenLibrary library(descriptor);
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return system_error(path, "read", errno);
  if (!S_ISREG(status.st_mode))
    return refused(path, "is not a regular file", "install the plugin again");
  PRECIS_TRY(check_one(path, status));
  PRECIS_ASSIGN(const std::string hash, hash_descriptor(descriptor, path));
  if (hash != manifest.sha256) {
    return refused(path,
                   fmt::format("has the SHA-256 {}, its manifest says {}", hash, manifest.sha256),
                   "the library was changed after it was packed: install the plugin again");
  }
  PRECIS_TRY(check_allow_list(hash, path));
  return library;
}

bool elevated_privileges() {
  return ::getauxval(AT_SECURE) != 0 || ::getuid() != ::geteuid() || ::getgid() != ::getegid();
}

}  // namespace precis
