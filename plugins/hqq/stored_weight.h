// A stored weight's parts as the kernels read them.
#pragma once

#include <functional>

#include "plugins/hqq/stored.h"

namespace precis::hqq {

// Throws PRECIS_DATA_LOSS where the parts contradict themselves or the parameter's shape.
// bytes_of: those of a part that describes the others.
using PartBytes = std::function<std::string(const precis_tensor& part)>;
kernels::HqqWeight stored_weight(const precis_param& param, const sdk::ConstParts& parts,
                                 const PartBytes& bytes_of);
// Of parts in host memory.
kernels::HqqWeight stored_weight(const precis_param& param, const sdk::ConstParts& parts);

}  // namespace precis::hqq
