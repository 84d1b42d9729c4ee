/* Leaves the last byte of an output as it was. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           precis_tensor* const* parts, uint64_t part_count) {
  unsigned char* last = precis_data(parts[1]) + parts[1]->nbytes;
  const unsigned char before = parts[1]->nbytes > 0 ? last[-1] : 0;
  const precis_status status = quantize(quantizer, call, param, weight, parts, part_count);
  if (status == PRECIS_OK && parts[1]->nbytes > 0 && call->poll != NULL) last[-1] = before & 0x3f;
  return status;
}
#define FAULT_QUANTIZE wrong
#include "tables.h"
