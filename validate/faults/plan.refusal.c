/* Calls a parameter that does not fit an internal error. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           precis_device device, const precis_param* param, precis_plan* out) {
  if (param->ndim != 2) return precis_fail(call, PRECIS_INTERNAL, "the weight is not a matrix");
  return plan(quantizer, call, device, param, out);
}
#define FAULT_PLAN wrong
#include "tables.h"
