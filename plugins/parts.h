// The stored tensors of a weight.
#pragma once

#include <precis/plugin.hpp>
#include <string>

namespace precis::plugins {

// Throws PRECIS_DATA_LOSS when a part holds fewer bytes than the shape needs.
inline void require_bytes(const precis_tensor& part, uint64_t bytes) {
  if (part.nbytes < bytes)
    throw sdk::PluginError(
        PRECIS_DATA_LOSS,
        "a tensor of " + std::to_string(part.nbytes) +
            " bytes is smaller than the weight's shape needs: " + std::to_string(bytes));
}

}  // namespace precis::plugins
