/* Succeeds where the host left too little room. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           precis_device device, const precis_param* param, precis_plan* out) {
  if (out->capacity < 2 && param->ndim == 2) {
    out->count = out->capacity;
    return PRECIS_OK;
  }
  return plan(quantizer, call, device, param, out);
}
#define FAULT_PLAN wrong
#include "tables.h"
