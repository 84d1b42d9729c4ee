/* Takes only a host whose struct has the size it knows. */
#include "sound.h"

static precis_status wrong(const precis_host* from, uint32_t agreed_minor, const precis_sink* why) {
  if (from->struct_size != sizeof *from) return PRECIS_ABI_MISMATCH;
  return init(from, agreed_minor, why);
}
#define FAULT_INIT wrong
#include "tables.h"
