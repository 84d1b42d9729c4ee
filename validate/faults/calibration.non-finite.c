/* Refuses a NaN when it has taken the rows in already. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* activation,
                           precis_tensor* const* state, uint64_t state_count) {
  if (!all_finite(activation)) add_rows(activation, state);
  return observe(quantizer, call, param, activation, state, state_count);
}
#define FAULT_OBSERVE wrong
#include "tables.h"
