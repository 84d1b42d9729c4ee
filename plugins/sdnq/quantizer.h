// Weights of SDNQ, read alone.
#pragma once

#include "plugins/sdnq/config.h"

namespace precis::sdnq {

inline constexpr std::size_t kCodes = 0, kScale = 1;  // parts

// What the stored tensors alone tell of a weight.
struct StoredShape {
  uint64_t levels;  // entries of a codebook, else 1
  bool whole;       // one row of groups for all rows
  uint64_t groups;  // of a row
  uint64_t rank;
  std::size_t zeros, up;  // parts, svd_down behind svd_up; 0: there are none
};
// Throws PRECIS_DATA_LOSS where they contradict each other.
StoredShape stored_shape(const Scheme& scheme, const sdk::Matrix& matrix,
                         const sdk::ConstParts& parts);

class SdnqQuantizer : public sdk::WeightQuantizer {
 public:
  explicit SdnqQuantizer(Config config)
      : WeightQuantizer(config.normalized, config.skip), config_(std::move(config)) {}

  Scheme scheme_of(const precis_param& param) const;

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  std::string_view anchor() const override { return "scale"; }
  bool is_quantized(const sdk::StoredModule& module) const override;
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;

 private:
  Config config_;
};

}  // namespace precis::sdnq
