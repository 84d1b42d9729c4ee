#include "runtime/offload/weight_file.h"

#include <ATen/ATen.h>
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

Result<at::Tensor> WeightFile::empty(at::ScalarType type, at::IntArrayRef shape) {
  const uint64_t bytes =
      static_cast<uint64_t>(c10::multiply_integers(shape)) * c10::elementSize(type);
  if (bytes < kSmallestBytes) return at::zeros(shape, at::TensorOptions().dtype(type));
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t offset = (size_ + page - 1) / page * page;
  if (const int error =
          posix_fallocate(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(bytes));
      error != 0) {
    return system_error(directory_, "reserve room for weights in", error);
  }
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_,
                      static_cast<off_t>(offset));
  if (memory == MAP_FAILED) return system_error(directory_, "map weights in", errno);
  size_ = offset + bytes;
  auto range = std::make_shared<const MappedRange>(memory, bytes, shared_from_this());
  return mapped_tensor({static_cast<std::byte*>(memory), bytes}, std::move(range), type, shape);
}

Result<at::Tensor> WeightFile::store(const at::Tensor& tensor) {
  if (tensor.nbytes() < kSmallestBytes) return tensor;
  PRECIS_ASSIGN(at::Tensor stored, empty(tensor.scalar_type(), tensor.sizes()));
  const auto bytes = bytes_of(tensor);
  std::copy(bytes.begin(), bytes.end(), bytes_of(stored).begin());
  return stored;
}

}  // namespace precis
