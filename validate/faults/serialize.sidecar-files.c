/* Writes a file outside of the component. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_component* component, const precis_sink* out) {
  (void)quantizer, (void)call, (void)component;
  out->write(out->ctx, "{\"../a\":{}}", 11);
  return PRECIS_OK;
}
#define FAULT_SIDECAR_FILES wrong
#include "tables.h"
