/* The ABI's layout is what plugin_api/abi/golden.inc recorded. Compiling is the test. */
#include <precis/precis.h>

#define PRECIS_LAYOUT_SIZE(type, bytes) \
  _Static_assert(sizeof(struct type) == (bytes), "size of " #type);
#define PRECIS_LAYOUT_OFFSET(type, member, offset) \
  _Static_assert(offsetof(struct type, member) == (offset), "offset of " #type "." #member);
#include "golden.inc"

/* A changed signature is a break that no offset shows: each table's functions by their exact type.
 */
#define PRECIS_SAME_TYPE(table, member, type) \
  _Static_assert(_Generic(((struct table*)0)->member, type : 1, default : 0), #table "." #member)
PRECIS_SAME_TYPE(precis_quantize_v1, plan,
                 precis_status (*)(const precis_quantizer*, const precis_call*, precis_device,
                                   const precis_param*, precis_plan*));
PRECIS_SAME_TYPE(precis_quantize_v1, quantize,
                 precis_status (*)(const precis_quantizer*, const precis_call*, const precis_param*,
                                   const precis_tensor*, precis_tensor* const*, uint64_t));
PRECIS_SAME_TYPE(precis_quantize_v1, dequantize,
                 precis_status (*)(const precis_quantizer*, const precis_call*, const precis_param*,
                                   const precis_tensor* const*, uint64_t, int64_t, precis_tensor*));
PRECIS_SAME_TYPE(precis_loading_v1, storage,
                 precis_status (*)(const precis_quantizer*, const precis_call*, const precis_param*,
                                   precis_storage*));
PRECIS_SAME_TYPE(precis_loading_v1, quantized_params,
                 precis_status (*)(const precis_quantizer*, const precis_call*,
                                   const precis_state_dict*, const precis_param_sink*));
PRECIS_SAME_TYPE(precis_loading_v1, check,
                 precis_status (*)(const precis_quantizer*, const precis_call*, const precis_param*,
                                   const precis_tensor_info* const*, uint64_t));
PRECIS_SAME_TYPE(precis_linear_v1, prepare,
                 precis_status (*)(const precis_quantizer*, const precis_call*,
                                   const precis_linear_options*, const precis_param*,
                                   const precis_tensor* const*, uint64_t, precis_tensor* const*,
                                   uint64_t, precis_linear**));
PRECIS_SAME_TYPE(precis_linear_v1, forward,
                 precis_status (*)(const precis_linear*, const precis_call*, const precis_tensor*,
                                   const precis_tensor*, precis_tensor*));
PRECIS_SAME_TYPE(precis_serialize_v1, config,
                 precis_status (*)(const precis_quantizer*, const precis_call*,
                                   const precis_component*, const precis_sink*));
PRECIS_SAME_TYPE(precis_quantizer_factory_v1, create,
                 precis_status (*)(const precis_call*, uint32_t, const precis_config*,
                                   precis_quantizer**));
PRECIS_SAME_TYPE(precis_quantizer_factory_v1, normalize,
                 precis_status (*)(const precis_call*, uint32_t, const precis_config*,
                                   const precis_sink*));
PRECIS_SAME_TYPE(precis_plugin_entry, init,
                 precis_status (*)(const precis_host*, uint32_t, const precis_sink*));

int main(void) {
  return 0;
}
