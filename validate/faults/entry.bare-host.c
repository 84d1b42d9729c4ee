/* Refuses a host that lends no threads. */
#include "sound.h"

static precis_status wrong(const precis_host* from, uint32_t agreed_minor, const precis_sink* why) {
  if (from->get_extension(from, PRECIS_HOST_THREADS_1) == NULL) return PRECIS_FAILED_PRECONDITION;
  return init(from, agreed_minor, why);
}
#define FAULT_INIT wrong
#include "tables.h"
