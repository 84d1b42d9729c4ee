#include "registry/config/quant_methods.h"

#include <fmt/format.h>

#include <algorithm>

#include "registry/config/dispatch.h"

namespace precis {

const std::vector<QuantMethodFacts>& quant_methods() {
  static const std::vector<QuantMethodFacts> table{
      // name, class, plugin, diffusers, transformers, one signature, loading attributes
      {"aqlm", "AqlmConfig", "aqlm", false, true, false, {}},
      {"auto-round", "AutoRoundConfig", "auto_round", true, true, true, {"backend"}},
      {"awq", "AwqConfig", "awq", false, true, false, {"max_input_length", "backend"}},
      {"bfl", "BFLQuantizationConfig", "bfl", true, false, false, {}},
      {"bitnet", "BitNetQuantConfig", "bitnet", false, true, false, {}},
      {"bitsandbytes_4bit", "BitsAndBytesConfig", "bitsandbytes", true, true, true, {}},
      {"bitsandbytes_8bit", "BitsAndBytesConfig", "bitsandbytes", true, true, true, {}},
      {"compressed-tensors",
       "CompressedTensorsConfig",
       "compressed_tensors",
       false,
       true,
       false,
       {"dequantize", "run_compressed", "use_optimized_inference"}},
      {"eetq", "EetqConfig", "eetq", false, true, false, {}},
      {"fbgemm_fp8", "FbgemmFp8Config", "fp8", false, true, false, {"activation_scale_ub"}},
      {"fouroversix", "FourOverSixConfig", "fouroversix", false, true, false, {}},
      {"fp8",
       "FineGrainedFP8Config",
       "fp8",
       false,
       true,
       false,
       {"dequantize", "modules_to_not_convert"}},
      {"fp_quant", "FPQuantConfig", "fp_quant", false, true, false, {}},
      {"gemma", "GemmaQuantizationConfig", "gemma", false, true, false, {}},
      {"gguf", "GgufConfig", "gguf", true, true, false, {}},
      {"gptq", "GPTQConfig", "gptq", false, true, false, {"max_input_length", "backend"}},
      {"higgs", "HiggsConfig", "higgs", false, true, false, {}},
      {"hqq", "HqqConfig", "hqq", false, true, false, {}},
      {"metal", "MetalConfig", "metal", false, true, false, {"dequantize"}},
      {"modelopt", "NVIDIAModelOptConfig", "modelopt", true, false, false, {}},
      {"mxfp4", "Mxfp4Config", "mxfp4", false, true, false, {"dequantize"}},
      {"mxfp8",
       "FineGrainedFP8Config",
       "fp8",
       false,
       true,
       false,
       {"dequantize", "modules_to_not_convert"}},
      {"nunchaku_lite", "NunchakuLiteQuantizationConfig", "nunchaku", true, false, false, {}},
      {"nvfp4", "NVFP4Config", "nvfp4", false, true, false, {}},
      {"quanto", "QuantoConfig", "quanto", true, true, false, {}},
      {"quark", "QuarkConfig", "quark", false, true, false, {}},
      {"sdnq", "SDNQConfig", "sdnq", true, false, false, {}},
      {"sdnq_training", "SDNQConfig", "sdnq", true, false, false, {}},
      {"sinq", "SinqConfig", "sinq", false, true, false, {}},
      {"spqr", "SpQRConfig", "spqr", false, true, false, {}},
      {"torchao", "TorchAoConfig", "torchao", true, true, false, {}},
      {"vptq", "VptqConfig", "vptq", false, true, false, {}}};
  return table;
}

const QuantMethodFacts* find_quant_method(std::string_view name) {
  if (name == "bitsandbytes") name = "bitsandbytes_4bit";
  const auto& table = quant_methods();
  const auto found = std::find_if(table.begin(), table.end(), [&](const QuantMethodFacts& facts) {
    return facts.name == name;
  });
  return found == table.end() ? nullptr : &*found;
}

const std::vector<std::string>& known_quant_methods() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list{"bitsandbytes"};
    for (const QuantMethodFacts& facts : quant_methods()) list.emplace_back(facts.name);
    return list;
  }();
  return names;
}

Result<bool> supports_quant_method(const nlohmann::json& config, std::string_view library) {
  // A bare "bitsandbytes" is unknown to the libraries, not an error.
  if (config.is_object() && config.value("quant_method", nlohmann::json()) == "bitsandbytes" &&
      !dispatch_key(config, {"", true}).ok())
    return false;
  PRECIS_ASSIGN(const std::string key, dispatch_key(config, {"", true}));
  const QuantMethodFacts* facts = find_quant_method(key);
  if (facts == nullptr) return false;
  if (library.empty()) return true;
  return library == "diffusers" ? facts->diffusers : facts->transformers;
}

}  // namespace precis
