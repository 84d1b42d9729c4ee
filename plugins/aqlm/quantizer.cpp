#include "plugins/aqlm/quantizer.h"

#include "plugins/additive_codebooks.h"
#include "plugins/weight_type.h"

namespace precis::aqlm {

using sdk::PluginError;

namespace {

[[noreturn]] void unsupported(const std::string& text) {
  throw PluginError(PRECIS_UNSUPPORTED, text);
}

uint64_t bounded(const char* key, int64_t value, int64_t most) {
  if (value < 1 || value > most)
    unsupported("'" + std::string(key) + "' is " + std::to_string(value) + ", precis reads 1 to " +
                std::to_string(most));
  return static_cast<uint64_t>(value);
}

template <typename Code>
void store_codes(const Fit& fit, Code* out) {
  const uint64_t books = fit.shape.codebooks, blocks = fit.shape.blocks();
  const int32_t half = 1 << (fit.shape.bits - 1), whole = 1 << fit.shape.bits;
  for (uint64_t block = 0; block < blocks; ++block) {
    for (uint64_t book = 0; book < books; ++book) {
      const int32_t code = fit.codes[book * blocks + block];
      out[block * books + book] = static_cast<Code>(code < half ? code : code - whole);
    }
  }
}

}  // namespace

AqlmQuantizer::AqlmQuantizer(Config config)
    : WeightQuantizer(config.normalized, config.skip), config_(std::move(config)) {}

kernels::AqlmShape AqlmQuantizer::shape_of(const precis_param& param) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const kernels::AqlmShape shape{
      matrix.rows,
      matrix.columns,
      bounded("out_group_size", config_.out_group_size, 256),
      bounded("in_group_size", config_.in_group_size, 256),
      bounded("num_codebooks", config_.num_codebooks, 64),
      static_cast<int>(bounded("nbits_per_codebook", config_.nbits_per_codebook, 16))};
  if (param.ndim != 2 || matrix.elements() == 0 || shape.rows % shape.out_group != 0 ||
      shape.columns % shape.in_group != 0)
    unsupported("its shape [" + std::to_string(shape.rows) + ", " + std::to_string(shape.columns) +
                "] is not in blocks of " + std::to_string(shape.out_group) + " x " +
                std::to_string(shape.in_group));
  return shape;
}

std::vector<sdk::PartLayout> AqlmQuantizer::layout(const precis_param& param) const {
  const kernels::AqlmShape shape = shape_of(param);
  const auto size = [](uint64_t count) { return static_cast<int64_t>(count); };
  return {{"codes",
           shape.bits <= 8 ? sdk::kInt8 : sdk::kInt16,
           {size(shape.out_groups()), size(shape.in_groups()), size(shape.codebooks)}},
          {"codebooks",
           param.dtype,
           {size(shape.codebooks), size(shape.codewords()), size(shape.out_group),
            size(shape.in_group)},
           true},
          {"scales", param.dtype, {size(shape.out_groups()), 1, 1, 1}, true}};
}

void AqlmQuantizer::check_writable(const precis_param& param) const {
  plugins::weight_type(param.dtype);
  const kernels::AqlmShape shape = shape_of(param);
  if (shape.blocks() > plugins::kMostDistances / shape.codewords())
    unsupported("codebooks of " + std::to_string(shape.codewords()) + " codewords for " +
                std::to_string(shape.blocks()) +
                " blocks take hours on a CPU; precis fits nbits_per_codebook 8");
}

uint64_t AqlmQuantizer::workspace(const precis_param& param) const {
  return fit_bytes(shape_of(param));
}

// The codebooks tell the blocks; config and tensors must agree.
sdk::StoredWeight AqlmQuantizer::describe(const sdk::StoredModule& module) const {
  const precis_tensor_info& books = module.at("codebooks", 4);
  const precis_tensor_info& codes = module.at("codes", 3);
  const precis_tensor_info& scales = module.at("scales", 1);
  const int64_t told[] = {config_.num_codebooks, int64_t{1} << (config_.nbits_per_codebook & 31),
                          config_.out_group_size, config_.in_group_size};
  for (int i = 0; i < 4; ++i) {
    if (books.shape[i] != told[i])
      throw PluginError(PRECIS_DATA_LOSS,
                        "'" + module.key("codebooks") + "' is not what the config says: size " +
                            std::to_string(books.shape[i]) + " of dimension " + std::to_string(i) +
                            ", not " + std::to_string(told[i]));
  }
  // A forward pass on a CPU leaves the codes of 8 bits with their first dimensions exchanged.
  const int64_t out_groups = scales.shape[0];
  const int64_t in_groups = codes.shape[0] == out_groups ? codes.shape[1] : codes.shape[0];
  return {sdk::is_weight_dtype(books.dtype) ? books.dtype : sdk::kFloat16,
          {out_groups * config_.out_group_size, in_groups * config_.in_group_size}};
}

void AqlmQuantizer::encode(const precis_call& call, const precis_param& param,
                           const precis_tensor& weight, const sdk::Parts& parts) const {
  const auto type = plugins::weight_type(param.dtype);
  Fit fit = fit_in(shape_of(param), call.workspace);
  find_codebooks(call, type, sdk::data<const void>(weight), {}, fit);
  store(fit, type, parts);
}

void store(const Fit& fit, kernels::WeightType type, const sdk::Parts& parts) {
  if (fit.shape.bits <= 8)
    store_codes(fit, sdk::data<int8_t>(*parts[kCodes]));
  else
    store_codes(fit, sdk::data<int16_t>(*parts[kCodes]));
  kernels::with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    auto* books = sdk::data<typename Type::Stored>(*parts[kCodebooks]);
    const uint64_t numbers = fit.shape.codebooks * fit.shape.codewords() * fit.shape.block_size();
    for (uint64_t i = 0; i < numbers; ++i) Type::store(books, i, fit.codebooks[i]);
    auto* scales = sdk::data<typename Type::Stored>(*parts[kScales]);
    for (uint64_t i = 0; i < fit.shape.out_groups(); ++i) Type::store(scales, i, fit.scales[i]);
  });
}

kernels::AqlmWeight AqlmQuantizer::stored_weight(const precis_param& param,
                                                 const sdk::ConstParts& parts) const {
  const kernels::AqlmShape shape = shape_of(param);
  const precis_tensor& codes = *parts[kCodes];
  const precis_dtype type = parts[kCodebooks]->view.dtype;
  if (!sdk::is_weight_dtype(type) || !sdk::same(type, parts[kScales]->view.dtype))
    throw PluginError(PRECIS_DATA_LOSS, "'codebooks' and 'scales' must be floats of one dtype");
  if (!sdk::same(codes.view.dtype, shape.bits <= 8 ? sdk::kInt8 : sdk::kInt16))
    throw PluginError(PRECIS_DATA_LOSS, "'codes' has the wrong dtype");
  const bool exchanged = codes.view.ndim == 3 &&
                         codes.view.shape[0] != static_cast<int64_t>(shape.out_groups()) &&
                         codes.view.shape[0] == static_cast<int64_t>(shape.in_groups());
  return {shape,
          sdk::data<const void>(codes),
          exchanged ? shape.codebooks : shape.in_groups() * shape.codebooks,
          exchanged ? shape.out_groups() * shape.codebooks : shape.codebooks,
          plugins::weight_type(type),
          sdk::data<const void>(*parts[kCodebooks]),
          sdk::data<const void>(*parts[kScales])};
}

void AqlmQuantizer::decode(const precis_call&, const precis_param& param,
                           const sdk::ConstParts& parts, sdk::RowRange rows,
                           const precis_tensor& out) const {
  kernels::aqlm_kernels(kernels::current_isa())
      .dequantize(stored_weight(param, parts), rows.begin, rows.end,
                  plugins::weight_type(out.view.dtype), sdk::data<void>(out));
}

// transformers 4 looks for the parameter's name, 5 takes the entry for a pattern of modules.
void AqlmQuantizer::write_skip_list(const sdk::ModuleList& modules, sdk::Json& config) const {
  sdk::ModuleList names;
  const auto add = [&](const std::string& name) {
    if (!sdk::contains(names, name)) names.push_back(name);
  };
  for (const std::string& module : modules) add(module);
  for (const std::string& module : modules) {
    if (sdk::leaf(module) != "weight") add(module + ".weight");
  }
  config["linear_weights_not_to_quantize"] = names;
}

}  // namespace precis::aqlm
