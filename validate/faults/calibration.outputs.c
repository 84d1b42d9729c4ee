/* Writes one byte behind its state. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* activation,
                           precis_tensor* const* state, uint64_t state_count) {
  precis_data(state[1])[state[1]->nbytes] = 1;
  return observe(quantizer, call, param, activation, state, state_count);
}
#define FAULT_OBSERVE wrong
#include "tables.h"
