/* Fails without a word when there are no parts. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           precis_tensor* const* parts, uint64_t part_count) {
  if (part_count == 0) return PRECIS_INVALID_ARGUMENT;
  return quantize(quantizer, call, param, weight, parts, part_count);
}
#define FAULT_QUANTIZE wrong
#include "tables.h"
