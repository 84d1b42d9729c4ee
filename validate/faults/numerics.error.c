/* Forgets the sign of bfloat16 weights. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* const* parts,
                           uint64_t part_count, int64_t row_begin, precis_tensor* weight) {
  const precis_status status =
      dequantize(quantizer, call, param, parts, part_count, row_begin, weight);
  if (status == PRECIS_OK && param->dtype.code == PRECIS_TYPE_BFLOAT)
    for (uint64_t i = 0; i < weight->nbytes; i += 4) precis_data(weight)[i + 3] &= 0x7f;
  return status;
}
#define FAULT_DEQUANTIZE wrong
#include "tables.h"
