/* Adds a bit of what was there to a scale. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* const* parts,
                           uint64_t part_count, precis_tensor* const* grid, uint64_t grid_count) {
  unsigned char* lowest = precis_data(grid[0]);
  const unsigned char before = *lowest;
  const precis_status status =
      read_grid(quantizer, call, param, parts, part_count, grid, grid_count);
  if (status == PRECIS_OK) *lowest = (unsigned char)(*lowest ^ (before >> 4 & 1));
  return status;
}
#define FAULT_READ_GRID wrong
#include "tables.h"
