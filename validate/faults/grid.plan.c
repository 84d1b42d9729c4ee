/* Says that the maps are floats. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           precis_device device, const precis_param* param, precis_plan* out) {
  const precis_status status = plan_grid(quantizer, call, device, param, out);
  if (status == PRECIS_OK) out->outputs[1]->dtype = kFloat32;
  return status;
}
#define FAULT_PLAN_GRID wrong
#include "tables.h"
