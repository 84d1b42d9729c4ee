#include "runtime/offload/stored_tensor.h"

#include "runtime/offload/mapped_tensor.h"

namespace precis {

Result<at::Tensor> stored_tensor(const std::shared_ptr<const Container>& file,
                                 const TensorEntry& entry, at::ScalarType type,
                                 at::IntArrayRef shape) {
  PRECIS_ASSIGN(const auto bytes, file->writable_data(entry));
  if (reinterpret_cast<uintptr_t>(bytes.data()) % c10::elementSize(type) != 0) return at::Tensor();
  return mapped_tensor(bytes, file, type, shape);
}

}  // namespace precis
