// The ABI's tables over sdk::Quantizer and sdk::Method. Included by plugin.hpp; authors need not
// read it.
#ifndef PRECIS_SDK_TABLES_HPP
#define PRECIS_SDK_TABLES_HPP

#include <cstring>

PRECIS_SDK_NAMESPACE_BEGIN

namespace tables {

inline const Quantizer& self(const precis_quantizer* quantizer) {
  return *static_cast<const Quantizer*>(quantizer->impl);
}

inline const precis_quantize_v1& quantize_table() {
  static const precis_quantize_v1 table{
      [](const precis_quantizer* q, const precis_call* call, precis_device device,
         const precis_param* param, precis_plan* out) {
        return guarded(call, [&] {
          self(q).check_device(device, *param);
          PlanWriter plan(out);
          self(q).plan(*param, plan);
          plan.finish();
        });
      },
      [](const precis_quantizer* q, const precis_call* call, const precis_param* param,
         const precis_tensor* weight, precis_tensor* const* parts, uint64_t count) {
        return guarded(
            call, [&] { self(q).quantize(*call, *param, *weight, Parts(parts, parts + count)); });
      },
      [](const precis_quantizer* q, const precis_call* call, const precis_param* param,
         const precis_tensor* const* parts, uint64_t count, int64_t row_begin,
         precis_tensor* weight) {
        return guarded(call, [&] {
          const int64_t rows = weight->view.ndim == 0 ? 1 : weight->view.shape[0];
          const int64_t all = param->ndim == 0 ? 1 : param->ndim < 0 ? -1 : param->shape[0];
          if (row_begin < 0 || rows < 0 || (all >= 0 && row_begin > all - rows))
            throw PluginError(PRECIS_INVALID_ARGUMENT, "the rows are outside of the weight");
          self(q).dequantize(*call, *param, ConstParts(parts, parts + count), row_begin, *weight);
        });
      }};
  return table;
}

inline const precis_loading_v1& loading_table() {
  static const precis_loading_v1 table{
      [](const precis_quantizer* q, const precis_call* call, precis_str environment) {
        return guarded(call, [&] { self(q).validate(view(environment)); });
      },
      [](const precis_quantizer* q, const precis_call* call, precis_dtype asked,
         precis_dtype* out) { return guarded(call, [&] { *out = self(q).compute_dtype(asked); }); },
      [](const precis_quantizer* q, const precis_call* call, precis_str map,
         const precis_sink* out) {
        return guarded(call, [&] { write(out, self(q).device_map(view(map))); });
      },
      [](const precis_quantizer* q, const precis_call* call, precis_budget* budgets,
         uint64_t count) { return guarded(call, [&] { self(q).budgets(budgets, count); }); },
      [](const precis_quantizer* q, const precis_call* call, const precis_param* param,
         precis_storage* out) { return guarded(call, [&] { self(q).storage(*param, *out); }); },
      [](const precis_quantizer* q, const precis_call* call, int32_t which, const precis_str* keys,
         uint64_t count, const precis_key_sink* out) {
        return guarded(call, [&] {
          for (uint64_t i = 0; i < count; ++i) {
            if (self(q).keep_key(which, view(keys[i]))) out->emit(out->ctx, keys[i]);
          }
        });
      },
      [](const precis_quantizer* q, const precis_call* call, const precis_state_dict* state_dict,
         const precis_param_sink* out) {
        return guarded(call, [&] {
          self(q).quantized_params(
              *state_dict, [&](const precis_param& param, const std::vector<uint64_t>& parts) {
                out->emit(out->ctx, &param, parts.data(), parts.size());
              });
        });
      },
      [](const precis_quantizer* q, const precis_call* call, const precis_param* param,
         const precis_tensor_info* const* parts, uint64_t count) {
        return guarded(call, [&] {
          self(q).check(*param, std::vector<const precis_tensor_info*>(parts, parts + count));
        });
      }};
  return table;
}

inline const precis_serialize_v1& serialize_table() {
  static const precis_serialize_v1 table{
      [](const precis_quantizer* q, const precis_call* call, const precis_component* component,
         const precis_sink* out) {
        return guarded(call, [&] { write(out, self(q).config(*component)); });
      },
      [](const precis_quantizer* q, const precis_call* call, const precis_component* component,
         const precis_sink* out) {
        return guarded(call, [&] { write(out, self(q).metadata(*component)); });
      },
      [](const precis_quantizer* q, const precis_call* call, const precis_component* component,
         const precis_sink* out) {
        return guarded(call, [&] { write(out, self(q).sidecar_files(*component)); });
      }};
  return table;
}

inline const Linear& self(const precis_linear* linear) {
  return *reinterpret_cast<const Linear*>(linear);
}

inline const precis_linear_v1& linear_table() {
  static const precis_linear_v1 table{
      [](const precis_quantizer* q, const precis_call* call, const precis_linear_options* options,
         const precis_param* param, precis_plan* out) {
        return guarded(call, [&] {
          self(q).check_device(options->device, *param);
          PlanWriter plan(out);
          self(q).plan_linear(*options, *param, plan);
          plan.finish();
        });
      },
      [](const precis_quantizer* q, const precis_call* call, const precis_linear_options* options,
         const precis_param* param, const precis_tensor* const* parts, uint64_t part_count,
         precis_tensor* const* packed, uint64_t packed_count, precis_linear** out) {
        return guarded(call, [&] {
          std::unique_ptr<Linear> made =
              self(q).prepare_linear(*call, *options, *param, ConstParts(parts, parts + part_count),
                                     Parts(packed, packed + packed_count));
          *out = reinterpret_cast<precis_linear*>(made.release());
        });
      },
      [](const precis_linear* linear, const precis_call* call, const precis_tensor* x,
         const precis_tensor* bias, precis_tensor* y) {
        return guarded(call, [&] { self(linear).forward(*call, *x, bias, *y); });
      },
      [](const precis_linear* linear, const precis_call* call, precis_tensor* const* parts,
         uint64_t count) {
        return guarded(call, [&] { self(linear).unpack(*call, Parts(parts, parts + count)); });
      },
      [](precis_linear* linear) { delete reinterpret_cast<Linear*>(linear); }};
  return table;
}

inline const precis_calibration_v1& calibration_table() {
  static const precis_calibration_v1 table{
      [](const precis_quantizer* q, const precis_call* call, precis_device device,
         const precis_calibration_group* group, precis_plan* out) {
        return guarded(call, [&] {
          if (device.type != PRECIS_DEVICE_CPU) {
            throw PluginError(PRECIS_UNSUPPORTED, "only the CPU is supported");
          }
          PlanWriter plan(out);
          self(q).plan_calibration(read_group(*group), plan);
          plan.finish();
        });
      },
      [](const precis_quantizer* q, const precis_call* call, const precis_param* param,
         const precis_tensor* activation, precis_tensor* const* state, uint64_t count) {
        return guarded(call, [&] {
          self(q).observe(*call, *param, *activation, Parts(state, state + count));
        });
      },
      [](const precis_quantizer* q, const precis_call* call,
         const precis_calibration_group* group) {
        return guarded(call, [&] { self(q).finish(*call, read_group(*group)); });
      }};
  return table;
}

inline const precis_grid_v1& grid_table() {
  static const precis_grid_v1 table{
      [](const precis_quantizer* q, const precis_call* call, precis_device device,
         const precis_param* param, precis_plan* out) {
        return guarded(call, [&] {
          if (device.type != PRECIS_DEVICE_CPU) {
            throw PluginError(PRECIS_UNSUPPORTED, "only the CPU is supported");
          }
          PlanWriter plan(out);
          self(q).plan_grid(*param, plan);
          plan.finish();
        });
      },
      [](const precis_quantizer* q, const precis_call* call, const precis_param* param,
         const precis_tensor* const* parts, uint64_t count, precis_tensor* const* grid,
         uint64_t grid_count) {
        return guarded(call, [&] {
          self(q).read_grid(*call, *param, ConstParts(parts, parts + count),
                            Parts(grid, grid + grid_count));
        });
      },
      [](const precis_quantizer* q, const precis_call* call, const precis_param* param,
         const precis_tensor* weight, const precis_tensor* const* grid, uint64_t grid_count,
         precis_tensor* const* parts, uint64_t count) {
        return guarded(call, [&] {
          self(q).write_grid(*call, *param, *weight, ConstParts(grid, grid + grid_count),
                             Parts(parts, parts + count));
        });
      }};
  return table;
}

inline bool lists(const precis_quantizer* quantizer, const char* id) {
  for (const char* const* listed = quantizer->method->extensions; *listed != nullptr; ++listed) {
    if (std::strcmp(*listed, id) == 0) return true;
  }
  return false;
}

inline const void* get_extension(const precis_quantizer* quantizer, const char* id) {
  if (std::strcmp(id, PRECIS_QUANTIZE_1) == 0) return &quantize_table();
  if (std::strcmp(id, PRECIS_LOADING_1) == 0) return &loading_table();
  if (std::strcmp(id, PRECIS_SERIALIZE_1) == 0) return &serialize_table();
  if (!lists(quantizer, id)) return nullptr;
  if (std::strcmp(id, PRECIS_LINEAR_1) == 0) return &linear_table();
  if (std::strcmp(id, PRECIS_CALIBRATION_1) == 0) return &calibration_table();
  if (std::strcmp(id, PRECIS_GRID_1) == 0) return &grid_table();
  return nullptr;
}

inline void destroy(precis_quantizer* quantizer) {
  delete static_cast<Quantizer*>(quantizer->impl);
  delete quantizer;
}

inline const Method& method_at(uint32_t index) {
  if (index >= methods().size()) throw PluginError(PRECIS_NOT_FOUND, "no method of this index");
  return methods()[index];
}

inline const precis_quantizer_factory_v1& factory_table() {
  static const precis_quantizer_factory_v1 table{
      []() -> uint32_t { return static_cast<uint32_t>(methods().size()); },
      [](uint32_t index) -> const precis_method* {
        return index < methods().size() ? &methods()[index].abi : nullptr;
      },
      [](const precis_call* call, uint32_t index, precis_str library, const precis_sink* out) {
        return guarded(call, [&] { write(out, method_at(index).schema(view(library))); });
      },
      [](const precis_call* call, uint32_t index, const precis_config* config,
         const precis_sink* out) {
        return guarded(call, [&] { write(out, method_at(index).normalize(*config)); });
      },
      [](const precis_call* call, uint32_t index, const precis_config* config,
         precis_quantizer** out) {
        return guarded(call, [&] {
          std::unique_ptr<Quantizer> made = method_at(index).create(*config);
          *out = new precis_quantizer{&method_at(index).abi, made.get(), destroy, get_extension};
          made.release();
        });
      }};
  return table;
}

inline precis_status init(const precis_host* host, uint32_t, const precis_sink*) {
  Host::get().attach(host);
  return PRECIS_OK;
}
inline void deinit() {}
inline const void* get_factory(const char* id) {
  return std::strcmp(id, PRECIS_QUANTIZER_FACTORY_1) == 0 ? &factory_table() : nullptr;
}

}  // namespace tables

PRECIS_SDK_NAMESPACE_END

// Defines the one exported symbol. Use once, at namespace scope, in one source file.
#define PRECIS_PLUGIN()                                                                  \
  extern "C" {                                                                           \
  PRECIS_EXPORT extern const precis_plugin_entry precis_plugin_entry_v1;                 \
  const precis_plugin_entry precis_plugin_entry_v1 = {PRECIS_ENTRY_MAGIC,                \
                                                      sizeof(precis_plugin_entry),       \
                                                      PRECIS_ABI_MAJOR,                  \
                                                      PRECIS_ABI_MINOR,                  \
                                                      0,                                 \
                                                      0,                                 \
                                                      precis::sdk::tables::init,         \
                                                      precis::sdk::tables::deinit,       \
                                                      precis::sdk::tables::get_factory}; \
  }

#endif
