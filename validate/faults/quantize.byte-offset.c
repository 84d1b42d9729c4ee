/* Reads at data, whatever byte_offset says. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           precis_tensor* const* parts, uint64_t part_count) {
  precis_tensor at_data = *weight;
  if (weight->view.byte_offset % 16 != 0) at_data.view.byte_offset = 0;
  weight = &at_data;
  return quantize(quantizer, call, param, weight, parts, part_count);
}
#define FAULT_QUANTIZE wrong
#include "tables.h"
