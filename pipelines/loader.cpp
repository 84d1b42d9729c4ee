#include "pipelines/loader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <set>

#include "models/json_file.h"
#include "models/layers/projections.h"
#include "models/load_fused_weights.h"
#include "models/load_weights.h"
#include "runtime/modules/module_tree.h"
#include "runtime/tensor/device.h"
#include "runtime/tensor/tensor_adapter.h"

namespace precis::pipelines {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <typename T>
T value_or_throw(Result<T> result, const std::string& what = "") {
  if (!result.ok() && what.empty()) throw LoadError{std::move(result).error()};
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

void Loader::fill() {
  for (const auto& [network, name] : ready_) {
    const ComponentPlace& place = placement_.components.at(name);
    network->to(place.device);
    turns_->add(network, place);
  }
  for (const Job& job : jobs_) fill(job);
  jobs_.clear();
}

bool Loader::fuses(const Job& job) const {
  return options_.fuse_qkv && !models::fused_layer_paths(*job.network).empty();
}

void Loader::place() {
  check_offload_directory();
  std::vector<ComponentBytes> components;
  std::map<std::string, uint64_t> made;  // by loading, by component
  uint64_t working_set = 0;
  for (const ComponentReport& report : reports_) {
    if (report.ready) {
      components.push_back(
          {report.name, report.loaded_bytes, report.loaded_bytes, 0, "it was given ready"});
    }
  }
  for (const Job& job : jobs_) {
    const auto bytes = models::predict_bytes(*job.network, plan_of(job), *dtype_of(options_.dtype));
    const std::string stays = fuses(job) ? "its layers are fused in floating point" : "";
    if (!stays.empty() && options_.device_map.is_null() && options_.offload != Offload::none) {
      throw LoadError{Error(
          ErrorCode::invalid_argument,
          fmt::format("component '{}' cannot be offloaded: {}", reports_[job.report].name, stays),
          "leave fuse_qkv out, or offload \"auto\", which keeps it in memory")};
    }
    const std::string& name = reports_[job.report].name;
    components.push_back({name, bytes.loaded, bytes.streamed, bytes.outside_layers, stays});
    made[name] = fuses(job) ? bytes.loaded : bytes.made;
    working_set = std::max(working_set, fuses(job) ? bytes.floating : bytes.working_set);
  }
  PlacementOptions options = placement_options();
  options.working_set = working_set;
  placement_ = value_or_throw(place_components(components, options));
  for (const auto& [name, bytes] : made) {
    const ComponentPlace& place = placement_.components.at(name);
    const bool in_memory = place.device.is_cpu() ? place.weights == WeightPlace::device
                                                 : place.weights == WeightPlace::memory;
    if (in_memory) made_weight_bytes_ += bytes;
  }
  for (ComponentReport& report : reports_) {
    report.device = placement_.components.at(report.name).device;
    report.offload = placement_.components.at(report.name).offload;
  }
}

PlacementOptions Loader::placement_options() const {
  PlacementOptions options;
  options.device_map = options_.device_map;
  options.device = value_or_throw(usable_device(options_.device));
  options.offload = options_.offload;
  options.max_memory = options_.max_memory;
  return options;
}

// What is quantized on the way to the disk goes there: found out before the work.
void Loader::check_offload_directory() const {
  const auto& directory = options_.offload_directory;
  if (directory.empty()) return;
  const auto checked = check_directory_is_writable(directory);
  if (!checked.ok()) throw LoadError{Error(checked.error()).with_context("offload_directory")};
}

void Loader::fill(const Job& job) {
  ComponentReport& report = reports_[job.report];
  const ComponentPlan& plan = plan_of(job);
  const double started = now();
  const ComponentPlace& place = placement_.components.at(report.name);
  models::WeightOptions options;
  options.dtype = *dtype_of(options_.dtype);
  options.partial = job.partial;
  options.arithmetic = options_.arithmetic;
  options.device = place.device;
  options.place = place.weights;
  // Who takes no turns has nobody to bring in a whole network.
  options.stream = place.offload == Offload::sequential || !job.takes_turns;
  options.offload_directory = options_.offload_directory;
  const auto load = fuses(job) ? models::load_fused_weights : models::load_weights;
  const auto loaded =
      value_or_throw(load(*job.network, component(report.name), plan, methods_, options),
                     fmt::format("component {}", report.name));
  report.seconds = now() - started;
  report.method = plan.method;
  report.source_bytes = loaded.source_bytes;
  report.loaded_bytes = loaded.bytes;
  report.mapped_bytes = loaded.mapped_bytes;
  turns_->add(job.network, place);
}

}  // namespace precis::pipelines
