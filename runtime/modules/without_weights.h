// Networks whose weights come later.
#pragma once

namespace precis {

// While one lives, layers given to an AnyLayer on this thread lose their memory: weights keep dtype
// and shape and are zeros that take one number. For networks that load_model fills.
class WithoutWeights {
 public:
  WithoutWeights();
  ~WithoutWeights();
  WithoutWeights(const WithoutWeights&) = delete;
  WithoutWeights& operator=(const WithoutWeights&) = delete;

  static bool active();
};

}  // namespace precis
