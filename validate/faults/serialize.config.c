/* Writes a list as the config. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_component* component, const precis_sink* out) {
  (void)quantizer, (void)call, (void)component;
  out->write(out->ctx, "[]", 2);
  return PRECIS_OK;
}
#define FAULT_CONFIG wrong
#include "tables.h"
