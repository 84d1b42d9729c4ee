#include "pipelines/loader.h"

#include <fmt/format.h>

#include <chrono>

#include "models/json_file.h"
#include "models/load_weights.h"

namespace precis::pipelines {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// How the checkpoint has quantized the component; empty: not at all.
std::string stored_method(const ComponentPlan& plan) {
  for (const TensorPlan& tensor : plan.tensors) {
    if (!tensor.source.plain()) return tensor.source.quantizer->spec();
  }
  return {};
}

template <typename T>
T value_or_throw(Result<T> result, const std::string& what) {
  if (!result.ok()) throw LoadError{std::move(result).error().with_context(what)};
  return *std::move(result);
}

}  // namespace

Loader::Timer::Timer(Loader& loader, const std::string& name)
    : loader_(loader), started_(now()), previous_(c10::get_default_dtype()) {
  c10::set_default_dtype(c10::scalarTypeToTypeMeta(loader.options_.dtype));
  ComponentReport report;
  report.name = name;
  loader.reports_.push_back(std::move(report));
}

Loader::Timer::~Timer() {
  c10::set_default_dtype(previous_);
  loader_.reports_.back().seconds = now() - started_;
}

bool Loader::has(const std::string& name) const {
  const auto& index = checkpoint_.model_index;
  const auto found = index.find(name);
  return found != index.end() && found->is_array() && found->size() == 2 && !(*found)[1].is_null();
}

const Component& Loader::component(const std::string& name) const {
  for (const Component& component : checkpoint_.components) {
    if (component.name == name) return component;
  }
  throw LoadError{Error(ErrorCode::not_found,
                        fmt::format("{}: the pipeline needs a component '{}' with weights",
                                    checkpoint_.root.string(), name),
                        "is the directory complete?")};
}

const nlohmann::json& Loader::config(const std::string& name) const {
  return component(name).config;
}

std::string Loader::pipeline_class() const {
  return checkpoint_.model_index.value("_class_name", std::string());
}

nlohmann::json Loader::scheduler_config() const {
  return value_or_throw(
      models::read_json_file(checkpoint_.root / "scheduler" / "scheduler_config.json"),
      "scheduler");
}

std::unique_ptr<models::Tokenizer> Loader::tokenizer(const std::string& name) const {
  return value_or_throw(models::open_tokenizer(checkpoint_.root / name), name);
}

void Loader::fill(torch::nn::Module& network, const std::string& name, bool partial) {
  const Component& source = component(name);
  ComponentReport& report = reports_.back();
  report.class_name = source.class_name;
  for (const ComponentPlan& plan : plan_.components) {
    if (plan.name != name) continue;
    auto loaded = models::load_weights(network, plan, partial);
    if (!loaded.ok()) {
      throw LoadError{std::move(loaded).error().with_context("component " + name)};
    }
    report.method = plan.method.empty() ? stored_method(plan) : plan.method;
    report.source_bytes = loaded->source_bytes;
    report.loaded_bytes = loaded->loaded_bytes;
  }
}

}  // namespace precis::pipelines
