// The frame of a method that stores the weight of every Linear module, but for those that a list
// keeps, as a fixed set of tensors beside the module's other parameters. A method says what the
// tensors are (layout), what of them a checkpoint tells (describe), and how they are encoded and
// decoded; everything else of Quantizer follows from that.
#ifndef PRECIS_SDK_WEIGHT_QUANTIZER_HPP
#define PRECIS_SDK_WEIGHT_QUANTIZER_HPP

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "module_match.hpp"
#include "options.hpp"
#include "part_layout.hpp"
#include "plugin.hpp"
#include "rows.hpp"
#include "skip_list.hpp"
#include "stored_module.hpp"

PRECIS_SDK_NAMESPACE_BEGIN

class WeightQuantizer : public Quantizer {
 public:
  // normalized: the config as the library saves it.
  WeightQuantizer(Json normalized, SkipList skip)
      : normalized_(std::move(normalized)), skip_(std::move(skip)) {}

  void plan(const precis_param& param, PlanWriter& plan) const override {
    check_writable(param);
    for (const PartLayout& part : layout(param)) {
      if (part.written) plan.add_numbers(part.name, part.dtype, part.shape);
    }
    plan.workspace(workspace(param));
  }

  void quantize(const precis_call& call, const precis_param& param, const precis_tensor& weight,
                const Parts& parts) const override {
    std::size_t written = 0;
    for (const PartLayout& part : layout(param)) written += part.written ? 1 : 0;
    if (parts.size() != written || call.workspace_size < workspace(param)) {
      throw PluginError(PRECIS_INVALID_ARGUMENT, "parts and workspace are not those of the plan");
    }
    encode(call, param, weight, parts);
  }

  void dequantize(const precis_call& call, const precis_param& param, const ConstParts& parts,
                  int64_t row_begin, precis_tensor& weight) const override {
    const RowRange rows = rows_of(param, row_begin, weight);
    check_parts(param, parts);
    decode(call, param, parts, rows, weight);
  }

  void storage(const precis_param& param, precis_storage& out) const override {
    const std::string_view kind = view(param.module_kind), name = view(param.name);
    out.keep = 1;
    if (leaf(name) != "weight" || !(kind.empty() || kind == "Linear") ||
        (param.ndim >= 0 && param.ndim != 2)) {
      out.reason = str("only the weights of Linear modules are quantized");
    } else if (keeps(module_of(name))) {
      out.reason = str("listed in the config as not to be converted");
    } else {
      out.keep = 0;
      out.reason = str("");
    }
    out.bytes = param.ndim < 0 ? 0 : elements(param.ndim, param.shape) * param.dtype.bits / 8;
    if (out.keep != 0 || param.ndim < 0) return;
    try {
      out.bytes = written_bytes(layout(param));
    } catch (const PluginError& error) {
      // A misfit is the plan's to refuse: the host keeps such a weight and says why.
      if (error.status() != PRECIS_UNSUPPORTED) throw;
    }
  }

  void quantized_params(const precis_state_dict& state_dict, const EmitParam& emit) const override {
    for_modules(state_dict, anchors(), [&](const StoredModule& module) {
      if (is_quantized(module)) emit_module(module, emit);
    });
  }

  void check(const precis_param& param,
             const std::vector<const precis_tensor_info*>& parts) const override {
    compare_parts(layout(param), parts.size(), [&](std::size_t i) {
      return FoundPart{parts[i]->dtype, parts[i]->ndim, parts[i]->shape};
    });
  }

  // The normalised config with the component's kept modules added to the list.
  std::string config(const precis_component& component) const override {
    const ModuleList modules = listed_modules(skip_, component);
    Json object = normalized_;
    if (!modules.empty()) write_skip_list(modules, object);
    return object.dump();
  }

  // Compares parts with the layout; throws PRECIS_DATA_LOSS where they are not those of `param`.
  void check_parts(const precis_param& param, const ConstParts& parts) const {
    compare_parts(layout(param), parts.size(), [&](std::size_t i) {
      return FoundPart{parts[i]->view.dtype, parts[i]->view.ndim, parts[i]->view.shape};
    });
  }

 protected:
  // The tensors that `param` is stored as, in the order of every `parts`. Throws PRECIS_UNSUPPORTED
  // where no stored form has this shape.
  virtual std::vector<PartLayout> layout(const precis_param& param) const = 0;

  // Throws PRECIS_UNSUPPORTED, naming the rule, for a weight that can be read but not written.
  virtual void check_writable(const precis_param&) const {}

  // Bytes of workspace that encode needs.
  virtual uint64_t workspace(const precis_param&) const { return 0; }

  // The part whose presence makes a module a quantized one.
  virtual std::string_view anchor() const { return {}; }

  // Where there are several such parts: the first that a module has tells.
  virtual std::vector<std::string_view> anchors() const { return {anchor()}; }

  // Whether a module with an anchor is quantized indeed.
  virtual bool is_quantized(const StoredModule&) const { return true; }

  // What the module's tensors tell of the weight. Throws PRECIS_DATA_LOSS when they contradict each
  // other; StoredModule::at does for a missing one.
  virtual StoredWeight describe(const StoredModule& module) const = 0;

  // Encodes a weight into its parts, allocated as planned.
  virtual void encode(const precis_call& call, const precis_param& param,
                      const precis_tensor& weight, const Parts& parts) const = 0;

  // Decodes rows to `out`. The parts have been compared with the layout: dtypes, element counts.
  virtual void decode(const precis_call& call, const precis_param& param, const ConstParts& parts,
                      RowRange rows, const precis_tensor& out) const = 0;

  // Writes the list of kept modules into the config that is saved.
  virtual void write_skip_list(const ModuleList& modules, Json& config) const {
    config[skip_.key] = modules;
  }

  bool keeps(std::string_view module) const { return skip_.keeps(module, skip_.modules); }
  const Json& normalized() const { return normalized_; }

 private:
  void emit_module(const StoredModule& module, const EmitParam& emit) const {
    const StoredWeight weight = describe(module);
    const std::string name = module.key("weight");
    precis_param param{};
    param.struct_size = sizeof param;
    param.name = str(name);
    param.module_kind = str("Linear");
    param.dtype = weight.dtype;
    param.ndim = static_cast<int32_t>(weight.shape.size());
    param.shape = weight.shape.data();
    emit(param, stored_parts(layout(param), module));
  }

  Json normalized_;
  SkipList skip_;
};

// A method whose config is read by `read` into an object that has `normalized`, the JSON that the
// Python library's to_dict() gives, and whose quantizer is made from that object.
template <typename Made, typename Config>
Method make_method(const precis_method& abi,
                   const OptionTable& (*options)(std::string_view library),
                   Config (*read)(const precis_config& request)) {
  return {abi, [options](std::string_view library) { return options(library).schema(); },
          [read](const precis_config& request) { return read(request).normalized.dump(); },
          [read](const precis_config& request) -> std::unique_ptr<Quantizer> {
            return std::make_unique<Made>(read(request));
          }};
}

PRECIS_SDK_NAMESPACE_END

#endif
