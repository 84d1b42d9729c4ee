/* Takes weights on addresses of 16 bytes alone. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           precis_tensor* const* parts, uint64_t part_count) {
  if ((uintptr_t)precis_data(weight) % 16 == 4)
    return precis_fail(call, PRECIS_INVALID_ARGUMENT, "the weight is not aligned");
  return quantize(quantizer, call, param, weight, parts, part_count);
}
#define FAULT_QUANTIZE wrong
#include "tables.h"
