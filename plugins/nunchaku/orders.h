// Where Nunchaku's tensors hold an element: the orders of its tensor-core kernels (nunchaku 1.2,
// lora/flux/packer.py; of AWQ's weights deepcompressor, backend/tinychat/utils.py). N: rows of the
// weight, K: columns, both multiples of 128; R: the rank, a multiple of 16.
#pragma once

#include <cstdint>

namespace precis::nunchaku {

// The place of a nibble of the weight; an even one is the lower half of its byte.
uint64_t weight_place(uint64_t columns, uint64_t n, uint64_t k);
// Of a scale of int4, or with groups 1 and group 0 of a vector's number.
uint64_t scale_place(uint64_t groups, uint64_t n, uint64_t group);
// Of a scale of NVFP4.
uint64_t micro_scale_place(uint64_t groups, uint64_t n, uint64_t group);
uint64_t down_place(uint64_t rank, uint64_t k, uint64_t r);
uint64_t up_place(uint64_t rank, uint64_t n, uint64_t r);
// Of a nibble of AWQ's weight.
uint64_t awq_place(uint64_t columns, uint64_t n, uint64_t k);

}  // namespace precis::nunchaku
