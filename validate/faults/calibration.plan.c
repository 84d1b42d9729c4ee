/* Plans a larger workspace each time that it is asked. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           precis_device device, const precis_calibration_group* group,
                           precis_plan* out) {
  static uint64_t more;
  const precis_status status = plan_state(quantizer, call, device, group, out);
  out->workspace_size = more += 64;
  return status;
}
#define FAULT_PLAN_STATE wrong
#include "tables.h"
