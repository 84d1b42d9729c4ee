#include "pipelines/loader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <set>

#include "core/base/byte_size.h"
#include "models/json_file.h"
#include "models/load_weights.h"
#include "runtime/modules/module_tree.h"
#include "runtime/tensor/tensor_adapter.h"

namespace precis::pipelines {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
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

Loader::DefaultDtype::DefaultDtype(at::ScalarType dtype) : previous_(c10::get_default_dtype()) {
  c10::set_default_dtype(c10::scalarTypeToTypeMeta(dtype));
}

Loader::DefaultDtype::~DefaultDtype() {
  c10::set_default_dtype(previous_);
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

void Loader::report_ready(torch::nn::Module& network, ComponentReport& report) {
  report.ready = true;
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

const ComponentPlan& Loader::plan_of(const Job& job) const {
  for (const ComponentPlan& plan : plan_.components) {
    if (plan.name == reports_[job.report].name) return plan;
  }
  throw LoadError{Error(ErrorCode::internal, "a component without a plan")};
}

void Loader::load() {
  check_memory();
  for (const Job& job : jobs_) fill(job);
  jobs_.clear();
}

void Loader::check_memory() const {
  if (options_.max_memory == 0) return;
  uint64_t total = 0, working_set = 0;
  std::string list;
  const auto count = [&](const std::string& name, uint64_t bytes) {
    total += bytes;
    list += fmt::format("{}{} {}", list.empty() ? "" : ", ", name, format_bytes(bytes));
  };
  for (const ComponentReport& report : reports_) {
    if (report.ready) count(report.name, report.loaded_bytes);
  }
  for (const Job& job : jobs_) {
    const auto bytes = models::predict_bytes(*job.network, plan_of(job), *dtype_of(options_.dtype));
    count(reports_[job.report].name, bytes.loaded);
    working_set = std::max(working_set, bytes.working_set);
  }
  if (total + working_set <= options_.max_memory) return;
  throw LoadError{Error(
      ErrorCode::out_of_memory,
      fmt::format("the networks take {} ({}) and {} while they are quantized; max_memory is {}",
                  format_bytes(total), list, format_bytes(working_set),
                  format_bytes(options_.max_memory)),
      "allow more, quantize to fewer bits, or hold the rest in bf16")};
}

void Loader::fill(const Job& job) {
  ComponentReport& report = reports_[job.report];
  const ComponentPlan& plan = plan_of(job);
  const double started = now();
  const models::WeightOptions options{*dtype_of(options_.dtype), job.partial, options_.arithmetic};
  const auto loaded = value_or_throw(
      models::load_weights(*job.network, component(report.name), plan, methods_, options),
      fmt::format("component {}", report.name));
  report.seconds = now() - started;
  report.method = plan.method;
  report.source_bytes = loaded.source_bytes;
  report.loaded_bytes = loaded.bytes;
}

}  // namespace precis::pipelines
