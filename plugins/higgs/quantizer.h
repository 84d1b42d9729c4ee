// Weights of HIGGS, read alone.
#pragma once

#include "plugins/higgs/config.h"

namespace precis::higgs {

inline constexpr std::size_t kWeight = 0, kScales = 1, kTables = 2;  // parts

class HiggsQuantizer : public sdk::WeightQuantizer {
 public:
  explicit HiggsQuantizer(Config config)
      : WeightQuantizer(config.normalized, config.skip), config_(std::move(config)) {}

  const Config& scheme() const { return config_; }
  // Of the module's template. Throws PRECIS_DATA_LOSS where the config does not tell it.
  uint64_t tile(std::string_view module) const;

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  std::string_view anchor() const override { return "tables2"; }
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;

 private:
  Config config_;
};

}  // namespace precis::higgs
