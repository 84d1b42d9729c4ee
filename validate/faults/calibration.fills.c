/* Leaves a bit of a part as it was. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_calibration_group* group) {
  const precis_tensor* scales = group->parts[0][1];
  unsigned char* lowest = precis_data(scales);
  const unsigned char before = *lowest;
  const precis_status status = finish(quantizer, call, group);
  if (status == PRECIS_OK) *lowest = (unsigned char)((*lowest & 0xfe) | (before >> 7));
  return status;
}
#define FAULT_FINISH wrong
#include "tables.h"
