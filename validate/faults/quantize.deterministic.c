/* The result tells how many threads there were. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           precis_tensor* const* parts, uint64_t part_count) {
  const precis_status status = quantize(quantizer, call, param, weight, parts, part_count);
  if (status == PRECIS_OK && threads != NULL && parts[0]->nbytes > 0)
    precis_data(parts[0])[0] ^= threads->concurrency(host) == 2;
  return status;
}
#define FAULT_QUANTIZE wrong
#include "tables.h"
