#include "runtime/loading/load.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/nn/modules/linear.h>

#include <set>

#include "core/base/byte_size.h"
#include "core/engine/logical_tensor.h"
#include "runtime/modules/quantized_linear.h"
#include "runtime/tensor/tensor_adapter.h"

namespace precis {
namespace {

using nlohmann::json;

// Devices named by a device map. Error: one that this machine and this LibTorch do not have.
Status check_devices(const json& device_map) {
  std::set<std::string> names;
  if (device_map.is_string()) names.insert(device_map.get<std::string>());
  if (device_map.is_object()) {
    for (const auto& [module, device] : device_map.items()) {
      names.insert(device.is_string() ? device.get<std::string>() : "cuda:" + device.dump());
    }
  }
  for (const std::string& name : names) {
    if (name == "cpu" || name == "auto" || name == "balanced" || name == "sequential") continue;
    return Error(ErrorCode::device_error,
                 fmt::format("device '{}' of the device map is not there: quantized layers run on "
                             "the CPU",
                             name),
                 "use device_map=\"cpu\", or none");
  }
  return {};
}

class Loader {
 public:
  Loader(torch::nn::Module& model, const Component& component, MethodResolver& methods,
         const LoadOptions& options)
      : model_(model), component_(component), methods_(methods), options_(options) {}

  Result<LoadReport> run() {
    PRECIS_TRY(find_quantizer());
    PRECIS_ASSIGN(tensors_, logical_tensors(component_, methods_));
    PRECIS_TRY(prepare_environment());
    PRECIS_TRY(choose());
    PRECIS_TRY(check_budgets());
    PRECIS_TRY(compare_keys());
    for (const LogicalTensor& tensor : tensors_) {
      PRECIS_TRY(load(tensor));
      tensor.release_source();
    }
    if (lifecycle_) PRECIS_TRY(lifecycle_->postprocess_model(choices_));
    return std::move(report_);
  }

 private:
  Status find_quantizer() {
    PRECIS_ASSIGN(auto stored, methods_.from_component(component_));
    if (stored != nullptr) {
      if (options_.quantize) {
        return Error(ErrorCode::invalid_argument,
                     fmt::format("'{}' is already quantized ({}), and a config asks to quantize it",
                                 component_.name, stored->spec()),
                     "leave the config out, or dequantize the checkpoint first");
      }
      lifecycle_.emplace(std::move(stored), true, options_.observer);
    } else if (options_.quantize) {
      PRECIS_ASSIGN(auto asked, methods_.from_spec(options_.quantize->config, component_.library));
      if (asked != nullptr) lifecycle_.emplace(std::move(asked), false, options_.observer);
    }
    return {};
  }

  Status prepare_environment() {
    dtype_ = options_.dtype;
    json device_map = options_.device_map;
    if (lifecycle_) {
      PRECIS_TRY(lifecycle_->validate_environment(dtype_, device_map));
      PRECIS_ASSIGN(dtype_, lifecycle_->update_torch_dtype(dtype_));
      PRECIS_ASSIGN(device_map, lifecycle_->update_device_map(device_map));
      std::vector<std::string> keys;
      for (const LogicalTensor& tensor : tensors_) keys.push_back(tensor.param.name);
      PRECIS_TRY(lifecycle_->maybe_update_loaded_keys(keys));
    }
    return check_devices(device_map);
  }

  // Every parameter and buffer of the model must be in the checkpoint, with its shape.
  Status compare_keys() {
    std::map<std::string, const LogicalTensor*> stored;
    for (const LogicalTensor& tensor : tensors_) stored.emplace(tensor.param.name, &tensor);
    std::vector<std::string> missing;
    const auto expect = [&](const std::string& name, const torch::Tensor& place) -> Status {
      places_.insert(name);
      const auto found = stored.find(name);
      if (found == stored.end()) {
        missing.push_back(name);
        return {};
      }
      const Param& param = found->second->param;
      if (!param.shape_known || place.sizes() == at::IntArrayRef(param.shape)) return {};
      return Error(ErrorCode::data_loss,
                   fmt::format("tensor '{}' is [{}], the model takes [{}]", name,
                               fmt::join(param.shape, ", "),
                               fmt::join(place.sizes().begin(), place.sizes().end(), ", ")),
                   "the checkpoint's config.json is of another model");
    };
    for (const auto& item : model_.named_parameters()) PRECIS_TRY(expect(item.key(), item.value()));
    for (const auto& item : model_.named_buffers()) PRECIS_TRY(expect(item.key(), item.value()));
    if (lifecycle_) {
      PRECIS_ASSIGN(missing, lifecycle_->update_missing_keys(missing));
    }
    if (missing.empty()) return {};
    return Error(ErrorCode::not_found,
                 fmt::format("the checkpoint lacks {} of the model's tensors, '{}' first",
                             missing.size(), missing.front()),
                 "is this the component that the network was made for?");
  }

  // The layers that will be quantized ones.
  Status choose() {
    for (const ModuleSite& site : module_sites(model_)) sites_.emplace(site.path, site);
    if (!lifecycle_) return {};
    if (!lifecycle_->pre_quantized()) {
      PRECIS_ASSIGN(choices_, lifecycle_->preprocess_model(model_, *options_.quantize, methods_));
      return {};
    }
    if (options_.observer) options_.observer("preprocess_model");
    for (const LogicalTensor& tensor : tensors_) {
      if (tensor.plain()) continue;
      const std::string path = tensor.param.name.substr(0, tensor.param.name.rfind('.'));
      const auto site = sites_.find(path);
      if (site == sites_.end()) continue;
      if (site->second.module()->as<torch::nn::LinearImpl>() == nullptr) continue;
      PRECIS_TRY(check_replaceable(site->second));
      LayerChoice choice;
      choice.site = site->second;
      choice.param = tensor.param;
      choice.quantizer = tensor.quantizer;
      choice.bytes_after = tensor.stored_bytes();
      choices_.push_back(std::move(choice));
    }
    return {};
  }

  Status check_budgets() {
    for (const LayerChoice& choice : choices_) {
      if (choice.quantizer != nullptr) chosen_.emplace(choice.param.name, &choice);
    }
    if (options_.max_memory.empty()) return {};
    if (lifecycle_) {
      std::vector<Param> params;
      for (const LogicalTensor& tensor : tensors_) params.push_back(tensor.param);
      PRECIS_ASSIGN(special_dtypes_, lifecycle_->get_special_dtypes_update(params));
    }
    uint64_t bytes = 0;
    for (const LogicalTensor& tensor : tensors_) {
      const auto choice = chosen_.find(tensor.param.name);
      if (choice == chosen_.end()) {
        const DType dtype = plain_dtype(tensor.param);
        bytes += dtype_bytes(dtype, tensor.param.elements()).value_or(0);
      } else {
        PRECIS_ASSIGN(const uint64_t stored,
                      lifecycle_->adjust_target_dtype(choice->second->param));
        bytes += stored;
      }
    }
    std::map<std::string, uint64_t> budgets = options_.max_memory;
    if (lifecycle_) {
      PRECIS_ASSIGN(budgets, lifecycle_->adjust_max_memory(std::move(budgets)));
    }
    const auto cpu = budgets.find("cpu");
    if (cpu == budgets.end() || bytes <= cpu->second) return {};
    return Error(ErrorCode::out_of_memory,
                 fmt::format("the model takes {}, max_memory allows {} on 'cpu'",
                             format_bytes(bytes), format_bytes(cpu->second)),
                 "allow more, or quantize to fewer bits");
  }

  DType plain_dtype(const Param& param) const {
    const auto special = special_dtypes_.find(param.name);
    if (special != special_dtypes_.end()) return special->second;
    return dtype_ && is_floating(param.dtype) ? *dtype_ : param.dtype;
  }

  Status load(const LogicalTensor& tensor) {
    const std::string& name = tensor.param.name;
    if (places_.count(name) == 0) {
      report_.unexpected.push_back(name);
      return {};
    }
    bool quantized = false;
    if (lifecycle_) {
      Param param = tensor.param;
      if (param.module_kind.empty() && chosen_.count(name) != 0) param.module_kind = "Linear";
      PRECIS_ASSIGN(quantized, lifecycle_->check_if_quantized_param(param));
    }
    const auto choice = chosen_.find(name);
    if (quantized && choice != chosen_.end()) return load_quantized(tensor, *choice->second);
    return load_plain(tensor);
  }

  Status load_quantized(const LogicalTensor& tensor, const LayerChoice& choice) {
    const auto module = choice.site.module();
    const torch::Tensor bias = module->as<torch::nn::LinearImpl>()->bias;
    QuantizedWeight weight;
    if (tensor.plain()) {
      Param param = choice.param;
      param.dtype = plain_dtype(tensor.param);
      PRECIS_ASSIGN(const at::Tensor numbers, read(tensor, param.dtype));
      PRECIS_ASSIGN(weight, lifecycle_->create_quantized_param(param, numbers));
    } else {
      std::vector<TensorEntry> entries;
      for (const LogicalTensor::Part& part : tensor.parts) entries.push_back(*part.entry);
      PRECIS_TRY(lifecycle_->check_quantized_param_shape(tensor.param, entries));
      PRECIS_ASSIGN(weight, copy_parts(tensor));
      if (options_.observer) options_.observer("create_quantized_param");
    }
    report_.bytes += weight.bytes();
    ++report_.quantized;
    replace_module(choice.site, std::make_shared<QuantizedLinear>(std::move(weight), bias));
    return {};
  }

  static Result<QuantizedWeight> copy_parts(const LogicalTensor& tensor) {
    QuantizedWeight weight{tensor.param, tensor.quantizer, {}, {}};
    const std::string module = tensor.param.name.substr(0, tensor.param.name.rfind('.') + 1);
    for (const LogicalTensor::Part& part : tensor.parts) {
      PartSpec spec{part.entry->name.substr(module.size()), part.entry->dtype, part.entry->shape,
                    part.entry->nbytes, part.entry->encoding};
      PRECIS_ASSIGN(const auto bytes, part.file->data(*part.entry));
      PRECIS_ASSIGN(at::Tensor copy, empty_part(spec));
      std::copy(bytes.begin(), bytes.end(), bytes_of(copy).begin());
      weight.specs.push_back(std::move(spec));
      weight.parts.push_back(std::move(copy));
    }
    return weight;
  }

  static Result<at::Tensor> read(const LogicalTensor& tensor, DType dtype) {
    PRECIS_ASSIGN(const at::ScalarType type, scalar_type_of(dtype));
    at::Tensor numbers = at::empty(tensor.param.shape, at::TensorOptions().dtype(type));
    PRECIS_TRY(tensor.read_rows_as(dtype, 0, tensor.param.rows(), bytes_of(numbers)));
    return numbers;
  }

  Status load_plain(const LogicalTensor& tensor) {
    PRECIS_ASSIGN(const at::Tensor numbers, read(tensor, plain_dtype(tensor.param)));
    report_.bytes += numbers.nbytes();
    const auto parameters = model_.named_parameters();
    const auto buffers = model_.named_buffers();
    const std::string& name = tensor.param.name;
    torch::Tensor place = parameters.contains(name) ? parameters[name] : buffers[name];
    place.set_data(numbers);
    return {};
  }

  torch::nn::Module& model_;
  const Component& component_;
  MethodResolver& methods_;
  const LoadOptions& options_;

  std::optional<Lifecycle> lifecycle_;
  std::vector<LogicalTensor> tensors_;
  std::optional<DType> dtype_;
  std::map<std::string, DType> special_dtypes_;
  std::set<std::string> places_;  // names of the model's parameters and buffers
  std::map<std::string, ModuleSite> sites_;
  std::vector<LayerChoice> choices_;
  std::map<std::string, const LayerChoice*> chosen_;  // by the weight's name
  LoadReport report_;
};

}  // namespace

Result<LoadReport> load_model(torch::nn::Module& model, const Component& component,
                              MethodResolver& methods, const LoadOptions& options) {
  return Loader(model, component, methods, options).run();
}

}  // namespace precis
