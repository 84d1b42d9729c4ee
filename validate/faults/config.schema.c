/* The schema is no JSON. */
#include "sound.h"

static precis_status wrong(const precis_call* call, uint32_t index, precis_str library,
                           const precis_sink* out) {
  (void)library;
  if (index != 0) return precis_fail(call, PRECIS_NOT_FOUND, "there is one method");
  out->write(out->ctx, "a schema", 8);
  return PRECIS_OK;
}
#define FAULT_WRITE_SCHEMA wrong
#include "tables.h"
