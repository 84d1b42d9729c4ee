/* Reads a member of a later minor, whatever struct_size says. */
#include "validate/faults/sound.h"

struct later_component {
  precis_component component;
  uint64_t more;
};

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_component* component, const precis_sink* out) {
  (void)*(const volatile uint64_t*)&((const struct later_component*)component)->more;
  return write_nothing(quantizer, call, component, out);
}
#define FAULT_METADATA wrong
#include "validate/faults/tables.h"
