/* The one symbol that a plugin exports. */
#ifndef PRECIS_ENTRY_H
#define PRECIS_ENTRY_H

#include "host.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PRECIS_ENTRY_MAGIC 0x43455250u /* "PREC" in little-endian memory */
#define PRECIS_ENTRY_SYMBOL "precis_plugin_entry_v1"

/* A constant: the host reads it before it calls anything. Its layout is the symbol's "v1", whatever
 * the major: a host of any major can read which one the plugin has.
 *
 * Negotiation: magic and major must be equal; the agreed minor is the smaller one of both sides;
 * the host refuses when its minor is below min_host_minor. It takes every minor of its major, and
 * being newer is never a reason to refuse. */
typedef struct precis_plugin_entry {
  uint32_t magic;
  uint32_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t min_host_minor;
  uint32_t reserved;

  /* Called once, before everything else; a process has one host. No thread is started, no device
   * touched. On failure text goes to `why` and nothing else is called. agreed_minor: members and
   * flags that came later are not there. [load] */
  precis_status(PRECIS_CALL* init)(const precis_host* host, uint32_t agreed_minor,
                                   const precis_sink* why);

  /* Called at most once, at a shutdown that the application asks for, after every handle is
   * destroyed; never from a static destructor. Nothing is called afterwards. The library stays
   * mapped. [load] */
  void(PRECIS_CALL* deinit)(void);

  /* The table with this id, or NULL: for every id that the plugin does not know. Valid until
   * deinit. [any thread] */
  const void*(PRECIS_CALL* get_factory)(const char* id);
} precis_plugin_entry;

#ifdef __cplusplus
}
#endif

#endif
