#include "plugins/aqlm/fit.h"

#include <cmath>

#include "plugins/additive_codebooks.h"

namespace precis::aqlm {

namespace {

// Blocks over the scale of their output group, the norm of its whole rows.
void scale_blocks(kernels::WeightType type, const void* weight, Fit& fit) {
  const kernels::AqlmShape& shape = fit.shape;
  kernels::with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = static_cast<const typename Type::Stored*>(weight);
    for (uint64_t group = 0; group < shape.out_groups(); ++group) {
      const uint64_t first = group * shape.out_group * shape.columns;
      double squares = 0;
      for (uint64_t i = first; i < first + shape.out_group * shape.columns; ++i) {
        const double value = Type::load(values, i);
        squares += value * value;
      }
      const float scale = Type::round(static_cast<float>(std::sqrt(squares) + 1e-9));
      // A scale of 0 or infinity has no other side.
      fit.scales[group] = scale > 0 && std::isfinite(scale) ? scale : 1.0f;
      for (uint64_t i = 0; i < shape.out_group * shape.columns; ++i) {
        const uint64_t row = i / shape.columns, column = i % shape.columns;
        const uint64_t block = group * shape.in_groups() + column / shape.in_group;
        const float value = Type::load(values, first + i) / fit.scales[group];
        fit.points[block * shape.block_size() + row * shape.in_group + column % shape.in_group] =
            std::isfinite(value) ? value : 0.0f;
      }
    }
  });
}

}  // namespace

uint64_t fit_bytes(const kernels::AqlmShape& shape) {
  return (shape.rows * shape.columns + shape.out_groups() +
          shape.codebooks * shape.codewords() * shape.block_size()) *
             sizeof(float) +
         shape.codebooks * shape.blocks() * sizeof(uint16_t);
}

Fit fit_in(const kernels::AqlmShape& shape, void* memory) {
  Fit fit{shape, static_cast<float*>(memory), nullptr, nullptr, nullptr};
  fit.scales = fit.points + shape.rows * shape.columns;
  fit.codebooks = fit.scales + shape.out_groups();
  fit.codes = reinterpret_cast<uint16_t*>(fit.codebooks +
                                          shape.codebooks * shape.codewords() * shape.block_size());
  return fit;
}

void find_codebooks(const precis_call& call, kernels::WeightType type, const void* weight,
                    const std::vector<double>& importance, Fit& fit) {
  scale_blocks(type, weight, fit);
  const uint64_t groups = fit.shape.in_groups();
  plugins::AdditiveCodebooks codebooks{
      fit.shape.blocks(),
      fit.shape.block_size(),
      std::vector<uint64_t>(fit.shape.codebooks, fit.shape.codewords()),
      fit.points,
      fit.codebooks,
      fit.codes,
      fit.scales,
      groups};
  std::vector<float> costs;
  if (!importance.empty()) {
    costs.resize(fit.shape.blocks());
    for (uint64_t block = 0; block < costs.size(); ++block)
      costs[block] =
          fit.scales[block / groups] * static_cast<float>(std::sqrt(importance[block % groups]));
    codebooks.scales = costs.data();
    codebooks.vectors_per_scale = 1;
  }
  plugins::find_codebooks(call, type, codebooks);
}

}  // namespace precis::aqlm
