/* Stores the scales halved. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           const precis_tensor* const* grid, uint64_t grid_count,
                           precis_tensor* const* parts, uint64_t part_count) {
  const precis_status status =
      write_grid(quantizer, call, param, weight, grid, grid_count, parts, part_count);
  for (int64_t i = 0; status == PRECIS_OK && i < param->shape[0]; ++i)
    ((float*)precis_data(parts[1]))[i] /= 2;
  return status;
}
#define FAULT_WRITE_GRID wrong
#include "tables.h"
