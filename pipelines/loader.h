// What the families' pipelines make their parts from.
#pragma once

#include <torch/nn/module.h>

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "models/tokenizers/tokenizer.h"
#include "pipelines/pipeline.h"

namespace precis::pipelines {

// A failure of loading on its way out of a constructor.
struct LoadError {
  Error error;
};

// An exception of torch as an Error: its first line, for the rest is a stack trace.
Error torch_error(const c10::Error& failure);

// Runs `make`, a function that gives a Result, and turns all that loading throws into its Error.
template <typename Make>
auto catch_load_errors(const std::filesystem::path& directory, const Make& make)
    -> decltype(make()) {
  try {
    return make();
  } catch (LoadError& failure) {
    return std::move(failure.error).with_context(directory.string());
  } catch (const std::invalid_argument& failure) {
    return Error(ErrorCode::unsupported, failure.what()).with_context(directory.string());
  } catch (const nlohmann::json::exception& failure) {
    return Error(ErrorCode::data_loss, std::string("a configuration has another shape than "
                                                   "expected: ") +
                                           failure.what())
        .with_context(directory.string());
  } catch (const c10::Error& failure) {
    return torch_error(failure).with_context(directory.string());
  }
}

// The plan of networks that stay in memory.
Result<Plan> resolve_in_memory(const Checkpoint& checkpoint, const LoadOptions& options,
                               MethodResolver& methods);

// Loads the components of one pipeline directory. Failures leave as LoadError, for a constructor
// has no other way; Pipeline::from_pretrained turns them into Results.
class Loader {
 public:
  // checkpoint, plan and methods outlive the loader. plan: of the checkpoint.
  Loader(const Checkpoint& checkpoint, const Plan& plan, const LoadOptions& options,
         MethodResolver& methods)
      : checkpoint_(checkpoint), plan_(plan), options_(options), methods_(methods) {}

  // Whether model_index.json has the component; optional ones may be null there.
  bool has(const std::string& name) const;
  const nlohmann::json& config(const std::string& name) const;
  nlohmann::json scheduler_config() const;
  // _class_name of model_index.json.
  std::string pipeline_class() const;
  std::unique_ptr<models::Tokenizer> tokenizer(const std::string& name) const;
  at::ScalarType dtype() const { return options_.dtype; }
  // That the component works on, once place() has chosen.
  at::Device device_of(const std::string& name) const {
    return placement_.components.at(name).device;
  }

  // The ready network, else a Network made with (config.json, args...), which load() will fill.
  // partial: the network is a part of the component.
  template <typename Network, typename... Args>
  std::shared_ptr<Network> network(const std::string& name, bool partial, Args&&... args) {
    const DefaultDtype dtype(options_.dtype);
    ComponentReport& report = reports_.emplace_back();
    report.name = name;
    report.class_name = component(name).class_name;
    if (const auto ready = options_.components.find(name); ready != options_.components.end()) {
      const auto given = std::dynamic_pointer_cast<Network>(ready->second);
      if (given == nullptr) throw wrong_class(name);
      report_ready(*given, report);
      ready_.emplace_back(given, report.name);
      return given;
    }
    try {
      auto made = std::make_shared<Network>(config(name), std::forward<Args>(args)...);
      jobs_.push_back({made, partial, /*takes_turns=*/false, reports_.size() - 1});
      return made;
    } catch (const std::invalid_argument& failure) {
      throw LoadError{
          Error(ErrorCode::unsupported, failure.what()).with_context("component " + name)};
    }
  }

  // The same, taking its turn among the pipeline's networks.
  template <typename Network, typename... Args>
  Turn<Network> turn(const std::string& name, bool partial, Args&&... args) {
    auto made = network<Network>(name, partial, std::forward<Args>(args)...);
    if (!reports_.back().ready) jobs_.back().takes_turns = true;
    return {std::move(made), turns_};
  }

  // Where every network will work, and where its weights will be. Throws LoadError: a device that
  // cannot be used, out_of_memory when they will not fit max_memory. Reads no weight.
  void place();
  // Fills the networks where place() put them, one weight after another, and moves ready ones
  // there. Throws LoadError.
  void fill();

  std::vector<ComponentReport>& reports() { return reports_; }
  uint64_t peak_weight_bytes() const { return placement_.peak_bytes; }
  // Of all weights, what loading makes in the CPU's memory and no file holds.
  uint64_t made_weight_bytes() const { return made_weight_bytes_; }
  const std::shared_ptr<Turns>& turns() const { return turns_; }

 private:
  // Parameters are made in this dtype while it lives.
  class DefaultDtype {
   public:
    explicit DefaultDtype(at::ScalarType dtype);
    ~DefaultDtype();

   private:
    caffe2::TypeMeta previous_;
  };

  struct Job {
    std::shared_ptr<torch::nn::Module> network;
    bool partial, takes_turns;
    std::size_t report;
  };

  const Component& component(const std::string& name) const;
  LoadError wrong_class(const std::string& name) const;
  static void report_ready(torch::nn::Module& network, ComponentReport& report);
  const ComponentPlan& plan_of(const Job& job) const;
  PlacementOptions placement_options() const;
  bool fuses(const Job& job) const;
  void check_offload_directory() const;
  void fill(const Job& job);

  const Checkpoint& checkpoint_;
  const Plan& plan_;
  const LoadOptions& options_;
  MethodResolver& methods_;
  std::vector<ComponentReport> reports_;
  std::vector<Job> jobs_;
  std::vector<std::pair<std::shared_ptr<torch::nn::Module>, std::string>> ready_;  // component
  Placement placement_;
  uint64_t made_weight_bytes_ = 0;
  std::shared_ptr<Turns> turns_ = std::make_shared<Turns>();
};

}  // namespace precis::pipelines
