// Group-wise integers on a device, for the methods that kernels/device/grouped.h knows.
#pragma once

#include "kernels/device/grouped.h"
#include "plugins/back_end.h"
#include "plugins/group_products.h"

namespace precis::plugins::PRECIS_DEVICE {

inline device::GroupedRows planned_rows(const device::GroupedTensor& weight) {
  device::GroupedRows rows;
  if (const char* error = device::plan_rows(weight, &rows))
    throw sdk::PluginError(PRECIS_UNSUPPORTED, error);
  return rows;
}

// Encoders take whole words of codes from a group. Throws PRECIS_UNSUPPORTED.
inline void require_whole_words(uint64_t group_size, uint64_t together) {
  if (group_size % together != 0)
    throw sdk::PluginError(PRECIS_UNSUPPORTED, "on a device groups are encoded in multiples of " +
                                                   std::to_string(together));
}

// GPTQ's g_idx: null where the columns are in order. check(group_of) throws for groups that are not
// there; it looks through them on the host.
template <typename Check>
const int32_t* reordered_groups(const Work& work, const precis_tensor& part,
                                const kernels::GptqShape& shape, Check check) {
  require_bytes(part, shape.columns * sizeof(int32_t));
  const std::string bytes = work.read(part);
  std::vector<int32_t> group_of(shape.columns);
  std::memcpy(group_of.data(), bytes.data(), group_of.size() * sizeof(int32_t));
  check(group_of.data());
  return in_order(group_of.data(), shape) ? nullptr : work.data<const int32_t>(part, "g_idx");
}

// All rows at once: groups and words of codes may cross them.
inline void decode_groups(const Work& work, const device::GroupedTensor& stored, sdk::RowRange rows,
                          const precis_tensor& weight) {
  if (rows.count() != work.matrix().rows)
    throw sdk::PluginError(PRECIS_UNSUPPORTED, "on a device groups are decoded all at once");
  require_launched(device::dequantize_groups(stored, weight_type(weight.view.dtype),
                                             work.data<void>(weight, "the weight"), work.stream()));
}

// Products read scales, and codes but for those that stand so, in rows. weight: without its parts.
inline void plan_groups(const device::GroupedTensor& weight, sdk::PlanWriter& plan) {
  const device::GroupedRows rows = planned_rows(weight);
  plan.add_numbers("scales", sdk::kFloat32, {static_cast<int64_t>(rows.scale_count())});
  if (!rows.in_place)
    plan.add_numbers("codes", sdk::kInt32, {static_cast<int64_t>(rows.code_words())});
}

inline device::GroupedRows prepared_rows(const Work& work, const device::GroupedTensor& weight,
                                         const sdk::Parts& packed) {
  device::GroupedRows rows = planned_rows(weight);
  if (packed.size() != (rows.in_place ? 1u : 2u))
    throw sdk::PluginError(PRECIS_INVALID_ARGUMENT, "the packed tensors are not those of the plan");
  require_bytes(*packed[0], rows.scale_count() * sizeof(float));
  auto* scales = work.data<float>(*packed[0], "the planned scales");
  uint32_t* codes = nullptr;
  if (!rows.in_place) {
    require_bytes(*packed[1], rows.code_words() * sizeof(uint32_t));
    codes = work.data<uint32_t>(*packed[1], "the planned codes");
  }
  require_launched(device::repack(weight, codes, scales, work.stream()));
  if (!rows.in_place) rows.codes = codes;
  rows.scales = scales;
  return rows;
}

inline std::unique_ptr<sdk::Linear> groups_product(const Work& work,
                                                   const precis_linear_options& options,
                                                   const device::GroupedTensor& weight,
                                                   const sdk::Parts& packed) {
  const device::GroupedRows rows = prepared_rows(work, weight, packed);
  return device_product(options, work, [rows](const ProductArguments& a) {
    return device::linear_groups(rows, a.activation, a.x, a.bias, a.y, a.m, a.call.stream);
  });
}

// Of a quantizer whose weights are all such.
template <typename Quantizer>
class GroupedBackEnd : public BackEnd<Quantizer> {
 protected:
  // Without its parts, for a product.
  virtual device::GroupedTensor planned(const Quantizer& quantizer,
                                        const precis_param& param) const = 0;
  // With the device's addresses.
  virtual device::GroupedTensor stored(const Quantizer& quantizer, const Work& work,
                                       const sdk::ConstParts& parts) const = 0;

  void decode(const Quantizer& quantizer, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const final {
    decode_groups(work, stored(quantizer, work, parts), rows, weight);
  }
  void plan_product(const Quantizer& quantizer, const precis_linear_options&,
                    const precis_param& param, sdk::PlanWriter& plan) const override {
    plan_groups(planned(quantizer, param), plan);
  }
  std::unique_ptr<sdk::Linear> prepare(const Quantizer& quantizer, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts& packed) const override {
    quantizer.check_parts(work.param(), parts);
    return groups_product(work, options, stored(quantizer, work, parts), packed);
  }
};

}  // namespace precis::plugins::PRECIS_DEVICE
