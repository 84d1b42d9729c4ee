/* Writes one tile behind its map. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* const* parts,
                           uint64_t part_count, precis_tensor* const* grid, uint64_t grid_count) {
  ((int32_t*)precis_data(grid[2]))[param->shape[1]] = 0;
  return read_grid(quantizer, call, param, parts, part_count, grid, grid_count);
}
#define FAULT_READ_GRID wrong
#include "tables.h"
