// Integers of 4 bits with a scale and a zero point for groups of columns, packed as AWQ's: Quark's
// "reorder" of a transposed weight.
#pragma once

#include <precis/weight_quantizer.hpp>

#include "kernels/cpu/awq/awq.h"
#include "plugins/quark/config.h"

namespace precis::quark {

// int4 and uint4 per group; throws PRECIS_UNSUPPORTED where they are stored in other ways.
bool is_packed_integers(const TensorConfig& weights);

// Throws PRECIS_UNSUPPORTED for a weight that does not divide into groups and words.
kernels::AwqShape packed_shape(const TensorConfig& weights, const precis_param& param);

std::vector<sdk::PartLayout> packed_layout(const TensorConfig& weights, const precis_param& param);

// The parts as the kernels and products of AWQ take them: codes, zero points, scales.
sdk::ConstParts awq_parts(const sdk::ConstParts& parts);

// Symmetric int4 and asymmetric uint4, as Quark's PerGroupMinMaxObserver finds their scales.
void encode_packed(const precis_call& call, const TensorConfig& weights, const precis_param& param,
                   const precis_tensor& weight, const sdk::Parts& parts);

}  // namespace precis::quark
