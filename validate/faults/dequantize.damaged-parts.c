/* Believes that every part has the size it planned. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* const* parts,
                           uint64_t part_count, int64_t row_begin, precis_tensor* weight) {
  precis_tensor codes = *parts[0], scales = *parts[1];
  const precis_tensor* trusted[2] = {&codes, &scales};
  codes.nbytes = (uint64_t)(param->shape[0] * param->shape[1]);
  scales.nbytes = (uint64_t)param->shape[0] * 4;
  parts = trusted;
  return dequantize(quantizer, call, param, parts, part_count, row_begin, weight);
}
#define FAULT_DEQUANTIZE wrong
#include "tables.h"
