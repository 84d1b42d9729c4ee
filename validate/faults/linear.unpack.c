/* Unpacks zeros. */
#include "sound.h"

static precis_status wrong(const precis_linear* linear, const precis_call* call,
                           precis_tensor* const* parts, uint64_t part_count) {
  const precis_status status = unpack(linear, call, parts, part_count);
  memset(precis_data(parts[0]), 0, parts[0]->nbytes);
  return status;
}
#define FAULT_UNPACK wrong
#include "tables.h"
