// Writing a precis plugin in C++17: derive from Quantizer, describe the methods, say PRECIS_PLUGIN
// once.
//
// What a quantizer overrides may throw PluginError; nothing else needs to know of the ABI's tables.
#ifndef PRECIS_SDK_PLUGIN_HPP
#define PRECIS_SDK_PLUGIN_HPP

#include <precis/precis.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "calibration.hpp"
#include "error.hpp"
#include "host.hpp"
#include "tensor.hpp"

PRECIS_SDK_NAMESPACE_BEGIN

// Called for every parameter found in a checkpoint, with the indices of its parts.
using EmitParam =
    std::function<void(const precis_param& param, const std::vector<uint64_t>& parts)>;

// A weight made ready for products. Immutable; forward may run on several threads at once. See
// ext/linear.h for each contract.
class Linear {
 public:
  virtual ~Linear() = default;

  virtual void forward(const precis_call& call, const precis_tensor& x, const precis_tensor* bias,
                       precis_tensor& y) const = 0;
  virtual void unpack(const precis_call& /*call*/, const Parts& /*parts*/) const {
    throw PluginError(PRECIS_UNSUPPORTED, "the plan kept the parts: there is nothing to unpack");
  }
};

// A method with its configuration. All functions are const and may run on several threads at once.
class Quantizer {
 public:
  virtual ~Quantizer() = default;

  // Throws PRECIS_UNSUPPORTED where the method cannot work on `param` on this device: every plan
  // asks first. Tensors name their device; a method with others than the CPU also lists them in its
  // precis_method.
  virtual void check_device(precis_device device, const precis_param& /*param*/) const {
    if (device.type != PRECIS_DEVICE_CPU)
      throw PluginError(PRECIS_UNSUPPORTED, "only the CPU is supported");
  }

  // precis.quantize/1; see ext/quantize.h for each contract.
  virtual void plan(const precis_param& param, PlanWriter& plan) const = 0;
  virtual void quantize(const precis_call& call, const precis_param& param,
                        const precis_tensor& weight, const Parts& parts) const = 0;
  virtual void dequantize(const precis_call& call, const precis_param& param,
                          const ConstParts& parts, int64_t row_begin,
                          precis_tensor& weight) const = 0;

  // precis.loading/1. The defaults ask for nothing.
  virtual void validate(std::string_view /*environment_json*/) const {}
  virtual precis_dtype compute_dtype(precis_dtype asked) const { return asked; }
  virtual std::string device_map(std::string_view map_json) const { return std::string(map_json); }
  virtual void budgets(precis_budget* /*budgets*/, uint64_t /*count*/) const {}
  virtual void storage(const precis_param& param, precis_storage& out) const = 0;
  virtual bool keep_key(int32_t /*which*/, std::string_view /*key*/) const { return true; }
  virtual void quantized_params(const precis_state_dict& state_dict,
                                const EmitParam& emit) const = 0;
  virtual void check(const precis_param& param,
                     const std::vector<const precis_tensor_info*>& parts) const = 0;

  // precis.linear/1, for methods described with it.
  virtual void plan_linear(const precis_linear_options& /*options*/, const precis_param& /*param*/,
                           PlanWriter& /*plan*/) const {
    throw PluginError(PRECIS_UNSUPPORTED, "the method has no products");
  }
  virtual std::unique_ptr<Linear> prepare_linear(const precis_call& /*call*/,
                                                 const precis_linear_options& /*options*/,
                                                 const precis_param& /*param*/,
                                                 const ConstParts& /*parts*/,
                                                 const Parts& /*packed*/) const {
    throw PluginError(PRECIS_UNSUPPORTED, "the method has no products");
  }

  // precis.calibration/1, for methods described with it; see ext/calibration.h for each contract.
  virtual void plan_calibration(const CalibrationGroup& /*group*/, PlanWriter& /*state*/) const {
    throw PluginError(PRECIS_UNSUPPORTED, "the method takes no calibration data");
  }
  virtual void observe(const precis_call& /*call*/, const precis_param& /*param*/,
                       const precis_tensor& /*activation*/, const Parts& /*state*/) const {
    throw PluginError(PRECIS_UNSUPPORTED, "the method takes no calibration data");
  }
  virtual void finish(const precis_call& /*call*/, const CalibrationGroup& /*group*/) const {
    throw PluginError(PRECIS_UNSUPPORTED, "the method takes no calibration data");
  }

  // precis.grid/1, for methods described with it; see ext/grid.h for each contract.
  virtual void plan_grid(const precis_param& /*param*/, PlanWriter& /*grid*/) const {
    throw PluginError(PRECIS_UNSUPPORTED, "the method has no grids");
  }
  virtual void read_grid(const precis_call& /*call*/, const precis_param& /*param*/,
                         const ConstParts& /*parts*/, const Parts& /*grid*/) const {
    throw PluginError(PRECIS_UNSUPPORTED, "the method has no grids");
  }
  virtual void write_grid(const precis_call& /*call*/, const precis_param& /*param*/,
                          const precis_tensor& /*weight*/, const ConstParts& /*grid*/,
                          const Parts& /*parts*/) const {
    throw PluginError(PRECIS_UNSUPPORTED, "the method has no grids");
  }

  // precis.serialize/1: JSON texts.
  virtual std::string config(const precis_component& component) const = 0;
  virtual std::string metadata(const precis_component&) const { return "{}"; }
  virtual std::string sidecar_files(const precis_component&) const { return "{}"; }
};

// A method as the factory offers it.
struct Method {
  precis_method abi;
  std::function<std::string(std::string_view library)> schema;
  std::function<std::string(const precis_config&)> normalize;
  std::function<std::unique_ptr<Quantizer>(const precis_config&)> create;
};

// Provided by the plugin, once: its methods. The result lives as long as the process.
const std::vector<Method>& methods();

inline constexpr precis_device kAnyCpu{PRECIS_DEVICE_CPU, -1};

// Whether a method overrides Quantizer's plan_linear and prepare_linear.
enum class Products { none, linear };

// Whether a method overrides Quantizer's plan_calibration, observe and finish.
enum class Calibrated { no, yes };

// Whether a method overrides Quantizer's plan_grid, read_grid and write_grid.
enum class Grids { no, yes };

// The ids of the tables that a method has, NULL-terminated; static.
inline const char* const* table_ids(Products products, Calibrated calibrated, Grids grids) {
  struct List {
    const char* ids[7] = {};
    List() = default;
    explicit List(unsigned choice) {
      const char** next = ids;
      for (const char* id : {PRECIS_QUANTIZE_1, PRECIS_LOADING_1, PRECIS_SERIALIZE_1}) *next++ = id;
      if ((choice & 1) != 0) *next++ = PRECIS_LINEAR_1;
      if ((choice & 2) != 0) *next++ = PRECIS_CALIBRATION_1;
      if ((choice & 4) != 0) *next++ = PRECIS_GRID_1;
    }
  };
  static const List lists[8] = {List(0), List(1), List(2), List(3),
                                List(4), List(5), List(6), List(7)};
  const unsigned choice = (products == Products::linear ? 1u : 0u) |
                          (calibrated == Calibrated::yes ? 2u : 0u) |
                          (grids == Grids::yes ? 4u : 0u);
  return lists[choice].ids;
}

// A method on the CPU with the tables that every quantizer has and those of the abilities named.
// The texts are static. on_devices gives it other devices.
inline precis_method describe(const char* id, const char* quant_method, const char* version,
                              const char* container, uint32_t flags,
                              Products products = Products::none,
                              Calibrated calibrated = Calibrated::no, Grids grids = Grids::no) {
  return {sizeof(precis_method),
          flags,
          id,
          quant_method,
          version,
          container,
          &kAnyCpu,
          1,
          0,
          table_ids(products, calibrated, grids)};
}

// The same method on the devices of a list, which is static; {type, -1} is every device of a type.
template <std::size_t count>
precis_method on_devices(precis_method method, const precis_device (&devices)[count]) {
  method.devices = devices;
  method.device_count = count;
  return method;
}

PRECIS_SDK_NAMESPACE_END

#include "entry.hpp"

#endif
