// Where samples lie between two stages: in memory, and beyond a limit in files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "core/base/result.h"
#include "runtime/calibration/block_chain.h"

namespace precis {

class ActivationMemory {
 public:
  // scratch: the name under which files are made; they lose it at once, so that none outlives the
  // process. limit: bytes of samples in memory.
  ActivationMemory(std::filesystem::path scratch, uint64_t limit)
      : scratch_(std::move(scratch)), limit_(limit) {}

  // Runs the stage on every sample, and puts what comes behind those that fit the limit into files
  // mapped into memory. Errors: io, no_space. Call it with the same samples every time.
  Status run_stage(BlockChain& chain, std::size_t stage, std::vector<Activations>& samples);

 private:
  Status put_into_file(at::Tensor& tensor) const;

  std::filesystem::path scratch_;
  uint64_t limit_;
  std::vector<bool> in_files_;  // one a sample
};

}  // namespace precis
