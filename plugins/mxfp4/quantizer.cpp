#include "plugins/mxfp4/quantizer.h"

#include "kernels/cpu/scaled/scaled.h"
#include "plugins/linear.h"

namespace precis::mxfp4 {

using sdk::PluginError;

namespace {

constexpr uint64_t kGroup = 32;       // numbers with one scale
constexpr uint64_t kBlockBytes = 16;  // of a group
constexpr uint64_t kTile = 16;        // rows that are transposed at once
constexpr std::string_view kBlocks = "_blocks", kScales = "_scales";
constexpr int64_t kLargestSide = int64_t{1} << 31;

// A parameter and its two stored tensors, all in the same module.
struct Names {
  std::string_view param, blocks, scales;
};
constexpr Names kNames[] = {{"gate_up_proj", "gate_up_proj_blocks", "gate_up_proj_scales"},
                            {"down_proj", "down_proj_blocks", "down_proj_scales"}};

const Names* names_of(std::string_view param) {
  for (const Names& names : kNames)
    if (sdk::leaf(param) == names.param) return &names;
  return nullptr;
}

struct Shape {
  uint64_t experts, in_features, out_features;
  uint64_t groups() const { return in_features / kGroup; }
  uint64_t rows() const { return experts * out_features; }
};

Shape shape_of(const precis_param& param) {
  if (param.ndim != 3 || names_of(sdk::view(param.name)) == nullptr)
    throw PluginError(PRECIS_UNSUPPORTED,
                      "mxfp4 stores the experts' gate_up_proj and down_proj alone, [experts, "
                      "in_features, out_features]");
  const Shape shape{static_cast<uint64_t>(param.shape[0]), static_cast<uint64_t>(param.shape[1]),
                    static_cast<uint64_t>(param.shape[2])};
  if (shape.in_features % kGroup != 0)
    throw PluginError(PRECIS_UNSUPPORTED, "in_features " + std::to_string(shape.in_features) +
                                              " is not a multiple of 32");
  return shape;
}

const kernels::ScaledKernels& kernel() {
  return kernels::scaled_kernels(kernels::current_isa());
}

kernels::NarrowRows rows_of(const Shape& shape) {
  return {kernels::NarrowType::float4_e2m1, 4, false, shape.in_features};
}

kernels::ScaleTiles tiles_of(const Shape& shape) {
  return {1, kGroup, shape.groups()};
}

// Work on [begin, end) of the stored rows, which never cross experts: body(expert, row in it,
// count).
template <typename Body>
void for_tiles(const precis_call& call, const Shape& shape, uint64_t first_expert, uint64_t experts,
               Body&& body) {
  const uint64_t tiles = (shape.out_features + kTile - 1) / kTile;
  sdk::Host::get().parallel_for(experts * tiles, 1, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      sdk::poll(&call, static_cast<double>(i) / static_cast<double>(experts * tiles));
      const uint64_t row = i % tiles * kTile;
      body(first_expert + i / tiles, row, std::min(kTile, shape.out_features - row));
    }
  });
}

void check_tensor(std::string_view name, bool uint8, uint64_t stored, uint64_t needed) {
  if (!uint8) throw PluginError(PRECIS_DATA_LOSS, "'" + std::string(name) + "' must be uint8");
  if (stored != needed)
    throw PluginError(PRECIS_DATA_LOSS,
                      "'" + std::string(name) + "' has " + std::to_string(stored) +
                          " elements, the experts' shape needs " + std::to_string(needed));
}

template <typename Elements>
void check_parts(const precis_param& param, std::size_t count, Elements elements) {
  const Shape shape = shape_of(param);
  const Names& names = *names_of(sdk::view(param.name));
  if (count != 2) throw PluginError(PRECIS_DATA_LOSS, "the experts are stored as two tensors");
  const uint64_t groups = shape.rows() * shape.groups();
  const auto [blocks_uint8, blocks] = elements(0);
  const auto [scales_uint8, scales] = elements(1);
  check_tensor(names.blocks, blocks_uint8, blocks, groups * kBlockBytes);
  check_tensor(names.scales, scales_uint8, scales, groups);
}

}  // namespace

void check_parts(const precis_param& param, const sdk::ConstParts& parts) {
  check_parts(param, parts.size(), [&](std::size_t i) {
    return std::pair(sdk::same(parts[i]->view.dtype, sdk::kUInt8),
                     sdk::elements(parts[i]->view.ndim, parts[i]->view.shape));
  });
}

namespace {

// All experts' rows, one after the other.
kernels::ScaledWeight stored_weight(const Shape& shape, const sdk::ConstParts& parts) {
  kernels::ScaledWeight stored{};
  stored.rows = rows_of(shape);
  stored.tiles = tiles_of(shape);
  stored.codes = sdk::data<const void>(*parts[0]);
  stored.scales = sdk::data<const void>(*parts[1]);
  stored.scale_type = kernels::ScaleType::e8m0;
  stored.rounding = kernels::WeightType::bf16;
  return stored;
}

// precis.linear/1 multiplies with one matrix; which rows of x go to which expert is the host's to
// route.
sdk::Matrix expert_matrix(const precis_linear_options& options, const precis_param& param) {
  const Shape shape = shape_of(param);
  if (shape.experts != 1)
    throw PluginError(PRECIS_UNSUPPORTED,
                      "a product is with one expert: give its slice of the blocks and scales, and "
                      "the shape [1, in_features, out_features]");
  const int64_t sides[] = {param.shape[2], param.shape[1]};
  precis_param matrix = param;
  matrix.ndim = 2;
  matrix.shape = sides;
  return plugins::product_shape(options, matrix);
}

// [experts, out_features, in_features / 32, 16] of a tensor of blocks.
std::vector<int64_t> param_shape(const precis_tensor_info& blocks) {
  const bool packed = blocks.ndim == 4 && blocks.shape[3] == static_cast<int64_t>(kBlockBytes);
  for (int32_t i = 0; packed && i < 3; ++i) {
    if (blocks.shape[i] < 0 || blocks.shape[i] > kLargestSide / static_cast<int64_t>(kGroup))
      throw PluginError(PRECIS_DATA_LOSS,
                        "'" + std::string(sdk::view(blocks.name)) + "' has an impossible shape");
  }
  if (!packed)
    throw PluginError(PRECIS_DATA_LOSS,
                      "'" + std::string(sdk::view(blocks.name)) +
                          "' must be [experts, out_features, in_features / 32, 16]");
  return {blocks.shape[0], blocks.shape[2] * static_cast<int64_t>(kGroup), blocks.shape[1]};
}

}  // namespace

void ExpertsQuantizer::plan(const precis_param& param, sdk::PlanWriter& plan) const {
  const Shape shape = shape_of(param);
  plugins::weight_type(param.dtype);
  const Names& names = *names_of(sdk::view(param.name));
  const auto experts = static_cast<int64_t>(shape.experts);
  const auto rows = static_cast<int64_t>(shape.out_features);
  const auto groups = static_cast<int64_t>(shape.groups());
  plan.add_numbers(names.blocks, sdk::kUInt8,
                   {experts, rows, groups, static_cast<int64_t>(kBlockBytes)});
  plan.add_numbers(names.scales, sdk::kUInt8, {experts, rows, groups});
}

// The weight is rounded to bfloat16 first, as transformers does.
void ExpertsQuantizer::quantize(const precis_call& call, const precis_param& param,
                                const precis_tensor& weight, const sdk::Parts& parts) const {
  const Shape shape = shape_of(param);
  if (parts.size() != 2)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the parts are not those of the plan");
  const auto* values = sdk::data<const std::byte>(weight);
  auto* blocks = sdk::data<std::byte>(*parts[0]);
  auto* scales = sdk::data<std::byte>(*parts[1]);
  kernels::ScaledEncoding encoding{rows_of(shape), tiles_of(shape)};
  encoding.scale_rule = kernels::ScaleRule::exponent_above;
  encoding.bits = 4;
  for_tiles(call, shape, 0, shape.experts, [&](uint64_t expert, uint64_t row, uint64_t count) {
    std::vector<uint16_t> tile(count * shape.in_features);
    kernels::with_type(plugins::weight_type(param.dtype), [&](auto tag) {
      using Type = decltype(tag);
      const auto* from = reinterpret_cast<const typename Type::Stored*>(values) +
                         expert * shape.in_features * shape.out_features;
      for (uint64_t k = 0; k < shape.in_features; ++k)
        for (uint64_t n = 0; n < count; ++n)
          tile[n * shape.in_features + k] =
              kernels::float_to_bfloat16(Type::load(from, k * shape.out_features + row + n));
    });
    const uint64_t first = (expert * shape.out_features + row) * shape.groups();
    kernel().quantize(kernels::WeightType::bf16, tile.data(), encoding, nullptr, 1, 0, count,
                      blocks + first * kBlockBytes, scales + first, nullptr);
  });
}

void ExpertsQuantizer::dequantize(const precis_call& call, const precis_param& param,
                                  const sdk::ConstParts& parts, int64_t row_begin,
                                  precis_tensor& weight) const {
  const Shape shape = shape_of(param);
  check_parts(param, parts);
  const auto first = static_cast<uint64_t>(row_begin);
  const auto experts = static_cast<uint64_t>(weight.view.ndim > 0 ? weight.view.shape[0] : 1);
  if (row_begin < 0 || first + experts > shape.experts)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the rows are outside of the weight");
  const kernels::ScaledWeight stored = stored_weight(shape, parts);
  const auto out_type = plugins::weight_type(weight.view.dtype);
  auto* out = sdk::data<std::byte>(weight);
  for_tiles(call, shape, first, experts, [&](uint64_t expert, uint64_t row, uint64_t count) {
    kernels::with_type(out_type, [&](auto tag) {
      using Stored = typename decltype(tag)::Stored;
      std::vector<Stored> tile(count * shape.in_features);
      const uint64_t at = expert * shape.out_features + row;
      kernel().dequantize(stored, at, at + count, out_type, tile.data());
      auto* to = reinterpret_cast<Stored*>(out) +
                 (expert - first) * shape.in_features * shape.out_features;
      for (uint64_t k = 0; k < shape.in_features; ++k)
        for (uint64_t n = 0; n < count; ++n)
          to[k * shape.out_features + row + n] = tile[n * shape.in_features + k];
    });
  });
}

void ExpertsQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                   sdk::PlanWriter& plan) const {
  const sdk::Matrix matrix = expert_matrix(options, param);
  plan.keeps_parts();
  plan.workspace(
      plugins::product_workspace(options, plugins::float_arithmetic(options), matrix.columns));
}

std::unique_ptr<sdk::Linear> ExpertsQuantizer::prepare_linear(const precis_call&,
                                                              const precis_linear_options& options,
                                                              const precis_param& param,
                                                              const sdk::ConstParts& parts,
                                                              const sdk::Parts&) const {
  const sdk::Matrix matrix = expert_matrix(options, param);
  check_parts(param, parts);
  kernels::LinearWeight weight{};
  weight.arithmetic = plugins::float_arithmetic(options);
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  weight.decode_floats = kernel().decode_floats;
  return std::make_unique<plugins::Product<kernels::ScaledProduct>>(
      options, weight,
      kernels::ScaledProduct{stored_weight(shape_of(param), parts),
                             plugins::decoded_type(weight.arithmetic)});
}

void ExpertsQuantizer::storage(const precis_param& param, precis_storage& out) const {
  const std::string_view name = sdk::view(param.name);
  out.keep = 1;
  out.reason = sdk::str("only the experts of GPT-OSS are quantized");
  out.bytes = param.ndim < 0 ? 0 : sdk::elements(param.ndim, param.shape) * param.dtype.bits / 8;
  if (names_of(name) == nullptr || sdk::view(param.module_kind) != "Experts") return;
  if (sdk::kept_by_pattern(sdk::module_of(name), config_.kept)) {
    out.reason = sdk::str("listed in the config as not to be converted");
    return;
  }
  out.keep = 0;
  out.reason = sdk::str("");
  out.bytes =
      param.ndim < 0 ? 0 : sdk::elements(param.ndim, param.shape) / kGroup * (kBlockBytes + 1);
}

void ExpertsQuantizer::quantized_params(const precis_state_dict& state_dict,
                                        const sdk::EmitParam& emit) const {
  for (uint64_t i = 0; i < state_dict.count; ++i) {
    const precis_tensor_info& blocks = *state_dict.info(&state_dict, i);
    const std::string_view name = sdk::view(blocks.name);
    if (name.size() <= kBlocks.size() || name.substr(name.size() - kBlocks.size()) != kBlocks)
      continue;
    const std::string param_name(name.substr(0, name.size() - kBlocks.size()));
    if (names_of(param_name) == nullptr) continue;
    const std::string scales_name = param_name + std::string(kScales);
    const int64_t scales = state_dict.find(&state_dict, sdk::str(scales_name));
    if (scales < 0) throw PluginError(PRECIS_DATA_LOSS, "'" + scales_name + "' is missing");
    const std::vector<int64_t> shape = param_shape(blocks);
    precis_param param{};
    param.struct_size = sizeof param;
    param.name = sdk::str(param_name);
    param.module_kind = sdk::str("Experts");
    param.dtype = sdk::kBFloat16;
    param.ndim = 3;
    param.shape = shape.data();
    emit(param, {i, static_cast<uint64_t>(scales)});
  }
}

void ExpertsQuantizer::check(const precis_param& param,
                             const std::vector<const precis_tensor_info*>& parts) const {
  check_parts(param, parts.size(), [&](std::size_t i) {
    return std::pair(sdk::same(parts[i]->dtype, sdk::kUInt8),
                     sdk::elements(parts[i]->ndim, parts[i]->shape));
  });
}

std::string ExpertsQuantizer::config(const precis_component& component) const {
  sdk::Json object = config_.normalized;
  sdk::ModuleList kept = config_.kept;
  for (uint64_t i = 0; i < component.kept_count; ++i) {
    const precis_param& param = *component.kept[i];
    const std::string module(sdk::module_of(sdk::view(param.name)));
    if (sdk::view(param.module_kind) != "Experts" || sdk::kept_by_pattern(module, kept)) continue;
    kept.push_back(module);
  }
  for (uint64_t i = 0; i < component.quantized_count; ++i) {
    const std::string module(sdk::module_of(sdk::view(component.quantized[i]->name)));
    if (sdk::kept_by_pattern(module, kept))
      throw PluginError(PRECIS_UNSUPPORTED,
                        "'modules_to_not_convert' keeps whole modules: quantize both projections "
                        "of '" +
                            module + "', or neither");
  }
  if (!kept.empty()) object["modules_to_not_convert"] = kept;
  return object.dump();
}

}  // namespace precis::mxfp4
