#include "pipelines/loader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <set>

#include "models/json_file.h"
#include "models/load_weights.h"
#include "runtime/modules/module_tree.h"
#include "runtime/tensor/tensor_adapter.h"

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

Error torch_error(const c10::Error& failure) {
  const std::string_view text(failure.what_without_backtrace());
  return Error(ErrorCode::internal, std::string(text.substr(0, text.find('\n'))));
}

Result<Plan> resolve_in_memory(const Checkpoint& checkpoint, const LoadOptions& options,
                               MethodResolver& methods) {
  ResolveOptions resolving = options.methods;
  resolving.in_memory = true;
  return resolve(checkpoint, resolving, methods);
}

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

LoadError Loader::wrong_class(const std::string& name) const {
  return {Error(ErrorCode::invalid_argument,
                fmt::format("the network given for '{}' is of another class than the {} of the "
                            "pipeline",
                            name, component(name).class_name),
                "load it with load_network() from a directory of that class")};
}

void Loader::report_ready(torch::nn::Module& network) {
  ComponentReport& report = reports_.back();
  report.ready = true;
  report.class_name = component(report.name).class_name;
  std::set<std::string> methods;
  for (const ModuleSite& site : module_sites(network)) {
    const auto module = site.module();
    if (const auto* layer = module->as<QuantizedLayer>())
      methods.insert(layer->weight().quantizer->spec());
  }
  report.method = fmt::format("{}", fmt::join(methods, ", "));
  for (const at::Tensor& tensor : network.parameters()) report.loaded_bytes += tensor.nbytes();
  for (const at::Tensor& tensor : network.buffers()) report.loaded_bytes += tensor.nbytes();
}

void Loader::fill(torch::nn::Module& network, const std::string& name, bool partial) {
  const Component& source = component(name);
  ComponentReport& report = reports_.back();
  report.class_name = source.class_name;
  for (const ComponentPlan& plan : plan_.components) {
    if (plan.name != name) continue;
    models::WeightOptions options{*dtype_of(options_.dtype), partial, options_.arithmetic};
    const auto loaded =
        value_or_throw(models::load_weights(network, source, plan, methods_, options),
                       fmt::format("component {}", name));
    report.method = plan.method.empty() ? stored_method(plan) : plan.method;
    report.source_bytes = loaded.source_bytes;
    report.loaded_bytes = loaded.bytes;
  }
}

}  // namespace precis::pipelines
