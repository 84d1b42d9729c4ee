/* Believes that the codes are as many as the weight has elements. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_linear_options* options, const precis_param* param,
                           const precis_tensor* const* parts, uint64_t part_count,
                           precis_tensor* const* packed, uint64_t packed_count,
                           precis_linear** out) {
  precis_tensor codes = *parts[0];
  const precis_tensor* trusted[2] = {&codes, parts[1]};
  codes.nbytes = packed[0]->nbytes;
  return prepare(quantizer, call, options, param, trusted, part_count, packed, packed_count, out);
}
#define FAULT_PREPARE wrong
#include "tables.h"
