#include "runtime/modules/without_weights.h"

namespace precis {
namespace {

thread_local int depth = 0;

}  // namespace

WithoutWeights::WithoutWeights() {
  ++depth;
}

WithoutWeights::~WithoutWeights() {
  --depth;
}

bool WithoutWeights::active() {
  return depth > 0;
}

}  // namespace precis
