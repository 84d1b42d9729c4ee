/* Clears all the room that it was given. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           precis_device device, const precis_param* param, precis_plan* out) {
  for (uint32_t i = 0; i < out->capacity; ++i) memset(out->outputs[i], 0, sizeof *out->outputs[i]);
  return plan(quantizer, call, device, param, out);
}
#define FAULT_PLAN wrong
#include "tables.h"
