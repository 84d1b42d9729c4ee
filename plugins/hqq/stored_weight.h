// A stored weight's parts as the kernels read them.
#pragma once

#include "plugins/hqq/stored.h"

namespace precis::hqq {

// Throws PRECIS_DATA_LOSS where the parts contradict themselves or the parameter's shape.
kernels::HqqWeight stored_weight(const precis_param& param, const sdk::ConstParts& parts);

}  // namespace precis::hqq
