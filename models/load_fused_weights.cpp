#include "models/load_fused_weights.h"

#include <fmt/format.h>

#include <map>

#include "models/layers/projections.h"
#include "runtime/modules/module_tree.h"
#include "runtime/modules/replaceable_layer.h"
#include "runtime/offload/mapped_tensor.h"
#include "runtime/tensor/tensor_adapter.h"

namespace precis::models {
namespace {

using Quantizers = std::map<std::string, std::shared_ptr<const Quantizer>>;  // by the layer's path

// The plan without its methods.
ComponentPlan float_plan(const ComponentPlan& plan) {
  ComponentPlan result = plan;
  for (TensorPlan& tensor : result.tensors) {
    if (tensor.action == Action::quantize) tensor.action = Action::keep;
  }
  return result;
}

Result<Quantizers> quantizers_of(torch::nn::Module& network, const ComponentPlan& plan) {
  constexpr std::string_view kWeight = ".weight";
  const auto fused = fused_layer_paths(network);
  Quantizers quantizers;
  for (const TensorPlan& tensor : plan.tensors) {
    const std::string& name = tensor.source.param.name;
    if (!name.ends_with(kWeight)) continue;
    std::string path = name.substr(0, name.size() - kWeight.size());
    if (const auto found = fused.find(path); found != fused.end()) path = found->second;
    const auto quantizer = tensor.action == Action::quantize ? tensor.quantizer : nullptr;
    const auto [known, is_new] = quantizers.emplace(path, quantizer);
    const auto spec = [](const auto& q) { return q == nullptr ? std::string("keep") : q->spec(); };
    if (is_new || spec(known->second) == spec(quantizer)) continue;
    return Error(ErrorCode::invalid_argument,
                 fmt::format("'{}' joins layers with the methods {} and {}", path,
                             spec(known->second), spec(quantizer)),
                 "give queries, keys and values one method, or do not fuse them");
  }
  return quantizers;
}

Status quantize_layers(torch::nn::Module& network, const Quantizers& quantizers,
                       Arithmetic arithmetic, LoadReport& report) {
  for (const ModuleSite& site : module_sites(network)) {
    const auto module = site.module();
    const auto found = quantizers.find(site.path);
    const std::string kind = layer_kind(*module);
    if (kind.empty() || found == quantizers.end() || found->second == nullptr) continue;
    const torch::Tensor weight = layer_weight(*module);
    PRECIS_ASSIGN(const DType dtype, dtype_of(weight.scalar_type()));
    Param param{site.path + ".weight", kind, dtype, weight.sizes().vec(), true, nullptr};
    PRECIS_ASSIGN(QuantizedWeight encoded,
                  QuantizedWeight::encode(found->second, std::move(param), weight));
    report.bytes += encoded.bytes() - weight.nbytes();
    ++report.quantized;
    replace_module(site, quantized_layer(*module, std::move(encoded), arithmetic));
  }
  return {};
}

// What fusing and quantizing left where the checkpoint's files have it.
uint64_t mapped_bytes(const torch::nn::Module& network) {
  uint64_t bytes = 0;
  for (const at::Tensor& tensor : network.parameters())
    bytes += is_mapped(tensor) ? tensor.nbytes() : 0;
  for (const at::Tensor& tensor : network.buffers())
    bytes += is_mapped(tensor) ? tensor.nbytes() : 0;
  return bytes;
}

}  // namespace

Result<LoadReport> load_fused_weights(torch::nn::Module& network, const Component& component,
                                      const ComponentPlan& plan, MethodResolver& methods,
                                      const WeightOptions& options) {
  PRECIS_ASSIGN(const Quantizers quantizers, quantizers_of(network, plan));
  PRECIS_ASSIGN(LoadReport report,
                load_weights(network, component, float_plan(plan), methods, options));
  PRECIS_TRY(fuse_qkv_projections(network));
  PRECIS_TRY(quantize_layers(network, quantizers, options.arithmetic, report));
  report.mapped_bytes = mapped_bytes(network);
  return report;
}

}  // namespace precis::models
