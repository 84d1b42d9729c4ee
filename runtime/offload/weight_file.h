// A file for weights that are to be out of memory while they are not used.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>

#include "core/base/result.h"

namespace precis {

// The file has no name: it goes when the last tensor in it does, also after a crash.
class WeightFile : public std::enable_shared_from_this<WeightFile> {
 public:
  // Tensors below this stay in memory: every tensor in the file takes whole pages.
  static constexpr uint64_t kSmallestBytes = 4096;

  // directory: on a disk; empty: the system's for temporary files. One that lies in memory (tmpfs)
  // works and is warned of, for it saves nothing. Errors: io, naming the directory.
  static Result<std::shared_ptr<WeightFile>> create(const std::filesystem::path& directory);
  WeightFile(const WeightFile&) = delete;
  WeightFile& operator=(const WeightFile&) = delete;
  ~WeightFile();

  // A mapped tensor of zeros in the file; one in memory when it is small. What is written to it
  // goes to the file, so it outlasts release_weight(). Errors: io, also where the disk is full.
  // [one thread at a time]
  Result<at::Tensor> empty(at::ScalarType type, at::IntArrayRef shape);
  // The numbers of `tensor` there; `tensor` itself when it is small. tensor: on the CPU,
  // contiguous.
  Result<at::Tensor> store(const at::Tensor& tensor);

 private:
  WeightFile(int descriptor, std::filesystem::path directory)
      : descriptor_(descriptor), directory_(std::move(directory)) {}

  int descriptor_;
  std::filesystem::path directory_;
  uint64_t size_ = 0;
};

}  // namespace precis
