#include "core/base/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

namespace precis {
namespace fs = std::filesystem;

namespace {

constexpr uint64_t kPage = 4096;  // what O_DIRECT asks of offsets, sizes and memory

}  // namespace

Error system_error(const fs::path& path, std::string_view doing, int error_number) {
  std::string hint;
  ErrorCode code = ErrorCode::io;
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      code = ErrorCode::no_space;
      hint = "free some space or choose another disk, then run the same command again";
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      hint = "choose a place that this user may write to, or change its permissions";
      break;
    case ENOENT:
      hint = "check the spelling of the path";
      break;
    default:
      break;
  }
  return Error(code,
               fmt::format("{}: cannot {}: {}", path.string(), doing, std::strerror(error_number)),
               hint);
}

Result<OutputFile> OutputFile::open(const fs::path& path, uint64_t size) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return system_error(path, "open for writing", errno);
  OutputFile file(descriptor, path);
#if defined(O_DIRECT)
  if (size >= kPastCacheBytes) file.direct_ = ::open(path.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC);
#endif
  if (::ftruncate(descriptor, static_cast<off_t>(size)) != 0) {
    return system_error(path, "set the size", errno);
  }
  if (size > 0) {
    const int status = ::posix_fallocate(descriptor, 0, static_cast<off_t>(size));
    // Some file systems cannot reserve; there a full disk shows at the write.
    if (status != 0 && status != EOPNOTSUPP && status != EINVAL) {
      return system_error(path, fmt::format("reserve {} bytes", size), status);
    }
  }
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      direct_(std::exchange(other.direct_, -1)),
      path_(std::move(other.path_)) {}

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(direct_, other.direct_);
  std::swap(path_, other.path_);
  return *this;
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (direct_ >= 0) ::close(direct_);
}

Status OutputFile::write_at(uint64_t offset, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      return system_error(path_, "write", errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return {};
}

Status OutputFile::write_past_cache(uint64_t offset, std::span<const std::byte> bytes,
                                    std::span<std::byte> staging) const {
  const uint64_t head = std::min<uint64_t>((kPage - offset % kPage) % kPage, bytes.size());
  if (direct_ < 0 || bytes.size() < kPastCacheBytes) return write_at(offset, bytes);
  PRECIS_TRY(write_at(offset, bytes.first(head)));
  offset += head;
  bytes = bytes.subspan(head);
  while (bytes.size() >= kPage) {
    const std::size_t chunk = std::min(bytes.size(), staging.size()) / kPage * kPage;
    std::memcpy(staging.data(), bytes.data(), chunk);
    const ssize_t written = ::pwrite(direct_, staging.data(), chunk, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    // Some file systems refuse only when written to; a full disk is told by write_at.
    if (written <= 0 || written % static_cast<ssize_t>(kPage) != 0) break;
    offset += static_cast<uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return write_at(offset, bytes);
}

Status OutputFile::read_at(uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t count =
        ::pread(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(path_, "read", errno);
    if (count == 0) {
      return Error(ErrorCode::data_loss, fmt::format("{}: ends too early", path_.string()));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

void OutputFile::start_writeback(uint64_t offset, uint64_t size) const {
#if defined(__linux__)
  ::sync_file_range(descriptor_, static_cast<off64_t>(offset), static_cast<off64_t>(size),
                    SYNC_FILE_RANGE_WRITE);
#else
  (void)offset;
  (void)size;
#endif
}

Status OutputFile::sync() const {
  if (::fsync(descriptor_) != 0) return system_error(path_, "write to the disk", errno);
  return {};
}

Status check_directory_is_writable(const std::filesystem::path& directory) {
  const std::filesystem::path place = directory.empty() ? "." : directory;
  std::error_code error;
  const auto status = std::filesystem::status(place, error);
  if (status.type() == std::filesystem::file_type::not_found)
    return system_error(place, "write to", ENOENT);
  if (status.type() != std::filesystem::file_type::directory)
    return system_error(place, "write to", ENOTDIR);
  if (access(place.c_str(), W_OK | X_OK) == 0) return {};
  return system_error(place, "write to", errno);
}

Status check_file_is_writable(const std::filesystem::path& path) {
  std::error_code error;
  if (!path.has_filename() || std::filesystem::is_directory(path, error))
    return system_error(path, "write to", EISDIR);
  return check_directory_is_writable(path.parent_path());
}

Status write_file_atomically(const fs::path& path, std::string_view contents) {
  fs::path temporary = path;
  temporary += ".tmp";
  {
    PRECIS_ASSIGN(const OutputFile file, OutputFile::open(temporary, contents.size()));
    PRECIS_TRY(file.write_at(0, std::as_bytes(std::span(contents.data(), contents.size()))));
    PRECIS_TRY(file.sync());
  }
  std::error_code error;
  fs::rename(temporary, path, error);
  if (error) return system_error(path, "put in place", error.value());
  return {};
}

Result<std::string> read_file(const fs::path& path, uint64_t limit) {
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  if (error) return system_error(path, "read", error.value());
  if (size > limit) {
    return Error(ErrorCode::data_loss,
                 fmt::format("{}: {} bytes, more than the {} that such a file may have",
                             path.string(), size, limit));
  }
  std::ifstream stream(path, std::ios::binary);
  std::string contents(size, '\0');
  if (!stream.read(contents.data(), static_cast<std::streamsize>(size))) {
    return system_error(path, "read", errno != 0 ? errno : EIO);
  }
  return contents;
}

Status sync_directory(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return system_error(path, "open", errno);
  const int status = ::fsync(descriptor);
  const int error_number = errno;
  ::close(descriptor);
  if (status != 0 && error_number != EINVAL) return system_error(path, "sync", error_number);
  return {};
}

}  // namespace precis
