// Weights of FP-Quant: 4-bit floats, or numbers, of the weight times a rotation that is stored
// beside it.
#pragma once

#include "kernels/cpu/scaled/scaled.h"
#include "plugins/fp_quant/config.h"

namespace precis::fp_quant {

// Parts of both forms, and those of 4-bit floats.
inline constexpr std::size_t kNumbers = 0, kRotation = 1;
inline constexpr std::size_t kScales = 2, kGlobalScale = 3;

class FpQuantQuantizer : public sdk::WeightQuantizer {
 public:
  explicit FpQuantQuantizer(Config config)
      : WeightQuantizer(config.normalized, config.skip), config_(std::move(config)) {}

  bool has_floats() const { return config_.floats; }
  uint64_t rotated_columns() const { return static_cast<uint64_t>(config_.rotated); }
  // Of 4-bit floats, before the rotation; reads the scale of scales. Throws PRECIS_DATA_LOSS for
  // too few scales.
  kernels::ScaledWeight rotated_weight(const precis_param& param,
                                       const sdk::ConstParts& parts) const;

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  std::string_view anchor() const override { return config_.floats ? "dqweight" : "qweight"; }
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;

 private:
  // Rows of the rotated weight.
  void rotated_rows(const precis_param& param, const sdk::ConstParts& parts, sdk::RowRange rows,
                    float* out) const;
  uint64_t columns_of_a_scale() const { return config_.exponents ? 32 : 16; }

  Config config_;
};

}  // namespace precis::fp_quant
