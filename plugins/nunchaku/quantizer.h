// Weights of Nunchaku Lite, read alone.
#pragma once

#include "plugins/nunchaku/config.h"

namespace precis::nunchaku {

// The parts of a weight.
inline constexpr std::size_t kWeight = 0, kScales = 1, kZeros = 2;  // of AWQ
inline constexpr std::size_t kSmooth = 2, kDown = 3, kUp = 4;       // of SVDQuant, after kScales
inline constexpr std::size_t kRowScales = 5, kScale = 6;            // of NVFP4

class NunchakuQuantizer : public sdk::WeightQuantizer {
 public:
  explicit NunchakuQuantizer(Config config);

  const Config& scheme() const { return config_; }
  // Throw PRECIS_UNSUPPORTED for a module that is no target.
  bool is_awq(std::string_view module) const;
  bool is_awq(const precis_param& param) const;
  // Throws PRECIS_DATA_LOSS where there are fewer scales or zeros than groups.
  void check_awq_groups(const precis_param& param, const sdk::ConstParts& parts) const;

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  std::string_view anchor() const override { return "qweight"; }
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;

 private:
  // smooth: [columns]; down: [columns][rank].
  void svdq_row(const sdk::ConstParts& parts, const std::vector<double>& smooth,
                const std::vector<double>& down, uint64_t row, double* out) const;
  void awq_row(const sdk::ConstParts& parts, uint64_t rows, uint64_t columns, uint64_t row,
               double* out) const;

  Config config_;
};

}  // namespace precis::nunchaku
