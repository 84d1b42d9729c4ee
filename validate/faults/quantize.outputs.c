/* Writes one byte behind its last output. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           precis_tensor* const* parts, uint64_t part_count) {
  const precis_status status = quantize(quantizer, call, param, weight, parts, part_count);
  if (status == PRECIS_OK) precis_data(parts[1])[parts[1]->nbytes] = 1;
  return status;
}
#define FAULT_QUANTIZE wrong
#include "tables.h"
