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
  // That the networks will be on. Throws LoadError where it cannot be used.
  at::Device device() const;

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
      given->to(device());
      report_ready(*given, report);
      return given;
    }
    try {
      auto made = std::make_shared<Network>(config(name), std::forward<Args>(args)...);
      jobs_.push_back({made, partial, reports_.size() - 1});
      return made;
    } catch (const std::invalid_argument& failure) {
      throw LoadError{
          Error(ErrorCode::unsupported, failure.what()).with_context("component " + name)};
    }
  }

  // The same, taking its turn among the pipeline's networks.
  template <typename Network, typename... Args>
  Turn<Network> turn(const std::string& name, bool partial, Args&&... args) {
    return {network<Network>(name, partial, std::forward<Args>(args)...), turns_};
  }

  // Where every network will live. Throws LoadError, out_of_memory when they will not fit
  // max_memory. Reads no weight.
  void place();
  // Fills the networks where place() put them, one weight after another. Throws LoadError.
  void fill();

  std::vector<ComponentReport>& reports() { return reports_; }
  uint64_t peak_weight_bytes() const { return placement_.peak_bytes; }
  // Of these, what loading makes and no file holds.
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
    bool partial;
    std::size_t report;
  };

  const Component& component(const std::string& name) const;
  LoadError wrong_class(const std::string& name) const;
  static void report_ready(torch::nn::Module& network, ComponentReport& report);
  const ComponentPlan& plan_of(const Job& job) const;
  bool fuses(const Job& job) const;
  void check_offload_directory() const;
  void fill(const Job& job);

  const Checkpoint& checkpoint_;
  const Plan& plan_;
  const LoadOptions& options_;
  MethodResolver& methods_;
  std::vector<ComponentReport> reports_;
  std::vector<Job> jobs_;
  Placement placement_;
  uint64_t made_weight_bytes_ = 0;
  std::shared_ptr<Turns> turns_ = std::make_shared<Turns>();
};

}  // namespace precis::pipelines
