/* Looks at a member that hosts of minor 0 did not have yet, whatever struct_size says. */
#include "validate/faults/sound.h"

static precis_status faulty_metadata(const precis_quantizer* quantizer, const precis_call* call,
                                     const precis_component* component, const precis_sink* out) {
  if (component->others_count > 1000000)
    return precis_fail(call, PRECIS_UNSUPPORTED, "the component has too many tensors");
  return write_nothing(quantizer, call, component, out);
}
#define FAULT_METADATA faulty_metadata
#include "validate/faults/tables.h"
