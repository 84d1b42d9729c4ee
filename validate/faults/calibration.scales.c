/* Scales a column by a negative number. */
#include "sound.h"

static precis_status plan_scaled(const precis_quantizer* quantizer, const precis_call* call,
                                 precis_device device, const precis_calibration_group* group,
                                 precis_plan* out) {
  const precis_status status = plan_state(quantizer, call, device, group, out);
  out->flags = PRECIS_CALIBRATION_SCALES;
  return status;
}
static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_calibration_group* group) {
  const precis_status status = finish(quantizer, call, group);
  if (status == PRECIS_OK && group->scales != NULL) ((float*)precis_data(group->scales))[1] = -1;
  return status;
}
#define FAULT_PLAN_STATE plan_scaled
#define FAULT_FINISH wrong
#include "tables.h"
