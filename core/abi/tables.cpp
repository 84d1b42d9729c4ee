#include "core/abi/tables.h"

#include <fmt/format.h>

#include <cstring>

#include "core/abi/call.h"
#include "core/abi/views.h"

namespace precis {
namespace {

precis_status refuse(const precis_call* call, precis_status status, std::string_view text) {
  if (call->fail != nullptr) call->fail(call, status, to_abi(text));
  return status;
}

precis_status validate(const precis_quantizer*, const precis_call*, precis_str) {
  return PRECIS_OK;
}

precis_status compute_dtype(const precis_quantizer*, const precis_call*, precis_dtype asked,
                            precis_dtype* out) {
  *out = asked;
  return PRECIS_OK;
}

precis_status device_map(const precis_quantizer*, const precis_call*, precis_str map_json,
                         const precis_sink* out) {
  out->write(out->ctx, map_json.data, map_json.size);
  return PRECIS_OK;
}

precis_status budgets(const precis_quantizer*, const precis_call*, precis_budget*, uint64_t) {
  return PRECIS_OK;
}

// The bytes of a plan's parts. A weight that the method cannot take has none; planning it gives the
// reason.
uint64_t planned_bytes(const precis_quantizer* quantizer, const precis_param* param) {
  const auto* table = static_cast<const precis_quantize_v1*>(
      quantizer->get_extension(quantizer, PRECIS_QUANTIZE_1));
  const auto plan = ask_for_plan([&](const precis_call* call, precis_plan* out) {
    return table->plan(quantizer, call, kCpuDevice, param, out);
  });
  uint64_t bytes = 0;
  if (plan.ok()) {
    for (const PartSpec& part : plan->parts) bytes += part.nbytes;
  }
  return bytes;
}

precis_status storage(const precis_quantizer* quantizer, const precis_call*,
                      const precis_param* param, precis_storage* out) {
  constexpr std::string_view kReason = "it is not the weight of a Linear layer";
  if (from_abi(param->module_kind) == "Linear" && param->ndim == 2) {
    out->bytes = planned_bytes(quantizer, param);
    return PRECIS_OK;
  }
  out->keep = 1;
  out->reason = to_abi(kReason);
  uint64_t elements = 1;
  for (int32_t i = 0; i < param->ndim; ++i) elements *= static_cast<uint64_t>(param->shape[i]);
  const auto dtype = dtype_from_abi(param->dtype);
  out->bytes = dtype ? dtype_bytes(*dtype, elements).value_or(0) : 0;
  return PRECIS_OK;
}

precis_status rewrite_keys(const precis_quantizer*, const precis_call*, int32_t,
                           const precis_str* keys, uint64_t count, const precis_key_sink* out) {
  for (uint64_t i = 0; i < count; ++i) out->emit(out->ctx, keys[i]);
  return PRECIS_OK;
}

precis_status quantized_params(const precis_quantizer*, const precis_call* call,
                               const precis_state_dict*, const precis_param_sink*) {
  return refuse(call, PRECIS_UNSUPPORTED,
                "its plugin has no precis.loading/1, so stored weights of it cannot be read");
}

precis_status check(const precis_quantizer*, const precis_call* call, const precis_param*,
                    const precis_tensor_info* const*, uint64_t) {
  return refuse(call, PRECIS_UNSUPPORTED,
                "its plugin has no precis.loading/1, so stored weights of it cannot be read");
}

}  // namespace

bool has_null_member(const void* table, std::size_t size) {
  constexpr std::size_t kPointer = sizeof(void*);
  for (std::size_t offset = 0; offset + kPointer <= size; offset += kPointer) {
    uintptr_t member = 0;
    std::memcpy(&member, static_cast<const char*>(table) + offset, kPointer);
    if (member == 0) return true;
  }
  return false;
}

Status incomplete_table(std::string_view owner, std::string_view id) {
  return Error(ErrorCode::plugin, fmt::format("{}: the table {} has a null member", owner, id),
               "a plugin gives a table whole or not at all: its author must mend it");
}

const precis_loading_v1& default_loading() {
  static constexpr precis_loading_v1 kTable{validate, compute_dtype, device_map,       budgets,
                                            storage,  rewrite_keys,  quantized_params, check};
  return kTable;
}

}  // namespace precis
