// VPTQ's stored form: read as the config's entry of a module says, written with one group, no
// outliers and no permutation, by k-means or by calibration (calibration.cpp).
#pragma once

#include "kernels/cpu/common/numbers.h"
#include "plugins/vptq/stored.h"

namespace precis::vptq {

class VptqQuantizer : public sdk::WeightQuantizer {
 public:
  explicit VptqQuantizer(Config config);

  // How the weight is stored, with its shape filled in.
  Layer layer_of(const precis_param& param) const;

  // Over the frame's: an entry for every module that is written.
  std::string config(const precis_component& component) const override;

  // The state is the second moments of the activation, float32 [in, in], and the count of rows.
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

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  uint64_t workspace(const precis_param& param) const override;
  std::string_view anchor() const override { return kIndices; }
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;

 private:
  Config config_;
};

// Codebooks and codes of one weight, in memory of the caller's.
struct Fit {
  Layer layer;
  kernels::WeightType type;  // that codebooks and scales are rounded to
  float* points;             // [columns][vectors of a column][vector]
  float *scales, *costs;     // [columns]; costs: what an error of a column counts, as a scale
  float* books;              // [centroids][vector], then [residual][vector]
  uint16_t* codes;           // [columns][vectors of a column], then those of the second codebook

  uint64_t rows() const { return static_cast<uint64_t>(layer.out_features); }
  uint64_t columns() const { return static_cast<uint64_t>(layer.in_features); }
  uint64_t vector() const { return static_cast<uint64_t>(layer.vector); }
  uint64_t vectors_of_column() const { return (rows() + vector() - 1) / vector(); }
  uint64_t vectors() const { return vectors_of_column() * columns(); }
  std::vector<uint64_t> codewords() const;  // of each codebook
};

uint64_t fit_bytes(const Layer& layer);
Fit fit_in(const Layer& layer, kernels::WeightType type, void* memory);

// Fills scales, codebooks and codes. importance: by column, what the square of an error counts;
// empty: the same for all. Cancels when asked to.
void find_codebooks(const precis_call& call, const void* weight,
                    const std::vector<double>& importance, Fit& fit);

void store(const Fit& fit, const sdk::Parts& parts);

}  // namespace precis::vptq
