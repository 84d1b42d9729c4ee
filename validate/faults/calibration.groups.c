/* Encodes the first weight of a group into the parts of all. */
#include "sound.h"

#include <math.h>

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_calibration_group* group) {
  const precis_status status = finish(quantizer, call, group);
  for (uint64_t i = 1; i < group->count; ++i) {
    for (uint64_t j = 0; j < group->part_counts[i]; ++j)
      memcpy(precis_data(group->parts[i][j]), precis_data(group->parts[0][j]),
             group->parts[0][j]->nbytes);
    group->errors[i] = NAN;
  }
  return status;
}
#define FAULT_FINISH wrong
#include "tables.h"
