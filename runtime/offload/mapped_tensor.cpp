#include "runtime/offload/mapped_tensor.h"

#include <ATen/ATen.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

#include "runtime/offload/read_ahead.h"

namespace precis {
namespace {

struct Mapping {
  std::span<std::byte> memory;
  std::shared_ptr<const void> owner;
  std::atomic<bool> streamed{false};
};

// Whether the process has ever streamed a weight: until then AnyLayer need not look.
std::atomic<bool> any_streamed{false};

void destroy(void* context) {
  delete static_cast<Mapping*>(context);
}

Mapping* mapping_of(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.has_storage()) return nullptr;
  const at::DataPtr& data = tensor.storage().data_ptr();
  return data.get_deleter() == &destroy ? static_cast<Mapping*>(data.get_context()) : nullptr;
}

template <typename Visit>
void for_each_mapping(const torch::nn::Module& module, const Visit& visit) {
  for (const at::Tensor& tensor : module.parameters()) {
    if (Mapping* mapping = mapping_of(tensor)) visit(*mapping);
  }
  for (const at::Tensor& tensor : module.buffers()) {
    if (Mapping* mapping = mapping_of(tensor)) visit(*mapping);
  }
}

uintptr_t page_size() {
  static const auto size = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  return size;
}

void advise(uintptr_t begin, uintptr_t end, int advice) {
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

void prefetch(const Mapping& mapping) {
  const auto begin = reinterpret_cast<uintptr_t>(mapping.memory.data());
  advise(begin / page_size() * page_size(), begin + mapping.memory.size(), MADV_WILLNEED);
}

void release(const Mapping& mapping) {
  // Only whole pages: those at the ends may hold a neighbour's bytes, which may have been changed.
  const uintptr_t page = page_size();
  const auto begin = reinterpret_cast<uintptr_t>(mapping.memory.data());
  advise((begin + page - 1) / page * page, (begin + mapping.memory.size()) / page * page,
         MADV_DONTNEED);
}

}  // namespace

at::Tensor mapped_tensor(std::span<std::byte> memory, std::shared_ptr<const void> owner,
                         at::ScalarType type, at::IntArrayRef shape) {
  return at::for_blob(memory.data(), shape)
      .context(new Mapping{memory, std::move(owner), {}}, destroy)
      .options(at::TensorOptions().dtype(type))
      .make_tensor();
}

bool is_mapped(const at::Tensor& tensor) {
  return mapping_of(tensor) != nullptr;
}

void prefetch_weight(const at::Tensor& weight) {
  if (const Mapping* mapping = mapping_of(weight)) read_ahead(mapping->memory, mapping->owner);
}

void release_weight(const at::Tensor& weight) {
  if (const Mapping* mapping = mapping_of(weight)) release(*mapping);
}

void prefetch_weights(const torch::nn::Module& module) {
  for_each_mapping(module, [](const Mapping& mapping) { prefetch(mapping); });
}

void release_weights(const torch::nn::Module& module) {
  for_each_mapping(module, [](const Mapping& mapping) { release(mapping); });
}

void stream_weight(const at::Tensor& weight) {
  Mapping* mapping = mapping_of(weight);
  if (mapping == nullptr) return;
  mapping->streamed = true;
  any_streamed = true;
}

void prefetch_streamed(const torch::nn::Module& layer) {
  if (!any_streamed) return;
  for_each_mapping(layer, [](const Mapping& mapping) {
    if (mapping.streamed) prefetch(mapping);
  });
}

void release_streamed(const torch::nn::Module& layer) {
  if (!any_streamed) return;
  for_each_mapping(layer, [](const Mapping& mapping) {
    if (mapping.streamed) release(mapping);
  });
}

}  // namespace precis
