/* Reads strided rows as if there were no gaps. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           precis_tensor* const* parts, uint64_t part_count) {
  int64_t strides[2] = {weight->view.shape[1], 1};
  precis_tensor dense = *weight;
  dense.view.strides = strides;
  weight = &dense;
  return quantize(quantizer, call, param, weight, parts, part_count);
}
#define FAULT_QUANTIZE wrong
#include "tables.h"
