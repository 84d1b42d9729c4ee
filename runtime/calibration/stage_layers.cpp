#include "runtime/calibration/stage_layers.h"

#include <algorithm>

#include "runtime/modules/replaceable_layer.h"

namespace precis {
namespace {

// Thrown by an observer that has seen what it wanted.
struct SeenEnough {};

bool is_below(const std::string& path, const std::string& stage) {
  return path.starts_with(stage) && path.size() > stage.size() && path[stage.size()] == '.';
}

// Whether the stage is the one that the module runs in.
bool belongs_to(const std::string& path, const BlockChain& chain, std::size_t stage) {
  const std::string own = chain.stage_path(stage);
  if (!own.empty()) return is_below(path, own);
  for (std::size_t other = 0; other < chain.stage_count(); ++other) {
    const std::string path_of_other = chain.stage_path(other);
    if (!path_of_other.empty() && is_below(path, path_of_other)) return false;
  }
  return true;
}

}  // namespace

Result<std::vector<ObservedLayer>> observe_stage(
    torch::nn::Module& root, const BlockChain& chain, std::size_t stage,
    const std::map<std::string, Param>& params, const std::map<std::string, std::size_t>& targets) {
  std::vector<ObservedLayer> layers;
  for (const ModuleSite& site : module_sites(root)) {
    const auto target = targets.find(site.path);
    if (target == targets.end() || !belongs_to(site.path, chain, stage)) continue;
    at::Tensor weight, bias;
    {
      const auto module = site.module();
      const auto* linear = module->as<torch::nn::LinearImpl>();
      if (linear == nullptr) continue;
      weight = linear->weight;
      bias = linear->bias;
    }
    PRECIS_TRY(check_replaceable(site));
    auto observed = std::make_shared<ObservedLinear>(params.at(site.path), weight, bias);
    replace_module(site, observed);
    layers.push_back({site, target->second, std::move(observed)});
  }
  return layers;
}

std::vector<LayerGroup> group_layers(BlockChain& chain, std::size_t stage,
                                     const Activations& sample,
                                     const std::vector<ObservedLayer>& layers,
                                     std::vector<ObservedLayer>& silent) {
  struct Call {
    const ObservedLayer* layer;
    at::Tensor input;  // held, so that no later tensor has its address
  };
  std::vector<Call> calls;
  for (const ObservedLayer& layer : layers) {
    layer.linear->observe([&calls, &layer](ObservedLinear&, const at::Tensor& input) {
      const auto known = std::find_if(calls.begin(), calls.end(),
                                      [&](const Call& call) { return call.layer == &layer; });
      if (known == calls.end()) calls.push_back({&layer, input});
    });
  }
  Activations activations = sample;
  chain.run_stage(stage, activations);
  for (const ObservedLayer& layer : layers) layer.linear->observe({});
  std::vector<LayerGroup> groups;
  std::vector<at::Tensor> inputs;
  for (const Call& call : calls) {
    const auto shared = std::find_if(inputs.begin(), inputs.end(), [&](const at::Tensor& input) {
      return input.is_same(call.input);
    });
    if (shared == inputs.end()) {
      inputs.push_back(call.input);
      groups.push_back({*call.layer});
    } else {
      groups[static_cast<std::size_t>(shared - inputs.begin())].push_back(*call.layer);
    }
  }
  for (const ObservedLayer& layer : layers) {
    const bool called = std::any_of(calls.begin(), calls.end(),
                                    [&](const Call& call) { return call.layer == &layer; });
    if (!called) silent.push_back(layer);
  }
  return groups;
}

void watch_input(BlockChain& chain, std::size_t stage, const std::vector<Activations>& samples,
                 ObservedLinear& layer, const std::function<void(const at::Tensor&)>& observer) {
  layer.observe([&](ObservedLinear&, const at::Tensor& input) {
    observer(input);
    throw SeenEnough();
  });
  for (const Activations& sample : samples) {
    Activations activations = sample;
    try {
      chain.run_stage(stage, activations);
    } catch (const SeenEnough&) {
    }
  }
  layer.observe({});
}

}  // namespace precis
