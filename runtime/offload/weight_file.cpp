#include "runtime/offload/weight_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "core/base/log.h"
#include "core/base/output_file.h"
#include "runtime/offload/mapped_tensor.h"
#include "runtime/tensor/tensor_adapter.h"

namespace precis {
namespace {

// One mapped range; unmapped when the tensor over it goes.
struct MappedRange {
  MappedRange(void* memory, std::size_t size, std::shared_ptr<const WeightFile> file)
      : memory(memory), size(size), file(std::move(file)) {}
  MappedRange(const MappedRange&) = delete;
  MappedRange& operator=(const MappedRange&) = delete;
  ~MappedRange() { munmap(memory, size); }

  void* memory;
  std::size_t size;
  std::shared_ptr<const WeightFile> file;
};

bool in_memory(int descriptor) {
  struct statfs status {};
  return fstatfs(descriptor, &status) == 0 &&
         (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC);
}

int unnamed_file(const std::filesystem::path& directory) {
  const int descriptor = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  // File systems without O_TMPFILE (overlayfs of old kernels, NFS): named for a moment.
  if (descriptor >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return descriptor;
  std::string name = (directory / "precis-weights-XXXXXX").string();
  const int named = mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) unlink(name.c_str());
  return named;
}

}  // namespace

Result<std::shared_ptr<WeightFile>> WeightFile::create(const std::filesystem::path& directory) {
  const auto& place = directory.empty() ? std::filesystem::temp_directory_path() : directory;
  const int descriptor = unnamed_file(place);
  if (descriptor < 0) return system_error(place, "make a file for weights in", errno);
  if (in_memory(descriptor)) {
    logger().warn("{} lies in memory: weights offloaded there save none", place.string());
  }
  return std::shared_ptr<WeightFile>(new WeightFile(descriptor, place));
}

WeightFile::~WeightFile() {
  close(descriptor_);
}

Result<at::Tensor> WeightFile::store(const at::Tensor& tensor) {
  const std::span<std::byte> bytes = bytes_of(tensor);
  if (bytes.size() < kSmallestBytes) return tensor;
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t offset = (size_ + page - 1) / page * page;
  if (const int error = posix_fallocate(descriptor_, static_cast<off_t>(offset),
                                        static_cast<off_t>(bytes.size()));
      error != 0) {
    return system_error(directory_, "reserve room for weights in", error);
  }
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t written = pwrite(descriptor_, bytes.data() + done, bytes.size() - done,
                                   static_cast<off_t>(offset + done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return system_error(directory_, "write weights to", errno);
    done += static_cast<std::size_t>(written);
  }
  // So that pages can be let go of: a dirty one has to be written first.
  sync_file_range(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(bytes.size()),
                  SYNC_FILE_RANGE_WRITE);
  void* memory = mmap(nullptr, bytes.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE,
                      descriptor_, static_cast<off_t>(offset));
  if (memory == MAP_FAILED) return system_error(directory_, "map weights in", errno);
  size_ = offset + bytes.size();
  auto range = std::make_shared<const MappedRange>(memory, bytes.size(), shared_from_this());
  return mapped_tensor({static_cast<std::byte*>(memory), bytes.size()}, std::move(range),
                       tensor.scalar_type(), tensor.sizes());
}

}  // namespace precis
