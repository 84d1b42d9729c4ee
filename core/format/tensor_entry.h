// What a container says of one tensor, without its data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/dtype.h"

namespace precis {

struct TensorEntry {
  std::string name;
  DType dtype = DType::u8;     // of the memory; u8 for encoded blocks
  std::string encoding;        // empty: plain numbers; "gguf.q4_k"
  std::vector<int64_t> shape;  // logical elements, row-major: [out_features, in_features]
  uint64_t offset = 0;         // absolute, in the file
  uint64_t nbytes = 0;
};

}  // namespace precis
