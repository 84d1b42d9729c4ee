/* Reads the parts after prepare, and does not say so. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_linear_options* options, const precis_param* param,
                           const precis_tensor* const* parts, uint64_t part_count,
                           precis_tensor* const* packed, uint64_t packed_count,
                           precis_linear** out) {
  const precis_status status =
      prepare(quantizer, call, options, param, parts, part_count, packed, packed_count, out);
  if (status == PRECIS_OK) ((struct product*)*out)->codes = (const int8_t*)precis_data(parts[0]);
  return status;
}
#define FAULT_PREPARE wrong
#include "tables.h"
