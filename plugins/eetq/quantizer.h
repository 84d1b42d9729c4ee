// EETQ's int8 weights, and EetqConfig of transformers 5.23 and 4.48.
#pragma once

#include <precis/weight_quantizer.hpp>

namespace precis::eetq {

struct Config {
  bool own_names = false;  // a checkpoint of EETQ itself: "qweight" in place of "weight"
  sdk::SkipList skip;
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

// Parts.
inline constexpr std::size_t kCodes = 0, kScales = 1;

class EetqQuantizer : public sdk::WeightQuantizer {
 public:
  explicit EetqQuantizer(Config config);

  void plan_linear(const precis_linear_options& options, const precis_param& param,
                   sdk::PlanWriter& plan) const override;
  std::unique_ptr<sdk::Linear> prepare_linear(const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) const override;
  // Throws PRECIS_UNSUPPORTED for a shape that has no parts.
  void check_layout(const precis_param& param) const { layout(param); }

 protected:
  std::vector<sdk::PartLayout> layout(const precis_param& param) const override;
  void check_writable(const precis_param& param) const override;
  std::string_view anchor() const override { return "weight_scales"; }
  sdk::StoredWeight describe(const sdk::StoredModule& module) const override;
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override;
  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override;

 private:
  std::string_view codes_name() const { return config_.own_names ? "qweight" : "weight"; }

  Config config_;
};

}  // namespace precis::eetq
