// Networks that read token ids, as a chain of blocks.
#pragma once

#include "runtime/calibration/block_chain.h"

namespace precis::models {

class TextNetwork : public BlockChain {
 public:
  // What enters the first stage for token_ids int64 [batch, tokens], all of them tokens.
  virtual Activations enter(const at::Tensor& token_ids) = 0;
};

}  // namespace precis::models
