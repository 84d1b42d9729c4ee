// The frame of a method that stores the weight of every Linear module, but for those that a list
// keeps, as a fixed set of tensors beside the module's other parameters. A method says what the
// tensors are (layout), what of them a checkpoint tells (describe), and how they are encoded and
// decoded; everything else of Quantizer follows from that.
#ifndef PRECIS_SDK_WEIGHT_QUANTIZER_HPP
#define PRECIS_SDK_WEIGHT_QUANTIZER_HPP

#include <cstring>

#include "module_match.hpp"
#include "options.hpp"
#include "plugin.hpp"

PRECIS_SDK_NAMESPACE_BEGIN

// The config's list of modules left as they are, and how the method's library reads it.
struct SkipList {
  std::string key;  // in the config: "modules_to_not_convert"
  ModuleList modules;
  bool (*keeps)(std::string_view module, const ModuleList& modules);
  // The entry that keeps this module alone; null: the module's path.
  std::string (*entry)(std::string_view module) = nullptr;
};

// The texts of a list option; whatever else Python lets stand there is ignored.
inline ModuleList module_list(const Json& value) {
  ModuleList modules;
  if (!value.is_array()) return modules;
  for (const Json& name : value) {
    if (name.is_string()) modules.push_back(name.get<std::string>());
  }
  return modules;
}

// One tensor of a stored weight.
struct PartLayout {
  std::string_view name;  // relative to the module; static
  precis_dtype dtype;
  std::vector<int64_t> shape;
  // Numbers that a checkpoint may hold in another floating dtype.
  bool any_float = false;
  // Another dtype that some checkpoints hold the same bits in; all zero: none.
  precis_dtype alternative = {};
  // A checkpoint may lack it. Optional parts stand last, and when one is absent those behind it are
  // not looked at.
  bool optional = false;
  // False: found in checkpoints of others, never written. Such parts stand behind the written ones.
  bool written = true;
  // False: the shape does not tell how many elements a checkpoint holds; decode checks the bytes.
  bool counted = true;
  // Goes with the weight, and decoding does without: any of them may be absent, of any dtype and
  // shape. Companions stand behind all other parts and are never written.
  bool companion = false;
};

// A tensor of a quantized activation and the like.
inline PartLayout companion(std::string_view name) {
  PartLayout part{name, {}, {}};
  part.written = false;
  part.companion = true;
  return part;
}

// A weight as the tensors of a checkpoint tell it.
struct StoredWeight {
  precis_dtype dtype;
  std::vector<int64_t> shape;
};

// The tensors of one module of a checkpoint.
class StoredModule {
 public:
  StoredModule(const precis_state_dict& state_dict, std::string module)
      : state_dict_(&state_dict), module_(std::move(module)) {}

  const std::string& name() const { return module_; }
  std::string key(std::string_view part) const {
    return module_.empty() ? std::string(part) : module_ + "." + std::string(part);
  }
  // -1: there is none.
  int64_t index(std::string_view part) const {
    const std::string name = key(part);
    return state_dict_->find(state_dict_, str(name));
  }
  // Null: there is none.
  const precis_tensor_info* find(std::string_view part) const {
    const int64_t found = index(part);
    return found < 0 ? nullptr : state_dict_->info(state_dict_, static_cast<uint64_t>(found));
  }
  // Throws PRECIS_DATA_LOSS when the tensor is absent or has fewer dimensions than `ndim`.
  const precis_tensor_info& at(std::string_view part, int32_t ndim = 0) const {
    const precis_tensor_info* found = find(part);
    if (found == nullptr) throw PluginError(PRECIS_DATA_LOSS, "'" + key(part) + "' is missing");
    if (found->ndim < ndim) {
      throw PluginError(PRECIS_DATA_LOSS, "'" + key(part) + "' has " + std::to_string(found->ndim) +
                                              " dimensions, it must have " + std::to_string(ndim));
    }
    return *found;
  }
  // The bytes of a small tensor that describes others. Throws PRECIS_DATA_LOSS when it is absent,
  // larger than `most` bytes or cannot be read.
  std::string bytes(std::string_view part, uint64_t most = 4096) const {
    std::string content;
    const precis_sink sink{&content, [](void* ctx, const char* data, uint64_t size) {
                             static_cast<std::string*>(ctx)->append(data, size);
                           }};
    if (at(part).nbytes > most ||
        state_dict_->read(state_dict_, static_cast<uint64_t>(index(part)), &sink) != PRECIS_OK) {
      throw PluginError(PRECIS_DATA_LOSS, "'" + key(part) + "' cannot be read");
    }
    return content;
  }
  // The numbers of such a tensor, which is int64 or int32.
  std::vector<int64_t> integers(std::string_view part) const {
    const precis_dtype dtype = at(part).dtype;
    const bool wide = dtype.bits == 64;
    if (dtype.code != PRECIS_TYPE_INT || (!wide && dtype.bits != 32))
      throw PluginError(PRECIS_DATA_LOSS, "'" + key(part) + "' must be int64 or int32");
    const std::string content = bytes(part);
    const std::size_t size = wide ? sizeof(int64_t) : sizeof(int32_t);
    std::vector<int64_t> numbers;
    for (std::size_t at = 0; at + size <= content.size(); at += size) {
      int64_t number = 0;
      int32_t narrow = 0;
      std::memcpy(wide ? static_cast<void*>(&number) : &narrow, content.data() + at, size);
      numbers.push_back(wide ? number : narrow);
    }
    return numbers;
  }

 private:
  const precis_state_dict* state_dict_;
  std::string module_;
};

// Rows [begin, end) of a weight.
struct RowRange {
  uint64_t begin = 0, end = 0;
  uint64_t count() const { return end - begin; }
};

// The rows of `param` that `weight` holds, from row_begin on. Throws PRECIS_INVALID_ARGUMENT where
// the parameter has no such rows.
inline RowRange rows_of(const precis_param& param, int64_t row_begin, const precis_tensor& weight) {
  const auto begin = static_cast<uint64_t>(row_begin);
  const RowRange rows{
      begin, begin + (weight.view.ndim == 0 ? 1 : static_cast<uint64_t>(weight.view.shape[0]))};
  if (row_begin < 0 || rows.end > matrix(param).rows)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the rows are outside of the weight");
  return rows;
}

inline bool is_float(precis_dtype dtype) {
  return dtype.code == PRECIS_TYPE_FLOAT || dtype.code == PRECIS_TYPE_BFLOAT ||
         (dtype.code >= PRECIS_TYPE_FLOAT8_E3M4 && dtype.code <= PRECIS_TYPE_FLOAT4_E2M1FN);
}

// Work on the rows of a weight on the host's threads: body(RowRange), about 64 Ki elements at once,
// or multiples of `together` rows. Cancels when asked to.
template <typename Body>
void for_rows(const precis_call& call, const Matrix& matrix, uint64_t together, Body&& body) {
  constexpr uint64_t kElementsAtOnce = 64 << 10;
  const uint64_t pieces = (matrix.rows + together - 1) / together;
  const uint64_t grain = 1 + kElementsAtOnce / (matrix.columns * together + 1);
  Host::get().parallel_for(pieces, grain, [&](uint64_t begin, uint64_t end) {
    poll(&call, static_cast<double>(begin) / static_cast<double>(pieces));
    body(RowRange{begin * together, std::min(end * together, matrix.rows)});
  });
}

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
      out.bytes = stored_bytes(param);
    } catch (const PluginError& error) {
      // A misfit is the plan's to refuse: the host keeps such a weight and says why.
      if (error.status() != PRECIS_UNSUPPORTED) throw;
    }
  }

  void quantized_params(const precis_state_dict& state_dict, const EmitParam& emit) const override {
    const std::vector<std::string_view> telling = anchors();
    for (uint64_t i = 0; i < state_dict.count; ++i) {
      const std::string_view name = view(state_dict.info(&state_dict, i)->name);
      for (auto anchor = telling.begin(); anchor != telling.end(); ++anchor) {
        const bool inner = name.size() > anchor->size() + 1 &&
                           name[name.size() - anchor->size() - 1] == '.' &&
                           name.substr(name.size() - anchor->size()) == *anchor;
        if (!inner && name != *anchor) continue;
        const StoredModule module(
            state_dict, std::string(inner ? name.substr(0, name.size() - anchor->size() - 1)
                                          : std::string_view()));
        const bool told = std::any_of(telling.begin(), anchor, [&](std::string_view earlier) {
          return module.find(earlier) != nullptr;
        });
        if (!told && is_quantized(module)) emit_module(module, emit);
      }
    }
  }

  void check(const precis_param& param,
             const std::vector<const precis_tensor_info*>& parts) const override {
    compare_parts(param, parts.size(), [&](std::size_t i) {
      return Described{parts[i]->dtype, parts[i]->ndim, parts[i]->shape};
    });
  }

  // The normalised config with the component's kept modules added to the list: the libraries
  // replace every Linear that is not listed, and then expect quantized weights for it.
  std::string config(const precis_component& component) const override {
    ModuleList modules = skip_.modules;
    for (uint64_t i = 0; i < component.kept_count; ++i) {
      const std::string module(module_of(view(component.kept[i]->name)));
      if (!skip_.keeps(module, modules))
        modules.push_back(skip_.entry == nullptr ? module : skip_.entry(module));
    }
    for (uint64_t i = 0; i < component.quantized_count; ++i) {
      const std::string_view module = module_of(view(component.quantized[i]->name));
      if (!skip_.keeps(module, modules)) continue;
      throw PluginError(PRECIS_UNSUPPORTED,
                        "'" + skip_.key + "' cannot list every kept module without '" +
                            std::string(module) +
                            "', which is quantized: keep or quantize both (--rule, --skip, "
                            "--no-default-skips)");
    }
    Json object = normalized_;
    if (!modules.empty()) write_skip_list(modules, object);
    return object.dump();
  }

  // Compares parts with the layout; throws PRECIS_DATA_LOSS where they are not those of `param`.
  void check_parts(const precis_param& param, const ConstParts& parts) const {
    compare_parts(param, parts.size(), [&](std::size_t i) {
      return Described{parts[i]->view.dtype, parts[i]->view.ndim, parts[i]->view.shape};
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
  struct Described {
    precis_dtype dtype;
    int32_t ndim;
    const int64_t* shape;
  };

  uint64_t stored_bytes(const precis_param& param) const {
    uint64_t bytes = 0;
    for (const PartLayout& part : layout(param)) {
      if (!part.written) continue;
      bytes += elements(static_cast<int32_t>(part.shape.size()), part.shape.data()) *
               (part.dtype.bits / 8u);
    }
    return bytes;
  }

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
    std::vector<uint64_t> parts;
    bool complete = true;
    for (const PartLayout& part : layout(param)) {
      const int64_t index = module.index(part.name);
      if (!part.companion && index < 0) {
        if (!part.optional) module.at(part.name);
        complete = false;
      }
      if (index >= 0 && (complete || part.companion)) parts.push_back(static_cast<uint64_t>(index));
    }
    emit(param, parts);
  }

  template <typename Describe>
  void compare_parts(const precis_param& param, std::size_t count, Describe describe) const {
    const std::vector<PartLayout> expected = layout(param);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const PartLayout& part = expected[i];
      if (part.companion) break;
      if (i >= count) {
        if (part.optional) break;
        throw PluginError(PRECIS_DATA_LOSS, "'" + std::string(part.name) + "' is missing");
      }
      const Described found = describe(i);
      const bool right_dtype = same(found.dtype, part.dtype) ||
                               (part.any_float && is_float(found.dtype)) ||
                               (part.alternative.bits != 0 && same(found.dtype, part.alternative));
      const uint64_t needed = elements(static_cast<int32_t>(part.shape.size()), part.shape.data());
      const uint64_t stored = elements(found.ndim, found.shape);
      if (right_dtype && (stored == needed || !part.counted)) continue;
      throw PluginError(
          PRECIS_DATA_LOSS,
          "'" + std::string(part.name) + "' " +
              (right_dtype ? "has " + std::to_string(stored) +
                                 " elements, the weight's shape needs " + std::to_string(needed)
                           : "has the wrong dtype"));
    }
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
