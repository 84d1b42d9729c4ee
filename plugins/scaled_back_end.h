// Weights of a ScaledQuantizer on a device.
#pragma once

#include "kernels/device/scaled.h"
#include "plugins/reordered_product.h"
#include "plugins/rounded_back_end.h"
#include "plugins/scaled_quantizer.h"

namespace precis::plugins::PRECIS_DEVICE {

// The stored weight with the device's addresses; what stored() reads passes through the host.
inline device::ScaledTensor scaled_tensor(const ScaledQuantizer& quantizer, const Work& work,
                                          const sdk::ConstParts& parts) {
  const precis_param& param = work.param();
  quantizer.check_numbers(param);
  quantizer.check_parts(param, parts);
  quantizer.check_stored(param, parts);
  narrow(work.matrix().columns);
  const HostCopies copies(work, parts, [&](std::size_t i) { return quantizer.reads(param, i); });
  device::ScaledTensor tensor{narrow(work.matrix().rows), quantizer.stored(param, copies.parts())};
  for (std::size_t i = 0; i < parts.size() && tensor.weight.tile_of != nullptr; ++i)
    if (static_cast<const void*>(tensor.weight.tile_of) == copies.copy(i))
      tensor.weight.tile_of = work.data<const int32_t>(*parts[i], "the groups of columns");
  return tensor;
}

// What a product with scattered tiles needs besides: codes in the order of the tiles, that order of
// the columns, and room for x in it, behind what x is rounded to.
inline void plan_order(const sdk::Matrix& matrix, const kernels::NarrowRows& rows,
                       sdk::PlanWriter& plan) {
  plan.add_numbers("codes", sdk::kUInt8,
                   {static_cast<int64_t>(matrix.rows), static_cast<int64_t>(rows.row_bytes())});
  plan.add_numbers("order", sdk::kInt32, {static_cast<int64_t>(matrix.columns)});
}

// Fills what is planned and refers `tensor` to it; returns the order. Throws PRECIS_UNSUPPORTED
// where a tile has not its number of columns.
inline const uint32_t* bring_into_order(const Work& work, const sdk::Parts& packed,
                                        device::ScaledTensor& tensor) {
  kernels::ScaledWeight& weight = tensor.weight;
  if (packed.size() != 2)
    throw sdk::PluginError(PRECIS_INVALID_ARGUMENT, "the packed tensors are not those of the plan");
  work.require_may_wait();
  std::vector<int32_t> tile_of(weight.rows.columns);
  require_launched(device::read_device(tile_of.data(), weight.tile_of,
                                       tile_of.size() * sizeof(int32_t), work.stream()));
  const auto order = columns_by_group(tile_of.data(), tile_of.size(), weight.tiles.columns);
  if (order.empty())
    throw sdk::PluginError(PRECIS_UNSUPPORTED,
                           "products on a device: all groups of columns are of the same size");
  work.write(*packed[1], order.data(), order.size() * sizeof(uint32_t));
  const auto* on_device = work.data<const uint32_t>(*packed[1], "the planned order");
  require_bytes(*packed[0], tensor.rows * weight.rows.row_bytes());
  auto* codes = work.data<void>(*packed[0], "the planned codes");
  if (const char* error = device::order_scaled(tensor, on_device, codes, work.stream()))
    throw sdk::PluginError(PRECIS_UNSUPPORTED, error);
  weight.codes = codes;
  weight.tile_of = nullptr;
  return on_device;
}

// Whether codes of x meet the codes of the weight.
enum class MultipliedCodes { none, integers, floats };

// Integers do as on the CPU. compressed-tensors multiplies the numbers of float8, rounded once more
// to the dtype of x; the codes themselves are multiplied where the options let that differ.
inline MultipliedCodes multiplied_codes(const ScaledQuantizer& quantizer,
                                        const precis_linear_options& options,
                                        const precis_param& param) {
  const auto rounding = quantizer.activations(param);
  const auto codes = rounding ? quantizer.byte_codes(param) : std::nullopt;
  if (!codes) return MultipliedCodes::none;
  const sdk::Matrix matrix = sdk::matrix(param);
  if (codes->type == kernels::NarrowType::int8)
    return has_integer_rows(*rounding, matrix.columns) && matrix.columns % 16 == 0 &&
                   codes->tiles.per_row == 1
               ? MultipliedCodes::integers
               : MultipliedCodes::none;
  const auto width = [&](uint64_t tile) {
    return tile == 0 || tile >= matrix.columns ||
           (std::has_single_bit(tile) && tile >= device::kFloat8ProductTile);
  };
  const bool fits = width(codes->tiles.columns) && width(rounding->group) &&
                    (codes->tiles.rows >= matrix.rows || std::has_single_bit(codes->tiles.rows)) &&
                    matrix.columns % 8 == 0;
  return fits && rounding->rule == kernels::ActivationRule::compressed_float8 &&
                 (options.flags & PRECIS_LINEAR_MAY_ROUND_ACTIVATIONS) != 0
             ? MultipliedCodes::floats
             : MultipliedCodes::none;
}

inline device::Float8Tensor float8_tensor(const device::ScaledTensor& tensor) {
  const kernels::ScaledWeight& weight = tensor.weight;
  const auto scale_type = weight.scale_type == kernels::ScaleType::f32 ? kernels::Fp8ScaleType::f32
                          : weight.scale_type == kernels::ScaleType::f16
                              ? kernels::Fp8ScaleType::f16
                              : kernels::Fp8ScaleType::bf16;
  return {device::Float8Type::e4m3fn,
          tensor.rows,
          narrow(weight.rows.columns),
          static_cast<const uint8_t*>(weight.codes),
          {narrow(std::min<uint64_t>(weight.tiles.rows, tensor.rows)),
           narrow(std::min(weight.tiles.columns, weight.rows.columns))},
          scale_type,
          weight.scales,
          kernels::WeightType::f32};
}

// The weight with its scales in float32, in the planned tensor.
inline device::Int8Rows integer_rows(const Work& work, const device::ScaledTensor& tensor,
                                     const sdk::Parts& packed) {
  if (packed.size() != 1)
    throw sdk::PluginError(PRECIS_INVALID_ARGUMENT, "the packed tensors are not those of the plan");
  work.require_may_wait();
  kernels::ScaledWeight on_host = tensor.weight;
  const uint64_t tiles = (tensor.rows + on_host.tiles.rows - 1) / on_host.tiles.rows;
  std::vector<float> stored(tiles);  // of the largest dtype that scales have
  const uint64_t each = on_host.scale_type == kernels::ScaleType::f32 ? 4 : 2;
  require_launched(device::read_device(stored.data(), on_host.scales, tiles * each, work.stream()));
  on_host.scales = stored.data();
  const std::vector<float> scales = row_scales(on_host, tensor.rows);
  work.write(*packed[0], scales.data(), scales.size() * sizeof(float));
  return {tensor.rows, narrow(on_host.rows.columns), static_cast<const int8_t*>(on_host.codes),
          work.data<const float>(*packed[0], "the planned scales")};
}

template <typename Quantizer>
class ScaledBackEnd final : public BackEnd<Quantizer> {
 public:
  void check(const Quantizer& quantizer, const precis_param& param) const override {
    quantizer.check_numbers(param);
  }

 protected:
  void encode(const Quantizer& quantizer, const Work& work, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    const auto plan = quantizer.encoding(work.param(), parts);
    if (!plan) return BackEnd<Quantizer>::encode(quantizer, work, weight, parts);
    narrow(work.matrix().columns);
    const auto part = [&](int i, const char* name) -> void* {
      return i < 0 ? nullptr : work.data<void>(*parts.at(static_cast<std::size_t>(i)), name);
    };
    require_launched(device::quantize_scaled(
        work.type(), work.data<const void>(weight, "the weight"), narrow(work.matrix().rows),
        plan->encoding,
        {plan->one_tile, plan->whole_divisor,
         static_cast<float*>(part(plan->whole_scale, "the scale of the whole weight"))},
        {part(plan->codes, "the codes"), part(plan->scales, "the scales"),
         part(plan->zeros, "the zero points"), widens_scales(*plan, work.param(), parts)},
        work.stream()));
    for (const auto& [i, bytes] : plan->constants)
      work.write(*parts.at(static_cast<std::size_t>(i)), bytes.data(), bytes.size());
  }

  void decode(const Quantizer& quantizer, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    this->require_all_rows(work, rows);
    require_launched(device::dequantize_scaled(
        scaled_tensor(quantizer, work, parts), weight_type(weight.view.dtype),
        work.data<void>(weight, "the weight"), work.stream()));
  }

  void plan_product(const Quantizer& quantizer, const precis_linear_options& options,
                    const precis_param& param, sdk::PlanWriter& plan) const override {
    const sdk::Matrix matrix = sdk::matrix(param);
    const auto rounding = quantizer.activations(param);
    const MultipliedCodes codes = multiplied_codes(quantizer, options, param);
    if (codes != MultipliedCodes::none) {
      plan_rounded(options, matrix.columns, *rounding, plan);
      if (codes == MultipliedCodes::integers)
        plan.add_numbers("scales", sdk::kFloat32, {static_cast<int64_t>(matrix.rows)});
      return;
    }
    if (rounding) plan_numbers(options, matrix.columns, *rounding, plan);
    const auto scattered = quantizer.scattered(param);
    if (!scattered) return;
    plan_order(matrix, *scattered, plan);
    plan.workspace((rounding ? 2 : 1) *
                   numbers_bytes(static_cast<uint64_t>(options.max_rows), matrix.columns));
  }

  std::unique_ptr<sdk::Linear> prepare(const Quantizer& quantizer, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts& packed) const override {
    device::ScaledTensor tensor = scaled_tensor(quantizer, work, parts);
    const auto of_codes = [&](auto weight) {
      return device_product(
          options, work,
          [weight, rounding = *quantizer.activations(work.param())](const ProductArguments& a) {
            return launch_rounded(weight, rounding, a);
          });
    };
    switch (multiplied_codes(quantizer, options, work.param())) {
      case MultipliedCodes::integers:
        return of_codes(integer_rows(work, tensor, packed));
      case MultipliedCodes::floats:
        return of_codes(float8_tensor(tensor));
      case MultipliedCodes::none:
        break;
    }
    const uint32_t* order = tensor.weight.tile_of != nullptr && quantizer.scattered(work.param())
                                ? bring_into_order(work, packed, tensor)
                                : nullptr;
    if (const char* error = device::check_scaled_product(tensor))
      throw sdk::PluginError(PRECIS_UNSUPPORTED, error);
    const auto rounding = quantizer.activations(work.param());
    const uint64_t columns = work.matrix().columns;
    const auto launch = [tensor, order, rounds = rounding.has_value(), columns](
                            const ProductArguments& a, const void* x) -> const char* {
      if (order != nullptr) {
        const uint64_t bytes = numbers_bytes(a.m, columns), at = rounds ? bytes : 0;
        a.require_workspace(at + bytes);
        void* gathered = static_cast<std::byte*>(a.call.workspace) + at;
        if (const char* error = device::gather_columns(x, a.m, static_cast<uint32_t>(columns),
                                                       order, gathered, a.call.stream))
          return error;
        x = gathered;
      }
      return device::linear_scaled(tensor, a.activation, x, a.bias, a.y, a.m, a.call.stream);
    };
    return device_product(
        options, work, [launch, rounding, columns](const ProductArguments& a) -> const char* {
          return rounding ? with_numbers(a, columns, *rounding, launch) : launch(a, a.x);
        });
  }
};

}  // namespace precis::plugins::PRECIS_DEVICE
