#include "models/layers/convolution.h"

#include "models/layers/parameter.h"

namespace precis::models {

Conv2d::Conv2d(int64_t in_channels, int64_t out_channels, int64_t kernel, int64_t stride,
               int64_t padding, bool bias)
    : options_(Conv2dOptions(in_channels, out_channels, kernel).stride(stride).padding(padding)) {
  weight_ = uninitialised(*this, "weight", {out_channels, in_channels, kernel, kernel});
  if (bias) bias_ = uninitialised(*this, "bias", {out_channels});
}

}  // namespace precis::models
