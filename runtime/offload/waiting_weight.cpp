#include "runtime/offload/waiting_weight.h"

#include <ATen/ATen.h>

#include <atomic>

namespace precis {
namespace {

std::atomic<bool> any_made{false};

void destroy(void* context) {
  delete static_cast<WaitingWeight*>(context);
}

}  // namespace

at::Tensor make_waiting(WaitingWeight weight) {
  TORCH_CHECK(weight.stored.is_cpu() && weight.stored.is_contiguous(),
              "a waiting weight is contiguous and in the CPU's memory");
  any_made = true;
  void* const memory = weight.stored.data_ptr();
  const auto shape = weight.stored.sizes().vec();
  const auto type = at::TensorOptions(weight.stored.scalar_type());
  return at::for_blob(memory, shape)
      .context(new WaitingWeight(std::move(weight)), destroy)
      .options(type)
      .make_tensor();
}

const WaitingWeight* waiting_weight(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.has_storage()) return nullptr;
  const at::DataPtr& data = tensor.storage().data_ptr();
  return data.get_deleter() == &destroy ? static_cast<const WaitingWeight*>(data.get_context())
                                        : nullptr;
}

bool any_waiting() {
  return any_made;
}

}  // namespace precis
