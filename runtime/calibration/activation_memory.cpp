#include "runtime/calibration/activation_memory.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/base/output_file.h"

namespace precis {
namespace {

uint64_t bytes_of_sample(const Activations& sample) {
  uint64_t bytes = 0;
  for (const at::Tensor& tensor : sample) bytes += tensor.defined() ? tensor.nbytes() : 0;
  return bytes;
}

bool contains(const Activations& activations, const at::Tensor& tensor) {
  return std::any_of(activations.begin(), activations.end(),
                     [&](const at::Tensor& one) { return one.is_same(tensor); });
}

}  // namespace

// The blocks of the file are reserved before it is mapped: a full disk would end the process when
// a page is written to.
Status ActivationMemory::put_into_file(at::Tensor& tensor) const {
  if (!tensor.defined() || tensor.numel() == 0) return {};
  std::error_code error;
  std::filesystem::create_directories(scratch_.parent_path(), error);
  PRECIS_ASSIGN(const OutputFile file, OutputFile::open(scratch_, tensor.nbytes()));
  at::Tensor mapped = at::from_file(scratch_.string(), /*shared=*/true, tensor.numel(),
                                    at::TensorOptions(tensor.scalar_type()));
  std::filesystem::remove(scratch_, error);
  mapped = mapped.view(tensor.sizes());
  mapped.copy_(tensor);
  tensor = mapped;
  return {};
}

Status ActivationMemory::run_stage(BlockChain& chain, std::size_t stage,
                                   std::vector<Activations>& samples) {
  in_files_.resize(samples.size());
  uint64_t held = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const Activations before = samples[i];
    chain.run_stage(stage, samples[i]);
    const uint64_t bytes = bytes_of_sample(samples[i]);
    const bool was_in_files = in_files_[i];
    in_files_[i] = held + bytes > limit_;
    if (!in_files_[i]) {
      held += bytes;
      continue;
    }
    for (at::Tensor& tensor : samples[i]) {
      if (was_in_files && contains(before, tensor)) continue;
      PRECIS_TRY(put_into_file(tensor));
    }
  }
  return {};
}

}  // namespace precis
