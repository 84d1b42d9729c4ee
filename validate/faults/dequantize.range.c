/* Has an answer for rows that do not exist. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* const* parts,
                           uint64_t part_count, int64_t row_begin, precis_tensor* weight) {
  if (row_begin < 0 || row_begin + weight->view.shape[0] > param->shape[0]) return PRECIS_OK;
  return dequantize(quantizer, call, param, parts, part_count, row_begin, weight);
}
#define FAULT_DEQUANTIZE wrong
#include "tables.h"
