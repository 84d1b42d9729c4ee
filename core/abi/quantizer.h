// A plugin's quantizer as core uses it: the ABI's tables behind Result and standard types.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/abi/place.h"
#include "core/base/dtype.h"
#include "core/base/result.h"
#include "core/format/tensor_entry.h"
#include "precis/precis.h"

namespace precis {

struct PluginCall;

// A weight as the model knows it.
struct Param {
  std::string name;         // state-dict key
  std::string module_kind;  // "Linear", "Conv2d", "Embedding"; empty: unknown
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  bool shape_known = true;  // false: the checkpoint does not tell it
  // Importance of each input column, float32 [in_features]; empty: none.
  std::shared_ptr<const std::vector<float>> importance;
  bool calibrated = false;  // it will be encoded by what reaches it (CalibrationGroup)
  bool on_grid = false;     // it will be written on the grid that another method made (Grid)

  int64_t rows() const { return shape.empty() ? 1 : shape.front(); }
  uint64_t row_elements() const;
  uint64_t elements() const { return static_cast<uint64_t>(rows()) * row_elements(); }
};

// A tensor that a method makes of a parameter.
struct PartSpec {
  std::string name;  // relative to the owning module: "weight.absmax", "SCB"
  DType dtype = DType::u8;
  std::vector<int64_t> shape;
  uint64_t nbytes = 0;
  std::string encoding;
};

struct PartPlan {
  std::vector<PartSpec> parts;
  uint64_t workspace_bytes = 0;
};

// Whether a method quantizes a parameter, by its own rules and its list of modules not to convert.
struct Storage {
  bool keep = false;
  std::optional<DType> cast_to;  // keep: the dtype it is stored in; nothing: as it is
  uint64_t bytes = 0;
  std::string reason;
};

// A parameter found in a quantized checkpoint, and where its parts are.
struct StoredParam {
  Param param;
  std::vector<std::size_t> parts;  // indices into the tensors of the state dict
};

// The tensors of one component, as quantized_params is shown them.
struct StateDict {
  std::vector<const TensorEntry*> tensors;
  std::function<Result<std::span<const std::byte>>(std::size_t)> read;
  std::string metadata_json;
};

// What a component consists of, for its config and the metadata of its files.
struct ComponentDescription {
  std::string name, library, class_name, config_json;
  std::vector<const Param*> quantized;
  std::vector<const Param*> kept;    // Linear weights left as numbers
  std::vector<const Param*> others;  // everything else
};

// A method with its configuration. Immutable; every function may be called from any thread.
class Quantizer {
 public:
  // Takes `handle` over. Error plugin when precis.quantize/1 is missing or a table has a null
  // member; without precis.loading/1 it has default_loading(), without precis.serialize/1 its
  // config() is `canonical_config` and it has no metadata and no further files.
  // spec: how the user or the checkpoint asked for it ("nf4"), for tables and messages.
  // canonical_config: the JSON text of the factory's normalize(); needed without the table only.
  static Result<std::shared_ptr<const Quantizer>> adopt(precis_quantizer* handle,
                                                        std::string plugin_id,
                                                        std::string plugin_version,
                                                        std::string spec,
                                                        std::string canonical_config = {});
  ~Quantizer();
  Quantizer(const Quantizer&) = delete;
  Quantizer& operator=(const Quantizer&) = delete;

  std::string method() const { return handle_->method->id; }
  std::string container() const { return handle_->method->container; }
  const std::string& plugin_id() const { return plugin_id_; }
  const std::string& plugin_version() const { return plugin_version_; }
  const std::string& spec() const { return spec_; }
  bool needs_calibration() const {
    return (handle_->method->flags & PRECIS_METHOD_NEEDS_CALIBRATION) != 0;
  }

  // Whether quantize() depends on Param::importance.
  bool uses_importance() const {
    return (handle_->method->flags & PRECIS_METHOD_USES_IMPORTANCE) != 0;
  }

  // The plugin's own object, and its table with this id or null; both live as long as the
  // quantizer.
  const precis_quantizer* handle() const { return handle_; }
  const void* extension(const char* id) const { return handle_->get_extension(handle_, id); }
  // What in_plugin() of a call into those tables says; valid as long as the quantizer and param.
  PluginCall during(const char* doing, const Param& param) const;
  // The plugin's precis.loading/1, or what stands in for it.
  const precis_loading_v1& loading() const { return *loading_; }

  // Error unsupported, with the reason: the plugin has no kernels for the device or the weight, or
  // the device cannot be used.
  Result<PartPlan> plan(const Param& param, precis_device device = kCpuDevice) const;
  Result<Storage> storage(const Param& param) const;

  // weight: contiguous, param's dtype and shape. parts: one buffer of the planned size each. Memory
  // is that of `where`; on another device than the CPU the work is only enqueued.
  Status quantize(const Param& param, std::span<const std::byte> weight,
                  std::span<const PartSpec> specs, std::span<const std::span<std::byte>> parts,
                  std::span<std::byte> workspace, const std::atomic<bool>* cancel,
                  const Place& where = {}) const;

  // Decodes `rows` rows from `row_begin` into `out`, contiguous, in `dtype`. where: as above.
  Status dequantize(const Param& param, std::span<const PartSpec> specs,
                    std::span<const std::span<const std::byte>> parts, int64_t row_begin,
                    int64_t rows, DType dtype, std::span<std::byte> out,
                    const Place& where = {}) const;

  Result<std::vector<StoredParam>> stored_params(const StateDict& state_dict) const;

  // JSON of precis.serialize/1.
  Result<std::string> config(const ComponentDescription& component) const;
  Result<std::string> metadata(const ComponentDescription& component) const;
  Result<std::string> sidecar_files(const ComponentDescription& component) const;

 private:
  Quantizer() = default;

  precis_quantizer* handle_ = nullptr;
  const precis_quantize_v1* quantize_ = nullptr;
  const precis_loading_v1* loading_ = nullptr;
  const precis_serialize_v1* serialize_ = nullptr;
  std::string plugin_id_, plugin_version_, spec_, canonical_config_;
};

// Row-major strides of `shape`, in elements.
std::vector<int64_t> contiguous_strides(std::span<const int64_t> shape);

}  // namespace precis
