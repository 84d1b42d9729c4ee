/* Has new scales where it cannot take them over. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           const precis_tensor* const* grid, uint64_t grid_count,
                           precis_tensor* const* parts, uint64_t part_count) {
  const precis_status status =
      write_grid(quantizer, call, param, weight, grid, grid_count, parts, part_count);
  if (status != PRECIS_UNSUPPORTED) return status;
  return quantize(quantizer, call, param, weight, parts, part_count);
}
#define FAULT_WRITE_GRID wrong
#include "tables.h"
