#include "runtime/modules/quantized_embedding.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/embedding.h>

#include "runtime/modules/module_tree.h"

namespace precis {

torch::Tensor QuantizedEmbedding::forward(const torch::Tensor& indices) {
  const Param& param = weight().param;
  TORCH_CHECK(indices.device() == weight().device() &&
                  at::isIntegralType(indices.scalar_type(), /*includeBool=*/false),
              param.name, ": the indices must be integers on ", weight().device());
  const at::NoGradGuard no_grad;
  // On a device there is no end to wait for, as telling which rows are asked for would be.
  if (!indices.is_cpu()) return at::embedding(dequantized_weight(), indices);
  const auto [rows, places] = at::_unique(indices.to(at::kLong), /*sorted=*/true, true);
  std::vector<torch::Tensor> decoded;
  for (int64_t i = 0; i < rows.numel(); ++i) {
    const int64_t row = rows[i].item<int64_t>();
    TORCH_CHECK_INDEX(row >= 0 && row < param.rows(), param.name, ": index ", row,
                      " is outside of the ", param.rows(), " rows");
    auto numbers = weight().decode_rows(row, 1);
    TORCH_CHECK(numbers.ok(), numbers.error().text());
    decoded.push_back(*std::move(numbers));
  }
  if (decoded.empty()) decoded.push_back(dequantized_weight().narrow(0, 0, 0));
  return at::embedding(at::cat(decoded), places);
}

void QuantizedEmbedding::restore(const ModuleSite& site, at::ScalarType dtype) const {
  const auto& shape = weight().param.shape;
  torch::nn::Embedding embedding(1, 1);
  embedding->options.num_embeddings(shape[0]).embedding_dim(shape[1]);
  embedding->weight.set_data(dequantized_weight().to(dtype));
  precis::replace_module(site, embedding);
}

}  // namespace precis
