// my_method: the weight of a Linear as 8-bit integers with one scale a row.
//
// weight[row][column] = code * scale[row], scale[row] = largest magnitude of the row / 127.
// A checkpoint has for each weight `weight`, int8 [out_features, in_features], and `weight_scale`,
// float32 [out_features].
#include <precis/numbers.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <precis/plugin.hpp>

namespace {

using namespace precis::sdk;

constexpr std::size_t kCodes = 0, kScales = 1;

class MyQuantizer : public Quantizer {
 public:
  void plan(const precis_param& param, PlanWriter& plan) const override {
    check_param(param);
    const std::vector<int64_t> shape(param.shape, param.shape + 2);
    plan.add_numbers("weight", kInt8, shape);
    plan.add_numbers("weight_scale", kFloat32, {shape[0]});
  }

  void quantize(const precis_call& call, const precis_param& param, const precis_tensor& weight,
                const Parts& parts) const override {
    check_param(param);
    if (parts.size() != 2) throw PluginError(PRECIS_INVALID_ARGUMENT, "there must be two parts");
    const auto [rows, columns] = matrix(param);
    const std::size_t size = param.dtype.bits / 8u;
    const auto* values = data<const std::byte>(weight);
    auto* codes = data<int8_t>(*parts[kCodes]);
    auto* scales = data<float>(*parts[kScales]);
    // A structured binding cannot be captured in C++17.
    Host::get().parallel_for(
        rows, 16, [&, all = rows, width = columns](uint64_t begin, uint64_t end) {
          for (uint64_t row = begin; row < end; ++row) {
            poll(&call, static_cast<double>(row) / static_cast<double>(all));
            scales[row] =
                encode_row(param.dtype, values + row * width * size, width, codes + row * width);
          }
        });
  }

  void dequantize(const precis_call&, const precis_param& param, const ConstParts& parts,
                  int64_t row_begin, precis_tensor& weight) const override {
    const auto [rows, columns] = matrix(param);
    const auto count = static_cast<uint64_t>(weight.view.shape[0]);
    if (param.ndim != 2 || parts.size() != 2 || row_begin < 0 ||
        static_cast<uint64_t>(row_begin) + count > rows) {
      throw PluginError(PRECIS_INVALID_ARGUMENT,
                        "the parts or the rows are not those of the weight");
    }
    if (parts[kCodes]->nbytes != rows * columns || parts[kScales]->nbytes != rows * sizeof(float))
      throw PluginError(PRECIS_DATA_LOSS, "'weight' or 'weight_scale' has the wrong size");
    const auto* codes =
        data<const int8_t>(*parts[kCodes]) + row_begin * static_cast<int64_t>(columns);
    const auto* scales = data<const float>(*parts[kScales]) + row_begin;
    auto* out = data<std::byte>(weight);
    for (uint64_t i = 0; i < count * columns; ++i) {
      precis_store(weight.view.dtype, static_cast<float>(codes[i]) * scales[i / columns],
                   out + i * (weight.view.dtype.bits / 8u));
    }
  }

  void storage(const precis_param& param, precis_storage& out) const override {
    const bool linear = view(param.module_kind) == "Linear" && param.ndim == 2;
    const uint64_t count = elements(param.ndim, param.shape);
    out.keep = linear ? 0 : 1;
    out.reason = str(linear ? "" : "only the weights of Linear modules are quantized");
    out.bytes = linear ? count + matrix(param).rows * sizeof(float) : count * param.dtype.bits / 8;
  }

  void quantized_params(const precis_state_dict& dict, const EmitParam& emit) const override {
    for (uint64_t i = 0; i < dict.count; ++i) {
      const precis_tensor_info* scales = dict.info(&dict, i);
      std::string_view name = view(scales->name);
      if (leaf(name) != "weight_scale" || module_of(name).empty()) continue;
      name.remove_suffix(std::string_view("_scale").size());
      const int64_t found = dict.find(&dict, str(name));
      if (found < 0) throw PluginError(PRECIS_DATA_LOSS, "'" + std::string(name) + "' is missing");
      const precis_tensor_info* codes = dict.info(&dict, static_cast<uint64_t>(found));
      precis_param param{};
      param.struct_size = sizeof param;
      param.name = str(name);
      param.module_kind = str("Linear");
      param.dtype = kFloat32;
      param.ndim = codes->ndim;
      param.shape = codes->shape;
      check(param, {codes, scales});
      emit(param, {static_cast<uint64_t>(found), i});
    }
  }

  void check(const precis_param& param,
             const std::vector<const precis_tensor_info*>& parts) const override {
    if (parts.size() != 2 || !same(parts[kCodes]->dtype, kInt8) || parts[kCodes]->ndim != 2 ||
        param.ndim != 2 || !std::equal(param.shape, param.shape + 2, parts[kCodes]->shape))
      throw PluginError(PRECIS_DATA_LOSS, "'weight' is not int8 [out_features, in_features]");
    if (!same(parts[kScales]->dtype, kFloat32) || parts[kScales]->ndim != 1 ||
        parts[kScales]->shape[0] != param.shape[0])
      throw PluginError(PRECIS_DATA_LOSS, "'weight_scale' is not float32 [out_features]");
  }

  std::string config(const precis_component&) const override { return kConfig; }

  static constexpr const char* kConfig = "{\"quant_method\":\"my_method\"}";

 private:
  static void check_param(const precis_param& param) {
    if (!is_weight_dtype(param.dtype))
      throw PluginError(PRECIS_UNSUPPORTED, "the weight is not float32, float16 or bfloat16");
    if (param.ndim != 2) throw PluginError(PRECIS_UNSUPPORTED, "the weight is not a matrix");
  }

  // Gives the row's scale.
  static float encode_row(precis_dtype dtype, const std::byte* values, uint64_t columns,
                          int8_t* codes) {
    const std::size_t size = dtype.bits / 8u;
    float largest = 0;
    for (uint64_t i = 0; i < columns; ++i) {
      const float magnitude = std::fabs(precis_load(dtype, values + i * size));
      if (magnitude <= FLT_MAX) largest = std::max(largest, magnitude);
    }
    const float scale = largest > 127 * FLT_MIN ? largest / 127 : 1;
    for (uint64_t i = 0; i < columns; ++i) {
      const float code = precis_load(dtype, values + i * size) / scale;
      const float bounded = code > 127 ? 127 : code > -127 ? code : -127;  // NaN: -127
      codes[i] = static_cast<int8_t>(std::nearbyint(bounded));
    }
    return scale;
  }
};

// The method has no options: {} and MyQuantizer::kConfig, whatever the spaces.
void check_config(const precis_config& config) {
  std::string compact(view(config.json));
  compact.erase(
      std::remove_if(compact.begin(), compact.end(),
                     [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }),
      compact.end());
  if (compact != "{}" && compact != MyQuantizer::kConfig)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "my_method has no key but 'quant_method'");
}

}  // namespace

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{
      {describe("my_method", "my_method", PRECIS_PLUGIN_VERSION, "safetensors",
                PRECIS_METHOD_SERIALIZABLE),
       [](std::string_view) { return std::string(R"({"type":"object","properties":{}})"); },
       [](const precis_config& config) {
         check_config(config);
         return std::string(MyQuantizer::kConfig);
       },
       [](const precis_config& config) -> std::unique_ptr<Quantizer> {
         check_config(config);
         return std::make_unique<MyQuantizer>();
       }}};
  return list;
}

PRECIS_PLUGIN()
