#include "kernels/device/vptq.h"

#include "plugins/back_end.h"
#include "plugins/vptq/quantizer.h"

namespace precis::vptq::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

// The stored weight with the device's addresses but for the order of columns, `places`, which is
// the host's. The order and the indices of outliers pass through the host.
Stored stored_on_device(const VptqQuantizer& quantizer, const Work& work,
                        const sdk::ConstParts& parts) {
  const Layer layer = quantizer.layer_of(work.param());
  narrow(work.matrix().rows);
  narrow(work.matrix().columns);
  const std::vector<sdk::PartLayout> names = parts_of(layer, work.param().dtype);
  const auto is = [&](std::size_t i, std::string_view name) { return names[i].name == name; };
  const HostCopies copies(work, parts,
                          [&](std::size_t i) { return is(i, kPerm) || is(i, kOutlierIndices); });
  Stored stored = stored_weight(layer, copies.parts(), {0, work.matrix().rows});
  for (std::size_t i = 0; i < names.size(); ++i)
    if (is(i, kOutlierIndices))
      stored.weight.outlier_indices = work.data<const uint16_t>(*parts[i], "the outliers");
  return stored;
}

class Vptq final : public BackEnd<VptqQuantizer> {
 protected:
  void decode(const VptqQuantizer& quantizer, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    require_all_rows(work, rows);
    Stored stored = stored_on_device(quantizer, work, parts);
    const Uploaded places(work, stored.places);
    stored.weight.places = places.data();
    require_launched(device::dequantize_vptq(stored.weight, plugins::weight_type(weight.view.dtype),
                                             work.data<void>(weight, "the weight"), work.stream()));
  }

  void plan_product(const VptqQuantizer& quantizer, const precis_linear_options&,
                    const precis_param& param, sdk::PlanWriter& plan) const override {
    if (quantizer.layer_of(param).perm)
      plan.add_numbers("places", sdk::kInt32, {static_cast<int64_t>(sdk::matrix(param).columns)});
  }

  std::unique_ptr<sdk::Linear> prepare(const VptqQuantizer& quantizer, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts& packed) const override {
    quantizer.check_parts(work.param(), parts);
    const Stored stored = stored_on_device(quantizer, work, parts);
    kernels::VptqWeight weight = stored.weight;
    if (packed.size() != (stored.places.empty() ? 0u : 1u))
      throw sdk::PluginError(PRECIS_INVALID_ARGUMENT,
                             "the packed tensors are not those of the plan");
    if (!stored.places.empty()) {
      work.write(*packed[0], stored.places.data(), stored.places.size() * sizeof(uint32_t));
      weight.places = work.data<const uint32_t>(*packed[0], "the planned places");
    }
    return device_product(options, work, [weight](const ProductArguments& a) {
      return device::linear_vptq(weight, a.activation, a.x, a.bias, a.y, a.m, a.call.stream);
    });
  }
};

}  // namespace
}  // namespace precis::vptq::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(vptq::VptqQuantizer, vptq::PRECIS_DEVICE::Vptq)
