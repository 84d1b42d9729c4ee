#include "kernels/device/nunchaku.h"

#include "plugins/back_end.h"
#include "plugins/nunchaku/quantizer.h"

namespace precis::nunchaku::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

device::NunchakuAwqTensor awq_tensor(const NunchakuQuantizer& quantizer, const Work& work,
                                     const sdk::ConstParts& parts) {
  quantizer.check_awq_groups(work.param(), parts);
  return {narrow(work.matrix().rows),
          narrow(work.matrix().columns),
          narrow(static_cast<uint64_t>(quantizer.scheme().awq_group)),
          work.data<const uint16_t>(*parts[kWeight], "the codes"),
          work.floats(*parts[kScales]),
          work.floats(*parts[kZeros])};
}

device::SvdqTensor svdq_tensor(const NunchakuQuantizer& quantizer, const Work& work,
                               const sdk::ConstParts& parts) {
  const Config& config = quantizer.scheme();
  device::SvdqTensor tensor{};
  tensor.rows = narrow(work.matrix().rows);
  tensor.columns = narrow(work.matrix().columns);
  tensor.rank = narrow(static_cast<uint64_t>(config.rank));
  tensor.nvfp4 = config.nvfp4;
  tensor.codes = work.data<const uint32_t>(*parts[kWeight], "the codes");
  tensor.smooth = work.floats(*parts[kSmooth]);
  tensor.down = work.floats(*parts[kDown]);
  tensor.up = work.floats(*parts[kUp]);
  if (config.nvfp4) {
    tensor.micro_scales = work.data<const uint8_t>(*parts[kScales], "the scales");
    tensor.row_scales = work.floats(*parts[kRowScales]);
    tensor.scale = work.floats(*parts[kScale]);
  } else {
    tensor.scales = work.floats(*parts[kScales]);
  }
  return tensor;
}

// The planned tensors of an SVDQuant product, in this order.
void plan_rows(const precis_linear_options& options, const sdk::Matrix& matrix, int64_t rank,
               sdk::PlanWriter& plan) {
  const auto rows = static_cast<int64_t>(matrix.rows),
             columns = static_cast<int64_t>(matrix.columns);
  plan.add_numbers("smooth", sdk::kFloat32, {columns});
  plan.add_numbers("row_scales", sdk::kFloat32, {rows});
  if (rank != 0) {
    plan.add_numbers("down", options.activation, {rank, columns});
    plan.add_numbers("up", options.activation, {rows, rank});
  }
  plan.workspace(device::svdq_workspace(static_cast<uint64_t>(options.max_rows), matrix.columns,
                                        static_cast<uint64_t>(rank)));
}
device::SvdqRows planned_rows(const Work& work, const device::SvdqTensor& weight,
                              const sdk::Parts& packed) {
  if (packed.size() != (weight.rank == 0 ? 2u : 4u))
    throw sdk::PluginError(PRECIS_INVALID_ARGUMENT, "the packed tensors are not those of the plan");
  const uint64_t sizes[] = {uint64_t{weight.columns} * 4, uint64_t{weight.rows} * 4,
                            uint64_t{weight.rank} * weight.columns * 2,
                            uint64_t{weight.rows} * weight.rank * 2};
  for (std::size_t i = 0; i < packed.size(); ++i) plugins::require_bytes(*packed[i], sizes[i]);
  const auto data = [&](std::size_t i) {
    return i < packed.size() ? work.data<void>(*packed[i], "a planned tensor") : nullptr;
  };
  return {data(2), data(3), static_cast<float*>(data(0)), static_cast<float*>(data(1))};
}

class Nunchaku final : public BackEnd<NunchakuQuantizer> {
 public:
  void check(const NunchakuQuantizer& quantizer, const precis_param& param) const override {
    if (quantizer.is_awq(param) && quantizer.scheme().awq_group % 8 != 0)
      throw sdk::PluginError(PRECIS_UNSUPPORTED, "on a device groups have a multiple of 8 columns");
  }

 protected:
  void decode(const NunchakuQuantizer& quantizer, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    check(quantizer, work.param());
    require_all_rows(work, rows);
    const auto type = plugins::weight_type(weight.view.dtype);
    auto* to = work.data<void>(weight, "the weight");
    require_launched(quantizer.is_awq(work.param())
                         ? device::dequantize_nunchaku_awq(awq_tensor(quantizer, work, parts), type,
                                                           to, work.stream())
                         : device::dequantize_svdq(svdq_tensor(quantizer, work, parts), type, to,
                                                   work.stream()));
  }

  void plan_product(const NunchakuQuantizer& quantizer, const precis_linear_options& options,
                    const precis_param& param, sdk::PlanWriter& plan) const override {
    check(quantizer, param);
    if (!quantizer.is_awq(param))
      plan_rows(options, sdk::matrix(param), quantizer.scheme().rank, plan);
  }

  std::unique_ptr<sdk::Linear> prepare(const NunchakuQuantizer& quantizer, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts& packed) const override {
    check(quantizer, work.param());
    quantizer.check_parts(work.param(), parts);
    if (quantizer.is_awq(work.param())) {
      const device::NunchakuAwqTensor tensor = awq_tensor(quantizer, work, parts);
      return device_product(options, work, [tensor](const ProductArguments& a) {
        return device::linear_nunchaku_awq(tensor, a.activation, a.x, a.bias, a.y, a.m,
                                           a.call.stream);
      });
    }
    const device::SvdqTensor tensor = svdq_tensor(quantizer, work, parts);
    const device::SvdqRows rows = planned_rows(work, tensor, packed);
    require_launched(device::lay_out_svdq(tensor, plugins::weight_type(options.activation), rows,
                                          work.stream()));
    return device_product(options, work, [tensor, rows](const ProductArguments& a) -> const char* {
      a.require_workspace(device::svdq_workspace(a.m, tensor.columns, tensor.rank));
      return device::linear_svdq(tensor, rows, a.activation, a.x, a.bias, a.y, a.m,
                                 a.call.workspace, a.call.stream);
    });
  }
};

}  // namespace
}  // namespace precis::nunchaku::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(nunchaku::NunchakuQuantizer, nunchaku::PRECIS_DEVICE::Nunchaku)
