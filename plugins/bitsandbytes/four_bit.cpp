#include <cstring>
#include <map>

#include "kernels/cpu/bitsandbytes/blockwise.h"
#include "plugins/bitsandbytes/quantizer.h"
#include "plugins/weight_type.h"

namespace precis::bitsandbytes {
namespace {

using sdk::PluginError;

constexpr uint64_t kBlocksAtOnce = 1024;  // a grain of about 64 Ki elements

uint64_t block_count(uint64_t elements, uint64_t blocksize) {
  return (elements + blocksize - 1) / blocksize;
}

precis_dtype storage_dtype(const std::string& name) {
  static const std::map<std::string, precis_dtype> dtypes{{"uint8", sdk::kUInt8},
                                                          {"int8", sdk::kInt8},
                                                          {"float16", sdk::kFloat16},
                                                          {"bfloat16", sdk::kBFloat16},
                                                          {"float32", sdk::kFloat32},
                                                          {"float64", {PRECIS_TYPE_FLOAT, 64, 1}},
                                                          {"int16", {PRECIS_TYPE_INT, 16, 1}},
                                                          {"int32", sdk::kInt32},
                                                          {"int64", {PRECIS_TYPE_INT, 64, 1}}};
  const auto found = dtypes.find(name);
  if (found == dtypes.end())
    throw PluginError(PRECIS_UNSUPPORTED, "'bnb_4bit_quant_storage' cannot be " + name);
  return found->second;
}

}  // namespace

std::string_view text_of(const precis_tensor& tensor) {
  return {sdk::data<const char>(tensor), static_cast<std::size_t>(tensor.nbytes)};
}

QuantState four_bit_state(const Config& config, const precis_param& param) {
  QuantState state;
  state.quant_type = config.quant_type;
  state.blocksize = config.blocksize;
  state.dtype = std::string(sdk::torch_name(param.dtype));
  state.shape.assign(param.shape, param.shape + param.ndim);
  state.nested = config.double_quant;
  return state;
}

kernels::FourBitType code_type(const std::string& name) {
  return name == "nf4" ? kernels::FourBitType::nf4 : kernels::FourBitType::fp4;
}

precis_dtype weight_dtype(const std::string& name) {
  for (const precis_dtype dtype : {sdk::kFloat32, sdk::kFloat16, sdk::kBFloat16}) {
    if (sdk::torch_name(dtype) == name) return dtype;
  }
  throw PluginError(PRECIS_DATA_LOSS, "a quant_state names the dtype '" + name + "'");
}

FourBitQuantizer::FourBitQuantizer(Config config)
    : BitsAndBytesQuantizer(std::move(config)),
      quant_state_name_("weight.quant_state.bitsandbytes__" + config_.quant_type) {}

void FourBitQuantizer::plan(const precis_param& param, sdk::PlanWriter& plan) const {
  plugins::weight_type(param.dtype);
  const uint64_t n = sdk::matrix(param).elements();
  const uint64_t blocks = block_count(n, config_.blocksize);
  const precis_dtype storage = storage_dtype(config_.quant_storage);
  const uint64_t packed = (n + 1) / 2, item = storage.bits / 8u;
  if (packed % item != 0) {
    throw PluginError(PRECIS_UNSUPPORTED, std::to_string(packed) +
                                              " packed bytes do not fill whole elements of " +
                                              config_.quant_storage);
  }
  plan.add("weight", storage, {static_cast<int64_t>(packed / item), 1}, packed);
  const auto count = static_cast<int64_t>(blocks);
  plan.add_numbers("weight.absmax", config_.double_quant ? sdk::kUInt8 : sdk::kFloat32, {count});
  plan.add_numbers("weight.quant_map", sdk::kFloat32, {16});
  if (config_.double_quant) {
    plan.add_numbers("weight.nested_absmax", sdk::kFloat32,
                     {static_cast<int64_t>(block_count(blocks, kernels::kNestedBlocksize))});
    plan.add_numbers("weight.nested_quant_map", sdk::kFloat32, {256});
    plan.workspace(blocks * sizeof(float));
  }
  plan.add_numbers(quant_state_name_, sdk::kUInt8,
                   {static_cast<int64_t>(quant_state_size(four_bit_state(config_, param)))});
}

uint64_t FourBitQuantizer::stored_bytes(const precis_param& param) const {
  const uint64_t n = sdk::matrix(param).elements(), blocks = block_count(n, config_.blocksize);
  const uint64_t always =
      (n + 1) / 2 + 16 * sizeof(float) + quant_state_size(four_bit_state(config_, param));
  if (!config_.double_quant) return always + blocks * sizeof(float);
  const uint64_t nested = block_count(blocks, kernels::kNestedBlocksize) + 256;
  return always + blocks + nested * sizeof(float);
}

void FourBitQuantizer::require_planned(const sdk::Parts& parts) const {
  if (parts.size() != (config_.double_quant ? FourBitParts::kNested : FourBitParts::kPlain))
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the parts are not those of the plan");
}

void FourBitQuantizer::quantize(const precis_call& call, const precis_param& param,
                                const precis_tensor& weight, const sdk::Parts& parts) const {
  require_planned(parts);
  const uint64_t n = sdk::matrix(param).elements();
  const uint64_t blocks = block_count(n, config_.blocksize);
  const auto type = plugins::weight_type(param.dtype);
  const void* values = sdk::data<const void>(weight);
  auto* packed = sdk::data<uint8_t>(*parts[0]);
  if (config_.double_quant && call.workspace_size < blocks * sizeof(float)) {
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the workspace is smaller than planned");
  }
  float* absmax =
      config_.double_quant ? static_cast<float*>(call.workspace) : sdk::data<float>(*parts[1]);
  const auto& kernel = kernels::blockwise_kernels(kernels::current_isa());
  sdk::Host::get().parallel_for(blocks, kBlocksAtOnce, [&](uint64_t begin, uint64_t end) {
    sdk::poll(&call, static_cast<double>(begin) / static_cast<double>(blocks));
    kernel.quantize_4bit(code_type(config_.quant_type), type, values, n, config_.blocksize, begin,
                         end, packed, absmax);
  });
  QuantState state = four_bit_state(config_, param);
  std::memcpy(sdk::data<float>(*parts[2]),
              kernels::four_bit_codebook(code_type(config_.quant_type)), 16 * sizeof(float));
  if (config_.double_quant) {
    kernels::quantize_absmax(absmax, blocks, sdk::data<uint8_t>(*parts[1]),
                             sdk::data<float>(*parts[3]), &state.nested_offset);
    std::memcpy(sdk::data<float>(*parts[4]), kernels::dynamic_8bit_codebook(), 256 * sizeof(float));
  }
  const std::string json = quant_state_json(state);
  std::memcpy(sdk::data<char>(*parts.back()), json.data(), json.size());
}

void FourBitQuantizer::dequantize(const precis_call&, const precis_param& param,
                                  const sdk::ConstParts& parts, int64_t row_begin,
                                  precis_tensor& weight) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const QuantState state = parse_quant_state(text_of(*parts.back()));
  const uint64_t rows = weight.view.ndim == 0 ? 1 : static_cast<uint64_t>(weight.view.shape[0]);
  const uint64_t begin = static_cast<uint64_t>(row_begin) * matrix.columns;
  const uint64_t end = begin + rows * matrix.columns;
  const uint64_t first = begin / state.blocksize, last = block_count(end, state.blocksize);
  const uint64_t statistics = block_count(matrix.elements(), state.blocksize);
  if (end > matrix.elements() || parts[0]->nbytes < (matrix.elements() + 1) / 2 ||
      parts[1]->nbytes < statistics * (state.nested ? 1 : sizeof(float))) {
    throw PluginError(PRECIS_DATA_LOSS,
                      "the packed tensors are smaller than the weight's shape needs");
  }
  std::vector<float> unnested;
  const float* absmax = nullptr;
  if (state.nested) {
    if (parts.size() != FourBitParts::kNested || parts[4]->nbytes < 256 * sizeof(float) ||
        parts[3]->nbytes < block_count(statistics, state.nested_blocksize) * sizeof(float))
      throw PluginError(PRECIS_DATA_LOSS, "the nested statistics are missing or too few");
    unnested.resize(last - first);
    kernels::dequantize_absmax(sdk::data<const uint8_t>(*parts[1]),
                               sdk::data<const float>(*parts[3]), sdk::data<const float>(*parts[4]),
                               state.nested_offset, state.nested_blocksize, first, last,
                               unnested.data());
    absmax = unnested.data();
  } else {
    absmax = sdk::data<const float>(*parts[1]) + first;
  }
  kernels::blockwise_kernels(kernels::current_isa())
      .dequantize_4bit(code_type(state.quant_type), sdk::data<const uint8_t>(*parts[0]), absmax,
                       state.blocksize, begin, end, plugins::weight_type(weight_dtype(state.dtype)),
                       plugins::weight_type(weight.view.dtype), sdk::data<void>(weight));
}

void FourBitQuantizer::quantized_params(const precis_state_dict& state_dict,
                                        const sdk::EmitParam& emit) const {
  constexpr std::string_view kMarker = ".quant_state.bitsandbytes__";
  for (uint64_t i = 0; i < state_dict.count; ++i) {
    const std::string_view name = sdk::view(state_dict.info(&state_dict, i)->name);
    const std::size_t marker = name.find(kMarker);
    if (marker == std::string_view::npos) continue;
    const std::string prefix(name.substr(0, marker));
    std::string json;
    const precis_sink sink{&json, [](void* ctx, const char* data, uint64_t size) {
                             static_cast<std::string*>(ctx)->append(data, size);
                           }};
    if (state_dict.read(&state_dict, i, &sink) != PRECIS_OK) {
      throw PluginError(PRECIS_DATA_LOSS, "'" + std::string(name) + "' cannot be read");
    }
    const QuantState state = [&] {
      try {
        return parse_quant_state(json);
      } catch (const PluginError& error) {
        throw PluginError(error.status(), "'" + std::string(name) + "': " + error.what());
      }
    }();
    std::vector<uint64_t> parts;
    const auto add = [&](const std::string& key) {
      const int64_t index = state_dict.find(&state_dict, sdk::str(key));
      if (index < 0)
        throw PluginError(PRECIS_DATA_LOSS,
                          "'" + key + "' is missing beside '" + std::string(name) + "'");
      parts.push_back(static_cast<uint64_t>(index));
    };
    add(prefix);
    add(prefix + ".absmax");
    add(prefix + ".quant_map");
    if (state.nested) {
      add(prefix + ".nested_absmax");
      add(prefix + ".nested_quant_map");
    }
    parts.push_back(i);
    precis_param param{};
    param.struct_size = sizeof param;
    param.name = sdk::str(prefix);
    param.module_kind = sdk::str("Linear");
    param.dtype = weight_dtype(state.dtype);
    param.ndim = static_cast<int32_t>(state.shape.size());
    param.shape = state.shape.data();
    emit(param, parts);
  }
}

void FourBitQuantizer::check(const precis_param& param,
                             const std::vector<const precis_tensor_info*>& parts) const {
  if (parts.size() != FourBitParts::kPlain && parts.size() != FourBitParts::kNested) {
    throw PluginError(PRECIS_DATA_LOSS,
                      "a 4-bit weight has 4 tensors, or 6 with nested statistics");
  }
  const uint64_t packed = (sdk::matrix(param).elements() + 1) / 2;
  if (parts[0]->nbytes != packed) {
    throw PluginError(PRECIS_DATA_LOSS, "the packed weight has " +
                                            std::to_string(parts[0]->nbytes) +
                                            " bytes, the shape needs " + std::to_string(packed));
  }
}

}  // namespace precis::bitsandbytes
