/* Looks at a member that hosts of minor 0 did not have yet, whatever struct_size says. */
#include "validate/faults/sound.h"

static precis_status faulty_plan(const precis_quantizer* quantizer, const precis_call* call,
                                 precis_device device, const precis_param* param,
                                 precis_plan* out) {
  if (param->importance != NULL)
    return precis_fail(call, PRECIS_UNSUPPORTED, "it makes no use of importance");
  return plan(quantizer, call, device, param, out);
}
#define FAULT_PLAN faulty_plan
#include "validate/faults/tables.h"
