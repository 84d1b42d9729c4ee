/* precis.grid/1: the grids that a weight's values lie on, from one format to another.
 *
 * Formats that multiply small numbers by scales of tiles hold the same values when one takes over
 * the other's scales and zero points. The host reads the grid of a stored weight from its plugin,
 * decodes the weight, and hands both to the plugin of the other format; neither knows the other.
 * The host decodes what was written and compares every value bit for bit, so nothing here promises
 * that a conversion is exact. A host meeting a method without this table encodes the decoded weight
 * with precis.quantize/1, and compares likewise.
 *
 * A grid is four tensors, in this order, the last of which a method without zero points leaves out:
 *   scales        float32 [tiles down][tiles across]
 *   row_tiles     int32 [rows]     the tile, from above, that a row lies in
 *   column_tiles  int32 [columns]  the tile, from the left, that a column lies in
 *   zeros         int32 [tiles down][tiles across]  the code that decodes to 0, codes counted from
 *                 the lowest: 8 for integers from -8 to 7 without an offset
 */
#ifndef PRECIS_EXT_GRID_H
#define PRECIS_EXT_GRID_H

#include "../quantizer.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PRECIS_GRID_1 "precis.grid/1"

/* All functions: [any thread], concurrently on one quantizer. */
typedef struct precis_grid_v1 {
  /* The tensors of the grid of a stored `param`, and the workspace that `read` needs. Pure and
   * cheap. PRECIS_UNSUPPORTED: its stored form has no such grid. */
  precis_status(PRECIS_CALL* plan)(const precis_quantizer* quantizer, const precis_call* call,
                                   precis_device device, const precis_param* param,
                                   precis_plan* out);

  /* Fills the grid, allocated as planned. `parts` are contiguous and in the order of
   * precis.quantize/1's plan or of quantized_params. PRECIS_UNSUPPORTED: this weight has no such
   * grid. */
  precis_status(PRECIS_CALL* read)(const precis_quantizer* quantizer, const precis_call* call,
                                   const precis_param* param, const precis_tensor* const* parts,
                                   uint64_t part_count, precis_tensor* const* grid,
                                   uint64_t grid_count);

  /* Encodes `weight`, contiguous, of param's dtype and shape, on a grid that any method made. The
   * parts are those that precis.quantize/1 planned for `param` with PRECIS_PARAM_GRID set, and so
   * is the workspace. PRECIS_UNSUPPORTED: this format cannot take the grid over; the message names
   * the rule and what of the config would have to be otherwise. */
  precis_status(PRECIS_CALL* write)(const precis_quantizer* quantizer, const precis_call* call,
                                    const precis_param* param, const precis_tensor* weight,
                                    const precis_tensor* const* grid, uint64_t grid_count,
                                    precis_tensor* const* parts, uint64_t part_count);
} precis_grid_v1;

#ifdef __cplusplus
}
#endif

#endif
