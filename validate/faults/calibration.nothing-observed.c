/* Encodes without having observed anything. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_calibration_group* group) {
  if (*(float*)precis_data(group->state[1]) == 0) *(float*)precis_data(group->state[1]) = 1;
  return finish(quantizer, call, group);
}
#define FAULT_FINISH wrong
#include "tables.h"
