/* Observes no bfloat16. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* activation,
                           precis_tensor* const* state, uint64_t state_count) {
  if (activation->view.dtype.code == PRECIS_TYPE_BFLOAT)
    return precis_fail(call, PRECIS_UNSUPPORTED, "the activation is bfloat16");
  return observe(quantizer, call, param, activation, state, state_count);
}
#define FAULT_OBSERVE wrong
#include "tables.h"
