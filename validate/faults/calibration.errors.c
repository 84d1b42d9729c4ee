/* Tells half of the error. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_calibration_group* group) {
  const precis_status status = finish(quantizer, call, group);
  for (uint64_t i = 0; i < group->count; ++i) group->errors[i] /= 2;
  return status;
}
#define FAULT_FINISH wrong
#include "tables.h"
