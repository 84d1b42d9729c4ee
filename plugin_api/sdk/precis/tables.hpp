// The ABI's tables over sdk::Quantizer and sdk::Method, for plugin.hpp alone.
#ifndef PRECIS_SDK_TABLES_HPP
#define PRECIS_SDK_TABLES_HPP

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

}  // namespace tables

PRECIS_SDK_NAMESPACE_END

#endif
