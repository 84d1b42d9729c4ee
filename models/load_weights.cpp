#include "models/load_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "models/stored_linear.h"

namespace precis::models {
namespace {

// Other names under which the libraries have stored the same tensor.
std::vector<std::string> stored_names(const std::string& name) {
  // transformers 5 saves a CLIPTextModel without the prefix that earlier versions wrote.
  constexpr std::string_view kClipPrefix = "text_model.";
  if (name.starts_with(kClipPrefix)) return {name, name.substr(kClipPrefix.size())};
  // The tied input embedding of T5.
  if (name == "shared.weight") return {name, std::string("encoder.embed_tokens.weight")};
  return {name};
}

// Constants and copies that older versions of the libraries stored.
bool harmless(const std::string& name) {
  return name.ends_with("position_ids") || name == "encoder.embed_tokens.weight";
}

std::string listed(const std::set<std::string>& names) {
  constexpr std::size_t kShown = 5;
  std::vector<std::string> shown;
  for (const auto& name : names) {
    if (shown.size() < kShown) shown.push_back(name);
  }
  const auto rest = names.size() - shown.size();
  return fmt::format("{}{}", fmt::join(shown, ", "),
                     rest > 0 ? fmt::format(" and {} more", rest) : "");
}

class WeightReader {
 public:
  WeightReader(torch::nn::Module& network, const ComponentPlan& plan) : network_(network) {
    for (const auto& tensor : plan.tensors) stored_.emplace(tensor.source.param.name, &tensor);
  }

  Status read_all() {
    // A copy: layers are replaced on the way.
    const auto parameters = network_.named_parameters();
    for (const auto& item : parameters) PRECIS_TRY(read(item.key(), item.value()));
    for (const auto& item : network_.named_buffers()) PRECIS_TRY(read(item.key(), item.value()));
    return {};
  }

  Status check_names(bool partial) const {
    if (!missing_.empty()) {
      return Error(ErrorCode::data_loss,
                   fmt::format("{} weights that config.json asks for are missing: {}",
                               missing_.size(), listed(missing_)),
                   "is this the right config.json, and are all shards there?");
    }
    std::set<std::string> unexpected;
    for (const auto& [name, tensor] : stored_) {
      if (!harmless(name)) unexpected.insert(name);
    }
    if (!unexpected.empty() && !partial) {
      return Error(ErrorCode::data_loss,
                   fmt::format("{} weights have no place in the network of config.json: {}",
                               unexpected.size(), listed(unexpected)),
                   "is this the right config.json for these weights?");
    }
    return {};
  }

  const LoadedWeights& loaded() const { return loaded_; }

 private:
  Status read(const std::string& name, const at::Tensor& target) {
    for (const auto& candidate : stored_names(name)) {
      const auto found = stored_.find(candidate);
      if (found == stored_.end()) continue;
      const TensorPlan& tensor = *found->second;
      stored_.erase(found);
      loaded_.source_bytes += tensor.source.stored_bytes();
      auto status = check_shape(tensor.source.param, target);
      if (status.ok()) status = read_planned(tensor, name, target);
      if (!status.ok()) status.error().with_context(fmt::format("tensor '{}'", name));
      return status;
    }
    missing_.insert(name);
    return {};
  }

  static Status check_shape(const Param& param, const at::Tensor& target) {
    if (target.sizes() == at::IntArrayRef(param.shape)) return {};
    return Error(ErrorCode::data_loss,
                 fmt::format("its shape is [{}], but config.json makes it [{}]",
                             fmt::join(param.shape, ", "), fmt::join(target.sizes(), ", ")),
                 "the weights and config.json belong to different models");
  }

  Status read_planned(const TensorPlan& tensor, const std::string& name, at::Tensor target) {
    const bool quantize = tensor.action == Action::quantize;
    const auto dot = name.rfind('.');
    if ((quantize || !tensor.source.plain()) && name.substr(dot + 1) == "weight") {
      const auto module = name.substr(0, dot);
      const auto* linear = module_at(module)->as<torch::nn::LinearImpl>();
      if (linear != nullptr) return replace(tensor, module, linear->bias, target.scalar_type());
    }
    if (quantize) {
      // Not a dense layer: it keeps its float form, with the values that the method leaves.
      PRECIS_ASSIGN(const auto layer, StoredLinear::quantize(tensor, {}, target.scalar_type()));
      target.copy_(layer->dequantized_weight());
    } else {
      PRECIS_TRY(decode(tensor.source, target));
    }
    loaded_.loaded_bytes += target.nbytes();
    return {};
  }

  static Status decode(const LogicalTensor& source, const at::Tensor& target) {
    PRECIS_ASSIGN(const DType dtype, core_dtype(target.scalar_type()));
    const std::span<std::byte> bytes(static_cast<std::byte*>(target.data_ptr()), target.nbytes());
    PRECIS_TRY(source.read_rows_as(dtype, 0, source.param.rows(), bytes));
    source.release_source();
    return {};
  }

  // A quantized layer takes the place of the float one.
  Status replace(const TensorPlan& tensor, const std::string& path, const at::Tensor& bias,
                 at::ScalarType dtype) {
    PRECIS_ASSIGN(const auto layer, tensor.action == Action::quantize
                                        ? StoredLinear::quantize(tensor, bias, dtype)
                                        : StoredLinear::load(tensor.source, bias, dtype));
    const auto dot = path.rfind('.');
    const auto parent = dot == std::string::npos ? std::string() : path.substr(0, dot);
    module_at(parent)->replace_module(path.substr(dot == std::string::npos ? 0 : dot + 1), layer);
    loaded_.loaded_bytes += layer->stored_bytes();
    return {};
  }

  torch::nn::Module* module_at(const std::string& path) {
    torch::nn::Module* module = &network_;
    std::size_t begin = 0;
    while (begin < path.size()) {
      const auto end = std::min(path.find('.', begin), path.size());
      module = module->named_children()[path.substr(begin, end - begin)].get();
      begin = end + 1;
    }
    return module;
  }

  torch::nn::Module& network_;
  std::map<std::string, const TensorPlan*> stored_;
  std::set<std::string> missing_;
  LoadedWeights loaded_;
};

}  // namespace

Result<LoadedWeights> load_weights(torch::nn::Module& network, const ComponentPlan& plan,
                                   bool partial) {
  WeightReader reader(network, plan);
  PRECIS_TRY(reader.read_all());
  PRECIS_TRY(reader.check_names(partial));
  return reader.loaded();
}

}  // namespace precis::models
