/* Trusts the maps of a grid. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           const precis_tensor* const* grid, uint64_t grid_count,
                           precis_tensor* const* parts, uint64_t part_count) {
  const int64_t across = grid[0]->view.shape[1];
  const int64_t i = ((const int32_t*)precis_data(grid[1]))[1];
  const int64_t k = ((const int32_t*)precis_data(grid[2]))[1];
  if (((const float*)precis_data(grid[0]))[i * across + k] <= 0)
    return precis_fail(call, PRECIS_UNSUPPORTED, "a scale is not positive");
  return write_grid(quantizer, call, param, weight, grid, grid_count, parts, part_count);
}
#define FAULT_WRITE_GRID wrong
#include "tables.h"
