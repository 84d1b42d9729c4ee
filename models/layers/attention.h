// Attention: the shared arithmetic, and the two-stream attention of SD3, Flux and AuraFlow.
#pragma once

#include <torch/nn/module.h>

#include <optional>
#include <utility>

#include "models/layers/linear.h"
#include "models/layers/norm.h"
#include "models/layers/projections.h"

namespace precis::models {

// [batch, tokens, heads * width] to [batch, heads, tokens, width].
at::Tensor split_heads(const at::Tensor& x, int64_t heads);

// The mask of tokens that only fill up: attention_mask is [batch, tokens], 0 where a token is not
// to be seen; gives [batch, 1, 1, tokens] of `dtype`: 0, or its lowest number.
at::Tensor padding_mask(const at::Tensor& attention_mask, at::ScalarType dtype);

struct AttentionOptions {
  at::Tensor mask;  // added to the scores, broadcastable to [batch, heads, queries, keys]
  bool causal = false;
  std::optional<double> scale;  // of the scores; 1 / sqrt(width) when not given
};

// Scaled dot-product attention of [batch, heads, tokens, width]; gives [batch, queries, heads *
// width].
at::Tensor attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                  const AttentionOptions& options = {});

// Sample and text attend to both together; every stream has its own projections. State-dict names
// of diffusers' Attention and FluxAttention: to_q, to_k, to_v, to_out.0, add_q_proj, add_k_proj,
// add_v_proj, to_add_out, norm_q, norm_k, norm_added_q, norm_added_k; fused: to_qkv, to_added_qkv.
class JointAttention : public ProjectingModule {
 public:
  // Of queries and keys, within each head. layer: without parameters, in float32.
  enum class QkNorm { none, rms, layer };
  struct Options {
    int64_t width = 0, heads = 0, head_width = 0;
    QkNorm qk_norm = QkNorm::none;
    double eps = 1e-6;
    bool bias = true;            // of every projection
    bool context = true;         // false: one stream only
    bool context_output = true;  // false: the text's result is not projected, as nobody reads it
    bool output = true;          // false: the result is not projected at all (Flux's single blocks)
    bool context_first = false;  // order of the streams in the joint sequence; Flux: text first
  };
  explicit JointAttention(const Options& options);

  // x: [batch, tokens, width]; context: [batch, text_tokens, width], undefined for one stream. cos,
  // sin: rotary angles of the joint sequence, undefined for none. Gives the results of both; the
  // second is undefined for one stream.
  std::pair<at::Tensor, at::Tensor> forward(const at::Tensor& x, const at::Tensor& context = {},
                                            const at::Tensor& cos = {}, const at::Tensor& sin = {});

 private:
  at::Tensor head_norm(const std::shared_ptr<RmsNorm>& norm, const at::Tensor& heads) const;

  Options options_;
  const Projections* sample_;             // queries, keys and values
  const Projections* context_ = nullptr;  // null for one stream
  std::shared_ptr<Linear> to_out_, to_add_out_;
  std::shared_ptr<RmsNorm> norm_q_, norm_k_, norm_added_q_, norm_added_k_;
};

}  // namespace precis::models
