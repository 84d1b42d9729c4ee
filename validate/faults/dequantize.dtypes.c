/* Writes float16 where bfloat16 is asked for. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* const* parts,
                           uint64_t part_count, int64_t row_begin, precis_tensor* weight) {
  if (weight->view.dtype.code == PRECIS_TYPE_BFLOAT) weight->view.dtype.code = PRECIS_TYPE_FLOAT;
  return dequantize(quantizer, call, param, parts, part_count, row_begin, weight);
}
#define FAULT_DEQUANTIZE wrong
#include "tables.h"
