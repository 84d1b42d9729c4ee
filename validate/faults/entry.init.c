/* init starts a thread. */
#include <pthread.h>

#include "sound.h"

static void* idle(void* nothing) {
  return nothing;
}
static precis_status wrong(const precis_host* from, uint32_t agreed_minor, const precis_sink* why) {
  pthread_t thread;
  pthread_create(&thread, NULL, idle, NULL);
  pthread_join(thread, NULL);
  return init(from, agreed_minor, why);
}
#define FAULT_INIT wrong
#include "tables.h"
