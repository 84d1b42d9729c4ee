/* Writes a number into the header of a safetensors file. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_component* component, const precis_sink* out) {
  (void)quantizer, (void)call, (void)component;
  out->write(out->ctx, "{\"bits\":8}", 10);
  return PRECIS_OK;
}
#define FAULT_METADATA wrong
#include "tables.h"
