/* Takes a loop that did not run for one that did. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           precis_tensor* const* parts, uint64_t part_count) {
  const precis_status status = quantize(quantizer, call, param, weight, parts, part_count);
  return status == PRECIS_OUT_OF_MEMORY ? PRECIS_OK : status;
}
#define FAULT_QUANTIZE wrong
#include "tables.h"
