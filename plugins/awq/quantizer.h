// AWQ's stored forms, written by rounding to nearest, or by calibration (calibration.cpp).
#pragma once

#include "kernels/cpu/awq/search.h"
#include "plugins/awq/config.h"
#include "plugins/grid.h"

namespace precis::awq {

// Parts.
inline constexpr std::size_t kCodes = 0, kZeros = 1, kScales = 2;

class AwqQuantizer : public sdk::WeightQuantizer {
 public:
  explicit AwqQuantizer(Config config);

  // The state is the second moments of the activation, the count of rows, and the sum of magnitudes
  // by channel.
  void plan_calibration(const sdk::CalibrationGroup& group, sdk::PlanWriter& state) const override;
  void observe(const precis_call& call, const precis_param& param, const precis_tensor& activation,
               const sdk::Parts& state) const override;
  void finish(const precis_call& call, const sdk::CalibrationGroup& group) const override;

  void plan_linear(const precis_linear_options& options, const precis_param& param,
                   sdk::PlanWriter& plan) const override;
  std::unique_ptr<sdk::Linear> prepare_linear(const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) const override;

  void plan_grid(const precis_param& param, sdk::PlanWriter& grid) const override;
  void read_grid(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
                 const sdk::Parts& grid) const override;
  void write_grid(const precis_call& call, const precis_param& param, const precis_tensor& weight,
                  const sdk::ConstParts& grid, const sdk::Parts& parts) const override;

  const Config& settings() const { return config_; }
  kernels::AwqShape shape_of(const precis_param& param) const;
  // Throws PRECIS_UNSUPPORTED where no stored form has this shape.
  void check_layout(const precis_param& param) const { layout(param); }
  // Throws PRECIS_DATA_LOSS where the dtypes of zeros and scales contradict each other.
  void check_zeros(const sdk::ConstParts& parts) const;

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  uint64_t workspace(const precis_param& param) const override;
  std::string_view anchor() const override { return "qweight"; }
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;

 private:
  // Encodes numbers of another dtype than the param's.
  void encode_numbers(const precis_call& call, const precis_param& param, kernels::WeightType type,
                      const void* values, const sdk::Parts& parts) const;
  void decode_numbers(const precis_param& param, const sdk::ConstParts& parts, sdk::RowRange rows,
                      kernels::WeightType type, void* out) const;
  std::vector<float> search_scales(const precis_call& call,
                                   const std::vector<kernels::AwqSearch>& searches,
                                   const sdk::CalibrationGroup& group) const;
  double encode_searched(const precis_call& call, const precis_param& param,
                         const kernels::AwqSearch& search, const std::vector<float>& scales,
                         const sdk::Parts& parts) const;
  plugins::GridTiles tiles_of(const precis_param& param) const;

  Config config_;
};

}  // namespace precis::awq
