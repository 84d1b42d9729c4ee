#include "models/layers/feed_forward.h"

#include "models/layers/module_path.h"

namespace precis::models {

FeedForward::FeedForward(int64_t width, int64_t inner, const std::string& activation_name)
    : in_(add<Linear>(*this, "net.0.proj", width, inner)),
      out_(add<Linear>(*this, "net.2", inner, width)),
      activation_(activation(activation_name)) {}

}  // namespace precis::models
