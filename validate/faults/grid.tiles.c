/* Counts the rows' tiles from 1. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* const* parts,
                           uint64_t part_count, precis_tensor* const* grid, uint64_t grid_count) {
  const precis_status status =
      read_grid(quantizer, call, param, parts, part_count, grid, grid_count);
  for (int64_t i = 0; status == PRECIS_OK && i < param->shape[0]; ++i)
    ((int32_t*)precis_data(grid[1]))[i] += 1;
  return status;
}
#define FAULT_READ_GRID wrong
#include "tables.h"
