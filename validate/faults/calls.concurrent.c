/* Lets one call in at a time, and turns the others away. */
#include "sound.h"

#include <unistd.h>

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           precis_tensor* const* parts, uint64_t part_count) {
  static int busy;
  if (__sync_fetch_and_add(&busy, 1) > 0) part_count = 0;
  usleep(2000);
  const precis_status status = quantize(quantizer, call, param, weight, parts, part_count);
  __sync_fetch_and_sub(&busy, 1);
  return status;
}
#define FAULT_QUANTIZE wrong
#include "tables.h"
