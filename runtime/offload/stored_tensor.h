// Tensors in the memory of the checkpoint that stores them.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "core/format/container.h"

namespace precis {

// A mapped tensor over the bytes of `entry`, a tensor of `file`, which stays open as long as the
// tensor lives: nothing is copied, and what is written to the tensor never reaches the file. type
// and shape: of as many bytes as the entry has. Undefined: the bytes are not aligned to the type's
// items, so they have to be copied. Errors: those of Container::data.
Result<at::Tensor> stored_tensor(const std::shared_ptr<const Container>& file,
                                 const TensorEntry& entry, at::ScalarType type,
                                 at::IntArrayRef shape);

}  // namespace precis
