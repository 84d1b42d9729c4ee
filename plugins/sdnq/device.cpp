#include "kernels/device/sdnq.h"

#include <bit>
#include <cmath>

#include "plugins/back_end.h"
#include "plugins/sdnq/quantizer.h"
#include "plugins/sdnq/rotation.h"

namespace precis::sdnq::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

device::SdnqNumber number_on_device(const Number& number) {
  using Kind = device::SdnqKind;
  device::SdnqNumber out{};
  out.bits = static_cast<uint32_t>(number.bits);
  if (number.integer) {
    out.kind = number.is_unsigned ? Kind::unsigned_integer
               : number.bits == 8 ? Kind::int8
                                  : Kind::lowered_integer;
    return out;
  }
  out.kind = !number.of_torch       ? Kind::small_float
             : number.exponent == 5 ? Kind::e5m2
                                    : Kind::e4m3fn;
  out.exponent = static_cast<uint32_t>(number.exponent);
  out.mantissa = static_cast<uint32_t>(number.mantissa);
  out.sign = !number.is_unsigned;
  return out;
}

kernels::Rotation rotation_of(const Scheme& scheme, uint64_t columns) {
  kernels::Rotation rotation{};
  const uint64_t size = scheme.hadamard ? rotated_columns(scheme.rotated, columns) : 0;
  rotation.size = narrow(size);
  if (size == 0) return rotation;
  rotation.kind =
      std::countr_zero(size) % 2 == 0 ? kernels::RotationKind::fours : kernels::RotationKind::twos;
  rotation.factor = 1.0 / std::sqrt(static_cast<double>(size));
  return rotation;
}

device::SdnqTensor stored_weight(const SdnqQuantizer& quantizer, const Work& work,
                                 const sdk::ConstParts& parts) {
  const Scheme scheme = quantizer.scheme_of(work.param());
  const StoredShape shape = stored_shape(scheme, work.matrix(), parts);
  device::SdnqTensor tensor{};
  tensor.rows = narrow(work.matrix().rows);
  tensor.columns = narrow(work.matrix().columns);
  tensor.number = number_on_device(scheme.number);
  tensor.codes = work.data<const uint8_t>(*parts[kCodes], "the codes");
  tensor.byte_step = parts[kCodes]->view.dtype.bits == 64 ? 8 : 1;
  tensor.groups = narrow(shape.groups);
  tensor.whole = shape.whole;
  tensor.levels = narrow(shape.levels);
  tensor.scales = work.floats(*parts[kScale]);
  if (shape.zeros != 0) tensor.zeros = work.floats(*parts[shape.zeros]);
  if (shape.up != 0) {
    tensor.rank = narrow(shape.rank);
    tensor.up = work.floats(*parts[shape.up]);
    tensor.down = work.floats(*parts[shape.up + 1]);
  }
  tensor.rotation = rotation_of(scheme, work.matrix().columns);
  return tensor;
}

// Of the low-rank part that the config asks for.
uint32_t planned_rank(const Scheme& scheme, const sdk::Matrix& matrix) {
  return narrow(std::min(static_cast<uint64_t>(scheme.rank), matrix.columns));
}

// A low-rank part as it is planned, filled. Throws PRECIS_UNSUPPORTED for another rank than that.
device::SdnqLowRank prepared_part(const Work& work, const device::SdnqTensor& tensor,
                                  kernels::WeightType activation, uint32_t planned,
                                  const sdk::Parts& packed) {
  if (tensor.rank == 0) return {};
  if (tensor.rank != planned)
    throw sdk::PluginError(PRECIS_UNSUPPORTED,
                           "the low-rank part has rank " + std::to_string(tensor.rank) +
                               ", the config asks for " + std::to_string(planned));
  if (packed.size() != 2)
    throw sdk::PluginError(PRECIS_INVALID_ARGUMENT, "the packed tensors are not those of the plan");
  const uint64_t row = device::padded_rank(tensor.rank) * sizeof(uint16_t);
  plugins::require_bytes(*packed[0], row * tensor.columns);
  plugins::require_bytes(*packed[1], row * tensor.rows);
  const device::SdnqLowRank part{work.data<void>(*packed[0], "the planned down"),
                                 work.data<void>(*packed[1], "the planned up")};
  require_launched(device::lay_out_low_rank(tensor, activation, part, work.stream()));
  return part;
}

class Sdnq final : public BackEnd<SdnqQuantizer> {
 public:
  void check(const SdnqQuantizer& quantizer, const precis_param& param) const override {
    const auto rotation = rotation_of(quantizer.scheme_of(param), sdk::matrix(param).columns);
    if (rotation.size > kernels::kMostRotated)
      throw sdk::PluginError(PRECIS_UNSUPPORTED, "on a device at most " +
                                                     std::to_string(kernels::kMostRotated) +
                                                     " columns are rotated together");
  }

 protected:
  void decode(const SdnqQuantizer& quantizer, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    check(quantizer, work.param());
    require_all_rows(work, rows);
    require_launched(device::dequantize_sdnq(stored_weight(quantizer, work, parts),
                                             plugins::weight_type(weight.view.dtype),
                                             work.data<void>(weight, "the weight"), work.stream()));
  }

  void plan_product(const SdnqQuantizer& quantizer, const precis_linear_options& options,
                    const precis_param& param, sdk::PlanWriter& plan) const override {
    check(quantizer, param);
    const Scheme scheme = quantizer.scheme_of(param);
    const sdk::Matrix matrix = sdk::matrix(param);
    const uint32_t rank = planned_rank(scheme, matrix);
    plan.workspace(device::sdnq_workspace(static_cast<uint64_t>(options.max_rows), matrix.columns,
                                          rank, rotation_of(scheme, matrix.columns).size != 0));
    if (rank == 0) return;
    const int64_t padded = device::padded_rank(rank);
    plan.add_numbers("down", options.activation, {padded, static_cast<int64_t>(matrix.columns)});
    plan.add_numbers("up", options.activation, {static_cast<int64_t>(matrix.rows), padded});
  }

  std::unique_ptr<sdk::Linear> prepare(const SdnqQuantizer& quantizer, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts& packed) const override {
    check(quantizer, work.param());
    quantizer.check_parts(work.param(), parts);
    const device::SdnqTensor tensor = stored_weight(quantizer, work, parts);
    if (const char* error = device::check_sdnq_product(tensor))
      throw sdk::PluginError(PRECIS_UNSUPPORTED, error);
    const device::SdnqLowRank part =
        prepared_part(work, tensor, plugins::weight_type(options.activation),
                      planned_rank(quantizer.scheme_of(work.param()), work.matrix()), packed);
    return device_product(options, work, [tensor, part](const ProductArguments& a) -> const char* {
      a.require_workspace(device::sdnq_workspace(a.m, tensor));
      return device::linear_sdnq(tensor, part, a.activation, a.x, a.bias, a.y, a.m,
                                 a.call.workspace, a.call.stream);
    });
  }
};

}  // namespace
}  // namespace precis::sdnq::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(sdnq::SdnqQuantizer, sdnq::PRECIS_DEVICE::Sdnq)
