#include "models/layers/embedding.h"

#include "models/layers/parameter.h"

namespace precis::models {

Embedding::Embedding(int64_t rows, int64_t width) {
  weight_ = uninitialised(*this, "weight", {rows, width});
}

}  // namespace precis::models
