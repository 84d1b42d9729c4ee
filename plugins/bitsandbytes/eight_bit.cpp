#include "kernels/cpu/bitsandbytes/int8.h"
#include "plugins/bitsandbytes/quantizer.h"
#include "plugins/weight_type.h"

namespace precis::bitsandbytes {
namespace {

using sdk::PluginError;

constexpr uint64_t kElementsAtOnce = 64 << 10;

}  // namespace

void require_row_major(std::string_view weight_format) {
  if (weight_format.empty()) throw PluginError(PRECIS_DATA_LOSS, "weight_format is empty");
  if (weight_format[0] != 0) {
    throw PluginError(PRECIS_UNSUPPORTED,
                      "weight_format is not row-major: bitsandbytes before 0.45 wrote it after a "
                      "forward pass; save the model again with a current version");
  }
}

void EightBitQuantizer::plan(const precis_param& param, sdk::PlanWriter& plan) const {
  plugins::weight_type(param.dtype);
  const sdk::Matrix matrix = sdk::matrix(param);
  plan.add_numbers("weight", sdk::kInt8,
                   std::vector<int64_t>(param.shape, param.shape + param.ndim));
  plan.add_numbers("SCB", sdk::kFloat32, {static_cast<int64_t>(matrix.rows)});
  plan.add_numbers("weight_format", sdk::kUInt8, {});
}

uint64_t EightBitQuantizer::stored_bytes(const precis_param& param) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  return matrix.elements() + matrix.rows * sizeof(float) + 1;
}

void EightBitQuantizer::require_planned(const sdk::Parts& parts) const {
  if (parts.size() != 3)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the parts are not those of the plan");
}

void EightBitQuantizer::quantize(const precis_call& call, const precis_param& param,
                                 const precis_tensor& weight, const sdk::Parts& parts) const {
  require_planned(parts);
  const sdk::Matrix matrix = sdk::matrix(param);
  const auto type = plugins::weight_type(param.dtype);
  const void* values = sdk::data<const void>(weight);
  auto* codes = sdk::data<int8_t>(*parts[0]);
  auto* scb = sdk::data<float>(*parts[1]);
  const auto& kernel = kernels::int8_row_kernels(kernels::current_isa());
  const uint64_t grain = 1 + kElementsAtOnce / (matrix.columns + 1);
  sdk::Host::get().parallel_for(matrix.rows, grain, [&](uint64_t begin, uint64_t end) {
    sdk::poll(&call, static_cast<double>(begin) / static_cast<double>(matrix.rows));
    kernel.quantize(type, values, matrix.columns, begin, end, codes, scb);
  });
  *sdk::data<uint8_t>(*parts[2]) = 0;  // row-major
}

void EightBitQuantizer::dequantize(const precis_call&, const precis_param& param,
                                   const sdk::ConstParts& parts, int64_t row_begin,
                                   precis_tensor& weight) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const auto begin = static_cast<uint64_t>(row_begin);
  const uint64_t end =
      begin + (weight.view.ndim == 0 ? 1 : static_cast<uint64_t>(weight.view.shape[0]));
  if (parts.size() < 2 || end > matrix.rows || parts[0]->nbytes < matrix.elements() ||
      parts[1]->nbytes < matrix.rows * sizeof(float)) {
    throw PluginError(PRECIS_DATA_LOSS, "the tensors are smaller than the weight's shape needs");
  }
  if (parts.size() > 2) require_row_major(text_of(*parts[2]));
  kernels::int8_row_kernels(kernels::current_isa())
      .dequantize(sdk::data<const int8_t>(*parts[0]), sdk::data<const float>(*parts[1]),
                  matrix.columns, begin, end, plugins::weight_type(weight.view.dtype),
                  sdk::data<void>(weight));
}

void EightBitQuantizer::quantized_params(const precis_state_dict& state_dict,
                                         const sdk::EmitParam& emit) const {
  for (uint64_t i = 0; i < state_dict.count; ++i) {
    const std::string_view name = sdk::view(state_dict.info(&state_dict, i)->name);
    if (sdk::leaf(name) != "SCB") continue;
    const std::string module(sdk::module_of(name));
    const std::string weight = module + ".weight";
    const int64_t index = state_dict.find(&state_dict, sdk::str(weight));
    if (index < 0)
      throw PluginError(PRECIS_DATA_LOSS,
                        "'" + weight + "' is missing beside '" + std::string(name) + "'");
    std::vector<uint64_t> parts{static_cast<uint64_t>(index), i};
    const std::string format = module + ".weight_format";
    if (const int64_t found = state_dict.find(&state_dict, sdk::str(format)); found >= 0) {
      parts.push_back(static_cast<uint64_t>(found));
    }
    const precis_tensor_info* info = state_dict.info(&state_dict, parts[0]);
    precis_param param{};
    param.struct_size = sizeof param;
    param.name = sdk::str(weight);
    param.module_kind = sdk::str("Linear");
    param.dtype = sdk::kFloat16;  // LLM.int8() rounds every weight to it first
    param.ndim = info->ndim;
    param.shape = info->shape;
    emit(param, parts);
  }
}

void EightBitQuantizer::check(const precis_param& param,
                              const std::vector<const precis_tensor_info*>& parts) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  if (parts.size() < 2 || !sdk::same(parts[0]->dtype, sdk::kInt8) ||
      parts[0]->nbytes != matrix.elements() || parts[1]->nbytes != matrix.rows * sizeof(float)) {
    throw PluginError(PRECIS_DATA_LOSS,
                      "an 8-bit weight is int8 with one float32 in SCB for each row");
  }
}

}  // namespace precis::bitsandbytes
