/* Gives rows of zeros the code 1. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           precis_tensor* const* parts, uint64_t part_count) {
  const precis_status status = quantize(quantizer, call, param, weight, parts, part_count);
  if (status != PRECIS_OK) return status;
  for (int64_t i = 0; i < param->shape[0] * param->shape[1]; ++i)
    if (((float*)precis_data(parts[1]))[i / param->shape[1]] == 1) precis_data(parts[0])[i] = 1;
  return status;
}
#define FAULT_QUANTIZE wrong
#include "tables.h"
