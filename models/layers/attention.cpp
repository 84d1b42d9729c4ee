#include "models/layers/attention.h"

#include <ATen/Dispatch.h>

#include <limits>

#include "models/layers/module_path.h"
#include "models/layers/rotary.h"

namespace precis::models {
namespace {

double lowest_number(at::ScalarType dtype) {
  return AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, dtype, "lowest_number", [] {
    return static_cast<double>(std::numeric_limits<scalar_t>::lowest());
  });
}

}  // namespace

at::Tensor split_heads(const at::Tensor& x, int64_t heads) {
  return x.view({x.size(0), x.size(1), heads, -1}).transpose(1, 2);
}

at::Tensor padding_mask(const at::Tensor& attention_mask, at::ScalarType dtype) {
  const auto hidden = attention_mask.view({attention_mask.size(0), 1, 1, -1}) == 0;
  return at::zeros(hidden.sizes(), attention_mask.options().dtype(dtype))
      .masked_fill_(hidden, lowest_number(dtype));
}

at::Tensor attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                  const AttentionOptions& options) {
  const std::optional<at::Tensor> mask =
      options.mask.defined() ? std::optional(options.mask) : std::nullopt;
  const auto result = at::scaled_dot_product_attention(query, key, value, mask, /*dropout_p=*/0.0,
                                                       options.causal, options.scale);
  return result.transpose(1, 2).flatten(2);
}

JointAttention::JointAttention(const Options& options) : options_(options) {
  const int64_t inner = options.heads * options.head_width;
  sample_ = add_projections({"to_q", "to_k", "to_v"}, "to_qkv", options.width, inner, options.bias);
  if (options.output) to_out_ = add<Linear>(*this, "to_out.0", inner, options.width, options.bias);
  const bool norm = options.qk_norm == QkNorm::rms;
  if (norm) {
    norm_q_ = add<RmsNorm>(*this, "norm_q", options.head_width, options.eps);
    norm_k_ = add<RmsNorm>(*this, "norm_k", options.head_width, options.eps);
  }
  if (!options.context) return;
  context_ = add_projections({"add_q_proj", "add_k_proj", "add_v_proj"}, "to_added_qkv",
                             options.width, inner, options.bias);
  if (options.context_output)
    to_add_out_ = add<Linear>(*this, "to_add_out", inner, options.width, options.bias);
  if (norm) {
    norm_added_q_ = add<RmsNorm>(*this, "norm_added_q", options.head_width, options.eps);
    norm_added_k_ = add<RmsNorm>(*this, "norm_added_k", options.head_width, options.eps);
  }
}

at::Tensor JointAttention::head_norm(const std::shared_ptr<RmsNorm>& norm,
                                     const at::Tensor& heads) const {
  switch (options_.qk_norm) {
    case QkNorm::none:
      return heads;
    case QkNorm::rms:
      return (*norm)(heads);
    case QkNorm::layer:
      break;
  }
  const auto normed =
      at::layer_norm(heads.to(at::kFloat), {options_.head_width}, {}, {}, options_.eps);
  return normed.to(heads.scalar_type());
}

std::pair<at::Tensor, at::Tensor> JointAttention::forward(const at::Tensor& x,
                                                          const at::Tensor& context,
                                                          const at::Tensor& cos,
                                                          const at::Tensor& sin) {
  const auto heads = [&](const Projections& projections, const at::Tensor& input) {
    auto parts = projections(input);
    for (at::Tensor& part : parts) part = split_heads(part, options_.heads);
    return parts;
  };
  const auto of_sample = heads(*sample_, x);
  auto query = head_norm(norm_q_, of_sample[0]);
  auto key = head_norm(norm_k_, of_sample[1]);
  auto value = of_sample[2];
  if (context.defined()) {
    const auto join = [&](const at::Tensor& sample, const at::Tensor& text) {
      return options_.context_first ? at::cat({text, sample}, 2) : at::cat({sample, text}, 2);
    };
    const auto of_context = heads(*context_, context);
    query = join(query, head_norm(norm_added_q_, of_context[0]));
    key = join(key, head_norm(norm_added_k_, of_context[1]));
    value = join(value, of_context[2]);
  }
  if (cos.defined()) {
    query = rotate(query, cos, sin);
    key = rotate(key, cos, sin);
  }
  const auto joint = attend(query, key, value);
  const int64_t text = context.defined() ? context.size(1) : 0;
  auto sample = joint.narrow(1, options_.context_first ? text : 0, x.size(1));
  if (to_out_) sample = (*to_out_)(sample);
  if (!context.defined()) return {sample, {}};
  auto text_result = joint.narrow(1, options_.context_first ? 0 : x.size(1), text);
  if (to_add_out_) text_result = (*to_add_out_)(text_result);
  return {sample, text_result};
}

}  // namespace precis::models
