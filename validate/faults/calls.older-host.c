/* Reads a member of a later minor, whatever struct_size says. */
#include "validate/faults/sound.h"

struct later_param {
  precis_param param;
  const void* more;
};

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* const* parts,
                           uint64_t part_count, int64_t row_begin, precis_tensor* weight) {
  (void)*(const void* const volatile*)&((const struct later_param*)param)->more;
  return dequantize(quantizer, call, param, parts, part_count, row_begin, weight);
}
#define FAULT_DEQUANTIZE wrong
#include "validate/faults/tables.h"
