/* The bytes of a tensor are not those of its shape. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           precis_device device, const precis_param* param, precis_plan* out) {
  const precis_status status = plan(quantizer, call, device, param, out);
  if (status == PRECIS_OK) out->outputs[1]->nbytes *= 2;
  return status;
}
#define FAULT_PLAN wrong
#include "tables.h"
