#include "runtime/loading/load.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "core/base/byte_size.h"
#include "core/engine/logical_tensor.h"
#include "runtime/loading/mixed_lifecycle.h"
#include "runtime/loading/tensor_places.h"
#include "runtime/modules/replaceable_layer.h"
#include "runtime/offload/device_map.h"
#include "runtime/offload/mapped_tensor.h"
#include "runtime/offload/stored_tensor.h"
#include "runtime/offload/waiting_weight.h"
#include "runtime/offload/weight_file.h"
#include "runtime/tensor/device.h"

namespace precis {
namespace {

using nlohmann::json;

class Loader {
 public:
  Loader(torch::nn::Module& model, const Component& component, MethodResolver& methods,
         const LoadOptions& options)
      : model_(model), component_(component), methods_(methods), options_(options) {}

  Result<LoadReport> run() {
    PRECIS_TRY(read_names());
    PRECIS_TRY(choose());
    PRECIS_TRY(prepare_environment());
    PRECIS_TRY(hooks_.preprocess_model(choices_));
    PRECIS_TRY(place_weights());
    PRECIS_ASSIGN(const auto missing, hooks_.update_missing_keys(places_->missing()));
    PRECIS_TRY(nothing_missing(missing));
    PRECIS_TRY(places_->check_shapes(tensors_));
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      Status status = load(i);
      if (!status.ok()) {
        return std::move(status).error().with_context(
            fmt::format("tensor '{}'", tensors_[i].param.name));
      }
      tensors_[i].release_source();
    }
    if (!device_map_.device().is_cpu()) move_constants();
    PRECIS_TRY(hooks_.postprocess_model(choices_));
    return std::move(report_);
  }

 private:
  Status read_names() {
    if (options_.plan != nullptr) {
      for (const TensorPlan& tensor : options_.plan->tensors) tensors_.push_back(tensor.source);
    } else {
      PRECIS_ASSIGN(tensors_, logical_tensors(component_, methods_));
    }
    places_.emplace(model_, tensors_, options_.stored_names);
    for (const ModuleSite& site : module_sites(model_)) {
      sites_.emplace(site.path, site);
      if (!layer_kind(*site.module()).empty()) layers_.insert(site.path);
    }
    return {};
  }

  // The layers that will be quantized ones, and the quantizers that this takes.
  Status choose() {
    if (options_.plan != nullptr) {
      choose_by_plan();
    } else {
      PRECIS_ASSIGN(auto stored, methods_.from_component(component_));
      if (stored != nullptr && options_.quantize) {
        return Error(ErrorCode::invalid_argument,
                     fmt::format("'{}' is already quantized ({}), and a config asks to quantize it",
                                 component_.name, stored->spec()),
                     "leave the config out, or dequantize the checkpoint first");
      }
      if (options_.quantize) PRECIS_TRY(choose_by_rules(*options_.quantize));
    }
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      if (!tensors_[i].plain() && kept(i)) choose_layer(i, tensors_[i].quantizer, true);
    }
    for (const LayerChoice& choice : choices_) {
      if (choice.quantizer != nullptr) chosen_.emplace(choice.site.path + ".weight", &choice);
    }
    return {};
  }

  Status choose_by_rules(const QuantizeOptions& options) {
    PRECIS_ASSIGN(choices_, choose_layers(model_, options, methods_));
    for (const LayerChoice& choice : choices_) {
      if (choice.quantizer != nullptr) hooks_.add(choice.quantizer, false, options_.observer);
    }
    return {};
  }

  // Whether a tensor stays in its stored form.
  bool kept(std::size_t index) const {
    return options_.plan == nullptr || options_.plan->tensors[index].action == Action::keep;
  }

  void choose_by_plan() {
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      const TensorPlan& tensor = options_.plan->tensors[i];
      if (tensor.action == Action::quantize) choose_layer(i, tensor.quantizer, false);
    }
  }

  void choose_layer(std::size_t index, const std::shared_ptr<const Quantizer>& quantizer,
                    bool pre_quantized) {
    hooks_.add(quantizer, pre_quantized, options_.observer);
    const TensorPlaces::Place* place = places_->of(index);
    if (place == nullptr || !place->name.ends_with(".weight")) return;
    const auto site = sites_.find(place->name.substr(0, place->name.rfind('.')));
    if (site == sites_.end()) return;
    const std::string kind = layer_kind(*site->second.module());
    if (kind.empty()) return;
    LayerChoice choice;
    choice.site = site->second;
    choice.param = tensors_[index].param;
    choice.param.module_kind = kind;
    if (!choice.param.shape_known) {
      choice.param.shape = place->target.sizes().vec();
      choice.param.shape_known = true;
    }
    choice.quantizer = quantizer;
    choices_.push_back(std::move(choice));
  }

  Status prepare_environment() {
    PRECIS_TRY(hooks_.validate_environment(options_.dtype, options_.device_map));
    PRECIS_ASSIGN(dtype_, hooks_.update_torch_dtype(options_.dtype));
    PRECIS_ASSIGN(const json device_map, hooks_.update_device_map(options_.device_map));
    std::vector<std::string> keys;
    for (const LogicalTensor& tensor : tensors_) keys.push_back(tensor.param.name);
    PRECIS_TRY(hooks_.maybe_update_loaded_keys(std::move(keys)));
    PRECIS_ASSIGN(device_map_,
                  DeviceMap::parse(device_map, options_.execution_device, options_.max_memory));
    return {};
  }

  // Chooses places where the device map leaves that to us, and refuses what does not fit, or has no
  // kernels there.
  Status place_weights() {
    PRECIS_TRY(check_kernels());
    if (options_.max_memory.empty() && !device_map_.automatic()) return every_weight_has_a_place();
    PRECIS_ASSIGN(const auto sizes, loaded_sizes());
    PRECIS_ASSIGN(const auto found, hooks_.adjust_max_memory(options_.max_memory));
    DeviceMap::Budgets budgets{budget_of(found, device_map_.device().str()),
                               budget_of(found, "cpu")};
    if (device_map_.automatic()) {
      // What stays on the device whatever the map says takes its share first.
      std::vector<std::pair<std::string, uint64_t>> movable;
      DeviceMap::Budgets left = budgets;
      for (const auto& size : sizes) {
        if (waits(size.first, WeightPlace::disk)) {
          movable.push_back(size);
        } else if (left.device) {
          *left.device -= std::min(*left.device, size.second);
        }
      }
      PRECIS_TRY(device_map_.distribute(movable, left));
    }
    return check_budgets(sizes, budgets);
  }

  static std::optional<uint64_t> budget_of(const std::map<std::string, uint64_t>& budgets,
                                           const std::string& device) {
    const auto found = budgets.find(device);
    return found == budgets.end() ? std::nullopt : std::optional(found->second);
  }

  Status check_budgets(const std::vector<std::pair<std::string, uint64_t>>& sizes,
                       const DeviceMap::Budgets& budgets) const {
    uint64_t on_device = 0, in_memory = 0;
    for (const auto& [name, bytes] : sizes) {
      PRECIS_ASSIGN(const WeightPlace place, device_map_.place_of(name));
      if (!waits(name, place)) {
        on_device += bytes;
      } else if (place == WeightPlace::memory) {
        in_memory += bytes;
      }
    }
    PRECIS_TRY(check_budget(on_device, budgets.device, device_map_.device().str()));
    if (device_map_.device().is_cpu()) return {};
    return check_budget(in_memory, budgets.memory, "cpu");
  }

  static Status check_budget(uint64_t bytes, std::optional<uint64_t> budget,
                             const std::string& device) {
    if (!budget || bytes <= *budget) return {};
    return Error(ErrorCode::out_of_memory,
                 fmt::format("the model takes {}, max_memory allows {} on '{}'",
                             format_bytes(bytes), format_bytes(*budget), device),
                 "allow more, quantize to fewer bits, or leave a part on the disk with "
                 "device_map=\"auto\"");
  }

  // Whether a tensor of the model whose place is `place` waits there. Beside another device than
  // the CPU only a layer's tensors come and go by themselves; the rest lives on the device.
  bool waits(const std::string& name, WeightPlace place) const {
    if (place == WeightPlace::device) return false;
    if (device_map_.device().is_cpu() || !options_.stream) return true;
    return layers_.contains(name.substr(0, name.rfind('.')));
  }

  Status check_kernels() const {
    if (device_map_.device().is_cpu()) return {};
    PRECIS_ASSIGN(const Place where, place_of(device_map_.device()));
    for (const LayerChoice& choice : choices_) {
      if (choice.quantizer == nullptr) continue;
      auto plan = choice.quantizer->plan(choice.param, where.device);
      if (!plan.ok())
        return without_kernels(std::move(plan).error(), *choice.quantizer, choice.param);
    }
    return {};
  }

  Status every_weight_has_a_place() const {
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      const TensorPlaces::Place* place = places_->of(i);
      if (place == nullptr) continue;
      const auto found = device_map_.place_of(place->name);
      if (!found.ok()) return found.error();
    }
    return {};
  }

  // Bytes that every tensor of the model will take.
  Result<std::vector<std::pair<std::string, uint64_t>>> loaded_sizes() const {
    std::vector<Param> params;
    for (const LogicalTensor& tensor : tensors_) params.push_back(tensor.param);
    PRECIS_ASSIGN(const auto special_dtypes, hooks_.get_special_dtypes_update(params));
    std::vector<std::pair<std::string, uint64_t>> sizes;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      const TensorPlaces::Place* place = places_->of(i);
      if (place == nullptr) continue;
      uint64_t bytes = 0;
      if (const LayerChoice* choice = choice_of(i)) {
        PRECIS_ASSIGN(bytes,
                      hooks_.of(choice->quantizer.get())->adjust_target_dtype(choice->param));
      } else {
        const auto special = special_dtypes.find(params[i].name);
        const DType dtype =
            special != special_dtypes.end() ? special->second : plain_dtype(params[i]);
        bytes = dtype_bytes(dtype, params[i].elements()).value_or(0);
      }
      sizes.emplace_back(place->name, bytes);
    }
    return sizes;
  }

  const LayerChoice* choice_of(std::size_t index) const {
    const TensorPlaces::Place* place = places_->of(index);
    if (place == nullptr) return nullptr;
    const auto choice = chosen_.find(place->name);
    return choice == chosen_.end() ? nullptr : choice->second;
  }

  DType plain_dtype(const Param& param) const {
    if (!dtype_ || !is_floating(param.dtype)) return param.dtype;
    return kept_dtype(param.name, *dtype_, options_.kept_in_f32);
  }

  Status load(std::size_t index) {
    const LogicalTensor& tensor = tensors_[index];
    const TensorPlaces::Place* place = places_->of(index);
    if (place == nullptr) {
      report_.unexpected.push_back(tensor.param.name);
      return {};
    }
    report_.source_bytes += tensor.stored_bytes();
    PRECIS_ASSIGN(WeightPlace home, device_map_.place_of(place->name));
    if (!waits(place->name, home)) home = WeightPlace::device;
    if (const LayerChoice* choice = choice_of(index)) {
      const Lifecycle& hooks = *hooks_.of(choice->quantizer.get());
      PRECIS_TRY(hooks.check_if_quantized_param(choice->param));
      return load_quantized(tensor, *choice, hooks, home);
    }
    if (!hooks_.empty()) PRECIS_TRY(hooks_.first().check_if_quantized_param(tensor.param));
    return load_plain(index, *place, home);
  }

  Status load_quantized(const LogicalTensor& tensor, const LayerChoice& choice,
                        const Lifecycle& hooks, WeightPlace home) {
    const auto module = choice.site.module();
    QuantizedWeight weight;
    if (choice.quantizer != tensor.quantizer) {
      PRECIS_ASSIGN(weight, encode(tensor, choice.param, hooks, home));
    } else {
      std::vector<TensorEntry> entries;
      for (const LogicalTensor::Part& part : tensor.parts) entries.push_back(*part.entry);
      PRECIS_TRY(hooks.check_quantized_param_shape(choice.param, entries));
      PRECIS_ASSIGN(weight,
                    QuantizedWeight::from_checkpoint(tensor, choice.param.shape, maps(home)));
      weight.param.module_kind = choice.param.module_kind;
      if (options_.observer) options_.observer("create_quantized_param");
    }
    const bool stored = choice.quantizer == tensor.quantizer;
    for (at::Tensor& part : weight.parts) {
      if (stored && stays_mapped(part, home)) report_.mapped_bytes += part.nbytes();
      PRECIS_ASSIGN(part, at_home(std::move(part), home));
    }
    ++report_.quantized;
    const Arithmetic arithmetic =
        options_.quantize ? options_.quantize->arithmetic : options_.arithmetic;
    replace_module(choice.site, quantized_layer(*module, std::move(weight), arithmetic));
    return {};
  }

  Result<QuantizedWeight> encode(const LogicalTensor& tensor, Param param, const Lifecycle& hooks,
                                 WeightPlace home) {
    param.dtype = plain_dtype(tensor.param);
    PRECIS_ASSIGN(const at::ScalarType type, scalar_type_of(param.dtype));
    const auto bytes = dtype_bytes(param.dtype, tensor.param.elements()).value_or(0);
    at::Tensor numbers = scratch(bytes).view(type).view(tensor.param.shape);
    PRECIS_TRY(tensor.read_rows_as(param.dtype, 0, tensor.param.rows(), bytes_of(numbers)));
    numbers = numbers.to(device_map_.device());
    if (home != WeightPlace::disk || !numbers.is_cpu())
      return hooks.create_quantized_param(param, numbers);
    return hooks.create_quantized_param(param, numbers,
                                        [this](const PartSpec& part) { return on_disk(part); });
  }

  // Memory for the one weight that is held as numbers. Made once, for the largest: a piece for
  // every weight would leave holes between the quantized ones.
  at::Tensor scratch(uint64_t bytes) {
    if (!scratch_.defined()) {
      uint64_t largest = bytes;
      for (std::size_t i = 0; i < tensors_.size(); ++i) {
        const Param& param = tensors_[i].param;
        const LayerChoice* choice = choice_of(i);
        if (choice == nullptr || choice->quantizer == tensors_[i].quantizer) continue;
        largest = std::max(largest, dtype_bytes(plain_dtype(param), param.elements()).value_or(0));
      }
      scratch_ = at::empty({static_cast<int64_t>(largest)}, at::TensorOptions(at::kByte));
    }
    if (scratch_.nbytes() < bytes)
      scratch_ = at::empty({static_cast<int64_t>(bytes)}, at::TensorOptions(at::kByte));
    return scratch_.narrow(0, 0, static_cast<int64_t>(bytes));
  }

  bool stays_mapped(const at::Tensor& tensor, WeightPlace home) const {
    return (home != WeightPlace::device || device_map_.device().is_cpu()) && is_mapped(tensor);
  }

  // The tensor where it is to live.
  Result<at::Tensor> at_home(at::Tensor tensor, WeightPlace home) {
    report_.bytes += tensor.nbytes();
    const at::Device device = device_map_.device();
    if (home == WeightPlace::device) {
      // Asked for at once, so that reading overlaps what the caller does next.
      if (device.is_cpu()) prefetch_weight(tensor);
      return tensor.to(device);
    }
    const bool disk = home == WeightPlace::disk;
    (disk ? report_.disk_bytes : report_.memory_bytes) += tensor.nbytes();
    tensor = tensor.cpu().contiguous();
    if (disk && !is_mapped(tensor)) {
      PRECIS_ASSIGN(WeightFile* const file, weight_file());
      PRECIS_ASSIGN(tensor, file->store(tensor));
    }
    if (device.is_cpu()) {
      if (options_.stream) stream_weight(tensor);
      release_weight(tensor);
      return tensor;
    }
    if (disk) release_weight(tensor);
    const Onload onload = options_.stream ? Onload::by_layer : Onload::by_network;
    return make_waiting({std::move(tensor), device, onload, disk});
  }

  void move_constants() {
    // What no tensor of the checkpoint fills.
    const auto move = [this](at::Tensor tensor) {
      if (waiting_weight(tensor) == nullptr) tensor.set_data(tensor.to(device_map_.device()));
    };
    for (const at::Tensor& tensor : model_.parameters()) move(tensor);
    for (const at::Tensor& tensor : model_.buffers()) move(tensor);
  }

  // Memory of the weight file: parts are encoded where they stay.
  Result<at::Tensor> on_disk(const PartSpec& part) {
    PRECIS_ASSIGN(const at::ScalarType type, scalar_type_of(part.dtype));
    PRECIS_ASSIGN(WeightFile* const file, weight_file());
    return file->empty(type, part_shape(part));
  }

  Result<WeightFile*> weight_file() {
    if (weight_file_ == nullptr) {
      PRECIS_ASSIGN(weight_file_, WeightFile::create(options_.offload_directory));
    }
    return weight_file_.get();
  }

  // Whether a tensor may stay in the checkpoint's file: it is held as it is stored.
  bool mappable(const LogicalTensor& tensor, DType dtype, WeightPlace home) const {
    return maps(home) && tensor.plain() && dtype == tensor.param.dtype;
  }

  bool maps(WeightPlace home) const { return options_.map_files || home == WeightPlace::disk; }

  static Result<at::Tensor> read(const LogicalTensor& tensor, DType dtype, bool map) {
    PRECIS_ASSIGN(const at::ScalarType type, scalar_type_of(dtype));
    if (map) {
      const LogicalTensor::Part& part = tensor.parts.front();
      PRECIS_ASSIGN(at::Tensor mapped,
                    stored_tensor(part.file, *part.entry, type, tensor.param.shape));
      if (mapped.defined()) return mapped;
    }
    at::Tensor numbers = at::empty(tensor.param.shape, at::TensorOptions().dtype(type));
    PRECIS_TRY(tensor.read_rows_as(dtype, 0, tensor.param.rows(), bytes_of(numbers)));
    return numbers;
  }

  Status load_plain(std::size_t index, const TensorPlaces::Place& place, WeightPlace home) {
    const LogicalTensor& tensor = tensors_[index];
    at::Tensor numbers;
    if (options_.plan != nullptr && options_.plan->tensors[index].action == Action::quantize) {
      const auto& quantizer = options_.plan->tensors[index].quantizer;
      PRECIS_ASSIGN(const QuantizedWeight weight,
                    encode(tensor, tensor.param, *hooks_.of(quantizer.get()), WeightPlace::device));
      PRECIS_ASSIGN(numbers, weight.decode_rows(0, weight.param.rows()));
    } else {
      const DType dtype = plain_dtype(tensor.param);
      PRECIS_ASSIGN(numbers, read(tensor, dtype, mappable(tensor, dtype, home)));
    }
    if (stays_mapped(numbers, home)) report_.mapped_bytes += numbers.nbytes();
    PRECIS_ASSIGN(numbers, at_home(std::move(numbers), home));
    at::Tensor target = place.target;
    target.set_data(numbers);
    return {};
  }

  torch::nn::Module& model_;
  const Component& component_;
  MethodResolver& methods_;
  const LoadOptions& options_;

  MixedLifecycle hooks_;
  std::vector<LogicalTensor> tensors_;
  std::optional<TensorPlaces> places_;
  std::optional<DType> dtype_;
  std::map<std::string, ModuleSite> sites_;
  std::set<std::string> layers_;  // paths of those that AnyLayers call
  std::vector<LayerChoice> choices_;
  std::map<std::string, const LayerChoice*> chosen_;  // by the weight's name in the model
  at::Tensor scratch_;
  DeviceMap device_map_;
  std::shared_ptr<WeightFile> weight_file_;  // made for the first weight that needs it
  LoadReport report_;
};

}  // namespace

DType kept_dtype(const std::string& name, DType dtype, const std::set<std::string>& kept_in_f32) {
  if (dtype != DType::f16 || kept_in_f32.empty()) return dtype;
  std::stringstream segments(name);
  for (std::string segment; std::getline(segments, segment, '.');) {
    if (kept_in_f32.contains(segment)) return DType::f32;
  }
  return dtype;
}

Result<LoadReport> load_model(torch::nn::Module& model, const Component& component,
                              MethodResolver& methods, const LoadOptions& options) {
  return Loader(model, component, methods, options).run();
}

}  // namespace precis
