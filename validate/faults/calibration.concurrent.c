/* Lets one call in at a time, and turns the others away. */
#include "sound.h"

#include <unistd.h>

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_calibration_group* group) {
  static int busy;
  const int first = __sync_fetch_and_add(&busy, 1) == 0;
  usleep(20000);
  const precis_status status =
      first ? finish(quantizer, call, group) : precis_fail(call, PRECIS_INTERNAL, "it is busy");
  __sync_fetch_and_sub(&busy, 1);
  return status;
}
#define FAULT_FINISH wrong
#include "tables.h"
