#include "kernels/device/bitsandbytes.h"
#include "plugins/back_end.h"
#include "plugins/bitsandbytes/quantizer.h"

namespace precis::bitsandbytes::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;
using plugins::require_bytes;
using sdk::PluginError;

// All rows of a stored weight. Its parts are checked.
device::Int8Tensor stored_weight(const Work& work, const sdk::ConstParts& parts) {
  if (parts.size() < 2)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the parts are not those of the plan");
  if (parts.size() > 2) require_row_major(work.read(*parts[2]));
  const sdk::Matrix& matrix = work.matrix();
  require_bytes(*parts[0], matrix.elements());
  require_bytes(*parts[1], matrix.rows * sizeof(float));
  return {narrow(matrix.rows), narrow(matrix.columns),
          work.data<const int8_t>(*parts[0], "the codes"),
          work.data<const float>(*parts[1], "SCB")};
}

class EightBit final : public BackEnd<EightBitQuantizer> {
 protected:
  void encode(const EightBitQuantizer& quantizer, const Work& work, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    quantizer.require_planned(parts);
    require_launched(device::quantize_int8_rows(
        work.type(), work.data<const void>(weight, "the weight"), narrow(work.matrix().rows),
        narrow(work.matrix().columns), work.data<int8_t>(*parts[0], "the codes"),
        work.data<float>(*parts[1], "SCB"), work.stream()));
    const uint8_t row_major = 0;
    work.write(*parts[2], &row_major, 1);
  }

  void decode(const EightBitQuantizer&, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    device::Int8Tensor stored = stored_weight(work, parts);
    require_aligned(rows.begin * stored.columns);
    stored.rows = narrow(rows.count());
    stored.codes += rows.begin * stored.columns;
    stored.scb += rows.begin;
    require_launched(device::dequantize_int8_rows(stored, plugins::weight_type(weight.view.dtype),
                                                  work.data<void>(weight, "the weight"),
                                                  work.stream()));
  }

  void plan_product(const EightBitQuantizer&, const precis_linear_options& options,
                    const precis_param& param, sdk::PlanWriter& plan) const override {
    const sdk::Matrix matrix = sdk::matrix(param);
    require_exact_sums(matrix);
    if (matrix.columns % 16 != 0)
      throw PluginError(PRECIS_UNSUPPORTED, "in_features " + std::to_string(matrix.columns) +
                                                " is not a multiple of 16");
    plan.workspace(device::llm_int8_workspace(narrow(static_cast<uint64_t>(options.max_rows)),
                                              narrow(matrix.columns)));
  }

  std::unique_ptr<sdk::Linear> prepare(const EightBitQuantizer& quantizer, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts&) const override {
    const float threshold = quantizer.settings().int8_threshold;
    const device::Int8Tensor stored = stored_weight(work, parts);
    return device_product(options, work, [stored, threshold](const ProductArguments& a) {
      if (a.call.workspace_size < device::llm_int8_workspace(a.m, stored.columns))
        throw PluginError(PRECIS_INVALID_ARGUMENT, "the workspace is smaller than planned");
      return device::linear_llm_int8(stored, threshold, a.activation, a.x, a.bias, a.y, a.m,
                                     a.call.workspace, a.call.stream);
    });
  }
};

}  // namespace
}  // namespace precis::bitsandbytes::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(bitsandbytes::EightBitQuantizer, bitsandbytes::PRECIS_DEVICE::EightBit)
