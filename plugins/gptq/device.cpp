#include "kernels/device/activations.h"
#include "plugins/gptq/quantizer.h"
#include "plugins/grouped_back_end.h"

namespace precis::gptq::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

device::GptqTensor tensor_of(const GptqQuantizer& quantizer, const precis_param& param) {
  const kernels::GptqShape shape = quantizer.shape_of(param);
  narrow(shape.rows);
  narrow(shape.columns);
  return {quantizer.settings().format, shape,   nullptr, nullptr,
          kernels::WeightType::f16,    nullptr, nullptr};
}

// g_idx is looked through on the host.
device::GptqTensor stored_tensor(const GptqQuantizer& quantizer, const Work& work,
                                 const sdk::ConstParts& parts) {
  device::GptqTensor tensor = tensor_of(quantizer, work.param());
  tensor.qweight = work.data<const uint32_t>(*parts[kCodes], "qweight");
  tensor.qzeros = work.data<const uint32_t>(*parts[kZeros], "qzeros");
  tensor.scale_type = plugins::weight_type(parts[kScales]->view.dtype);
  tensor.scales = work.data<const void>(*parts[kScales], "scales");
  if (parts.size() > kGroups)
    tensor.group_of =
        reordered_groups(work, *parts[kGroups], tensor.shape,
                         [&](const int32_t* groups) { check_groups(groups, tensor.shape); });
  return tensor;
}

// Beside what products read of groups of neighbours.
constexpr std::size_t kOrder = 2, kPlanned = 3;

// Of desc_act: the columns group after group. Throws PRECIS_UNSUPPORTED where groups differ in
// size.
std::vector<uint32_t> order_of_groups(const Work& work, const precis_tensor& part,
                                      const kernels::GptqShape& shape) {
  std::vector<int32_t> group_of(shape.columns);
  const std::string bytes = work.read(part);
  std::memcpy(group_of.data(), bytes.data(), group_of.size() * sizeof(int32_t));
  auto order = plugins::columns_by_group(group_of.data(), shape.columns, shape.group_size);
  if (order.empty())
    throw sdk::PluginError(PRECIS_UNSUPPORTED,
                           "products on a device: all groups of g_idx have group_size columns");
  return order;
}

class Gptq final : public GroupedBackEnd<GptqQuantizer> {
 protected:
  void encode(const GptqQuantizer& quantizer, const Work& work, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    const Config& config = quantizer.settings();
    const kernels::GptqShape shape = quantizer.shape_of(work.param());
    if (shape.groups() > 1) require_whole_words(shape.group_size, 32);
    require_launched(device::quantize_gptq(
        work.type(), work.data<const void>(weight, "the weight"), config.format, config.symmetric,
        shape, work.data<uint32_t>(*parts[kCodes], "qweight"),
        work.data<uint32_t>(*parts[kZeros], "qzeros"),
        work.data<uint16_t>(*parts[kScales], "scales"), work.stream()));
    std::vector<int32_t> group_of(shape.columns);
    for (uint64_t i = 0; i < shape.columns; ++i)
      group_of[i] = static_cast<int32_t>(i / shape.group_size);
    work.write(*parts[kGroups], group_of.data(), group_of.size() * sizeof(int32_t));
  }

  void plan_product(const GptqQuantizer& quantizer, const precis_linear_options& options,
                    const precis_param& param, sdk::PlanWriter& plan) const override {
    quantizer.check_layout(param);
    device::GptqTensor tensor = tensor_of(quantizer, param);
    tensor.in_group_order = quantizer.settings().columns_in_order_of_activation;
    plan_groups(tensor, plan);
    if (!tensor.in_group_order) return;
    plan.add_numbers("order", sdk::kInt32, {static_cast<int64_t>(tensor.shape.columns)});
    plan.workspace(numbers_bytes(static_cast<uint64_t>(options.max_rows), tensor.shape.columns));
  }

  std::unique_ptr<sdk::Linear> prepare(const GptqQuantizer& quantizer, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts& packed) const override {
    quantizer.check_parts(work.param(), parts);
    device::GptqTensor tensor = stored_tensor(quantizer, work, parts);
    if (!quantizer.settings().columns_in_order_of_activation)
      return groups_product(work, options, tensor, packed);
    if (packed.size() != kPlanned)
      throw sdk::PluginError(PRECIS_INVALID_ARGUMENT,
                             "the packed tensors are not those of the plan");
    const std::vector<uint32_t> order = order_of_groups(work, *parts[kGroups], tensor.shape);
    work.write(*packed[kOrder], order.data(), order.size() * sizeof(uint32_t));
    tensor.in_group_order = true;
    tensor.order = work.data<const uint32_t>(*packed[kOrder], "the planned order");
    const device::GroupedRows rows = prepared_rows(work, tensor, {packed[0], packed[1]});
    return device_product(options, work,
                          [rows, order = tensor.order](const ProductArguments& a) -> const char* {
                            a.require_workspace(numbers_bytes(a.m, rows.columns));
                            if (const char* error = device::gather_columns(
                                    a.x, a.m, rows.columns, order, a.call.workspace, a.call.stream))
                              return error;
                            return device::linear_groups(rows, a.activation, a.call.workspace,
                                                         a.bias, a.y, a.m, a.call.stream);
                          });
  }

  device::GroupedTensor planned(const GptqQuantizer& quantizer,
                                const precis_param& param) const override {
    return tensor_of(quantizer, param);
  }
  device::GroupedTensor stored(const GptqQuantizer& quantizer, const Work& work,
                               const sdk::ConstParts& parts) const override {
    return stored_tensor(quantizer, work, parts);
  }
};

}  // namespace
}  // namespace precis::gptq::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(gptq::GptqQuantizer, gptq::PRECIS_DEVICE::Gptq)
