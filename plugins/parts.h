// The stored tensors of a weight.
#pragma once

#include <precis/plugin.hpp>
#include <string>
#include <vector>

#include "plugins/weight_type.h"

namespace precis::plugins {

// Throws PRECIS_DATA_LOSS when a part holds fewer bytes than the shape needs.
inline void require_bytes(const precis_tensor& part, uint64_t bytes) {
  if (part.nbytes < bytes)
    throw sdk::PluginError(
        PRECIS_DATA_LOSS,
        "a tensor of " + std::to_string(part.nbytes) +
            " bytes is smaller than the weight's shape needs: " + std::to_string(bytes));
}

// The numbers that a part of floats holds. Throws PRECIS_UNSUPPORTED where they are no weight's.
inline uint64_t count_of(const precis_tensor& part) {
  weight_type(part.view.dtype);
  return part.nbytes / (part.view.dtype.bits / 8u);
}

// `count` of them, from `begin` on. Throws PRECIS_DATA_LOSS where there are fewer.
inline std::vector<float> floats_of(const precis_tensor& part, uint64_t begin, uint64_t count) {
  std::vector<float> numbers(count);
  kernels::with_type(weight_type(part.view.dtype), [&](auto tag) {
    using Type = decltype(tag);
    require_bytes(part, (begin + count) * sizeof(typename Type::Stored));
    const auto* from = sdk::data<const typename Type::Stored>(part);
    for (uint64_t i = 0; i < count; ++i) numbers[i] = Type::load(from, begin + i);
  });
  return numbers;
}

}  // namespace precis::plugins
