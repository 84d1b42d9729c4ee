#include "runtime/calibration/calibrate.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>

#include "core/abi/calibration.h"
#include "runtime/calibration/activation_memory.h"
#include "runtime/calibration/group_calibration.h"
#include "runtime/calibration/scale_folding.h"
#include "runtime/calibration/stage_layers.h"
#include "runtime/modules/quantized_linear.h"
#include "runtime/tensor/tensor_adapter.h"

namespace precis {
namespace {

using Clock = std::chrono::steady_clock;

class CalibrationRun {
 public:
  CalibrationRun(torch::nn::Module& network, BlockChain& chain, std::vector<Activations> samples,
                 ComponentPlan& plan, const EncodedStore& store, const CalibrateOptions& options)
      : network_(network),
        chain_(chain),
        samples_(std::move(samples)),
        plan_(plan),
        store_(store),
        options_(options),
        memory_(store.scratch(), options.max_sample_bytes),
        folding_(network, plan, options.stored_names) {}

  Result<CalibrationReport> run() {
    find_targets();
    for (std::size_t stage = 0; stage < chain_.stage_count(); ++stage) PRECIS_TRY(run_stage(stage));
    for (const auto& [path, target] : targets_) {
      if (done_.contains(path)) continue;
      report_.warnings.push_back(fmt::format("'{}' is rounded without data: nothing reaches it",
                                             plan_.tensors[target].source.param.name));
    }
    return std::move(report_);
  }

 private:
  void find_targets() {
    std::map<std::string, std::size_t> by_name;
    for (std::size_t i = 0; i < plan_.tensors.size(); ++i) {
      if (plan_.tensors[i].action == Action::quantize)
        by_name.emplace(plan_.tensors[i].source.param.name, i);
    }
    for (const ModuleSite& site : module_sites(network_)) {
      for (const std::string& name : options_.stored_names(site.path + ".weight")) {
        const auto found = by_name.find(name);
        if (found == by_name.end()) continue;
        targets_.emplace(site.path, found->second);
        params_.emplace(site.path, plan_.tensors[found->second].source.param);
        break;
      }
    }
  }

  Status run_stage(std::size_t stage) {
    PRECIS_ASSIGN(const auto layers, observe_stage(network_, chain_, stage, params_, targets_));
    if (!layers.empty()) {
      std::vector<ObservedLayer> silent;
      auto groups = group_layers(chain_, stage, samples_.front(), layers, silent);
      split_by_method(groups);
      folding_.sort(groups);
      for (const LayerGroup& group : groups) {
        if (options_.cancel != nullptr && options_.cancel->load()) {
          return Error(ErrorCode::cancelled, "interrupted");
        }
        PRECIS_TRY(quantize_group(stage, group));
      }
      for (const ObservedLayer& layer : silent)
        layer.linear->restore(layer.site, layer.linear->float_weight().scalar_type());
    }
    if (stage + 1 < chain_.stage_count()) {
      PRECIS_TRY(memory_.run_stage(chain_, stage, samples_));
    }
    return {};
  }

  // A rule may give layers that share their input different methods.
  void split_by_method(std::vector<LayerGroup>& groups) const {
    std::vector<LayerGroup> split;
    for (const LayerGroup& group : groups) {
      std::map<const Quantizer*, std::size_t> places;
      for (const ObservedLayer& layer : group) {
        const Quantizer* method = plan_.tensors[layer.target].quantizer.get();
        const auto [place, added] = places.emplace(method, split.size());
        if (added) split.emplace_back();
        split[place->second].push_back(layer);
      }
    }
    groups = std::move(split);
  }

  Status quantize_group(std::size_t stage, const LayerGroup& group) {
    const std::size_t index = next_group_++;
    const auto& quantizer = plan_.tensors[group.front().target].quantizer;
    if (!CalibrationGroup::available(*quantizer)) return round_without_data(group);
    std::shared_ptr<const Container> file = store_.find(index);
    const bool resumed = file != nullptr && holds(*file, group);
    if (!resumed) {
      PRECIS_ASSIGN(file, finish_group(stage, index, group));
    }
    PRECIS_TRY(take_over(*file, file, group));
    const auto errors =
        EncodedStore::facts(*file).value("relative_errors", nlohmann::json::array());
    for (std::size_t i = 0; i < group.size(); ++i) {
      const bool known = i < errors.size() && errors[i].is_number();
      report(group[i], known ? errors[i].get<double>() : std::numeric_limits<double>::quiet_NaN(),
             resumed);
    }
    return {};
  }

  Status round_without_data(const LayerGroup& group) {
    for (const ObservedLayer& layer : group) {
      PRECIS_ASSIGN(const at::ScalarType dtype,
                    scalar_type_of(plan_.tensors[layer.target].source.param.dtype));
      PRECIS_ASSIGN(QuantizedWeight weight,
                    QuantizedWeight::encode(plan_.tensors[layer.target].quantizer,
                                            plan_.tensors[layer.target].source.param,
                                            layer.linear->float_weight().to(dtype)));
      PRECIS_TRY(put_in_place(layer, weight));
      report(layer, std::numeric_limits<double>::quiet_NaN(), false);
    }
    return {};
  }

  // Whether a file of an earlier run has all parts of the group, of the planned sizes.
  bool holds(const Container& file, const LayerGroup& group) const {
    return std::all_of(group.begin(), group.end(), [&](const ObservedLayer& layer) {
      const TensorPlan& tensor = plan_.tensors[layer.target];
      return std::all_of(tensor.outputs.begin(), tensor.outputs.end(), [&](const auto& output) {
        const TensorEntry* entry = file.find(output.planned.name);
        return entry != nullptr && entry->nbytes == output.planned.nbytes;
      });
    });
  }

  Result<std::shared_ptr<const Container>> finish_group(std::size_t stage, std::size_t index,
                                                        const LayerGroup& group) {
    PRECIS_ASSIGN(GroupCalibration calibration, GroupCalibration::begin(plan_, group));
    Status status;
    watch_input(chain_, stage, samples_, *group.front().linear, [&](const at::Tensor& input) {
      if (status.ok()) status = calibration.observe(input);
    });
    PRECIS_TRY(std::move(status));
    const std::string producer =
        calibration.scales_activation() ? folding_.producer_of(group) : std::string();
    PRECIS_ASSIGN(EncodedGroup encoded, calibration.finish(!producer.empty(), options_.cancel));
    std::vector<EncodedTensor> tensors = encoded.tensors();
    PRECIS_ASSIGN(const auto replaced, folding_.apply(group, producer, encoded.scales));
    for (const ReplacedTensor& tensor : replaced) tensors.push_back(tensor.encoded());
    return store_.add(index, tensors,
                      {{"relative_errors", encoded.relative_errors},
                       {"replaced", ScaleFolding::names(replaced)}});
  }

  // Puts what the file holds into the plan and the network.
  Status take_over(const Container& contents, const std::shared_ptr<const Container>& file,
                   const LayerGroup& group) {
    report_.files.push_back(file);
    const auto replaced =
        EncodedStore::facts(contents).value("replaced", std::vector<std::string>{});
    PRECIS_TRY(folding_.take_over(file, replaced));
    for (const ObservedLayer& layer : group) {
      TensorPlan& tensor = plan_.tensors[layer.target];
      tensor.encoded.clear();
      QuantizedWeight weight{tensor.source.param, tensor.quantizer, tensor.parts, {}};
      for (std::size_t i = 0; i < tensor.parts.size(); ++i) {
        const TensorEntry* entry = contents.find(tensor.outputs[i].planned.name);
        if (entry == nullptr) {
          return Error(ErrorCode::data_loss,
                       fmt::format("{}: '{}' is missing", contents.path().string(),
                                   tensor.outputs[i].planned.name));
        }
        tensor.encoded.push_back({file, entry});
        PRECIS_ASSIGN(const auto bytes, contents.data(*entry));
        PRECIS_ASSIGN(at::Tensor part, empty_part(tensor.parts[i]));
        std::copy(bytes.begin(), bytes.end(), bytes_of(part).begin());
        weight.parts.push_back(std::move(part));
      }
      PRECIS_TRY(put_in_place(layer, weight));
    }
    return {};
  }

  // Decoded once, in place of at every sample: the float network is in memory anyway.
  Status put_in_place(const ObservedLayer& layer, const QuantizedWeight& weight) {
    PRECIS_ASSIGN(const at::Tensor decoded, weight.decode_rows(0, weight.param.rows()));
    const at::ScalarType dtype = layer.linear->float_weight().scalar_type();
    replace_module(layer.site, float_linear(decoded.to(dtype), layer.linear->bias()));
    done_.insert(layer.site.path);
    return {};
  }

  void report(const ObservedLayer& layer, double error, bool resumed) {
    const std::string& name = plan_.tensors[layer.target].source.param.name;
    report_.layers.push_back({name, error});
    if (resumed) ++report_.resumed_layers;
    if (!options_.progress) return;
    CalibrationProgress progress;
    progress.layers_done = report_.layers.size();
    progress.layers_total = targets_.size();
    progress.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    const std::size_t fresh = progress.layers_done - report_.resumed_layers;
    if (fresh > 0) {
      progress.seconds_left = progress.seconds / static_cast<double>(fresh) *
                              static_cast<double>(progress.layers_total - progress.layers_done);
    }
    progress.layer = name;
    progress.relative_error = error;
    progress.resumed = resumed;
    options_.progress(progress);
  }

  torch::nn::Module& network_;
  BlockChain& chain_;
  std::vector<Activations> samples_;
  ComponentPlan& plan_;
  const EncodedStore& store_;
  const CalibrateOptions& options_;
  ActivationMemory memory_;
  ScaleFolding folding_;
  std::map<std::string, std::size_t> targets_;  // path in the network, tensor of the plan
  std::map<std::string, Param> params_;
  std::set<std::string> done_;  // paths
  std::size_t next_group_ = 0;
  Clock::time_point start_ = Clock::now();
  CalibrationReport report_;
};

}  // namespace

Result<CalibrationReport> calibrate(torch::nn::Module& network, BlockChain& chain,
                                    std::vector<Activations> samples, ComponentPlan& plan,
                                    const EncodedStore& store, const CalibrateOptions& options) {
  if (samples.empty()) {
    return Error(ErrorCode::invalid_argument, "no sample to calibrate with");
  }
  const c10::InferenceMode inference;
  return CalibrationRun(network, chain, std::move(samples), plan, store, options).run();
}

}  // namespace precis
