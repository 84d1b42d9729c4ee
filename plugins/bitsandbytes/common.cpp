#include <precis/module_match.hpp>

#include "plugins/bitsandbytes/quantizer.h"

namespace precis::bitsandbytes {

bool BitsAndBytesQuantizer::skipped(std::string_view module,
                                    const std::vector<std::string>& list) const {
  const bool by_pattern =
      config_.library == "transformers" && config_.library_version.substr(0, 2) != "4.";
  if (by_pattern) return sdk::kept_by_pattern(module, list);
  return sdk::kept_by_leaf_or_segment(module, list);
}

void BitsAndBytesQuantizer::storage(const precis_param& param, precis_storage& out) const {
  const std::string_view kind = sdk::view(param.module_kind);
  const std::string_view name = sdk::view(param.name);
  out.keep = 0;
  out.reason = sdk::str("");
  // GPT-2's Conv1D is a Linear with its weight transposed, which transformers takes too.
  const bool linear =
      kind.empty() || kind == "Linear" || (kind == "Conv1D" && config_.library == "transformers");
  if (sdk::leaf(name) != "weight" || !linear || (param.ndim >= 0 && param.ndim != 2)) {
    out.keep = 1;
    out.reason = sdk::str("bitsandbytes quantizes Linear layers only");
  } else if (skipped(sdk::module_of(name), config_.skip_modules)) {
    out.keep = 1;
    out.reason = sdk::str("listed in llm_int8_skip_modules");
  }
  out.bytes = out.keep != 0 ? sdk::elements(param.ndim, param.shape) * param.dtype.bits / 8
                            : stored_bytes(param);
}

std::string BitsAndBytesQuantizer::config(const precis_component& component) const {
  sdk::Json object = config_.normalized;
  // Both libraries replace every Linear that is not listed, and then expect packed weights for it.
  std::vector<std::string> skip = config_.skip_modules;
  for (uint64_t i = 0; i < component.kept_count; ++i) {
    const std::string module(sdk::module_of(sdk::view(component.kept[i]->name)));
    if (!skipped(module, skip)) skip.push_back(module);
  }
  for (uint64_t i = 0; i < component.quantized_count; ++i) {
    const std::string_view module = sdk::module_of(sdk::view(component.quantized[i]->name));
    if (!skipped(module, skip)) continue;
    throw sdk::PluginError(
        PRECIS_UNSUPPORTED,
        "llm_int8_skip_modules cannot list every kept module without '" + std::string(module) +
            "', which is quantized: keep or quantize both (--rule, --skip, --no-default-skips)");
  }
  if (!skip.empty()) object["llm_int8_skip_modules"] = skip;
  return object.dump();
}

}  // namespace precis::bitsandbytes
