#include "runtime/calibration/importance.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include "runtime/calibration/stage_layers.h"

namespace precis {
namespace {

// Sums in double: float32 would lose the small ones of a long run.
struct Sums {
  at::Tensor squares;
  uint64_t rows = 0;

  void add(const at::Tensor& input) {
    const at::Tensor rows_of = input.reshape({-1, input.size(-1)}).to(at::kDouble);
    const at::Tensor sum = rows_of.square().sum(0);
    squares = squares.defined() ? squares + sum : sum;
    rows += static_cast<uint64_t>(rows_of.size(0));
  }
};

Result<SquareSums> finished(const std::string& path, const Sums& sums) {
  if (!at::isfinite(sums.squares).all().item<bool>()) {
    return Error(ErrorCode::data_loss,
                 fmt::format("'{}': what reaches it has NaN or infinite values", path));
  }
  const at::Tensor values = sums.squares.to(at::kFloat).contiguous();
  const auto* first = values.const_data_ptr<float>();
  return SquareSums{std::vector<float>(first, first + values.numel()), sums.rows};
}

}  // namespace

Result<ImportanceSums> sum_squares(torch::nn::Module& network, BlockChain& chain,
                                   std::vector<Activations> samples, ActivationMemory memory,
                                   const std::function<void(std::size_t, std::size_t)>& progress,
                                   const std::atomic<bool>* cancel) {
  const c10::InferenceMode inference;
  std::map<std::string, Param> params;
  std::map<std::string, std::size_t> targets;
  for (const ModuleSite& site : module_sites(network)) {
    if (site.module()->as<torch::nn::LinearImpl>() == nullptr) continue;
    targets.emplace(site.path, targets.size());
    params.emplace(site.path, Param{});
  }
  ImportanceSums result;
  for (std::size_t stage = 0; stage < chain.stage_count(); ++stage) {
    PRECIS_ASSIGN(const auto layers, observe_stage(network, chain, stage, params, targets));
    std::vector<Sums> sums(layers.size());
    for (std::size_t i = 0; i < layers.size(); ++i) {
      layers[i].linear->observe(
          [&sums, i](ObservedLinear&, const at::Tensor& input) { sums[i].add(input); });
    }
    if (cancel != nullptr && cancel->load()) return Error(ErrorCode::cancelled, "interrupted");
    PRECIS_TRY(memory.run_stage(chain, stage, samples));
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const ObservedLinear& linear = *layers[i].linear;
      linear.restore(layers[i].site, linear.float_weight().scalar_type());
      if (sums[i].rows == 0) continue;
      PRECIS_ASSIGN(SquareSums channel_sums, finished(layers[i].site.path, sums[i]));
      result.emplace(layers[i].site.path, std::move(channel_sums));
    }
    if (progress) progress(stage + 1, chain.stage_count());
  }
  return result;
}

}  // namespace precis
