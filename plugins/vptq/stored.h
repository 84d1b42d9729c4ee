// The tensors of a stored VPTQ weight.
#pragma once

#include "kernels/cpu/vptq/vptq.h"
#include "plugins/vptq/config.h"

namespace precis::vptq {

// Part names; which of them a weight has, its Layer says.
inline constexpr const char *kIndices = "indices", *kCentroids = "centroids.weight",
                            *kResidual = "res_centroids.weight", *kScale = "weight_scale",
                            *kBias = "weight_bias", *kPerm = "perm",
                            *kOutlierIndices = "outlier_indices",
                            *kOutlierCentroids = "outlier_centroids.weight";

// log2 of a power of two from 2 to 65536. Throws PRECIS_UNSUPPORTED for other numbers.
int index_bits(const char* what, int64_t centroids);

// `layer` with the shape of `param` filled in. Throws PRECIS_UNSUPPORTED where they do not fit.
Layer shaped(Layer layer, const precis_param& param);

// The tensors of a shaped layer whose floats are of `dtype`.
std::vector<sdk::PartLayout> parts_of(const Layer& layer, precis_dtype dtype);

// A stored weight and the order of its columns, which it points to.
struct Stored {
  kernels::VptqWeight weight;
  std::vector<uint32_t> places;
};

// Parts as parts_of has them; their dtypes and sizes have been compared. Throws PRECIS_DATA_LOSS
// for an order, or indices of these rows, that lead nowhere. Holds pointers into the parts.
Stored stored_weight(const Layer& layer, const sdk::ConstParts& parts, sdk::RowRange rows);

}  // namespace precis::vptq
