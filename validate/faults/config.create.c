/* create refuses what the manifest's preset says. */
#include "sound.h"

static precis_status wrong(const precis_call* call, uint32_t index, const precis_config* config,
                           precis_quantizer** out) {
  (void)index, (void)config, (void)out;
  return precis_fail(call, PRECIS_UNSUPPORTED, "not today");
}
#define FAULT_CREATE wrong
#include "tables.h"
