#include "plugins/gguf/quantizer.h"

#include <cstring>
#include <precis/module_match.hpp>

#include "plugins/weight_type.h"

namespace precis::gguf {
namespace {

using sdk::PluginError;

constexpr std::string_view kPrefix = "gguf.";
constexpr uint64_t kElementsAtOnce = 16 << 10;

// What llama-quantize takes when rows do not fill whole blocks of 256.
std::string_view smaller_block(std::string_view name) {
  if (name.substr(0, 2) == "iq") return name == "iq4_nl" ? "" : "iq4_nl";
  if (name == "q2_k" || name == "q3_k" || name.substr(0, 2) == "tq") return "q4_0";
  if (name == "q4_k") return "q5_0";
  if (name == "q5_k") return "q5_1";
  return name == "q6_k" ? "q8_0" : "";
}

void require_importance(const kernels::GgufCodec& codec, const precis_param& param) {
  if (!codec.needs_importance || importance_of(param) != nullptr) return;
  throw PluginError(PRECIS_FAILED_PRECONDITION,
                    std::string(codec.name) +
                        " needs the importance of this weight's columns, and there is none: give "
                        "--imatrix a file of llama-imatrix that has it, or take iq2_s, iq3_xxs or "
                        "q2_k, which do without");
}

uint64_t row_length(const precis_param& param) {
  return param.ndim <= 0 ? 1 : static_cast<uint64_t>(param.shape[param.ndim - 1]);
}

// One row as float32: in place when it is float32 already, else through `scratch`.
const float* row_of(const void* values, kernels::WeightType type, uint64_t row, uint64_t columns,
                    std::vector<float>& scratch) {
  if (type == kernels::WeightType::f32) return static_cast<const float*>(values) + row * columns;
  scratch.resize(columns);
  const char* name = type == kernels::WeightType::f16 ? "f16" : "bf16";
  kernels::gguf_codec(kernels::current_isa(), name)
      ->dequantize(static_cast<const uint8_t*>(values) + row * columns * 2, columns,
                   scratch.data());
  return scratch.data();
}

}  // namespace

const precis_tensor* importance_of(const precis_param& param) {
  constexpr std::size_t kEnd = offsetof(precis_param, importance) + sizeof param.importance;
  return param.struct_size >= kEnd ? param.importance : nullptr;
}

const kernels::GgufCodec& codec_of(const char* encoding, precis_dtype dtype) {
  const std::string_view text =
      encoding == nullptr ? std::string_view() : std::string_view(encoding);
  const kernels::GgufCodec* codec = nullptr;
  if (text.substr(0, kPrefix.size()) == kPrefix)
    codec = kernels::gguf_codec(kernels::current_isa(), text.substr(kPrefix.size()));
  else if (text.empty() && sdk::same(dtype, sdk::kFloat16))
    codec = kernels::gguf_codec(kernels::current_isa(), "f16");
  else if (text.empty() && sdk::same(dtype, sdk::kBFloat16))
    codec = kernels::gguf_codec(kernels::current_isa(), "bf16");
  if (codec == nullptr)
    throw PluginError(PRECIS_UNSUPPORTED, "the encoding '" + std::string(text) + "' is not known");
  return *codec;
}

const kernels::GgufCodec& planned_codec(const precis_param& param, const sdk::Parts& parts) {
  if (parts.size() != 1)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the parts are not those of the plan");
  const kernels::GgufCodec& codec = codec_of(parts[0]->encoding, parts[0]->view.dtype);
  require_importance(codec, param);
  return codec;
}

StoredRows stored_rows(const precis_param& param, const sdk::ConstParts& parts,
                       sdk::RowRange rows) {
  if (parts.size() != 1) throw PluginError(PRECIS_INVALID_ARGUMENT, "a GGUF weight is one tensor");
  const kernels::GgufCodec& codec = codec_of(parts[0]->encoding, parts[0]->view.dtype);
  const sdk::Matrix matrix = sdk::matrix(param);
  const uint64_t begin = rows.begin * matrix.columns, count = rows.count() * matrix.columns;
  if (begin % codec.block_size != 0 || count % codec.block_size != 0 ||
      parts[0]->nbytes < matrix.elements() / codec.block_size * codec.block_bytes)
    throw PluginError(PRECIS_DATA_LOSS, "the blocks do not fit the weight's shape");
  return {codec, begin / codec.block_size * codec.block_bytes, count / codec.block_size};
}

GgufQuantizer::GgufQuantizer(Config config) : config_(std::move(config)) {
  for (uint64_t i = 0; i < kernels::gguf_codec_count(); ++i) {
    const std::string_view name = kernels::gguf_codec_at(kernels::Isa::baseline, i).name;
    encodings_.emplace(name, std::string(kPrefix) + std::string(name));
  }
}

const kernels::GgufCodec* GgufQuantizer::fitting_codec(const precis_param& param) const {
  const uint64_t columns = row_length(param);
  const std::string wanted(block_type(config_.type, sdk::view(param.name)));
  for (std::string_view name = wanted; !name.empty(); name = smaller_block(name)) {
    const kernels::GgufCodec* codec = kernels::gguf_codec(kernels::current_isa(), name);
    if (codec != nullptr && columns % codec->block_size == 0) return codec;
  }
  return nullptr;
}

const kernels::GgufCodec& GgufQuantizer::codec_for(const precis_param& param) const {
  if (config_.type.empty()) {
    throw PluginError(PRECIS_FAILED_PRECONDITION,
                      "this config only reads; to write, say which type: gguf:q4_k");
  }
  const kernels::GgufCodec* codec = fitting_codec(param);
  if (codec == nullptr) {
    throw PluginError(PRECIS_UNSUPPORTED, "in_features " + std::to_string(row_length(param)) +
                                              " is not a multiple of the block size of " +
                                              config_.type);
  }
  return *codec;
}

void GgufQuantizer::plan(const precis_param& param, sdk::PlanWriter& plan) const {
  plugins::weight_type(param.dtype);
  const sdk::Matrix matrix = sdk::matrix(param);
  const kernels::GgufCodec& codec = codec_for(param);
  require_importance(codec, param);
  // The name lives as long as the quantizer: every weight this method writes is called "weight".
  if (sdk::leaf(sdk::view(param.name)) != "weight")
    throw PluginError(PRECIS_UNSUPPORTED, "only parameters called 'weight' are quantized");
  const std::vector<int64_t> shape(param.shape, param.shape + param.ndim);
  if (codec.block_size == 1)
    return plan.add_numbers("weight", codec.name == "f16" ? sdk::kFloat16 : sdk::kBFloat16, shape);
  plan.add("weight", sdk::kUInt8, shape, matrix.elements() / codec.block_size * codec.block_bytes,
           encodings_.at(codec.name).c_str());
}

void GgufQuantizer::quantize(const precis_call& call, const precis_param& param,
                             const precis_tensor& weight, const sdk::Parts& parts) const {
  const kernels::GgufCodec& codec = planned_codec(param, parts);
  const uint64_t columns = row_length(param),
                 rows = columns == 0 ? 0 : sdk::matrix(param).elements() / columns;
  const uint64_t row_bytes = columns / codec.block_size * codec.block_bytes;
  const float* importance = nullptr;
  if (const precis_tensor* given = importance_of(param)) {
    if (given->nbytes != columns * sizeof(float)) {
      throw PluginError(PRECIS_INVALID_ARGUMENT, "the importance matrix has " +
                                                     std::to_string(given->nbytes / sizeof(float)) +
                                                     " columns, the weight " +
                                                     std::to_string(columns));
    }
    importance = sdk::data<const float>(*given);
  }
  const auto type = plugins::weight_type(param.dtype);
  const void* values = sdk::data<const void>(weight);
  auto* out = sdk::data<uint8_t>(*parts[0]);
  sdk::Host::get().parallel_for(
      rows, 1 + kElementsAtOnce / (columns + 1), [&](uint64_t begin, uint64_t end) {
        sdk::poll(&call, static_cast<double>(begin) / static_cast<double>(rows));
        std::vector<float> scratch;
        for (uint64_t row = begin; row < end; ++row) {
          codec.quantize(row_of(values, type, row, columns, scratch), columns, importance,
                         out + row * row_bytes);
        }
      });
}

void GgufQuantizer::dequantize(const precis_call&, const precis_param& param,
                               const sdk::ConstParts& parts, int64_t row_begin,
                               precis_tensor& weight) const {
  const StoredRows stored = stored_rows(param, parts, sdk::rows_of(param, row_begin, weight));
  kernels::gguf_dequantize(kernels::current_isa(), stored.codec,
                           sdk::data<const uint8_t>(*parts[0]) + stored.begin, stored.blocks,
                           plugins::weight_type(weight.view.dtype), sdk::data<void>(weight));
}

void GgufQuantizer::storage(const precis_param& param, precis_storage& out) const {
  const std::string_view kind = sdk::view(param.module_kind), name = sdk::view(param.name);
  const uint64_t elements = sdk::elements(param.ndim, param.shape);
  out.reason = sdk::str("");
  out.keep = 0;
  if (sdk::leaf(name) != "weight" || (!kind.empty() && kind != "Linear") || param.ndim != 2) {
    out.keep = 1;
    out.reason = sdk::str("diffusers reads GGUF blocks in Linear layers only");
  } else if (config_.skip_by_leaf
                 ? sdk::kept_by_leaf(sdk::module_of(name), config_.skip_modules)
                 : sdk::kept_by_any_segment(sdk::module_of(name), config_.skip_modules)) {
    out.keep = 1;
    out.reason = sdk::str("listed in modules_to_not_convert");
  }
  // diffusers takes BF16 tensors of a GGUF for blocks of bytes, which Linear modules alone can use.
  const bool linear = kind == "Linear" && param.ndim == 2;
  if (!linear && sdk::same(param.dtype, sdk::kBFloat16)) out.dtype = sdk::kFloat32;
  const uint32_t bits = out.dtype.bits != 0 ? out.dtype.bits : param.dtype.bits;
  out.bytes = elements * bits / 8;
  if (out.keep != 0 || config_.type.empty()) return;
  if (const kernels::GgufCodec* codec = fitting_codec(param)) {
    out.bytes = elements / codec->block_size * codec->block_bytes;
    out.dtype = {};
  }
}

void GgufQuantizer::quantized_params(const precis_state_dict& state_dict,
                                     const sdk::EmitParam& emit) const {
  for (uint64_t i = 0; i < state_dict.count; ++i) {
    const precis_tensor_info* info = state_dict.info(&state_dict, i);
    if (info->encoding == nullptr) continue;
    codec_of(info->encoding, info->dtype);
    precis_param param{};
    param.struct_size = sizeof param;
    param.name = info->name;
    param.module_kind = sdk::str("");
    param.dtype = sdk::kFloat32;
    param.ndim = info->ndim;
    param.shape = info->shape;
    emit(param, {i});
  }
}

void GgufQuantizer::check(const precis_param& param,
                          const std::vector<const precis_tensor_info*>& parts) const {
  if (parts.size() != 1) throw PluginError(PRECIS_DATA_LOSS, "a GGUF weight is one tensor");
  const kernels::GgufCodec& codec = codec_of(parts[0]->encoding, parts[0]->dtype);
  if (parts[0]->nbytes != sdk::matrix(param).elements() / codec.block_size * codec.block_bytes) {
    throw PluginError(PRECIS_DATA_LOSS, "the blocks do not fit the weight's shape");
  }
}

std::string GgufQuantizer::config(const precis_component&) const {
  return "";  // the type stands with each tensor; diffusers' loader of GGUF files reads no config
}

std::string GgufQuantizer::metadata(const precis_component& component) const {
  // Those of the diffusers models, whose tensors keep diffusers' names. llama.cpp's architectures
  // promise llama.cpp's names; precis does not rename.
  static const std::map<std::string_view, const char*> architectures{
      {"FluxTransformer2DModel", "flux"},
      {"SD3Transformer2DModel", "sd3"},
      {"AuraFlowTransformer2DModel", "aura"},
      {"PixArtTransformer2DModel", "pixart"},
      {"WanTransformer3DModel", "wan"}};
  // llama_ftype (gguf 0.19, LlamaFileType); a type alone is what llama.cpp's _S mixes are but for a
  // few tensors. 1024: guessed.
  static const std::map<std::string_view, uint32_t> file_types{
      {"f16", 1},     {"q4_0", 2},     {"q4_1", 3},    {"q8_0", 7},     {"q5_0", 8},
      {"q5_1", 9},    {"q2_k", 10},    {"q3_k", 11},   {"q3_k_s", 11},  {"q3_k_m", 12},
      {"q3_k_l", 13}, {"q4_k", 14},    {"q4_k_s", 14}, {"q4_k_m", 15},  {"q5_k", 16},
      {"q5_k_s", 16}, {"q5_k_m", 17},  {"q6_k", 18},   {"iq2_xxs", 19}, {"iq2_xs", 20},
      {"q2_k_s", 21}, {"iq3_xxs", 23}, {"iq1_s", 24},  {"iq4_nl", 25},  {"iq3_s", 26},
      {"iq2_s", 28},  {"iq4_xs", 30},  {"iq1_m", 31},  {"bf16", 32},    {"tq1_0", 36},
      {"tq2_0", 37},  {"mxfp4", 38},   {"nvfp4", 39},  {"q1_0", 40}};
  const auto architecture = architectures.find(sdk::view(component.class_name));
  const auto file_type = file_types.find(config_.type);
  const auto entry = [](const char* type, sdk::Json value) {
    return sdk::Json{{"type", type}, {"value", std::move(value)}};
  };
  return sdk::Json{
      {"general.architecture",
       entry("string", architecture == architectures.end() ? "diffusion" : architecture->second)},
      {"general.quantization_version", entry("u32", 2)},
      {"general.file_type",
       entry("u32", file_type == file_types.end() ? 1024u : file_type->second)}}
      .dump();
}

}  // namespace precis::gguf
