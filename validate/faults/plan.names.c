/* The name of a tensor is a piece of the parameter's. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           precis_device device, const precis_param* param, precis_plan* out) {
  const precis_status status = plan(quantizer, call, device, param, out);
  if (status == PRECIS_OK) {
    out->outputs[0]->name.data = param->name.data + param->name.size - 6;
    out->outputs[0]->name.size = 6;
  }
  return status;
}
#define FAULT_PLAN wrong
#include "tables.h"
